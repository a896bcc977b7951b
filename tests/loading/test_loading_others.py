"""Other programs' dumps are loaded as the ordinary client loads them, or refused by what they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backups.dumpfile.ready import LoadOptions
from backups.errors import Problem
from backups.loading.progress import End, Loading
from tests.loading.loading import load_bytes
from tests.loading.others import OTHERS, Other
from tests.loading.test_others import OBJECTS
from tests.servers import DatabaseServer

# On one flavour by default; `make soak` plays the other too.
PLACES = [
    pytest.param(name, flavour, marks=[pytest.mark.soak] if number else [])
    for name, other in OTHERS.items()
    for number, flavour in enumerate(sorted(other.flavours))
]
# Nothing in these says that they are whole. Navicat commits before its triggers, not behind them.
ENDLESS = {"mydumper", "Navicat", "--compact"}


def loaded(server: DatabaseServer, other: Other, folder: Path, connections: int) -> tuple[Loading, str]:
    """Load a file into the empty database `shop` as the product does; with it the sentence of a refusal."""
    loading = Loading()
    try:
        load_bytes(
            server,
            other.dump,
            folder,
            loading,
            options=LoadOptions("shop", source="shop"),
            gzip=other.path.endswith(".gz"),
            connections=connections,
        )
    except Problem as problem:
        return loading, problem.sentence()
    return loading, ""


@pytest.mark.parametrize(("name", "flavour"), PLACES)
def test_a_file_by_another_program(
    request: pytest.FixtureRequest, name: str, flavour: str, tmp_path: Path
) -> None:
    server: DatabaseServer = request.getfixturevalue(f"{flavour}_server")
    other = OTHERS[name]
    server.create_database("shop")
    try:
        loading, refusal = loaded(server, other, tmp_path, 1 + len(name) % 2 * 3)
        if refusal:
            assert other.refused, refusal
            assert re.search(other.refused, refusal), refusal
            return
        if other.refused:
            # Loaded for what it is: nothing, or the wanted one of two databases.
            nothing = not loading.found.own_statements
            assert nothing or set(loading.found.others) == {"other"}
            return
        tables = server.query(
            "SELECT TABLE_NAME FROM information_schema.TABLES"
            " WHERE TABLE_SCHEMA = 'shop' AND TABLE_TYPE = 'BASE TABLE'"
        )
        rows = {table: server.query(f"SELECT COUNT(*) FROM `{table}`", "shop")[0][0] for (table,) in tables}
        assert rows == other.rows
        assert {found for (found,) in server.query(OBJECTS)} == other.objects
        assert loading.end == (End.UNKNOWN if name in ENDLESS else End.WHOLE)
        if other.rows.get("customers"):
            names = server.query("SELECT name FROM customers WHERE id = 2", "shop")
            assert names == [("Grace; -- 'quoted'",)]
    finally:
        server.execute("DROP DATABASE IF EXISTS shop")
