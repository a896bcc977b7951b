"""Rows given back: by a script that is proved on a copy, in one transaction, on real servers."""

from __future__ import annotations

from typing import Any

import pytest

from backups.actions.steps import kept_files
from backups.choices import Trigger
from backups.differences.kept_rows import kept_rows
from backups.models import Database, Run, Snapshot
from backups.requests import DiffRequest
from backups.runs.asked import Asker
from backups.worker import executor
from tests.actions.tools import back_up, log_of
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_flavour("mariadb")]

TABLES = r"""
CREATE TABLE people (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(20) NOT NULL, seen TIMESTAMP NOT NULL
  DEFAULT '2020-01-01 00:00:00' ON UPDATE CURRENT_TIMESTAMP) ENGINE=InnoDB;
CREATE TABLE loose (a INT, b INT) ENGINE=InnoDB;
INSERT INTO people (name) VALUES ('Anna'), ('O\'Neill'), ('Bert'), ('Cleo');
INSERT INTO loose VALUES (1, 1), (1, 1), (1, 1), (2, NULL);
"""


def played(request: Any) -> Run:
    run = request.submit(Asker(Trigger.CLI), send=False)
    found = executor.execute(run.pk)
    assert found is not None
    return found


def compared(database: Database, snapshot: Snapshot, *tables: str) -> Run:
    run = played(DiffRequest(database, snapshot, None, tables, keep_rows=True))
    assert run.status == "succeeded", f"{run.error}\n{log_of(run)}"
    return run


def test_a_comparison_keeps_its_rows_for_its_owner_alone(
    least_shop: Shop, make_database: MakeDatabase
) -> None:
    least_shop.execute(TABLES)
    database = make_database(least_shop)
    before = back_up(database)
    least_shop.execute(
        "DELETE FROM people WHERE id = 2; UPDATE people SET name = 'secret value' WHERE id = 3;"
        "INSERT INTO people (name) VALUES ('Dora'); DELETE FROM loose WHERE a = 1 LIMIT 2"
    )

    run = compared(database, before)

    path = kept_files.rows_of(run.pk)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [each.name for each in path.parent.glob(f"{run.pk}.*")] == [path.name]
    with kept_rows(path) as rows:
        found = {table.name: table for table in rows.tables()}
        assert (found["people"].gone, found["people"].changed, found["people"].new) == (1, 1, 1)
        assert b"CREATE TABLE `people`" in found["people"].definition_now
        gone, changed, new = rows.changes("people")
        assert gone.then is not None
        assert (gone.then[b"name"], gone.now) == (rb"'O\'Neill'", None)
        assert changed.then is not None
        assert changed.now is not None
        assert (changed.then[b"name"], changed.now[b"name"]) == (b"'Bert'", b"'secret value'")
        assert (new.then, new.kind) == (None, "new")
        assert [each.equal_now for each in rows.changes("loose")] == [1, 1]
        assert rows.page("people", search="3") == (1, [changed])
        assert rows.page("people", kinds=["new"], limit=1) == (1, [new])
        assert list(rows.numbered([changed.number, 999])) == [changed]
    assert "secret value" not in f"{run.result}{log_of(run)}"
    assert run.result["kept"]["tables"][1] == {
        "table": "people", "gone": 1, "new": 1, "changed": 1, "beyond": 0, "same_columns": True,
    }  # fmt: skip
