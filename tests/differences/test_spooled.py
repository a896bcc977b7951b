"""Live tables that are kept for a server to compare: in a room that digests need as well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from backups.differences.rowfile import ROW_BYTES, Room, RowFile
from backups.differences.spooled import Spool
from backups.dumpfile.digesting import Digester
from backups.dumpfile.sections import Piece
from backups.errors import Problem
from tests.differences.test_side_by_side import KEYED, MARIADB, dump

ROWS = [b"(%d,1,2)" % number for number in range(200)]
DUMP = dump({"t": (KEYED, ROWS)}, MARIADB, 20)


def pieces(text: bytes) -> Iterator[Piece]:
    digester = Digester()
    yield from digester.feed(text)
    yield from digester.close()


def kept(room: Room) -> Spool:
    """What is kept of a dump, all of which is wanted and passes on whatever is kept."""
    spool = Spool(room, lambda _: True)
    assert b"".join(bytes(each.data) for each in spool.passing(pieces(DUMP))) == DUMP
    return spool


def test_tables_take_half_of_the_room_at_most(tmp_path: Path) -> None:
    for most, is_whole in ((2 * len(DUMP), True), (len(DUMP), False)):
        room = Room(str(tmp_path), most)
        spool = kept(room)

        assert (spool.is_whole, spool.tables) == (is_whole, {"t"} if is_whole else set())
        assert room.left == most - spool.size
        assert bool(spool.size) == is_whole


def test_tables_give_way_to_digests_that_need_more_than_the_other_half(tmp_path: Path) -> None:
    most = 2 * len(DUMP) // ROW_BYTES * ROW_BYTES
    room = Room(str(tmp_path), most + 2 * ROW_BYTES)
    digests, spool = RowFile(room), kept(room)
    spool.file.flush()

    digests.append(bytes(room.left // ROW_BYTES * ROW_BYTES))
    assert spool.is_whole
    digests.append(bytes(ROW_BYTES))

    assert (spool.is_whole, spool.size, spool.file.seek(0, 2)) == (False, 0, 0)
    digests.append(bytes(room.left // ROW_BYTES * ROW_BYTES))
    spool.close()
    with pytest.raises(Problem) as raised:
        digests.append(bytes(ROW_BYTES))
    assert raised.value.code == "diff.no_room"


def test_a_full_disk_ends_the_keeping_and_not_the_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Room) -> IO[Any]:
        return Path("/dev/full").open("w+b")

    monkeypatch.setattr(Room, "file", full)
    spool = kept(Room(str(tmp_path), 2 * len(DUMP)))
    spool.close()

    assert not spool.is_whole
