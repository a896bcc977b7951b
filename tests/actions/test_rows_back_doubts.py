"""What nobody heard of, what somebody alters in the middle, and the undo that is handed out as a file."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest

from backups import mysql
from backups.actions.kept_rows import answer
from backups.actions.steps import rows_copy
from backups.admin.rows_back_story import page_context, story_of
from backups.models import Database, Snapshot
from backups.requests import ApplyRowsRequest, Choice, RowsBackRequest
from tests.actions.test_rows_back import TABLES, compared, played, told, well
from tests.actions.tools import back_up, log_of, with_least
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_flavour("mariadb")]

ALL = ("people", "loose")
CHOICES = (Choice("people", ("gone", "changed", "new")), Choice("loose", ("gone",)))


@pytest.fixture
def may_restore(shop: Shop) -> Shop:
    """The small database, seen by one who may dump, verify and restore."""
    shop.execute(TABLES)
    return with_least(shop, "dump", "verify", "restore")


def accident(shop: Shop, make_database: MakeDatabase) -> tuple[Database, Snapshot]:
    database = make_database(shop)
    before = back_up(database)
    shop.execute(
        "DELETE FROM people WHERE id = 2; UPDATE people SET name = 'wrong' WHERE id IN (3, 4);"
        "INSERT INTO people (name) VALUES ('Dora'); DELETE FROM loose WHERE a = 1 LIMIT 2"
    )
    return database, before


def rows(shop: Shop) -> list[Sequence[Any]]:
    return [shop.query(f"SELECT * FROM {table} ORDER BY 1, 2") for table in ALL]


def run_by_client(shop: Shop, script: bytes) -> subprocess.CompletedProcess[bytes]:
    """As a person does who has downloaded it."""
    server = shop.server
    return subprocess.run(
        ["mariadb", f"--host={server.host}", f"--port={server.port}", f"--user={server.user}", shop.name],
        input=script,
        env={**os.environ, "MYSQL_PWD": server.password},
        capture_output=True,
        check=False,
    )


def test_the_undo_in_the_file_is_proved_on_the_copy_and_undoes_the_script_in_the_file(
    may_restore: Shop, make_database: MakeDatabase
) -> None:
    database, before = accident(may_restore, make_database)
    there = rows(may_restore)
    proved = well(RowsBackRequest(database, compared(database, before, *ALL), CHOICES))
    script, undo = (answer(proved.pk, {"ask": "script", "undo": which}) for which in (False, True))

    assert told(proved)["undo_proved"] is True
    assert b"-- The undo is proved too: run on the same copy right after the script" in undo
    assert b"Not proved" not in undo
    assert "made all rows as they were before" in str(page_context(story_of(proved))["undo_proof"])

    early = run_by_client(may_restore, undo)
    assert (early.returncode != 0, rows(may_restore)) == (True, there), "before the script it does nothing"
    assert b"All rows were given back." in run_by_client(may_restore, script).stdout
    assert rows(may_restore) != there
    assert b"All rows were given back." in run_by_client(may_restore, undo).stdout
    assert rows(may_restore) == there


@pytest.mark.parametrize("fault", ["does not run", "gives something else"])
def test_an_undo_that_cannot_be_proved_says_so_and_keeps_nobody_from_the_rows(
    may_restore: Shop, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    database, before = accident(may_restore, make_database)
    difference = compared(database, before, *ALL)
    run_on_copy, ran = rows_copy.run_on_copy, []

    def meddled(statements: Sequence[bytes], scratch: Any, progress: Any) -> None:
        ran.append(scratch.database)
        if len(ran) == 2 and fault == "gives something else":
            with mysql.script_connection(scratch.server, scratch.database) as connection:
                connection.run(b"DELETE FROM people WHERE id = 1")
                connection.run(b"COMMIT")
            return
        run_on_copy(statements[5:] if len(ran) == 2 else statements, scratch, progress)

    monkeypatch.setattr(rows_copy, "run_on_copy", meddled)

    proved = well(RowsBackRequest(database, difference, CHOICES))

    assert (told(proved)["proved"], told(proved)["undo_proved"]) == (True, False)
    assert b"-- The undo beside this script is not proved: " in answer(
        proved.pk, {"ask": "script", "undo": True}
    )
    assert "The undo beside this script is not proved: " in log_of(proved)
    assert "could not be proved" in str(page_context(story_of(proved))["undo_proof"])
    well(ApplyRowsRequest(database, proved, knows_triggers=True, without_safety=True))
