"""Rows that no key orders are summed up in dumps of a database whose log is stored, and in no others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from backups.keeping import log_archives
from backups.models import Database, Run, Snapshot
from backups.shipping import switching
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import make_shop
from tests.servers import DatabaseServer
from tests.shipping.conftest import may_ship

TABLES = """
CREATE TABLE journal (what VARCHAR(200));
CREATE TABLE orders (id INT PRIMARY KEY);
INSERT INTO journal VALUES ('a'), ('b'), ('a');
INSERT INTO orders VALUES (1);
"""


@pytest.mark.one_flavour("mariadb")
def test_only_where_a_proof_by_replay_may_need_them(
    server: DatabaseServer, make_database: MakeDatabase, back_up: Callable[[Database], Run]
) -> None:
    database = make_database(may_ship(make_shop(server, TABLES)))

    def summed_up() -> dict[str, Any]:
        run = back_up(database)
        manifest = Snapshot.objects.get(made_by=run).manifest or {}
        return {each["name"]: each["rows"] for each in manifest["sections"] if "rows" in each}

    assert summed_up() == {}

    switching.switch_on(database, "a test")
    Run.objects.filter(status="queued").delete()
    sums = summed_up()
    assert list(sums) == ["journal"]

    # The order of rows is of no matter to them, and what is in them is.
    server.execute(
        f"DELETE FROM {database.database}.journal; "
        f"INSERT INTO {database.database}.journal VALUES ('b'), ('a'), ('a')"
    )
    assert summed_up() == sums

    log_archives.switch_off(database, "a test")
    assert summed_up() == {}
