"""Pieces beside dumps: nobody takes one for the other, each stays as long as a moment needs it."""

from __future__ import annotations

import os
import subprocess
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups import restic
from backups.choices import Trigger
from backups.endpoints import repository_access
from backups.models import Database, LogPiece, Run, Snapshot
from backups.requests import ForgetRequest, RecoverRequest, SnapshotsRequest
from backups.runs.asked import Asker
from backups.shipping import reading_back, retention
from backups.shipping.retention import piece_in
from backups.snapshots import selection
from backups.worker import executor
from tests.backups.worlds import RESTIC_PASSWORD
from tests.servers import DatabaseServer
from tests.shipping.conftest import Ship, Shipped, ship_shop

DAY = timedelta(days=1)


def play(request: ForgetRequest | RecoverRequest | SnapshotsRequest) -> Run:
    run = request.submit(Asker(Trigger.CLI), send=False)
    played = executor.execute(run.pk, send_follow_ups=False)
    assert played is not None
    assert played.status == "succeeded", played.error
    return played


def write(shipped: Shipped, number: int) -> None:
    shipped.shop.execute(f"INSERT INTO orders VALUES ({number}, 'x')")
    shipped.look()


@pytest.fixture
def shipped(shared_mariadb: DatabaseServer, ship: Ship) -> Shipped:
    """A database of whose log three pieces are stored."""
    shipped = ship(ship_shop(shared_mariadb))
    for number in range(3):
        write(shipped, number)
    return shipped


def listed(shipped: Shipped) -> dict[str, restic.SnapshotInfo]:
    access = repository_access(shipped.database.repository)
    return {info.id: info for info in restic.snapshots(access) if piece_in(info)}


def age(shipped: Shipped, by: timedelta) -> None:
    """Have all that is known of be older."""
    for snapshot in Snapshot.objects.all():
        Snapshot.objects.filter(pk=snapshot.pk).update(time=snapshot.time - by)
    for piece in shipped.pieces:
        LogPiece.objects.filter(pk=piece.pk).update(stored_at=piece.stored_at - by)


def test_nobody_takes_a_piece_for_a_dump_and_rows_are_rebuilt_from_names_alone(shipped: Shipped) -> None:
    assert len(listed(shipped)) >= 3
    dumps = Snapshot.objects.count()

    play(SnapshotsRequest(shipped.database.repository))
    play(RecoverRequest(shipped.database.repository))

    assert Snapshot.objects.count() == dumps
    newest = selection.newest(shipped.database)
    assert newest is not None
    assert newest.snapshot_id not in listed(shipped)

    before = [(each.snapshot_id, each.file, each.file_made, each.start, each.end) for each in shipped.pieces]
    LogPiece.objects.all().delete()

    play(RecoverRequest(shipped.database.repository))

    after = [(each.snapshot_id, each.file, each.file_made, each.start, each.end) for each in shipped.pieces]
    assert after == before


def test_what_no_moment_needs_is_forgotten_by_id_and_all_else_stays(shipped: Shipped) -> None:
    age(shipped, 9 * DAY)
    old = {piece.snapshot_id for piece in shipped.pieces}
    # The only base there is, so that its pieces stay, however old.
    play(ForgetRequest(shipped.database.repository))
    assert old <= listed(shipped).keys()

    shipped.base()
    write(shipped, 9)
    new = {piece.snapshot_id for piece in shipped.pieces} - old
    play(ForgetRequest(shipped.database.repository))

    assert new <= listed(shipped).keys()
    assert old.isdisjoint(listed(shipped))
    assert {piece.snapshot_id for piece in shipped.pieces if piece.forgotten_at} == old


def test_a_piece_that_grew_leaves_nothing_behind(shared_mariadb: DatabaseServer, ship: Ship) -> None:
    from backups.shipping.minutes import Minutes

    shipped = ship(ship_shop(shared_mariadb))
    minutes = Minutes()
    for number in range(3):
        shipped.shop.execute(f"INSERT INTO orders VALUES ({number}, 'x')")
        minutes._look()
    assert len(listed(shipped)) == 3
    # Only what is settled: what was listed may have grown meanwhile.
    assert retention.superfluous(shipped.database.repository, listed(shipped).values()) == []
    later = [restic_at(info) for info in listed(shipped).values()]

    gone = retention.superfluous(shipped.database.repository, later)

    assert set(gone) == listed(shipped).keys() - {piece.snapshot_id for piece in shipped.pieces}
    assert len(gone) == 2


def restic_at(info: restic.SnapshotInfo) -> restic.SnapshotInfo:
    from dataclasses import replace

    return replace(info, time=info.time - DAY)


def test_the_chain_is_read_back_and_what_is_missing_is_told(shipped: Shipped) -> None:
    # As whoever is asked to read it has it, who knows which repository it is.
    shipped.database.repository.refresh_from_db()
    access = repository_access(shipped.database.repository)
    LogPiece.objects.update(read_back_at=None, sealed=True)
    found = reading_back.read_back(shipped.database, access, lambda: None)
    assert (found.pieces, found.read, found.wrong) == (3, 3, ())

    forget(shipped, shipped.pieces[1].snapshot_id)
    LogPiece.objects.update(read_back_at=None)
    found = reading_back.read_back(shipped.database, access, lambda: None)

    assert [wrong.row.pk for wrong in found.wrong] == [shipped.pieces[1].pk]


# Above, a piece that is missing is told of.
@pytest.mark.soak
def test_a_piece_forgotten_by_hand_is_a_gap(shipped: Shipped) -> None:
    forget(shipped, shipped.pieces[1].snapshot_id)
    LogPiece.objects.update(read_back_at=None)

    shipped.look()

    assert len(shipped.gaps) == 1
    assert shipped.archive.state == "broken"
    shipped.look()
    assert len(shipped.gaps) == 1
    # A plain restore needs none of it.
    assert selection.newest(shipped.database) is not None


def forget(shipped: Shipped, snapshot_id: str) -> None:
    url = shipped.database.repository.url
    environment = {"RESTIC_PASSWORD": RESTIC_PASSWORD, "RESTIC_CACHE_DIR": os.environ["RESTIC_CACHE_DIR"]}
    subprocess.run(
        [shipped.restic_path, "-r", url, "forget", snapshot_id],
        env=environment,
        check=True,
        capture_output=True,
    )


# Above, all stays that a moment needs.
@pytest.mark.soak
def test_backups_are_kept_all_and_so_are_pieces(shipped: Shipped, settings: Settings) -> None:
    settings.BACKUP_KEEP_ALL = True
    before = listed(shipped).keys()

    play(ForgetRequest(shipped.database.repository))

    assert listed(shipped).keys() == before


# Above, all stays that a moment needs.
@pytest.mark.soak
def test_the_newest_base_stays_as_long_as_its_log_is_stored(shipped: Shipped) -> None:
    base = Snapshot.objects.get()
    age(shipped, 400 * DAY)
    # Of a table without snapshots no dump has an exact position.
    shipped.shop.execute("CREATE TABLE quick (id INT) ENGINE = MyISAM")
    for days in (30, 20, 10):
        run = shipped.back_up(shipped.database)
        assert not run.result["log"]["exact"]
        Snapshot.objects.filter(made_by=run).update(time=timezone.now() - days * DAY)
    Database.objects.update(keep_daily=1, keep_weekly=0, keep_monthly=0)

    play(ForgetRequest(shipped.database.repository))

    base.refresh_from_db()
    assert base.forgotten_at is None
    assert Snapshot.objects.present().count() == 2
