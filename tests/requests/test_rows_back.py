"""Rows back, asked for: what is refused before anything is read, and what keeps it waiting."""

from __future__ import annotations

from typing import Any

import pytest

from backups.errors import Problem, Refused
from backups.models import Run
from backups.requests import ApplyRowsRequest, Choice, DiffRequest, RowsBackRequest, read
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
