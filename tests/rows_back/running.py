"""Dumps of real servers, taken apart, and scripts run on them."""

from __future__ import annotations

import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import MySQLdb

from backups.differences.cutting import columns_of, rows_of, values_of
from backups.dumpfile.quoted import unquoted
from backups.dumpfile.ready import Does, Ready
from backups.dumpfile.settings import Settings
from backups.rows_back.script import Head, Script
from backups.rows_back.tables import Table, table_of
from tests.servers import DatabaseServer

HEAD = Head("shop", "MariaDB 10.11", "1a2b3c4d", "then", "now")
# What the last statement of a script answers.
ALL = ("All rows were given back.", 1)
_ROWS = re.compile(
    rb"^(INSERT INTO (`(?:[^`]|``)*+`) \((?:`(?:[^`]|``)*+`(?:, )?|)*+\) VALUES\s+\(.*\));\n", re.M
)
_CREATE = re.compile(rb"^CREATE TABLE (`(?:[^`]|``)*+`) \(\n(?s:.*?)^\).*;\n", re.M)
Values = Mapping[bytes, bytes]


@dataclass(frozen=True)
class Changed:
    """A row that differs, as a kept one."""

    table: str
    number: int
    then: Values | None
    now: Values | None
    equal_now: int = 0


@dataclass
class Dump:
    """A database as its dump has it."""

    definitions: dict[str, bytes]
    rows: dict[str, list[Values]]

    def told(self) -> dict[str, Counter[tuple[tuple[bytes, bytes], ...]]]:
        """Each row of each table, and how often it is there."""
        return {table: Counter(tuple(row.items()) for row in rows) for table, rows in self.rows.items()}


def dumped(server: DatabaseServer, database: str) -> Dump:
    """A database, dumped by the server's own program."""
    program = server.client_dir / ("mariadb-dump" if server.flavour == "mariadb" else "mysqldump")
    options = ["--complete-insert", "--skip-extended-insert", "--default-character-set=utf8mb4"]
    options += ["--set-gtid-purged=OFF"] if server.flavour == "mysql" else []
    text = subprocess.run(
        [program, f"--defaults-file={server.defaults_file()}", *options, database],
        capture_output=True,
        check=True,
    ).stdout
    definitions = {unquoted(found[1]): found[0] for found in _CREATE.finditer(text)}
    rows: defaultdict[str, list[Values]] = defaultdict(list)
    for found in _ROWS.finditer(text):
        ready = Ready(Does.ROWS, found[1], Settings(), unquoted(found[2]))
        head = rows_of(ready)
        names = [unquoted(name).encode() for name in columns_of(ready.text, head)]
        rows[ready.table].append(dict(zip(names, values_of(ready.text[head.values :]), strict=True)))
    return Dump(definitions, {name: rows[name] for name in definitions})


def tables_of(dump: Dump) -> dict[str, Table]:
    """What scripts need to know of the tables."""
    found = {name: table_of(name, definition) for name, definition in dump.definitions.items()}
    return {name: table for name, table in found.items() if table is not None}


def differences(then: Dump, now: Dump) -> list[Changed]:
    """The rows that differ, told apart by the first key of their table or as a whole."""
    found: list[tuple[str, Values | None, Values | None]] = []
    for name, table in tables_of(now).items():
        gone, new = (
            list((Counter(map(_whole, a.rows[name])) - Counter(map(_whole, b.rows[name]))).elements())
            for a, b in ((then, now), (now, then))
        )
        key = table.keys[0] if table.keys else []
        by_key = {tuple(dict(row)[part] for part in key): dict(row) for row in new} if key else {}
        for row in map(dict, gone):
            found.append((name, row, by_key.pop(tuple(row[part] for part in key), None)))
        found += [(name, None, row) for row in (by_key.values() if key else map(dict, new))]
    alike = now.told()
    return [
        Changed(name, number, before, after, alike[name][_whole(after or before or {})])
        for number, (name, before, after) in enumerate(found, 1)
    ]


def _whole(row: Values) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(row.items())


def given_back(now: Dump, chosen: Iterable[Changed]) -> dict[str, Counter[tuple[tuple[bytes, bytes], ...]]]:
    """What the database is to be once these rows are as they were."""
    told = now.told()
    for change in chosen:
        if change.now is not None:
            told[change.table][_whole(change.now)] -= 1
        if change.then is not None:
            told[change.table][_whole(change.then)] += 1
    return {table: +rows for table, rows in told.items()}


def connected(server: DatabaseServer, database: str) -> Any:
    """A connection, to be closed."""
    return MySQLdb.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, database=database
    )


def run(server: DatabaseServer, database: str, statements: Iterable[bytes]) -> tuple[object, ...]:
    """What the last of some statements answers, sent over one connection that hangs up at the first error."""
    with closing(connected(server, database)) as connection:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        return tuple(cursor.fetchone())


def by_client(
    server: DatabaseServer, database: str, script: Script | bytes, *options: str
) -> tuple[int, str]:
    """What the server's own client says to a script and exits with."""
    text = script if isinstance(script, bytes) else script.text
    program = server.client_dir / server.flavour
    done = subprocess.run(
        [program, f"--defaults-file={server.defaults_file()}", *options, database],
        input=text,
        capture_output=True,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def errors_of(cursor: Any, statements: Iterable[bytes]) -> list[int]:
    """The errors of some statements, of which each is sent whatever those before it are answered."""
    errors = []
    for statement in statements:
        try:
            cursor.execute(statement)
            cursor.fetchall()
        except MySQLdb.Error as error:
            errors.append(int(error.args[0]))
    return errors
