"""A server's log from a place on, as transactions, each checked to follow what came before."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from backups import binlog, mysql
from backups.binlog import MAGIC, Facts, Format, Gap, GtidSet, LogFile, Marker, Reading, Transaction
from backups.binlog.held_events import HeldEvents
from backups.dumpfile.log_positions import Place
from backups.moments.spilling import spill_folder
from backups.shipping.ends import LogEnd
from backups.shipping.fetch import LARGEST_POSITION, Fetched, LogLost, fetch
from backups.text.sentences import phrase, template

# One fetch takes no more of it; what is left comes with the next one, at once.
MOST_BYTES = 256 << 20


def in_order(file: str, position: int) -> tuple[int, int]:
    """A place in the log, so that places of one log are in its order."""
    return (_number(file), position)


@lru_cache(64)
def _number(file: str) -> int:
    found = LogFile.parse(file)
    return found.number if found else -1


class Begin(NamedTuple):
    """Where to read on: in which file, made when (None where nobody knows), from which byte."""

    file: str
    made: int | None
    position: int

    @property
    def place(self) -> Place:
        """File and position."""
        return Place(self.file, self.position)


@dataclass(frozen=True)
class Item:
    """A transaction, or what stands between two of them, and of which file it is."""

    file: str
    format: Format
    what: Transaction | Marker

    @property
    def start(self) -> int:
        """Where it begins in the file."""
        return self.what.start

    @property
    def end(self) -> int:
        """Where it ends in the file."""
        return self.what.end


class Stream:
    """Reads a server's log from `begin` to `end`, file after file.

    `reached` is where it stands: all transactions before it were given out, and none behind it; `gtids` is
    all that was logged before that, None where nobody knows.
    """

    def __init__(self, server: mysql.Server, begin: Begin, end: LogEnd, gtids: GtidSet | None) -> None:
        self._next: Fetched | None = None
        self._events = fetch(server, end.flavour, begin.place, end.place)
        self._bytes = 0
        self._end = end.place
        self._seen = begin.place
        self._facts = Facts(begin.file, begin.position)
        if gtids is not None and begin.position > len(MAGIC):
            self._facts.before, self._facts.after = gtids, gtids.copy()
        # The file before, until the head of this one was held against it.
        self._before: Facts | None = None
        # What the head of the first file is to say, where it is read from its beginning.
        self._expected = gtids if begin.position <= len(MAGIC) else None
        self.reached = begin
        # Whether all to the end was read, and not just as much as one fetch takes.
        self.is_at_end = False

    @property
    def gtids(self) -> GtidSet | None:
        """All that was logged before `reached`."""
        if self._expected is not None:
            return self._expected
        return (self._before or self._facts).after

    def items(self) -> Iterator[Item]:
        """What follows. Raises MySQLProblem, LogLost, Unreadable."""
        self._advance()
        while self._next is not None:
            yield from self._of_file(self._next)
            if self._is_enough():
                return
        # A log that was begun anew meanwhile ends before.
        self.is_at_end = in_order(*self._seen) >= in_order(*self._end)

    def _advance(self) -> None:
        self._next = next(self._events, None)
        if self._next is not None and not self._next.is_repeated:
            self._seen = Place(self._next.file, self._next.position + len(self._next.data))

    def _of_file(self, first: Fetched) -> Iterator[Item]:
        begin = self.reached
        if first.file != begin.file:
            self._before, self._facts = self._facts, Facts(first.file, len(MAGIC))
            begin = Begin(first.file, None, len(MAGIC))
        log_format = Format.parse(_with_own_checksum(first) if first.is_repeated else first.data)
        if begin.made is not None and log_format.made != begin.made:
            raise lost(Gap.REMADE, begin.file)
        self._facts.format = log_format
        self.reached = begin = begin._replace(made=log_format.made)
        reading = Reading()
        if first.is_repeated:
            self._advance()
            reading = Reading(log_format, begin.position, whole=begin.position)
        for what in binlog.read(self._chunks(first), reading, lambda: HeldEvents(spill_folder())):
            self._facts.note(what)
            if self._is_of_the_head(what):
                continue
            yield Item(begin.file, log_format, what)
            self.reached = begin._replace(position=reading.whole)
            if self._is_enough():
                return

    def _is_enough(self) -> bool:
        """Whether the next fetch may take what is left: from where this one stands it can go on."""
        return self._bytes > MOST_BYTES and self.reached.position <= LARGEST_POSITION

    def _is_of_the_head(self, what: Transaction | Marker) -> bool:
        """Whether nothing tells yet what was logged before the file; else that is what was read before.

        A head that was not read to its end is read again.
        """
        if self._before is None and self._expected is None:
            return False
        if isinstance(what, Marker) and self._facts.before is None:
            return True
        expected, self._expected = self._expected, None
        if expected is not None and self._facts.before != expected:
            raise lost(Gap.GTIDS, self._facts.file)
        if self._before is not None:
            gap = binlog.follows(self._before, self._facts)
            if gap is not None and gap != Gap.INCIDENT:
                raise lost(gap, self._facts.file)
        self._before = None
        return False

    def _chunks(self, first: Fetched) -> Iterator[bytes]:
        if not first.is_repeated:
            yield MAGIC
        while self._next is not None and self._next.file == first.file:
            data = self._next.data
            self._bytes += len(data)
            self._advance()
            yield data

    def close(self) -> None:
        """Hang up."""
        self._events.close()


def _with_own_checksum(described: Fetched) -> bytes:
    """A description of a format that is sent once more, which the server alters a little on its way.

    Where it writes no checksums it leaves the one as it was that this event has all the same.
    """
    data = described.data
    if len(data) < _LEAST_FORMAT or data[-CHECKSUM - 1] != 0:
        return data
    return data[:-CHECKSUM] + zlib.crc32(data[:-CHECKSUM]).to_bytes(CHECKSUM, "little")


# Shorter ones are refused as what they are.
CHECKSUM, _LEAST_FORMAT = 4, 80


def lost(gap: Gap, file: str) -> LogLost:
    """What to say where what is there does not follow what was read."""
    return LogLost(phrase(_WHY[gap], file=file), code=f"log.{gap.value}")


_WHY = {
    Gap.SERVER: template(
        "{file} of the binary log was written by another server than what was read before it."
    ),
    Gap.REMADE: template(
        "{file} of the server's binary log is another file than the one of that name before: the log was "
        "begun anew, or older data was put back."
    ),
    Gap.POSITION: template("{file} of the server's binary log goes on elsewhere than where it was read to."),
    Gap.HEAD: template("{file} of the server's binary log does not tell what was logged before it."),
    Gap.FILE: template("Files of the server's binary log before {file} are missing."),
    Gap.GTIDS: template(
        "{file} of the server's binary log says that other transactions were logged before it than those "
        "that were read."
    ),
    Gap.INCIDENT: template("The server lost changes before {file} of its binary log."),
}
