"""Connections over which a dump is loaded, one or several at a time."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import MySQLdb
from MySQLdb.constants import ER

from backups.mysql.answers import as_number, as_text, execute, fetch_one, fetch_rows, strange
from backups.mysql.connection import (
    connect,
    opened,
    refuse_missing_authority,
    refuse_unencrypted,
)
from backups.mysql.error_numbers import translated
from backups.mysql.load_errors import LoadSession, at_statement, load_problem, refuse_too_long
from backups.mysql.names import named, quote, quote_text
from backups.mysql.privileges import way_out
from backups.mysql.problems import MySQLProblem, NoMoreConnections, OfTheServer, text_of
from backups.mysql.schemas import Question, rows_of
from backups.mysql.server import Server
from backups.mysql.session import (
    AS_THE_SERVER_HAS_IT,
    BEGIN_ASKING,
    BEGIN_LOADING,
    CHANGES_TABLES,
    OF_PRIMARY_KEYS,
    to_change,
)
from backups.text.sentences import phrase
from backups.text.terminal import bounded

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
# MySQL's; MariaDB lets a load do without.
CHECK_IS_VIOLATED = 3819
# That, and what ends in no number.
_CHECK_FAILED = (CHECK_IS_VIOLATED, ER.DATA_OUT_OF_RANGE)
# One statement reads a whole table.
_ENFORCE_SECONDS = 24 * 3600
_DEADLOCK_TRIES = 20
# A server begins with room for the latter, whatever the former says.
_OF_PACKETS = ("max_allowed_packet", "net_buffer_length")
_COLLATIONS = ("character_set_connection", "collation_connection")
# What a session begins with besides `BEGIN_LOADING` that is not the server's own default.
_CHARACTERS = {"character_set_client": "'utf8mb4'", "character_set_connection": "'utf8mb4'"}
# Without a privilege, or because the setting is the whole server's in this release.
_REFUSED = (
    ER.SPECIFIC_ACCESS_DENIED_ERROR, ER.ACCESS_DENIED_ERROR, ER.GLOBAL_VARIABLE,
    ER.INCORRECT_GLOBAL_LOCAL_VAR,
)  # fmt: skip


@dataclass(frozen=True)
class LoadingConnection:
    """A connection for loading, used by one thread; `wire` and `thread` are for others to end it.

    It takes one statement at a time and never a file of this machine, whatever the statement says.
    `withheld` are settings that the server has otherwise and does not let this user change.
    """

    driver: Any
    wire: int
    thread: int
    server: Server
    database: str
    withheld: set[str] = field(default_factory=set)
    _known: set[str] = field(default_factory=set)
    _begun: dict[str, str] = field(default_factory=dict)
    # The longest statement that the server takes, which no session can change; nothing where it is not known.
    _limits: list[int] = field(default_factory=list)

    @classmethod
    def open(cls, server: Server, database: str) -> LoadingConnection:
        """Connect as a client of the server's own would: a dump says itself how it wants to be read."""
        # Statements may take any time.
        driver = opened(server, database, read_timeout=None, init_command=BEGIN_ASKING)
        loading = cls(driver, driver.fileno(), driver.thread_id(), server, database)
        loading._begin()
        return loading

    def _begin(self) -> None:
        # What a server calls itself need not even be text, and no session sets it.
        rows = fetch_rows(self.driver, "SHOW SESSION VARIABLES WHERE Variable_name NOT LIKE 'version%'", 2)
        now = {str(name).lower(): str(value) for name, value in rows}
        self._known.update(now)
        self._limits.extend(int(now[name]) for name in _OF_PACKETS if now.get(name, "").isdigit())
        self._begun.update(_CHARACTERS)
        changes = to_change(now)
        self._begun.update({name: value for name, value in BEGIN_LOADING.items() if name in now})
        self._assign(changes)

    def set(self, changes: Mapping[str, str | None]) -> None:
        """Change settings of the session; None is as it began. One that the server does not know is left."""
        changed = {name: self._literal(name, value) for name, value in changes.items() if name in self._known}
        if _COLLATIONS[0] in changed and _COLLATIONS[1] in changed and changes[_COLLATIONS[1]] is None:
            del changed[_COLLATIONS[1]]  # that of the character set, which comes with it
        self._assign(changed)

    def _literal(self, name: str, value: str | None) -> str:
        if value is None:
            return self._begun.get(name, "DEFAULT")
        # Numbers as such: some settings take no text.
        return value if _NUMBER.fullmatch(value) else quote_text(value)

    def _assign(self, changed: Mapping[str, str]) -> None:
        """Set settings to literals: one by one where not all may be set, as those that may not are noted."""
        if not changed:
            return
        # A character set brings a collation with it, so it comes first.
        parts = {name: f"{name} = {changed[name]}" for name in sorted(changed)}
        try:
            execute(self.driver, "SET SESSION " + ", ".join(parts.values()))
            return
        except MySQLdb.Error as error:
            if error.args[0] not in _REFUSED:
                raise
        for name, part in parts.items():
            try:
                execute(self.driver, f"SET SESSION {part}")
            except MySQLdb.Error as error:
                if error.args[0] not in _REFUSED:
                    raise
                self.withheld.add(name)

    @contextmanager
    def translated(self, statement: bytes) -> Iterator[None]:
        """Turn the driver's errors into sentences about a statement that is loaded."""
        try:
            yield
        except MySQLdb.Error as error:
            session = LoadSession(self.server, self.database, self._ways_out(), self.longest_statement)
            raise load_problem(error, session, statement) from error

    @property
    def longest_statement(self) -> int:
        """How many bytes a statement may have, 0 where the server does not say."""
        return max(self._limits, default=0)

    def key_rules(self) -> dict[str, str]:
        """Settings by which tables without a primary key are refused or changed, with the way out of each."""
        return {name: way for name, way in self._ways_out().items() if name in OF_PRIMARY_KEYS}

    def warnings(self) -> list[tuple[int, str]]:
        """What the server says of the last statement, which it took and did otherwise: (number, text)."""
        return [(number, text) for level, number, text in self._remarks() if level != "Note"]

    def _ways_out(self) -> dict[str, str]:
        """For each setting that is withheld: what an administrator can do."""
        return _ways_out(self.driver, self.withheld)

    def run(self, statement: bytes) -> None:
        """Run one statement just as it is written, and drop what it answers.

        Once more where a deadlock with another connection rolled it back: MariaDB lets one alone
        insert into a table that is empty, and ends who does so at the same time. Raises OfTheServer for
        one that is too long, at which the server would cut the connection.
        """
        try:
            refuse_too_long(len(statement), self.longest_statement, self.server)
        except OfTheServer as problem:
            raise at_statement(problem, statement) from None
        for tries_left in reversed(range(_DEADLOCK_TRIES)):
            try:
                self.driver.query(statement)
                break
            except MySQLdb.OperationalError as error:
                if error.args[0] != ER.LOCK_DEADLOCK or not tries_left:
                    raise
        self.driver.drop_answers()

    def leave_checks(self, table: str) -> list[str]:
        """Have no CHECK of a table enforced, for MySQL; answers which ones were. See `enforce_checks`."""
        rows = rows_of(
            self.driver,
            self.database,
            Question(
                "TABLE_CONSTRAINTS",
                "TABLE_NAME, CONSTRAINT_NAME",
                condition="AND TABLE_NAME = %s AND CONSTRAINT_TYPE = 'CHECK' AND ENFORCED = 'YES'",
                arguments=[table],
            ),
        )
        checks = [str(check) for of, check in rows if of == table]
        if checks:
            execute(self.driver, _alter_checks(self.database, table, checks, "NOT ENFORCED"))
        return checks

    def noted(self) -> frozenset[int]:
        """The numbers of the server's remarks on the statement that ran last."""
        return frozenset(number for _, number, _ in self._remarks())

    def _remarks(self) -> list[tuple[str, int, str]]:
        if not self.driver.warning_count():
            return []
        self.driver.query(b"SHOW WARNINGS")
        # As bytes: the driver decodes by the session's character set, and Python knows no eucjpms or binary.
        rows = self.driver.raw_rows()
        if any(len(row) != 3 or None in row for row in rows):
            raise strange(rows)
        return [_remark(*row) for row in rows]


