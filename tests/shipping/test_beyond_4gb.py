"""A transaction that makes a file of the log longer than 4 GB, where no server can be asked to go on.

Of such a file tests make the end alone: what lies before is a hole that nobody reads.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from backups import binlog, mysql
from backups.binlog import Piece, Reading, Transaction
from backups.choices import Action
from backups.dumpfile.log_positions import Place
from backups.models import LogArchive, Run
from backups.shipping import stream
from backups.shipping.ends import ask
from backups.shipping.fetch import TooFar, fetch
from backups.shipping.follower import Follower
from backups.shipping.stream import Begin, Item, Stream
from tests.dumping.test_dump import server_of
from tests.servers import DatabaseServer
from tests.shipping.conftest import Ship, Shipped, ship_shop

TURN = 1 << 32
OURS = "marker of ours"


def moved_far_out(server: DatabaseServer, begin: Place) -> tuple[Place, Place]:
    """Restart a server with a file of its log of which the events behind a place lie around 4 GB.

    Answers where they begin, and where the first of their transactions ends.
    """
    server.execute("FLUSH BINARY LOGS")
    server.stop()
    path, reading = server.folder / "data" / begin.file, Reading()
    events = [each for each in binlog.read_events([path.read_bytes()], reading) if each.end > begin.position]
    assert reading.format is not None
    start = at = TURN - 100
    ends = []
    with path.open("r+b") as file:
        file.truncate(begin.position)
        for event in events:
            file.seek(at)
            at += file.write(event._replace(position=at).written(reading.format))
            ends.append(at if event.kind == binlog.Kind.XID else 0)
    assert path.stat().st_blocks * 512 < 1 << 20
    server.start()
    return Place(begin.file, start), Place(begin.file, next(filter(None, ends)))


def far_out(shipped: Shipped) -> tuple[Place, Place]:
    """The same for a row that was put into a shop, and a second one in the file after it."""
    server, archive = shipped.shop.server, shipped.archive
    shipped.shop.execute(f"INSERT INTO orders VALUES (1, '{OURS}')")
    begin, end = moved_far_out(server, Place(archive.file, archive.position or 0))
    shipped.shop.execute(f"INSERT INTO orders VALUES (2, '{OURS}')")
    return begin, end


def read_to(shipped: Shipped, place: Place) -> None:
    LogArchive.objects.filter(database=shipped.database).update(position=place.position)


@pytest.mark.one_flavour("mariadb")
def test_it_is_read_to_the_end_of_its_file_and_on(
    own_server: DatabaseServer, ship: Ship, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = ship(ship_shop(own_server))
    begin, end = far_out(shipped)
    read_to(shipped, begin)
    # Each look takes one transaction, if it can stop behind that.
    monkeypatch.setattr(stream, "MOST_BYTES", 1)

    shipped.look()

    assert (shipped.archive.problem, shipped.gaps) == ("", [])
    first, second = shipped.transactions()
    assert (first.start, first.end) == (begin.position, end.position)
    assert end.position > TURN > begin.position
    assert second.end < 100_000
    assert shipped.archive.file > begin.file


# Above, a look goes on behind such an end.
@pytest.mark.soak
@pytest.mark.one_flavour("mysql")
def test_an_end_that_is_told_before_the_next_file_is_begun_is_passed(
    own_server: DatabaseServer, ship: Ship
) -> None:
    shipped = ship(ship_shop(own_server))
    begin, end = far_out(shipped)
    server = server_of(shipped.shop)

    told = [each.file for each in fetch(server, ask(server).flavour, begin, end)]

    assert begin.file in told
    assert told[-1] > begin.file


@pytest.mark.one_flavour("mariadb")
def test_who_stands_behind_it_all_the_same_begins_anew(own_server: DatabaseServer, ship: Ship) -> None:
    shipped = ship(ship_shop(own_server))
    begin, end = far_out(shipped)
    server = server_of(shipped.shop)
    with pytest.raises(TooFar, match=rf"{begin.file} .*4 GB") as refused:
        next(fetch(server, ask(server).flavour, end, ask(server).place))
    read_to(shipped, end)

    shipped.look()

    (gap,) = shipped.gaps
    assert gap.code == refused.value.code == "log.too_far"
    asked = Run.objects.filter(database=shipped.database, action=Action.BACKUP, status="queued")
    assert asked.delete()[0]
    shipped.base()
    assert shipped.archive.problem == ""


@pytest.mark.one_flavour("mariadb")
def test_what_comes_behind_a_neighbours_is_placed_where_it_was(server: DatabaseServer, ship: Ship) -> None:
    shipped = ship(ship_shop(server))
    archive, end = shipped.archive, ask(server_of(shipped.shop))
    begin = Begin(archive.file, archive.file_made, archive.position or 0)
    shipped.shop.execute(f"INSERT INTO orders VALUES (1, '{OURS}')")
    ours = only_transaction(server_of(shipped.shop), begin)
    neighbours = replace(ours, what=placed(ours.what, begin.position, begin.position + 5 * TURN // 4))
    after = replace(ours, what=placed(ours.what, neighbours.end))
    follower = Follower(archive, begin, end)

    follower.take(neighbours, frozenset({"another"}), None)
    follower.take(after, frozenset({shipped.shop.name}), None)

    pieces = list(stored(follower, shipped.shop.name))
    follower.close()
    assert [(named.start, named.end) for named, _ in pieces] == [
        (begin.position, neighbours.end), (after.start, after.end),
    ]  # fmt: skip
    (read,) = [each for named, data in pieces for each in transactions_in(named, data)]
    assert (read.start, read.end) == (after.start, after.end)


def only_transaction(server: mysql.Server, begin: Begin) -> Item:
    read = Stream(server, begin, ask(server), None)
    (found,) = [each for each in read.items() if isinstance(each.what, Transaction)]
    read.close()
    return found


def placed(transaction: Transaction | binlog.Marker, start: int, end: int | None = None) -> Transaction:
    """The transaction at another place of its file."""
    assert isinstance(transaction, Transaction)
    by = start - transaction.start
    events = [event._replace(position=event.position + by) for event in transaction.events]
    return replace(transaction, start=start, end=end or transaction.end + by, events=events)


def stored(follower: Follower, database: str) -> Iterator[tuple[Piece, bytes]]:
    """What would be stored, each piece with its bytes."""
    for piece, _, _ in follower.to_store():
        piece.spool.flush()
        yield piece.named(database), os.pread(piece.spool.fd, 1 << 20, 0)


def transactions_in(named: Piece, data: bytes) -> list[Transaction]:
    return [each for each in binlog.read([data], Reading(piece=named)) if isinstance(each, Transaction)]
