"""What is asked for is in the run's row, and is read from there again: from rows of before, too."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as any_of

from backups import requests
from backups.choices import Action, DefinerPolicy, RestoreMode, Status, Verdict
from backups.errors import Problem, Refused
from backups.models import Restore, Run, Snapshot
from backups.requests import (
    FORMS,
    BackupRequest,
    CheckRequest,
    DropKeptRequest,
    RestoreRequest,
    UndoRequest,
    VerifyRequest,
)
from backups.runs.outcome import Outcome
from backups.worker import executor
from tests.requests.conftest import CLI, EACH, NEW_FORMS, Rows

# The options of each row as the version before wrote them, which others than those of restores keep.
OPTIONS: dict[str, Any] = {
    "restore": {"known_bad": True},
    "check": {"read_data": True, "read_data_subset": "5%"},
    "init": {"in_place": True},
    "drill": {"gate": "https://shop.example.com/"},
}


def row_of(run: Run) -> Run:
    """What lies in the database."""
    return Run.objects.get(pk=run.pk)


def test_each_action_has_one_form_of_its_name_and_four_have_another() -> None:
    others = {"drill", "forget_snapshot", "apply_rows", "undo_transactions"}
    assert set(FORMS) == {*Action.values, *others} == set(EACH)
    assert all(kind.action == form for form, kind in FORMS.items() if form not in others)
    assert set(executor.ACTIONS) == {*Action.values, "forget_snapshot", "apply_rows", "undo_transactions"}


@pytest.mark.parametrize("form", EACH)
def test_what_was_asked_for_is_read_again(rows: Rows, form: str) -> None:
    wanted = EACH[form](rows)
    run = row_of(wanted.submit(CLI, send=False))

    assert run.request == {"form": form, "version": 1, **wanted.parameters()}
    assert (run.action, run.trigger, run.database or run.repository) == (
        wanted.action, "cli", wanted.about.database or wanted.about.repository
    )  # fmt: skip
    assert requests.read(run) == wanted


@pytest.mark.parametrize("form", sorted(EACH.keys() - NEW_FORMS))
def test_a_row_of_before_tells_the_same(rows: Rows, form: str) -> None:
    wanted = EACH[form](rows)
    run = wanted.submit(CLI, send=False)
    Run.objects.filter(pk=run.pk).update(request=None)

    of_restore = {"restore": rows.kept.pk} if form in ("drop_kept", "define") else {}
    assert row_of(run).options == OPTIONS.get(form, of_restore)
    assert requests.read(row_of(run)) == wanted


@pytest.mark.parametrize(
    ("form", "is_of_before"),
    [(form, before) for form in EACH for before in (False, True) if not (before and form in NEW_FORMS)],
)
def test_each_is_played_and_needs_its_right(
    rows: Rows, form: str, is_of_before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = EACH[form](rows)
    run = wanted.submit(CLI, send=False)
    if is_of_before:
        Run.objects.filter(pk=run.pk).update(request=None)
    played_as = form if form in executor.ACTIONS else wanted.action
    monkeypatch.setitem(executor.ACTIONS, played_as, lambda *_: Outcome())

    played = executor.execute(run.pk)

    assert played is not None
    assert played.status == Status.SUCCEEDED, played.error
    rights = {
        "backup": "run_backup",
        "preflight": "run_backup",
        "verify": "run_verify",
        "replay": "run_verify",
    }
    rights |= dict.fromkeys(
        ("restore", "undo", "drop_kept", "define", "diff", "rows_back", "apply_rows", "undo_transactions"),
        "run_restore",
    )
    rights["drill"] = "override_gate"
    assert wanted.right == f"backups.{rights.get(form, 'run_maintenance')}"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(data=any_of.data())
def test_any_restore_is_stored_and_read_again(rows: Rows, data: any_of.DataObject) -> None:
    names = any_of.text(any_of.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
    wanted = RestoreRequest(
        rows.database,
        rows.snapshot,
        data.draw(any_of.sampled_from(sorted(set(RestoreMode) - {RestoreMode.UNDO}))),
        data.draw(names),
        tables=tuple(data.draw(any_of.lists(names))),
        definers=data.draw(any_of.sampled_from(list(DefinerPolicy))),
        without_safety=data.draw(any_of.booleans()),
        known_bad=data.draw(any_of.booleans()),
        reason=data.draw(names),
        across=data.draw(any_of.none() | any_of.tuples(names, names)),
    )
    told = json.loads(json.dumps(wanted.stored()))
    run = Run(action="restore", database=rows.database, snapshot=rows.snapshot, request=told)

    assert requests.read(run) == wanted


UNKNOWN = [
    {"form": "check", "version": 2, "read_data": True},
    {"form": "check", "version": 0},
    {"form": "check", "version": "1"},
    {"form": "check"},
    {"form": "sweep", "version": 1},
    {"form": "backup", "version": 1},
    {},
]


@pytest.mark.parametrize("told", UNKNOWN)
def test_a_form_of_a_later_version_is_refused_in_a_sentence(rows: Rows, told: dict[str, Any]) -> None:
    run = CheckRequest(rows.repository).submit(CLI, send=False)
    Run.objects.filter(pk=run.pk).update(request=told)

    played = executor.execute(run.pk)

    assert played is not None
    assert (played.status, played.error_code) == ("failed", "request.unknown_form")
    assert played.error == (
        f"This version of Vedetta does not know the form in which Check {run.pk} was asked for. "
        "Nothing was done. See that portal and worker are of the same version, then start it again."
    )


UNREADABLE: dict[str, dict[str, Any]] = {
    "restore": {"mode": "sideways"},
    "undo": {},
    "drop_kept": {"restore": "none of ours"},
    "define": {"restore": []},
    "drill": {},
}


@pytest.mark.parametrize("form", UNREADABLE)
def test_what_no_version_stored_is_refused_in_a_sentence(rows: Rows, form: str) -> None:
    run = EACH[form](rows).submit(CLI, send=False)
    Run.objects.filter(pk=run.pk).update(request={"form": form, "version": 1, **UNREADABLE[form]})

    with pytest.raises(Problem, match="cannot be read") as raised:
        requests.read(row_of(run))
    assert raised.value.code == "request.unreadable"


@pytest.mark.parametrize("form", ["undo", "drop_kept", "define"])
def test_what_is_gone_is_told(rows: Rows, form: str) -> None:
    run = EACH[form](rows).submit(CLI, send=False)
    Restore.objects.filter(pk=rows.kept.pk).delete()

    with pytest.raises(Problem, match="The restore that this run is about is not known any more"):
        requests.read(row_of(run))


# ---------------------------------------------------------------- What is refused at once


def test_a_check_says_beforehand_what_submitting_would(rows: Rows) -> None:
    BackupRequest(rows.database).check()
    BackupRequest(rows.database).submit(CLI, send=False)

    for refuses in (BackupRequest(rows.database).check, lambda: BackupRequest(rows.database).submit(CLI)):
        with pytest.raises(Refused, match="is queued already"):
            refuses()
    VerifyRequest(rows.database).check()


def test_a_restore_is_refused_for_its_target_its_snapshot_and_its_neighbour(rows: Rows) -> None:
    first = RestoreRequest(rows.database, rows.snapshot, RestoreMode.NEW, "copy")
    first.check()
    first.submit(CLI, send=False)
    with pytest.raises(Refused, match="goes to copy as well"):
        first.check()
    with pytest.raises(Problem, match="would overwrite shop"):
        RestoreRequest(rows.database, rows.others, RestoreMode.REPLACE, "shop").check()
    with pytest.raises(Problem, match="works only on shop itself"):
        RestoreRequest(rows.database, rows.snapshot, RestoreMode.REPLACE, "elsewhere").check()
    with pytest.raises(Problem, match="An undo goes to the same database"):
        RestoreRequest(rows.database, rows.snapshot, RestoreMode.UNDO, "shop").check()
    Snapshot.objects.update(verdict=Verdict.DIFFERENT)
    with pytest.raises(Problem, match="is known to be bad"):
        RestoreRequest(rows.database, rows.snapshot, RestoreMode.NEW, "another").check()
    assert Run.objects.filter(status=Status.QUEUED).count() == 1


def test_single_tables_do_not_come_back_from_under_a_newer_restore(rows: Rows) -> None:
    Restore.objects.filter(pk=rows.kept.pk).update(tables=["a"])
    run = RestoreRequest(rows.database, rows.snapshot, RestoreMode.REPLACE, "shop").submit(CLI, send=False)
    Restore.objects.filter(run=run).update(
        swap="finished", swapped_at=rows.kept.swapped_at, kept_in="shop__before_2"
    )
    Run.objects.update(status=Status.SUCCEEDED)
    older = Restore.objects.get(pk=rows.kept.pk)

    for wanted in (UndoRequest(older), DropKeptRequest(older)):
        with pytest.raises(Problem, match="is newer and"):
            wanted.submit(CLI, send=False)
    assert not Run.objects.filter(status=Status.QUEUED).exists()
