"""One database's part in a fetch: what is cut for it, into which piece it goes, and how far it has come."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from backups import mysql
from backups.binlog import MAGIC, Gap, GtidSet, Kind, Transaction
from backups.models import Database, LogArchive, LogPiece, Snapshot
from backups.moments.spilling import spill_folder
from backups.shipping.cutting import Barrier, Cutter, incident
from backups.shipping.ends import LogEnd
from backups.shipping.fetch import LogLost
from backups.shipping.live_tables import LiveTables
from backups.shipping.neighbours import Reach
from backups.shipping.spool import Spool
from backups.shipping.statements import Judging
from backups.shipping.storing import Piece
from backups.shipping.stream import Begin, Item, in_order, lost

# A piece grows no further than this, of the server's log or of its own bytes, and for no longer.
MOST_BYTES = 128 << 20
MOST_TIME = timedelta(hours=1)
# In a piece events say where they end in 32 bits, and further apart than this nothing tells how often these
# have turned.
_FAR = 1 << 31
# Between the server and us, in seconds.
_CLOCKS_DIFFER = 60
# What tells of the log itself and holds nobody's data.
_KEPT = frozenset({Kind.PREVIOUS_GTIDS, Kind.GTID_LIST, Kind.ROTATE, Kind.STOP})


class Follower:
    """Follows the log for one database, from `reached` on; kept by this process from minute to minute.

    What is not stored when the process ends is fetched again from where the archive's row says. With `base`
    it begins anew, at that dump.
    """

    def __init__(self, archive: LogArchive, begin: Begin, end: LogEnd, base: Snapshot | None = None) -> None:
        self.archive = archive
        # Of a process that is gone; what it held of it, only the server has.
        LogPiece.objects.filter(database=archive.database, sealed=False).update(sealed=True)
        self.reached = begin
        self._server, self._cases = end.server, end.cases
        database = archive.database.database
        self._live = LiveTables(database, end.spelled, is_mariadb=end.speech.dialect.is_mariadb)
        known = archive.gtids or {}
        self._reach = Reach(database, end.flavour, was=known.get("reached"))
        judging = Judging(database, end.speech, self._live, self._reach)
        self.cutter = Cutter(database, end.spelled, judging, spill_folder())
        # Full ones, then the one that grows.
        self._full: list[tuple[Piece, dict[str, Any]]] = []
        self._growing: Piece | None = None
        # Where it was begun, in front of which there may be a gap.
        self._from: dict[str, Any] = known.get("from") or {}
        self._next_start = self._start_of_next(begin) if base is None else begin.position
        self._begun_at = None if base is None else base.time
        # Why it cannot go on, though the others of its server can.
        self.broken: LogLost | None = None
        told = known.get("set")
        self.gtids = None if told is None else GtidSet.parse(told)

    def _start_of_next(self, begin: Begin) -> int:
        """What was read behind the last piece held nothing of ours, and is told with the next one."""
        if begin.made is None:
            return begin.position
        last = LogPiece.objects.filter(
            database=self.archive.database, server_uuid=self._server, file=begin.file, file_made=begin.made
        )
        first = int(self._from["position"]) if self._from.get("file") == begin.file else len(MAGIC)
        ends = [end for end in last.values_list("end", flat=True) if first <= end <= begin.position]
        return max(ends, default=begin.position)

    def begin(self, server: mysql.Server) -> None:
        """A fetch begins, of a log whose end is known."""
        self._live.begin(server)
        self._reach.look(server)

    @property
    def begun(self) -> datetime:
        """When the piece that grows was begun; now where none does."""
        return self._growing.begun if self._growing is not None else timezone.now()

    @property
    def order(self) -> tuple[int, int]:
        """By which of several the one is found that is furthest behind."""
        return in_order(self.reached.file, self.reached.position)

    def take(self, item: Item, databases: frozenset[str] | None, gtids: GtidSet | None) -> None:
        """What comes next in the log; what lies before where this one has come to is passed over.

        `databases` are those whose rows it holds and nothing else, as `cutting.databases_in` tells.
        """
        if in_order(item.file, item.start) < self.order or self._is_of_another_log(item.format.made):
            return
        if item.file != self.reached.file:
            self._end_file(gtids)
            self._next_start = len(MAGIC)
        self.reached = Begin(item.file, item.format.made, item.end)
        if isinstance(item.what, Transaction):
            is_ours = databases is None or self.cutter.database in databases
            if is_ours and (cut := self.cutter.cut(item.what)) is not None:
                self._piece(item).take(item.what, cut)
        else:
            self._take_marker(item)
        if self._growing is None and item.end - self._next_start > _FAR:
            self._piece(item)
        self._seal_if_full(gtids)

    def _is_of_another_log(self, made: int) -> bool:
        """Whether the file in which a dump has its position was begun after the dump."""
        if self._begun_at is not None and made > self._begun_at.timestamp() + _CLOCKS_DIFFER:
            self.broken = lost(Gap.REMADE, self.reached.file)
        self._begun_at = None
        return self.broken is not None

    def arrive(self, reached: Begin, gtids: GtidSet | None) -> None:
        """All up to here was taken."""
        if in_order(reached.file, reached.position) < self.order:
            return
        if reached.made is not None and self._is_of_another_log(reached.made):
            return
        if reached.file != self.reached.file:
            self._end_file(gtids)
            self._next_start = len(MAGIC)
        self.reached, self.gtids = reached, gtids and gtids.copy()

    def _take_marker(self, item: Item) -> None:
        event = item.what.event  # type: ignore[union-attr]
        if event.kind == Kind.INCIDENT or not item.what.is_known:
            code = "log.incident" if event.kind == Kind.INCIDENT else "log.unknown_event"
            why = Barrier(code, {"kind": event.kind})
            piece = self._piece(item)
            piece.block(item.what.start, event.when, why)
            piece.spool.add([incident(event, why).written(item.format)])
        elif event.kind in _KEPT:
            piece = self._piece(item)
            piece.spool.add([event.written(item.format)])
            piece.is_new = True

    def _piece(self, item: Item) -> Piece:
        if self._growing is None:
            spool = Spool(item.format, item.file, self._next_start, spill_folder())
            self._growing = Piece(spool, item.format.made, item.end, self._server, self._cases)
        return self._growing

    def _end_file(self, gtids: GtidSet | None) -> None:
        """What is known of a file is stored to its end, so that the names of pieces tell it."""
        if self._growing is not None:
            self._seal(self.reached, gtids)

    def _seal_if_full(self, gtids: GtidSet | None) -> None:
        piece = self._growing
        if piece is None:
            return
        if max(piece.spool.size, self.reached.position - piece.start) > MOST_BYTES:
            self._seal(self.reached, gtids)

    def _seal(self, reached: Begin, gtids: GtidSet | None) -> None:
        assert self._growing is not None  # noqa: S101
        self._growing.end = reached.position
        self._full.append((self._growing, self.where(reached, gtids)))
        self._growing = None
        self._next_start = reached.position

    @property
    def has_news(self) -> bool:
        """Whether there is anything to store."""
        return bool(self._full) or (self._growing is not None and self._growing.is_new)

    def to_store(self) -> Iterator[tuple[Piece, bool, dict[str, Any]]]:
        """Each piece that holds something new, whether it is full, and how far the log is stored with it."""
        while self._full:
            piece, reached = self._full[0]
            yield piece, True, reached
            piece.close()
            self._full.pop(0)
        piece_that_grows = self._growing
        if piece_that_grows is not None and piece_that_grows.is_new:
            piece_that_grows.end = self.reached.position
            yield piece_that_grows, False, self.where(self.reached, self.gtids)

    def seal_if_old(self, *, at_once: bool) -> None:
        """Have the next piece begin where the one that was just stored ends, where it is time for that."""
        piece = self._growing
        if piece is None or piece.row is None or piece.is_new:
            return
        if at_once or timezone.now() - piece.begun > MOST_TIME:
            LogPiece.objects.filter(pk=piece.row).update(sealed=True)
            self._next_start = piece.end
            piece.close()
            self._growing = None

    def where(self, reached: Begin, gtids: GtidSet | None) -> dict[str, Any]:
        """Columns of the archive that say how far the log is stored."""
        columns = where(self.archive.database, reached, gtids)
        columns["gtids"] |= {"from": self._from, "reached": self._reach.known}
        return columns

    def close(self) -> None:
        """Give back what it holds."""
        for piece, _ in self._full:
            piece.close()
        if self._growing is not None:
            self._growing.close()


def where(database: Database, reached: Begin, gtids: GtidSet | None) -> dict[str, Any]:
    """Columns of an archive that say how far the log is stored, and of which of the server's databases."""
    return {
        "file": reached.file,
        "file_made": reached.made,
        "position": reached.position,
        "gtids": {"database": database.database, "set": None if gtids is None else str(gtids)},
    }
