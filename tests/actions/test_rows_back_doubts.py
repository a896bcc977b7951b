"""What nobody heard of, what somebody alters in the middle, and the undo that is handed out as a file."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest

from backups import mysql
from backups.actions import apply_rows
from backups.actions.kept_rows import answer
from backups.actions.steps import rows_copy
from backups.admin.rows_back_story import page_context, story_of
from backups.choices import Status
from backups.errors import Problem
from backups.models import Database, Run, Snapshot
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


@pytest.mark.parametrize(
    "fault", [pytest.param("does not run", marks=pytest.mark.soak), "gives something else"]
)
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
                connection.run([b"DELETE FROM people WHERE id = 1", b"COMMIT"])
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


def test_after_a_try_that_nobody_heard_of_one_row_that_was_set_back_is_told_as_it_is(
    may_restore: Shop, make_database: MakeDatabase
) -> None:
    database, before = accident(may_restore, make_database)
    proved = well(RowsBackRequest(database, compared(database, before, *ALL), CHOICES))
    wish = ApplyRowsRequest(database, proved, knows_triggers=True, without_safety=True)
    first = well(wish)
    # As if its worker had died right after the COMMIT, and then somebody deletes one of the rows again.
    Run.objects.filter(pk=first.pk).update(status=Status.LOST, phase="apply", result={})
    may_restore.execute("DELETE FROM people WHERE id = 2")
    there = rows(may_restore)

    second = played(wish)

    assert (second.status, second.error_code) == ("failed", "rows.unheard_of")
    assert "By now 1 row is as before it, and 5 are as after it" in second.error
    assert "Nothing was changed by this one." in second.error
    assert rows(may_restore) == there
    story = story_of(Run.objects.get(pk=proved.pk))
    assert (story.applied, story.may_undo) == (None, False), "the page says neither that it was given back"
    assert "Nobody can tell how it ended" in str(page_context(story)["run"].error)
    with pytest.raises(Problem) as caught:
        RowsBackRequest(database, Run.objects.get(pk=first.pk)).refuse_unfit()
    assert caught.value.code == "rows.unheard_of"

    # Once that row is as it was given back, it is certain.
    may_restore.execute("INSERT INTO people VALUES (2, 'O\\'Neill', '2020-01-01 00:00:00')")
    third = well(wish)
    assert told(third)["state"] == "already"
    assert story_of(Run.objects.get(pk=proved.pk)).may_undo


# Above, a lost try that was applied; tests/actions/test_rows_back.py looks at one first.
@pytest.mark.soak
def test_where_only_rows_of_before_are_found_a_lost_try_is_simply_repeated(
    may_restore: Shop, make_database: MakeDatabase
) -> None:
    database, before = accident(may_restore, make_database)
    proved = well(RowsBackRequest(database, compared(database, before, *ALL), CHOICES))
    wish = ApplyRowsRequest(database, proved, knows_triggers=True, without_safety=True)
    there = rows(may_restore)
    first = well(wish)
    undo = well(RowsBackRequest(database, first))
    well(ApplyRowsRequest(database, undo, knows_triggers=True, without_safety=True))
    assert rows(may_restore) == there
    Run.objects.filter(pk=first.pk).update(status=Status.LOST, phase="apply", result={})

    assert told(well(wish))["state"] == "applied"


@pytest.mark.parametrize(
    "altered",
    [
        "CREATE TRIGGER late BEFORE UPDATE ON people FOR EACH ROW SET NEW.name = 'by a trigger'",
        pytest.param("ALTER TABLE people ADD more INT", marks=pytest.mark.soak),
    ],
)
def test_what_is_defined_between_the_last_look_and_the_script_rolls_all_of_it_back(
    may_restore: Shop, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch, altered: str
) -> None:
    database, before = accident(may_restore, make_database)
    proved = well(RowsBackRequest(database, compared(database, before, *ALL), CHOICES))
    wish = ApplyRowsRequest(database, proved, knows_triggers=True, without_safety=True)
    there = [row[:2] for row in may_restore.query("SELECT id, name FROM people ORDER BY id")]
    refuse_beside = apply_rows._refuse_beside

    def meanwhile(*args: Any) -> None:
        refuse_beside(*args)
        may_restore.server.execute(
            altered.replace("people", f"`{may_restore.name}`.people").replace(
                "TRIGGER late", f"TRIGGER `{may_restore.name}`.late"
            )
        )

    with monkeypatch.context() as patched:
        patched.setattr(apply_rows, "_refuse_beside", meanwhile)
        run = played(wish)

    assert (run.status, run.error_code) == ("failed", "rows.defined_otherwise")
    assert "rolled back" in run.error
    assert may_restore.query("SELECT id, name FROM people ORDER BY id") == there
    # And known for what it is: it is not looked for what it may have done.
    assert (played(wish).error_code, told(run).get("state")) == ("rows.defined_otherwise", "")
    again = well(RowsBackRequest(database, compared(database, before, *ALL), CHOICES))
    if "TRIGGER" in altered:
        assert told(again)["triggers"][0]["trigger"] == "late"


# tests/browser/test_portal.py gives one column of rows back whose others changed; so does, by the command,
# tests/actions/test_rows_back.py.
@pytest.mark.soak
def test_one_column_alone_is_given_back_whatever_became_of_the_others(
    may_restore: Shop, make_database: MakeDatabase
) -> None:
    may_restore.execute(
        "CREATE TABLE goods (id INT PRIMARY KEY, price INT, stock INT, note VARCHAR(20)) ENGINE=InnoDB;"
        "INSERT INTO goods VALUES (1, 10, 1, 'a'), (2, 20, 2, 'b'), (3, 30, 3, 'c'), (4, 40, 4, 'd')"
    )
    database = make_database(may_restore)
    before = back_up(database)
    may_restore.execute(
        "UPDATE goods SET price = 0 WHERE id < 4; UPDATE goods SET stock = 9 WHERE id > 1;"
        "DELETE FROM goods WHERE id = 1"
    )
    difference = compared(database, before, "goods")
    (kept,) = difference.result["kept"]["tables"]
    assert kept["columns"] == ["price", "stock"]
    # After the comparison another column changes, and of one row the price itself.
    may_restore.execute("UPDATE goods SET stock = 7 WHERE id = 2; UPDATE goods SET price = 5 WHERE id = 3")
    there = may_restore.query("SELECT * FROM goods ORDER BY id")

    wanted = Choice("goods", ("changed",), columns=("price",))
    proved = well(RowsBackRequest(database, difference, (wanted,)))
    assert (told(proved)["rows"], told(proved)["left_out"]) == (1, [{"table": "goods", "rows": 1}])
    assert "these columns alone: price." in str(page_context(story_of(proved))["rounded"])
    also = well(RowsBackRequest(database, difference, (wanted,), with_changed_again=True))
    applied = well(ApplyRowsRequest(database, also, knows_triggers=True, without_safety=True))

    assert may_restore.query("SELECT * FROM goods ORDER BY id") == [
        (2, 20, 7, "b"), (3, 30, 9, "c"), (4, 40, 9, "d"),
    ]  # fmt: skip
    undo = well(RowsBackRequest(database, applied))
    well(ApplyRowsRequest(database, undo, knows_triggers=True, without_safety=True))
    assert may_restore.query("SELECT * FROM goods ORDER BY id") == there
    for column in ("id", "colour"):
        refused = played(
            RowsBackRequest(database, difference, (Choice("goods", ("changed",), (), (column,)),))
        )
        assert refused.error_code == "rows.no_such_column"
    assert Choice.from_json(wanted.as_json()) == wanted
    old = {name: wanted.as_json()[name] for name in ("table", "kinds", "ranges")}
    assert Choice.from_json(old) == Choice("goods"), "a worker of before gives no whole rows back"
