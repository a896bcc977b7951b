"""A later backup of the same day takes no moment away: the first one behind each break of the log stays."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from backups.choices import Action, ArchiveState, RestoreMode
from backups.models import LogArchive, LogGap, LogPiece, Snapshot
from backups.moments import bases
from backups.requests.retention_plan import plan_of
from backups.snapshots.retention import Policy
from tests.actions.tools import play
from tests.moments.conftest import To
from tests.moments.test_restores import the_mistake
from tests.requests.conftest import WHOLE, Rows, rows
from tests.restoring.stories import content, succeeded, with_events_disabled
from tests.shipping.conftest import Shipped

__all__ = ["rows"]
pytestmark = pytest.mark.django_db
FILE, SERVER = "binlog.000003", {"id": 1, "uuid": "u"}
# All of one day are one to it, so that but for the holds the newest alone would stay.
ONE_A_DAY = Policy(1, 0, 0)
NOW = timezone.now()


def at(hours: float) -> datetime:
    """So many hours ago."""
    return NOW - timedelta(hours=hours)


@pytest.fixture
def archive(rows: Rows) -> LogArchive:
    """Followed up to now since ten days ago, when it was switched on; without a backup yet."""
    Snapshot.objects.filter(database=rows.database).update(forgotten_at=NOW)
    return LogArchive.objects.create(
        database=rows.database, state=ArchiveState.FOLLOWING, server_uuid="u", file=FILE, file_made=1,
        position=100_000, stored_until=NOW, switched_at=at(240),
    )  # fmt: skip


def backed_up(archive: LogArchive, hours: float, position: int, **log: Any) -> Snapshot:
    """A backup of so many hours ago at this place of the log."""
    told = {
        "file": FILE, "position": position, "gtid": "", "server": SERVER, "exact": True, "how": "lock",
        "why_not": None, **log,
    }  # fmt: skip
    return Snapshot.objects.create(
        repository=archive.database.repository, database=archive.database, path="/mysql/shop.sql",
        snapshot_id=f"{position:064x}", time=at(hours), made_here=True,
        manifest={**WHOLE, "database": "shop", "log": told},
    )  # fmt: skip


def stored(archive: LogArchive, hours: float, begins: int, ends: int, *barred: int) -> LogPiece:
    told = [
        {"position": place, "moment": at(hours).isoformat(), "code": "log.incident", "params": {}}
        for place in barred
    ]
    return LogPiece.objects.create(
        database=archive.database, repository=archive.database.repository, snapshot_id=f"{ends:064x}",
        server_uuid="u", file=FILE, file_made=1, start=begins, end=ends, barriers=told, stored_at=at(hours),
        sealed=True,
    )  # fmt: skip


def kept(archive: LogArchive, hours_later: float = 0) -> dict[int, list[str]]:
    """What stays by the next plan, by its place in the log, with what it says of moments."""
    present = Snapshot.objects.present().filter(database=archive.database)
    plan = plan_of(archive.database, present, ONE_A_DAY, NOW + timedelta(hours=hours_later))
    by_id = {each.snapshot_id: each for each in present}
    return {
        by_id[key].log["position"]: [why for why in reasons if "without it no moment" in why]  # type: ignore[index]
        for key, reasons in plan.keep.items()
    }


def test_backups_after_the_first_do_not_push_it_out_while_its_log_is_kept(archive: LogArchive) -> None:
    first = backed_up(archive, 5, 1000)
    backed_up(archive, 3, 2000)
    backed_up(archive, 1, 3000)

    stays = kept(archive)

    assert set(stays) == {1000, 3000}
    begins = f"{timezone.localtime(first.time):%Y-%m-%d %H:%M}"
    assert stays[1000] == [
        f"base of the log: without it no moment from {begins} to the next base could be restored"
    ]
    week = 7 * 24
    assert set(kept(archive, week - 5.5)) == {1000, 3000}
    assert 1000 not in kept(archive, week - 4.5), "its log is kept no longer"


@pytest.mark.parametrize("how", ["barrier", "gap", "lost piece"])
def test_the_first_behind_each_break_stays(archive: LogArchive, how: str) -> None:
    for hours, place in ((9, 1000), (8, 2000), (6, 5000), (4, 6000), (2, 7000)):
        backed_up(archive, hours, place)
    if how == "barrier":
        stored(archive, 7, 1000, 9000, 3000)
    elif how == "lost piece":
        stored(archive, 8, 1000, 3000)
        lost = stored(archive, 7, 3000, 4000)
        LogPiece.objects.filter(pk=lost.pk).update(forgotten_at=at(7))
        stored(archive, 6, 4000, 9000)
    else:
        LogGap.objects.create(
            database=archive.database, begins=at(7), ends=at(6.5), noticed_at=at(6.8), code="log.purged",
            sentence="The server removed its log.", after_file=FILE, after_position=2500,
        )  # fmt: skip
        stored(archive, 8, 1000, 2500)
        stored(archive, 6, 5000, 9000)

    assert set(kept(archive)) == {1000, 5000, 7000}


def test_a_shorter_time_for_one_database_counts_for_it(archive: LogArchive) -> None:
    LogArchive.objects.update(keep_days=1)
    for hours, place in ((30, 1000), (20, 2000), (1, 3000)):
        backed_up(archive, hours, place)

    assert [place for place, why in kept(archive).items() if why] == [2000]


def test_a_log_that_breaks_off_all_the_time_keeps_the_newest_beginnings(
    archive: LogArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bases, "MOST_KEPT", 3)
    for number in range(8):
        backed_up(archive, 9 - number, 1000 * number + 500)
        stored(archive, 9 - number, 1000 * number + 500, 1000 * number + 1500, 1000 * number + 1000)

    assert [place for place, why in kept(archive).items() if why] == [7500, 6500, 5500]


def test_what_no_log_is_replayed_on_is_not_kept_for_it(archive: LogArchive) -> None:
    backed_up(archive, 5, 1000, exact=False)
    backed_up(archive, 4, 2000, server={"id": 2, "uuid": "another"})
    backed_up(archive, 1, 3000)

    assert set(kept(archive)) == {3000}
    LogArchive.objects.all().delete()
    backed_up(archive, 0.5, 4000)
    assert set(kept(archive)) == {4000}


@pytest.mark.one_flavour("mariadb")
def test_backing_up_after_a_mistake_leaves_the_moment_before_it(shipped: Shipped, to_moment: To) -> None:
    type(shipped.database).objects.update(keep_daily=1, keep_weekly=0, keep_monthly=0)
    until, before = the_mistake(shipped)
    then = f"{shipped.shop.name}__then"

    for _ in range(2):
        shipped.base()
        assert play(Action.FORGET, database=shipped.database).status == "succeeded"

    assert Snapshot.objects.present().filter(database=shipped.database).count() == 2, "one was not forgotten"
    succeeded(to_moment(shipped, until, RestoreMode.NEW, then))
    assert content(shipped.shop.server, then) == with_events_disabled(before)