def _remark(level: bytes, number: bytes, text: bytes) -> tuple[str, int, str]:
    """Level, number and text; names in it may be in the character set of the statement."""
    try:
        words = bounded(text.decode())
    except UnicodeDecodeError:
        words = phrase("its remark is in another character set than UTF-8")
    return as_text(level), as_number(number), words


def _alter_checks(database: str, table: str, checks: Sequence[str], state: str) -> str:
    changes = ", ".join(f"ALTER CHECK {quote(check)} {state}" for check in checks)
    return f"ALTER TABLE {quote(database)}.{quote(table)} {changes}"


def enforce_checks(
    server: Server,
    database: str,
    checks: Collection[tuple[str, str]],
    *,
    connected: Callable[[int], None] = lambda _: None,
) -> None:
    """Have CHECKs hold that were left for a load, each with its table; they may depend on the session.

    So they are asked under the server's own settings. `connected` is given the connection's number, by
    which to end it. Raises OfTheServer where the rows do not hold them under these either.
    """
    of_table: dict[str, list[str]] = {}
    for table, check in sorted(checks):
        of_table.setdefault(table, []).append(check)
    with connect(server, database, read_seconds=_ENFORCE_SECONDS) as connection:
        connected(connection.thread_id())
        for table, names in of_table.items():
            if (why := _not_enforced(connection, _alter_checks(database, table, names, "ENFORCED"))) is None:
                continue
            raise OfTheServer(
                phrase(
                    "Rows of {table} break its CHECK under the global settings of the database server "
                    "at {address} ({why}). They were written under other settings (time_zone, "
                    "sql_mode and the like).",
                    table=table,
                    address=server.address,
                    why=why,
                ),
                code="load.check_not_held",
                do=phrase(
                    "Set its global settings to the values that the application's sessions have, then "
                    "restore again. Or restore to a file, and take the CHECK out of it."
                ),
            )


