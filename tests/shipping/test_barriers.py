"""Behind what no replay goes past a backup is asked for until one is of use; people are told until then."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backups.admin.base import notice_of
from backups.alerting import log_subjects
from backups.choices import Action, AlertState, ArchiveState, StandDownKind, Status, Trigger
from backups.errors import Problem
from backups.keeping import log_archives
from backups.models import Alert, Database, LogArchive, LogGap, LogMark, LogPiece, Run, Snapshot, StandDown
from backups.moments.newest import MOST_MARKS
from backups.reports import standing, stored_logs
from backups.shipping import barriers, gaps, storing
from backups.verdict import Finding, Page
from tests.requests.conftest import WHOLE, Rows, rows

__all__ = ["rows"]
pytestmark = pytest.mark.django_db
FILE = "binlog.000003"
PLACE = {
    "file": FILE,
    "gtid": "",
    "server": {"id": 1, "uuid": "u"},
    "exact": True,
    "how": "lock",
    "why_not": None,
}


def ago(minutes: float) -> datetime:
    return timezone.now() - timedelta(minutes=minutes)


@pytest.fixture
def archive(rows: Rows) -> LogArchive:
    """Followed to position 30,000 from a dump at 1,000 on, which is of three hours ago."""
    Run.objects.filter(action=Action.BACKUP).delete()
    log = {**PLACE, "position": 1000}
    Snapshot.objects.filter(pk=rows.snapshot.pk).update(
        time=ago(200), manifest={**WHOLE, "database": "shop", "log": log}
    )
    return LogArchive.objects.create(
        database=rows.database, state=ArchiveState.FOLLOWING, server_uuid="u", file=FILE, file_made=1,
        position=30_000, stored_until=timezone.now(), switched_at=ago(201),
    )  # fmt: skip


def stored(archive: LogArchive, start: int, *barred: int, minutes: float = 1) -> LogPiece:
    """A piece of 1,000 bytes of log, with what no replay goes past at these places."""
    told = [
        {"position": position, "moment": ago(minutes).isoformat(), "code": "log.incident", "params": {},
         "seen": ago(minutes).isoformat()}
        for position in barred
    ]  # fmt: skip
    return LogPiece.objects.create(
        database=archive.database, repository=archive.database.repository, snapshot_id="c" * 64,
        server_uuid="u", file=FILE, file_made=1, start=start, end=start + 1000, barriers=told,
        stored_at=ago(minutes), sealed=True,
    )  # fmt: skip


def backup(database: Database, minutes: float, status: Status = Status.SUCCEEDED) -> Run:
    return Run.objects.create(
        database=database, repository=database.repository, action=Action.BACKUP,
        trigger=Trigger.SCHEDULE, status=status, queued_at=ago(minutes),
        started_at=ago(minutes), finished_at=ago(minutes),
    )  # fmt: skip


def is_asked_for(database: Database) -> bool:
    """Whether one waits, which is taken away."""
    found = Run.objects.filter(database=database, action=Action.BACKUP, status=Status.QUEUED).delete()
    return found[0] > 0


def alert_of(database: Database) -> Alert:
    return Alert.objects.get(subject=str(log_subjects.of_barrier(database)))


def test_other_backups_of_the_hour_and_pieces_behind_it_keep_none_from_being_asked_for(
    archive: LogArchive,
) -> None:
    for minutes in (20, 10, 5):
        backup(archive.database, minutes)
    stored(archive, 1000, 1500)
    for start in (2000, 3000, 4000):
        stored(archive, start)

    barriers.see_to(archive)

    alert = alert_of(archive.database)
    assert alert.state == AlertState.OVERDUE
    assert "The server lost changes there" in alert.text
    assert "A backup is made" in alert.text
    assert Run.objects.filter(status=Status.QUEUED).count() == 1
    # Not again while it waits.
    barriers.see_to(archive)
    assert Run.objects.filter(status=Status.QUEUED).count() == 1


def test_a_backup_that_is_of_no_use_is_told_and_another_is_asked_for_later(archive: LogArchive) -> None:
    database = archive.database
    stored(archive, 1000, 1500, minutes=180)
    LogPiece.objects.update(stored_at=ago(90))
    backup(database, 59)

    barriers.see_to(archive)

    assert not is_asked_for(database)
    assert alert_of(database).state == AlertState.FAILED
    assert "the next is made at" in alert_of(database).text
    Run.objects.filter(action=Action.BACKUP).update(finished_at=ago(61))
    barriers.see_to(archive)
    assert is_asked_for(database)
    # That it is tried again is no news, and after two the wait is twice as long.
    assert alert_of(database).state == AlertState.FAILED
    backup(database, 61, Status.FAILED)
    barriers.see_to(archive)
    assert not is_asked_for(database)
    Run.objects.filter(action=Action.BACKUP).update(finished_at=ago(121))
    barriers.see_to(archive)
    assert is_asked_for(database)


def test_barriers_each_minute_are_backed_up_twice_an_hour_and_later_by_themselves(
    archive: LogArchive,
) -> None:
    database = archive.database
    for number, minutes in enumerate((50, 40, 1)):
        stored(archive, 1000 * (number + 1), 1000 * (number + 1) + 500, minutes=minutes)
    backup(database, 49)
    second = backup(database, 39)

    barriers.see_to(archive)

    assert not is_asked_for(database)
    assert alert_of(database).state == AlertState.FAILED
    Run.objects.exclude(pk=second.pk).filter(action=Action.BACKUP).update(queued_at=ago(61))
    barriers.see_to(archive)
    assert is_asked_for(database)


def test_a_paused_database_is_not_backed_up_and_people_are_told_to(archive: LogArchive) -> None:
    StandDown.objects.create(
        database=archive.database, kind=StandDownKind.PAUSE, reason="moving", made_by="ada", made_at=ago(5)
    )
    stored(archive, 1000, 1500)

    barriers.see_to(archive)

    assert not is_asked_for(archive.database)
    assert "make one for later moments" in alert_of(archive.database).text


StatusOf = Callable[..., tuple[str, dict[str, Any]]]


@pytest.fixture
def status_of(capsys: pytest.CaptureFixture[str]) -> StatusOf:
    """What a command tells people, and programs."""

    def ask(*command: str) -> tuple[str, dict[str, Any]]:
        texts = []
        for more in ([], ["--json"]):
            with suppress(SystemExit):
                call_command(*command, *more)
            texts.append(capsys.readouterr().out)
        return texts[0], json.loads(texts[1])

    return ask


def test_status_names_it_and_what_to_do_until_an_exact_backup_stands_behind_it(
    archive: LogArchive, rows: Rows, status_of: StatusOf
) -> None:
    database = archive.database
    stored(archive, 1000, 1500)
    barriers.see_to(archive)

    text, told = status_of("log_archive", "--database", database.name, "status")

    assert "cannot be restored: the log cannot be replayed past that. The server lost changes there" in text
    assert "Make a backup" in text
    assert told["barrier"]["code"] == "log.incident"
    assert told["barrier"]["position"] == f"{FILE}:1500"
    text, told = status_of("status")
    assert "the log cannot be replayed past that" in text
    assert "log_barrier" in [each["key"] for each in told["findings"]]
    (of_shop,) = [each for each in told["databases"] if each["database"] == database.name]
    assert of_shop["log_barrier"]["code"] == "log.incident"

    made = {**PLACE, "position": 2500}
    Snapshot.objects.filter(pk=rows.others.pk).update(
        database=database,
        path="/mysql/shop.sql",
        time=timezone.now(),
        manifest={**WHOLE, "database": "shop", "log": made},
    )
    barriers.see_to(archive)

    assert alert_of(database).state == AlertState.GOOD
    assert status_of("log_archive", "--database", database.name, "status")[1]["barrier"] is None


def test_status_names_an_open_gap_and_what_ends_it(archive: LogArchive, status_of: StatusOf) -> None:
    LogGap.objects.create(
        database=archive.database, begins=ago(5), code="log.purged", sentence="The server purged it."
    )

    text, told = status_of("status")

    assert "is not stored from" in text
    assert "The server purged it. It goes on from the next backup" in text
    assert "log_gap" in [each["key"] for each in told["findings"]]


def found_on_pages(database: Database) -> list[Finding]:
    """What the verdict, which all pages and monitors show, says of its log."""
    overall = standing.read().overall
    return [each for each in overall.of_database(database.name) if each.key.startswith("log_")]


def test_pages_tell_of_a_barrier_until_a_backup_stands_behind_it(archive: LogArchive, rows: Rows) -> None:
    database = archive.database
    assert found_on_pages(database) == []
    stored(archive, 1000, 1500)
    barriers.see_to(archive)

    (finding,) = found_on_pages(database)
    assert (finding.key, finding.state) == ("log_barrier", "doubtful")
    assert "cannot be restored: the log cannot be replayed past that. The server lost" in finding.reason
    assert finding.next_step == "Make a backup: moments after it can be restored again."
    assert finding.page == Page("moments", database.pk)
    assert notice_of(finding).href == f"/admin/backups/database/{database.pk}/change/?tab=moments"

    # No alert has ended yet, which takes until the next minute.
    made = {**PLACE, "position": 2500}
    Snapshot.objects.filter(pk=rows.others.pk).update(
        database=database, path="/mysql/shop.sql", time=timezone.now(),
        manifest={**WHOLE, "database": "shop", "log": made},
    )  # fmt: skip
    assert found_on_pages(database) == []


def test_pages_tell_of_a_gap_and_who_paused_is_told_that_no_backup_comes_by_itself(
    archive: LogArchive,
) -> None:
    database = archive.database
    gaps.opened(archive, Problem("The server purged it.", code="log.purged"))
    (finding,) = found_on_pages(database)
    assert finding.key == "log_gap"
    assert "The server purged it." in finding.reason
    assert "It goes on from the next backup with an exact position" in finding.next_step
    assert "A backup is made, from which it goes on" in Alert.objects.get().text

    Alert.objects.all().delete()
    LogGap.objects.all().delete()
    StandDown.objects.create(
        database=database, kind=StandDownKind.PAUSE, reason="moving", made_by="ada", made_at=ago(5)
    )
    gaps.opened(archive, Problem("The server purged it.", code="log.purged"))
    (finding,) = found_on_pages(database)
    assert "It is paused (ada: moving), so no backup is made by itself. Make one" in finding.next_step
    text = Alert.objects.get().text
    assert "A backup is made" not in text
    assert "It is paused, so no backup is made by itself: make one" in text


def test_what_was_told_of_a_log_ends_when_it_is_switched_off(archive: LogArchive) -> None:
    database = archive.database
    stored(archive, 1000, 1500)
    barriers.see_to(archive)
    gaps.opened(archive, Problem("The server purged it.", code="log.purged"))
    storing.note_problem(archive, Problem("It does not answer.", code="mysql.unreachable"))
    LogArchive.objects.update(problem_since=ago(20))
    archive.refresh_from_db()
    gaps.tell_lateness(archive)
    other = Alert.objects.create(subject=f"Backup of {database.name}", database=database, state="failed")
    log_subjects.note_switched_off(timezone.now())
    assert Alert.objects.exclude(state=AlertState.GOOD).count() == 4

    log_archives.switch_off(database, "ada")
    log_subjects.note_switched_off(timezone.now())

    assert list(Alert.objects.exclude(state=AlertState.GOOD)) == [other]
    assert "stored no more, as somebody wanted" in alert_of(database).text
    assert found_on_pages(database) == []


def marked(archive: LogArchive, count: int, *, grows: int = 10) -> None:
    """So many marks from the dump's time to ten minutes ago; with the second one its place is reached."""
    every = 190 / count
    LogMark.objects.bulk_create(
        LogMark(
            database=archive.database, file=FILE, moment=ago(200 - every * number),
            position=990 + grows * number,
        )
        for number in range(count)
    )  # fmt: skip


