"""Rows back, asked for: what is refused before anything is read, and what keeps it waiting."""

from __future__ import annotations

from typing import Any

import pytest

from backups.choices import RestoreMode, Status, Swap, Trigger
from backups.errors import Problem, Refused
from backups.models import Database, Repository, Run
from backups.requests import ApplyRowsRequest, Choice, DiffRequest, RestoreRequest, RowsBackRequest, read
from backups.runs import lifecycle
from backups.runs.asked import Asker
from backups.runs.restores import restore_note
from tests.requests.conftest import CLI, EACH, Rows

CHOICES = (Choice("a", ("gone",)),)


def over(rows: Rows, action: str, result: dict[str, Any], **fields: Any) -> Run:
    there = {"database": rows.database, "repository": rows.repository, "snapshot": rows.snapshot}
    fields = {"action": action, "trigger": "cli", "status": "succeeded", "result": result, **there, **fields}
    return Run.objects.create(**fields)


def proved(rows: Rows, **told: Any) -> Run:
    return over(rows, "rows_back", {"rows_back": {"proved": True, "triggers": [], **told}})


def code(request: Any) -> str:
    with pytest.raises(Problem) as raised:
        request.submit(CLI, send=False)
    assert raised.value.safe == "Nothing was done."
    return raised.value.code


def test_what_keeps_no_rows_gives_none_back(rows: Rows) -> None:
    kept = over(rows, "diff", {"kept": {}})
    not_applied = proved(rows, state="")

    assert code(RowsBackRequest(rows.database, over(rows, "diff", {}), CHOICES)) == "rows.not_kept"
    assert (
        code(RowsBackRequest(rows.database, over(rows, "backup", {"kept": {}}), CHOICES)) == "rows.not_kept"
    )
    assert code(RowsBackRequest(rows.database, kept)) == "rows.none_chosen"
    assert code(RowsBackRequest(rows.database, not_applied)) == "rows.nothing_to_undo"
    elsewhere = over(rows, "diff", {"kept": {}}, database=None)
    assert code(RowsBackRequest(rows.database, elsewhere, CHOICES)) == "rows.other_database"


def test_a_script_is_applied_once_and_only_if_it_was_proved(rows: Rows) -> None:
    with_triggers = proved(rows, triggers=[{"trigger": "noted"}])
    assert code(ApplyRowsRequest(rows.database, proved(rows, proved=False))) == "rows.not_proved"
    assert code(ApplyRowsRequest(rows.database, with_triggers)) == "rows.triggers"

    wish = ApplyRowsRequest(rows.database, with_triggers, knows_triggers=True)
    run = wish.submit(CLI, send=False)
    with pytest.raises(Refused) as raised:
        ApplyRowsRequest(rows.database, proved(rows)).refuse_busy()
    assert raised.value.code == "run.same_target"
    with pytest.raises(Refused) as raised:
        EACH["undo"](rows).refuse_busy()
    assert raised.value.code == "run.same_target"
    # Killed right after it was committed: the row says so, its status does not.
    Run.objects.filter(pk=run.pk).update(status="lost", result={"rows_back": {"state": "applied"}})
    assert code(wish) == "rows.applied_before"
    ApplyRowsRequest(rows.database, proved(rows)).refuse_busy()


def test_none_of_two_that_change_one_database_begins_beside_the_other(rows: Rows) -> None:
    """Where one of both gives rows back: by a command or by the queue, by whatever row of the database."""
    waits = Asker(Trigger.CLI, waits=True)
    elsewhere = Repository.objects.create(name="second", url="/elsewhere")
    twin = Database.objects.create(
        name="twin", server=rows.database.server, database="shop", repository=elsewhere
    )
    also = ApplyRowsRequest(twin, over(rows, "rows_back", proved(rows).result, database=twin))
    first = ApplyRowsRequest(rows.database, proved(rows)).submit(CLI, send=False)
    with pytest.raises(Refused):
        also.refuse_busy()
    second, restore, undo = (
        request.submit(waits, send=False) for request in (also, EACH["restore"](rows), EACH["undo"](rows))
    )
    new = RestoreRequest(rows.database, rows.snapshot, RestoreMode.NEW, "shop__new").submit(waits, send=False)
    # By its number it would come first.
    assert claimed_in_turn(second) == first
    assert lifecycle.run_claim(first.pk, worker="host:1:x") == first

    for run in (second, restore, undo):
        assert claimed_in_turn(run) == first
    with pytest.raises(Refused) as raised:
        lifecycle.run_claim(undo.pk, worker="host:1:x")
    assert raised.value.code == "run.lease_held"
    assert lifecycle.run_claim(new.pk, worker="host:1:x") == new
    lifecycle.run_finish(first.pk, status=Status.FAILED)
    assert lifecycle.run_claim(restore.pk, worker="host:1:x") == restore
    assert claimed_in_turn(second) == restore
    with pytest.raises(Refused):
        lifecycle.run_claim(second.pk, worker="host:1:x")
    # Nor while a swap is half-way.
    lifecycle.run_finish(restore.pk, status=Status.FAILED)
    last = also.submit(waits, send=False)
    restore_note(restore.restore, swap=Swap.RENAMED)
    assert claimed_in_turn(last) == restore
    restore_note(restore.restore, swap=Swap.FINISHED)
    assert claimed_in_turn(last) is None


def claimed_in_turn(run: Run) -> Run | None:
    """For which other one a command's run waits."""
    return lifecycle.run_claim_in_turn(run.pk, worker="host:1:x")[1]


def test_numbers_are_stored_as_ranges_and_no_condition_is(rows: Rows) -> None:
    choice = Choice.of_numbers("a", [3, 1, 2, 9, 9])

    assert choice.ranges == ((1, 3), (9, 9))
    assert list(choice.numbers()) == [1, 2, 3, 9]
    for wrong in ([[2, 1]], [[1, 10**9]], [[1]]):
        with pytest.raises(ValueError, match=r"a|values"):
            Choice.from_json({"table": "a", "kinds": [], "ranges": wrong})


def test_a_source_that_is_gone_is_told(rows: Rows) -> None:
    run = EACH["rows_back"](rows).submit(CLI, send=False)
    Run.objects.filter(action="diff").delete()

    with pytest.raises(Problem) as raised:
        read(Run.objects.get(pk=run.pk))
    assert raised.value.code == "rows.unknown_run"


def test_what_a_worker_of_before_is_asked_is_as_it_was(rows: Rows) -> None:
    """It would take a request that says more for one of a version that it does not know."""
    assert "keep_rows" not in DiffRequest(rows.database, rows.snapshot).stored()
    assert DiffRequest(rows.database, rows.snapshot, keep_rows=True).stored()["keep_rows"] is True
