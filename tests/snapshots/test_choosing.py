"""Which snapshot a restore takes: `latest`, an id or its beginning, or a time in TIME_ZONE."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from backups.choices import Action, Trigger
from backups.errors import Problem
from backups.management.commands.restore import _time
from backups.models import Database, Repository, Run, Snapshot
from backups.snapshots.selection import resolve_snapshot, snapshot_at
from tests.rows import a_server

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def database(db: None) -> Database:
    repository = Repository.objects.create(name="main", url="/srv/repository")
    return Database.objects.create(
        name="shop", server=a_server(), database="shop", repository=repository, is_primary=True
    )


def snapshot(database: Database, snapshot_id: str, time: datetime, **fields: object) -> Snapshot:
    return Snapshot.objects.create(
        database=database,
        repository=database.repository,
        snapshot_id=snapshot_id.ljust(64, "0"),
        time=time,
        path="/mysql/shop.sql",
        **fields,
    )


@pytest.fixture
def three(database: Database) -> list[Snapshot]:
    ids = ("abcd1", "abcd2", "ef012345")
    return [snapshot(database, each, NOON + timedelta(hours=at)) for at, each in enumerate(ids)]


def test_latest_is_the_newest_that_is_still_there(database: Database, three: list[Snapshot]) -> None:
    assert resolve_snapshot(database, "latest") == three[2]
    Snapshot.objects.filter(pk=three[2].pk).update(forgotten_at=NOON)
    assert resolve_snapshot(database, "latest") == three[1]


def test_an_id_is_refused_by_what_it_is(database: Database, three: list[Snapshot]) -> None:
    """Whatever begins alike: of another database, in another repository, a copy of the portal, unknown."""
    offsite = Repository.objects.create(name="offsite", url="/srv/offsite")
    blog = Database.objects.create(name="blog", server=a_server(), database="blog", repository=offsite)
    elsewhere = snapshot(blog, "abcd9", NOON)
    Snapshot.objects.create(
        repository=offsite, snapshot_id="77".ljust(64, "0"), time=NOON, path="/mysql/wiki.sql"
    )
    Run.objects.create(
        action=Action.PORTAL, trigger=Trigger.BACKUP, repository=offsite, result={"snapshot_id": "55" * 32}
    )

    # What begins like another repository's is still this database's own.
    assert resolve_snapshot(database, "abcd1") == three[0]
    for text, said in {
        "abcd9": "Snapshot abcd9 is of blog (in repository offsite), not of shop. Say --database blog",
        elsewhere.snapshot_id: "is of blog (in repository offsite), not of shop.",
        "7700": "Snapshot 7700 is of wiki, which is not set up here, not of shop.",
        "5555": "5555 is a copy of the portal, not of shop.",
        "9999": "shop has no snapshot 9999.",
        "abcd": "Several snapshots begin with abcd: abcd1000 (main), abcd2000 (main). Give more digits",
    }.items():
        with pytest.raises(Problem) as refused:
            resolve_snapshot(database, text)
        assert said in refused.value.sentence()
    # Given to another repository since, with one there that begins like one of before.
    there = Snapshot.objects.create(
        database=database, repository=offsite, snapshot_id="abcd1f".ljust(64, "0"), time=NOON,
        path="/mysql/shop.sql",
    )  # fmt: skip
    with pytest.raises(Problem, match=r"abcd1000 \(main\), abcd1f00 \(offsite\)"):
        resolve_snapshot(database, "abcd1")
    assert resolve_snapshot(database, "abcd1f") == there


def test_latest_is_of_this_database(database: Database, three: list[Snapshot]) -> None:
    other = Database.objects.create(
        name="other", server=a_server(), database="other", repository=database.repository
    )
    newest = snapshot(other, "0123", NOON + timedelta(days=9))
    assert resolve_snapshot(database, "latest") == three[2]
    assert resolve_snapshot(other, "latest") == newest
    with pytest.raises(
        Problem, match=r"Snapshot abcd1 is of shop \(in repository main\), not of other. Say --database shop"
    ):
        resolve_snapshot(other, "abcd1")


def test_whole_id_and_its_beginning(database: Database, three: list[Snapshot]) -> None:
    assert resolve_snapshot(database, three[0].snapshot_id) == three[0]
    assert resolve_snapshot(database, "abcd1") == three[0]
    assert resolve_snapshot(database, "ef01") == three[2]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("abcd", "begin with abcd: abcd1000 (main), abcd2000 (main). Give more digits of the id."),
        ("9999", "shop has no snapshot 9999. List them with `manage.py snapshots`."),
        ("abc", "'abc' is no snapshot. Give latest, or at least four digits"),
        ("ABCD1", "'ABCD1' is no snapshot."),
        ("Latest", "'Latest' is no snapshot."),
        ("abcd1; --", "'abcd1; --' is no snapshot."),
        ("", "'' is no snapshot."),
        ("a" * 65, "is no snapshot."),
    ],
)
def test_what_is_no_snapshot_is_told(text: str, told: str, database: Database, three: list[Snapshot]) -> None:
    with pytest.raises(Problem) as raised:
        resolve_snapshot(database, text)
    assert told in str(raised.value)


def test_none_at_all_is_told(database: Database) -> None:
    for choose in (lambda: resolve_snapshot(database, "latest"), lambda: snapshot_at(database, NOON)):
        with pytest.raises(Problem, match="There is no snapshot of shop yet"):
            choose()


def test_newest_not_after_a_time(database: Database, three: list[Snapshot]) -> None:
    minute = timedelta(minutes=1)
    assert snapshot_at(database, three[0].time) == three[0]
    assert snapshot_at(database, three[1].time - minute) == three[0]
    assert snapshot_at(database, three[1].time + minute) == three[1]
    assert snapshot_at(database, NOON + timedelta(days=300)) == three[2]


def test_time_before_all_names_the_oldest_there_is(database: Database, three: list[Snapshot]) -> None:
    with timezone.override("Europe/Rome"), pytest.raises(Problem) as raised:
        snapshot_at(database, NOON - timedelta(seconds=1))
    assert str(raised.value) == (
        "There is no snapshot of shop from 2026-03-01 12:59:59 or before. "
        "The oldest is abcd1000 from 2026-03-01 13:00:00."
    )


def test_forgotten_ones_are_passed_over(database: Database, three: list[Snapshot]) -> None:
    Snapshot.objects.filter(pk=three[0].pk).update(forgotten_at=NOON)
    with pytest.raises(Problem, match="The oldest is abcd2000"):
        snapshot_at(database, three[0].time)


@pytest.mark.parametrize(
    ("text", "zone", "utc"),
    [
        ("2025-10-20 15:00:00", "UTC", "2025-10-20T15:00:00+00:00"),
        ("2025-10-20 15:00:00", "Europe/Rome", "2025-10-20T13:00:00+00:00"),
        ("2025-10-20T15:00", "Europe/Rome", "2025-10-20T13:00:00+00:00"),
        ("2025-10-20", "Europe/Rome", "2025-10-19T22:00:00+00:00"),
        ("2025-10-20 15:00:00+00:00", "Europe/Rome", "2025-10-20T15:00:00+00:00"),
        # The clocks go forward at 2:00, back at 3:00: a time that is twice is the first of the two.
        ("2025-03-30 01:59:59", "Europe/Rome", "2025-03-30T00:59:59+00:00"),
        ("2025-03-30 03:00:00", "Europe/Rome", "2025-03-30T01:00:00+00:00"),
        ("2025-10-26 02:30:00", "Europe/Rome", "2025-10-26T00:30:00+00:00"),
        ("2025-10-26 03:00:00", "Europe/Rome", "2025-10-26T02:00:00+00:00"),
    ],
)
def test_times_are_in_time_zone(text: str, zone: str, utc: str) -> None:
    with timezone.override(zone):
        assert _time(text).astimezone(UTC) == datetime.fromisoformat(utc)


@pytest.mark.parametrize("text", ["yesterday", "2025-13-01", "20 October 2025", ""])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        _time(text)


def test_autumn_night_finds_the_snapshot_of_the_right_hour(database: Database) -> None:
    """Snapshots at 2:15 summer time and at 2:15 winter time."""
    summer = snapshot(database, "aaaa", datetime(2025, 10, 26, 0, 15, tzinfo=UTC))
    winter = snapshot(database, "bbbb", datetime(2025, 10, 26, 1, 15, tzinfo=UTC))
    with timezone.override("Europe/Rome"), time_machine.travel(NOON):
        assert snapshot_at(database, _time("2025-10-26 02:30:00")) == summer
        assert snapshot_at(database, _time("2025-10-26 02:30:00+01:00")) == winter
        assert snapshot_at(database, _time("2025-10-26 03:00:00")) == winter
