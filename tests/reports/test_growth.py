"""How a repository grows, and when its disk is full: from what nights measured."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from backups import restic
from backups.actions.steps.disk import note_disk
from backups.alerting import alerts
from backups.choices import Action, AlertState, Status, Trigger
from backups.models import Alert, Repository, Run
from backups.reports import growth, standing

NOW = datetime(2026, 6, 30, 6, tzinfo=UTC)
DAY = timedelta(days=1)
GB = 10**9


def points(values: Iterable[int]) -> list[tuple[datetime, int]]:
    """A value a day, the last one today."""
    told = list(values)
    return [(NOW - (len(told) - 1 - number) * DAY, value) for number, value in enumerate(told)]


def test_a_disk_is_full_when_its_rate_says_so() -> None:
    assert growth.full_at(points([100 * GB, 90 * GB, 80 * GB, 70 * GB])) == NOW + 7 * DAY
    assert growth.slope(points([100 * GB, 90 * GB, 80 * GB, 70 * GB])) == -10 * GB


@pytest.mark.parametrize(
    "values",
    [
        [],
        [5 * GB],
        [5 * GB, 4 * GB, 3 * GB],
        [5 * GB] * 9,
        [1 * GB, 2 * GB, 3 * GB, 4 * GB],
        [10**13, 10**13 - 1] * 5,
    ],
    ids=["nothing", "once", "two days", "steady", "more each day", "next to nothing"],
)
def test_a_disk_of_which_too_little_is_known_or_that_does_not_fill_has_no_such_day(values: list[int]) -> None:
    assert growth.full_at(points(values)) is None


def test_one_odd_night_does_not_move_the_day() -> None:
    falling = [100 * GB - number * GB for number in range(20)]
    odd = [*falling[:10], 5 * GB, *falling[11:]]
    assert growth.full_at(points(odd)) == growth.full_at(points(falling))


def test_a_full_disk_is_full_now() -> None:
    assert growth.full_at(points([3 * GB, 2 * GB, GB, 0])) == NOW


def test_the_disk_of_a_folder_is_told_and_of_nothing_else_none(tmp_path: Path) -> None:
    found = restic.disk_of(str(tmp_path))
    assert found is not None
    assert 0 <= found.free_bytes <= found.bytes
    assert restic.disk_of(str(tmp_path / "nowhere")) is None
    assert restic.folder_of(f"local:{tmp_path}") == restic.folder_of(str(tmp_path)) == str(tmp_path)
    assert restic.folder_of("s3:https://host/bucket") == ""


def measured(repository: Repository, at: datetime, **result: int) -> Run:
    """A night's forget with what it measured."""
    return Run.objects.create(
        action=Action.FORGET, repository=repository, trigger=Trigger.SCHEDULE, status=Status.SUCCEEDED,
        queued_at=at, finished_at=at, result=result,
    )  # fmt: skip


@pytest.mark.django_db
def test_a_night_notes_what_is_left_and_people_are_told_a_fortnight_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = Repository.objects.create(name="main", url=str(tmp_path))
    for days in range(1, 8):
        measured(
            repository, NOW - days * DAY, disk_free_bytes=(30 + 10 * days) * GB, size_bytes=(90 - days) * GB
        )
    tonight = measured(repository, NOW)
    monkeypatch.setattr("backups.restic.disk_of", lambda _: restic.Disk(30 * GB, 500 * GB))

    with time_machine.travel(NOW, tick=False):
        note_disk(tonight)
        found = standing.read(NOW).overall.of_repository("main")
        alerts.tend(NOW)

    repository.refresh_from_db()
    assert repository.disk_full_at == NOW + 3 * DAY
    assert repository.disk_free_bytes == 30 * GB
    assert growth.read(repository, NOW).bytes_a_day == GB
    (disk,) = [each for each in found if each.key == "disk_fills"]
    assert "has 30.0 GB left" in disk.reason
    assert "full on Fri 3 Jul 2026." in disk.reason
    assert Alert.objects.get(subject="Room for main").state == AlertState.TROUBLE
    # Room was made.
    Repository.objects.update(disk_full_at=NOW + 15 * DAY)
    assert "disk_fills" not in [each.key for each in standing.read(NOW).overall.findings]


@pytest.mark.django_db
def test_another_storage_has_no_disk_and_odd_results_tell_nothing() -> None:
    repository = Repository.objects.create(name="main", url="s3:https://host/bucket")
    run = measured(repository, NOW)
    note_disk(run)
    run.refresh_from_db()
    assert run.result == {}
    Run.objects.update(result={"size_bytes": "many", "disk_free_bytes": True})
    found = growth.read(repository, NOW)
    assert (found.sizes, found.free, found.bytes_a_day) == ([], [], None)