@pytest.mark.parametrize("is_barred", [False, True])
def test_what_monitors_are_told_of_a_log_takes_few_of_its_marks(archive: LogArchive, is_barred: bool) -> None:
    marked(archive, 1000)
    if is_barred:
        stored(archive, 1000, 1500, minutes=100)
    whole = stored_logs.look(archive.database)
    assert len(whole.windows) == 1

    with CaptureQueriesContext(connection) as asked:
        told = stored_logs.told()[archive.database.name]

    of_marks = [each["sql"] for each in asked.captured_queries if "backups_logmark" in each["sql"]]
    assert len(of_marks) == 1
    assert f"LIMIT {MOST_MARKS}" in of_marks[0]
    for name, moment in (("restorable_from", "begins"), ("restorable_to", "ends")):
        assert told[name] == getattr(whole.windows[-1], moment).astimezone(UTC).isoformat(timespec="seconds")
    assert (told["log_barrier"] is not None) is is_barred


def test_a_dump_whose_place_was_reached_long_after_it_is_told_of_as_exactly(archive: LogArchive) -> None:
    """Nothing was fetched for hours, then marks came that lie before its place."""
    marked(archive, 1000, grows=0)
    LogMark.objects.create(database=archive.database, moment=ago(5), file=FILE, position=30_000)

    whole, quick = stored_logs.look(archive.database), stored_logs.newest_of(archive.database)

    assert len(whole.windows) == 1
    assert quick.windows == whole.windows


def test_of_a_log_that_broke_off_the_newest_moments_before_are_told(archive: LogArchive) -> None:
    marked(archive, 150)
    stored(archive, 1000, minutes=100)
    gaps.opened(archive, Problem("The server purged it.", code="log.purged"))

    whole, quick = stored_logs.look(archive.database), stored_logs.newest_of(archive.database)

    assert len(whole.windows) == 1
    assert quick.windows == whole.windows
