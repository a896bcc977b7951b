"""What cannot be compared is refused before anything is read, and two snapshots wait for no server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from backups.errors import Problem, Refused
from backups.models import Database, Repository, Run, Snapshot
from backups.requests import DiffRequest, ForgetSnapshotRequest, read
from backups.runs.turns import waits_for
from backups.snapshots import holds
from tests.requests.conftest import CLI, Rows
from tests.rows import a_server


def _another_database(rows: Rows) -> DiffRequest:
    other = Database.objects.create(
        name="other", server=a_server("h"), database="other", repository=rows.repository
    )
    return DiffRequest(other, rows.snapshot)


def _forgotten(rows: Rows) -> DiffRequest:
    rows.others.forgotten_at = timezone.now()
    return DiffRequest(rows.database, rows.snapshot, rows.others)


def _without_manifest(rows: Rows) -> DiffRequest:
    rows.others.manifest = None
    return DiffRequest(rows.database, rows.snapshot, rows.others)


def _of_two_repositories(rows: Rows) -> DiffRequest:
    rows.others.repository = Repository.objects.create(name="second", url="/elsewhere")
    return DiffRequest(rows.database, rows.snapshot, rows.others)


UNFIT: dict[str, Callable[[Rows], DiffRequest]] = {
    "snapshot.of_another_database": _another_database,
    "snapshot.gone": _forgotten,
    "diff.no_manifest": _without_manifest,
    "diff.two_repositories": _of_two_repositories,
    "diff.same_snapshot": lambda rows: DiffRequest(rows.database, rows.snapshot, rows.snapshot),
    "diff.turned_round": lambda rows: DiffRequest(rows.database, rows.others, rows.snapshot),
}


@pytest.mark.parametrize("code", UNFIT)
def test_what_cannot_be_compared_is_refused(rows: Rows, code: str) -> None:
    with pytest.raises(Problem) as raised:
        UNFIT[code](rows).submit(CLI, send=False)

    assert raised.value.code == code
    assert not Run.objects.filter(action="diff").exists()


def test_a_snapshot_that_goes_while_it_waits_is_named(rows: Rows) -> None:
    run = DiffRequest(rows.database, rows.snapshot, rows.others).submit(CLI, send=False)
    Snapshot.objects.filter(pk=rows.others.pk).delete()

    with pytest.raises(Problem) as raised:
        read(Run.objects.get(pk=run.pk))

    assert raised.value.code == "snapshot.gone"


def test_of_two_with_the_same_id_the_one_beside_the_earlier_is_meant(rows: Rows) -> None:
    run = DiffRequest(rows.database, rows.snapshot, rows.others).submit(CLI, send=False)
    Snapshot.objects.filter(pk=rows.others.pk).update(forgotten_at=timezone.now())
    copied = Snapshot.objects.get(pk=rows.others.pk)
    copied.pk, copied.forgotten_at = None, None
    copied.repository = Repository.objects.create(name="second", url="/elsewhere")
    copied.save()

    request = read(Run.objects.get(pk=run.pk))

    assert isinstance(request, DiffRequest)
    assert request.until == rows.others


def test_neither_side_is_forgotten_while_it_is_to_be_read(rows: Rows) -> None:
    run = DiffRequest(rows.database, rows.snapshot, rows.others).submit(CLI, send=False)

    held = list(holds.wanted(Snapshot.objects.present(), timezone.now()))

    assert {snapshot for snapshot, _ in held} == {rows.snapshot, rows.others}
    assert all(f"comparison {run.pk}" in words for _, words in held)
    for snapshot in (rows.snapshot, rows.others):
        asked = ForgetSnapshotRequest(snapshot, "It has to go.", "anna", snapshot.snapshot_id, True)
        with pytest.raises(Refused) as raised:
            asked.refuse_unfit()
        assert raised.value.code == "forget.wanted"


def test_whose_rows_are_kept_stays_for_as_long(rows: Rows) -> None:
    kept = {"status": "succeeded", "result": {"kept": {}}}
    run = DiffRequest(rows.database, rows.snapshot, keep_rows=True).submit(CLI, send=False)
    Run.objects.filter(pk=run.pk).update(finished_at=timezone.now() - timedelta(hours=23), **kept)

    assert [snapshot for snapshot, _ in holds.wanted(Snapshot.objects.present(), timezone.now())] == [
        rows.snapshot
    ]
    later = timezone.now() + timedelta(hours=2)
    assert list(holds.wanted(Snapshot.objects.present(), later)) == []


def test_two_snapshots_wait_for_no_server_and_now_waits_for_its_backup(rows: Rows) -> None:
    backup = Run.objects.create(
        action="backup", database=rows.database, repository=rows.repository, status="running", trigger="cli"
    )
    stored = DiffRequest(rows.database, rows.snapshot, rows.others).submit(CLI, send=False)
    live = Run(action="diff", database=rows.database, repository=rows.repository, request={"until": None})

    assert waits_for(stored, [backup], repositories=1) is None
    assert waits_for(live, [backup], repositories=1) == backup
