"""Tables that refer to one another and to themselves, changed at random, on real servers."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import pytest

from backups.errors import Problem
from backups.rows_back.literals import value_of
from backups.rows_back.moves import folded
from backups.rows_back.script import inverse, write
from backups.rows_back.tables import Table
from tests.rows_back.running import (
    ALL,
    HEAD,
    Changed,
    connected,
    differences,
    dumped,
    errors_of,
    run,
    tables_of,
)
from tests.servers import DatabaseServer

SEED = int(os.environ.get("VEDETTA_SEED") or "20261130")
ON_DELETE = ("", "ON DELETE CASCADE", "ON DELETE SET NULL")
ON_UPDATE = ("", "ON UPDATE CASCADE", "ON UPDATE SET NULL")
# The keys are refused that another row has, and the parents that are not there.
REFUSED = {1062, 1451, 1452, 1761, 1762}
NUMBERS = [str(number) for number in range(1, 10)]
CODES = ["'a'", "'A'", "'b'", "'c '", "'d'", "'é'", "NULL"]


@dataclass(frozen=True)
class Kin:
    """A table, and what may stand in its columns."""

    name: str
    create: str
    columns: dict[str, Sequence[str]]

    def change(self, draw: random.Random) -> str:
        """A statement, which the server may refuse."""
        values = {name: draw.choice(values) for name, values in self.columns.items()}
        where = f"id = {draw.choice(NUMBERS)}"
        kind = draw.choice(["insert", "insert", "update", "update", "delete"])
        if kind == "delete":
            return f"DELETE FROM {self.name} WHERE {where}"
        if kind == "update":
            some = draw.sample(list(values.items()), draw.randint(1, 2))
            sets = ", ".join(f"{name} = {value}" for name, value in some)
            return f"UPDATE {self.name} SET {sets} WHERE {where}"
        return f"INSERT INTO {self.name} ({', '.join(values)}) VALUES ({', '.join(values.values())})"


def family(draw: random.Random) -> Iterator[Kin]:
    """Three generations, each of which refers to numbers or codes of the one before, some to themselves."""
    for name, parent in (("a", ""), ("b", "a"), ("c", "b")):
        columns: dict[str, Sequence[str]] = {"id": NUMBERS, "code": CODES, "n": NUMBERS}
        lines = ["id int PRIMARY KEY", "code varchar(9)", "n int", "UNIQUE (code)"]
        if parent:
            column, kind, of = draw.choice([("id", "int", NUMBERS), ("code", "varchar(9)", CODES)])
            rules = f"{draw.choice(ON_DELETE)} {draw.choice(ON_UPDATE)}"
            lines += [f"up {kind}", f"FOREIGN KEY (up) REFERENCES {parent} ({column}) {rules}"]
            columns["up"] = [*of, "NULL"]
        if draw.randrange(2):
            lines += ["own int", f"FOREIGN KEY (own) REFERENCES {name} (id) {draw.choice(ON_DELETE)}"]
            columns["own"] = [*NUMBERS, "NULL", "NULL"]
        options = "DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci"
        yield Kin(name, f"CREATE TABLE {name} ({', '.join(lines)}) {options}", columns)


def is_replaced(changes: Sequence[Changed], tables: Mapping[str, Table]) -> bool:
    """Whether a row has the code of another that is gone. Rows that refer to it and did not change are not
    known to a script, and keep it from going or go themselves. That is for the proof to find.
    """
    parents = {
        each.parent
        for table in tables.values()
        for each in table.references
        if each.parent_columns == [b"code"]
    }
    owners: defaultdict[tuple[str, object], list[set[bytes]]] = defaultdict(lambda: [set(), set()])
    for change in changes:
        for side, row in enumerate((change.then, change.now) if change.table in parents else ()):
            code = value_of(row[b"code"]) if row else None
            if row and code is not None:
                key = folded(code, tables[change.table].columns[b"code"])
                owners[change.table, key][side].add(row[b"id"])
    return any(then and now and then != now for then, now in owners.values())


@pytest.mark.parametrize(
    "number", [0, 1, *(pytest.param(number, marks=pytest.mark.soak) for number in range(2, 50))]
)
def test_families_are_given_back_and_undone_or_it_is_said_that_no_order_does(
    number: int, db_server: DatabaseServer
) -> None:
    draw = random.Random(f"{SEED} {number}")
    kin = list(family(draw))
    db_server.create_database("family")
    with closing(connected(db_server, "family")) as connection:
        cursor = connection.cursor()
        assert errors_of(cursor, [each.create.encode() for each in kin]) == []
        found = {*errors_of(cursor, [draw.choice(kin).change(draw).encode() for _ in range(120)])}
        connection.commit()
        then = dumped(db_server, "family")
        found |= {*errors_of(cursor, [draw.choice(kin).change(draw).encode() for _ in range(80)])}
        connection.commit()
    assert found <= REFUSED
    now = dumped(db_server, "family")
    changes, tables = differences(then, now), tables_of(now)
    if is_replaced(changes, tables):
        return
    script = undo = None
    try:
        script, undo = write(changes, tables, HEAD), inverse(changes, tables, HEAD)
    except Problem as problem:
        code = problem.code

    assert script or code == "rows_back.no_order"
    for each, wanted in ((script, then.told()), (undo, now.told())):
        if each is not None:
            assert run(db_server, "family", each.statements()) == ALL
            assert dumped(db_server, "family").told() == wanted