_ENFORCED_UNDER = (
    AS_THE_SERVER_HAS_IT,
    # A difference of numbers without a sign may be less than zero.
    "SET SESSION sql_mode = CONCAT_WS(',', NULLIF(@@GLOBAL.sql_mode, ''), 'NO_UNSIGNED_SUBTRACTION')",
)


def _not_enforced(connection: Any, statement: str) -> str | None:
    """Why rows do not hold a CHECK, under whatever settings; None where it is enforced now."""
    why = ""
    for settings in _ENFORCED_UNDER:
        execute(connection, settings)
        try:
            execute(connection, statement)
        except MySQLdb.OperationalError as error:
            if error.args[0] not in _CHECK_FAILED:
                raise
            why = why or text_of(error)
        else:
            return None
    return why


def refuse_made_otherwise(server: Server, withheld: Collection[str], tables: Sequence[str]) -> None:
    """Raise OfTheServer for tables that were not made as was asked, where a withheld setting does that."""
    for name in sorted(CHANGES_TABLES.intersection(withheld)):
        with connect(server) as connection:
            do = _ways_out(connection, withheld)[name]
        raise OfTheServer(
            phrase(
                "The {name} of the database server at {address} makes tables differ from the "
                "snapshot: {named}. The user {user} may not change that for a load.",
                address=server.address,
                name=name,
                user=server.user,
                named=named(tables),
            ),
            code="load.made_otherwise",
            do=do,
        )


def _ways_out(driver: Any, withheld: Collection[str]) -> dict[str, str]:
    """For each setting that is withheld: what an administrator can do."""
    if not withheld:
        return {}
    # A session in a character set of which Python knows nothing can be asked nothing.
    with suppress(MySQLdb.Error, LookupError):
        return way_out(driver, withheld)
    return dict.fromkeys(withheld, "")


@contextmanager
def loading_connections(server: Server, database: str, wanted: int) -> Iterator[list[LoadingConnection]]:
    """Up to `wanted` connections for the length of a block, one at least; fewer where the server is full.

    Raises MySQLProblem.
    """
    refuse_missing_authority(server)
    loading: list[LoadingConnection] = []
    try:
        with translated(server, database):
            try:
                while len(loading) < wanted:
                    loading.append(_opened(server, database))
            except NoMoreConnections:
                if not loading:
                    raise
        with translated(server, database):
            for connection in loading:
                refuse_unencrypted(server, connection.driver)
        yield loading
    finally:
        for connection in loading:
            with suppress(MySQLdb.Error):
                connection.driver.close()


def _opened(server: Server, database: str) -> LoadingConnection:
    with translated(server, database):
        return LoadingConnection.open(server, database)


def session_mode(connection: Any) -> str:
    """The sql_mode with which a session begins."""
    (mode,) = fetch_one(connection, "SELECT @@GLOBAL.sql_mode", as_text)
    return str(mode)


def break_off(server: Server, connections: Sequence[LoadingConnection]) -> None:
    """End connections whose statements are still running in other threads."""
    for connection in connections:
        with suppress(OSError), socket.socket(fileno=os.dup(connection.wire)) as wire:
            wire.shutdown(socket.SHUT_RDWR)
    # The server would go on with a long statement to its end before it notices.
    with suppress(MySQLProblem), connect(replace(server, skips_binary_log=False)) as other:
        for connection in connections:
            with suppress(MySQLdb.Error):  # it has ended meanwhile
                execute(other, f"KILL {connection.thread}")
