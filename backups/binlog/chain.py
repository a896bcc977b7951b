"""What a part of a log says of itself, and whether one part follows another without a gap."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from backups.binlog.events import ARTIFICIAL, MAGIC, Event, Format
from backups.binlog.gtid_sets import GtidSet, at_head
from backups.binlog.kinds import Kind
from backups.binlog.names import LogFile
from backups.binlog.transactions import Marker, Transaction
from backups.binlog.wire import Wire


class Gap(StrEnum):
    """Why one part of a log does not follow another: stable codes."""

    # Another server answers.
    SERVER = "server"
    # The file of this name was begun at another time: the log was reset, or an old data folder put back.
    REMADE = "remade"
    # Within a file it begins elsewhere than the one before it ends.
    POSITION = "position"
    # A file does not begin with its head, so that nothing tells what was before.
    HEAD = "head"
    # The file before says that another one follows, or its number is not the next one.
    FILE = "file"
    # What the file says was logged before it is not what was read.
    GTIDS = "gtids"
    # The server says that it lost changes.
    INCIDENT = "incident"


@dataclass
class Facts:
    """What a file, or a part of one, says of itself while `note` is given all that was read of it."""

    file: str
    # Bytes in the server's file before the first that was read, and before the first that was not.
    start: int
    end: int = 0
    format: Format | None = None
    # What was logged before the file; None unless its head was read, or who reads on from it knows.
    before: GtidSet | None = None
    # The same for the end of what was read.
    after: GtidSet | None = None
    # The file that follows by this one's own word.
    next_file: str = ""
    # The server was shut down.
    is_stopped: bool = False
    has_incident: bool = False
    transactions: int = 0
    # Positions of events that we do not know: behind them nothing is certain.
    unknown: list[int] = field(default_factory=list)

    def note(self, read: Transaction | Marker) -> None:
        """Take to account what was read. Raises Unreadable."""
        self.end = max(self.end, read.end)
        if isinstance(read, Marker):
            self._note_marker(read.event)
            return
        self.transactions += 1
        if not read.is_known:
            self.unknown.append(read.start)
        if self.after is not None:
            self.after.add(read.gtid)

    def _note_marker(self, event: Event) -> None:
        if event.kind == Kind.FORMAT:
            self.format = Format.parse_event(event)
        elif event.kind == Kind.ROTATE and not event.flags & ARTIFICIAL:
            self.next_file = next_file_of(event)
        elif event.kind == Kind.STOP:
            self.is_stopped = True
        elif event.kind == Kind.INCIDENT:
            self.has_incident = True
        elif (found := at_head(event)) is not None:
            self.before, self.after = found, found.copy()
        elif not event.is_known:
            self.unknown.append(event.position)


def next_file_of(event: Event) -> str:
    """The file that a Rotate names. Raises Unreadable."""
    wire = Wire(event.body, event.position)
    wire.skip(8)
    return wire.rest().decode("utf-8", "surrogateescape")


def follows(before: Facts, after: Facts) -> Gap | None:
    """Why one part does not follow another; None if it does.

    Where neither has GTIDs (MySQL can do without), a file that was cut short by a crash is only told by
    whoever compares where it was read to with how long the server says it is.
    """
    if before.format is None or after.format is None:
        return Gap.HEAD
    if (
        before.format.server_id != after.format.server_id
        or before.format.is_mariadb != after.format.is_mariadb
    ):
        return Gap.SERVER
    if before.has_incident:
        return Gap.INCIDENT
    if before.file == after.file:
        return _follows_within(before, after)
    if before.next_file not in ("", after.file) or not _is_next(before.file, after.file):
        return Gap.FILE
    if after.start > len(MAGIC) or after.before is None:
        return Gap.HEAD
    return Gap.GTIDS if before.after is not None and before.after != after.before else None


def _follows_within(before: Facts, after: Facts) -> Gap | None:
    if before.format is not None and after.format is not None and before.format.made != after.format.made:
        return Gap.REMADE
    if before.end != after.start:
        return Gap.POSITION
    is_known = before.after is not None and after.before is not None
    return Gap.GTIDS if is_known and before.after != after.before else None


def _is_next(before: str, after: str) -> bool:
    first, second = LogFile.parse(before), LogFile.parse(after)
    return first is not None and first.next == second
