"""All transactions that a log has had, by their GTIDs: what a file says at its head, and what follows."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Self
from uuid import UUID

from backups.binlog.events import Event
from backups.binlog.kinds import Kind
from backups.binlog.unreadable import Unreadable, Why
from backups.binlog.wire import Wire

_MARIADB = re.compile(r"(\d{1,10})-(\d{1,10})-(\d{1,20})", re.ASCII)
_MYSQL = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?::[a-z_][a-z0-9_]{0,31})?):(\d{1,19})")
_INTERVAL = re.compile(r"(\d{1,19})(?:-(\d{1,19}))?", re.ASCII)
# The first byte of the number of sets says whether they have tags, and then the last one as well.
_TAGGED, _HIGHEST, _MIDDLE = 1, 56, (1 << 48) - 1
_COUNT_OF_MARIADB = (1 << 28) - 1
_BYTES_OF_ONE = 16


@dataclass
class GtidSet:
    """MySQL's as numbers by source (and tag), MariaDB's as the last one by domain and server."""

    # From and to, both of them in it, in their order and never side by side.
    intervals: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    # By domain and server, the last of each domain behind its others.
    last: dict[tuple[int, int], int] = field(default_factory=dict)

    def add(self, gtid: str) -> None:
        """Put one more to it; nothing for a transaction that has none. ValueError for what is no GTID."""
        if not gtid:
            return
        if found := _MARIADB.fullmatch(gtid):
            domain, server, number = map(int, found.groups())
            self.last.pop((domain, server), None)
            self.last[domain, server] = number
        elif found := _MYSQL.fullmatch(gtid):
            number = int(found[2])
            self._add_interval(found[1], number, number)
        else:
            raise ValueError("no GTID")

    def _add_interval(self, source: str, first: int, last: int) -> None:
        """Put numbers of a source to it."""
        intervals = self.intervals.setdefault(source, [])
        if intervals and first == intervals[-1][1] + 1:
            intervals[-1] = (intervals[-1][0], last)
            return
        merged: list[tuple[int, int]] = []
        for begin, end in sorted([*intervals, (first, last)]):
            if merged and begin <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((begin, end))
        self.intervals[source] = merged

    def __str__(self) -> str:
        """As the servers tell it: `uuid:1-5:7,uuid:tag:1` or `0-1-5,0-2-9`."""
        sources = (
            ":".join([source, *(f"{a}-{b}" if a != b else f"{a}" for a, b in self.intervals[source])])
            for source in sorted(self.intervals)
        )
        return ",".join(
            [*sources, *(f"{domain}-{server}-{number}" for (domain, server), number in self.last.items())]
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` gave, or a server tells of itself. ValueError for anything else."""
        result = cls()
        for part in filter(None, re.split(r",[ \n]*", text)):
            if _MARIADB.fullmatch(part):
                result.add(part)
            else:
                result._add_source(part)
        return result

    def _add_source(self, part: str) -> None:
        """A UUID with its numbers, of which those after a tag are of that tag."""
        uuid, *others = part.split(":")
        source, has_numbers = uuid, False
        for each in others:
            found = _INTERVAL.fullmatch(each)
            if not found:
                source, has_numbers = f"{uuid}:{each}", False
                continue
            first, last = int(found[1]), int(found[2] or found[1])
            if not _MYSQL.fullmatch(f"{source}:{first}") or last < first:
                raise ValueError("no set of GTIDs")
            self._add_interval(source, first, last)
            has_numbers = True
        if not has_numbers:
            raise ValueError("no set of GTIDs")

    def copy(self) -> GtidSet:
        """One that does not change with this one."""
        return GtidSet({source: list(each) for source, each in self.intervals.items()}, dict(self.last))


def at_head(event: Event) -> GtidSet | None:
    """What a file says at its head was logged before it; None for another event. Raises Unreadable."""
    wire = Wire(event.body, event.position)
    if event.kind == Kind.PREVIOUS_GTIDS:
        return _of_mysql(wire, event.position)
    return _of_mariadb(wire, event.position) if event.kind == Kind.GTID_LIST else None


def _of_mariadb(wire: Wire, position: int) -> GtidSet:
    count = wire.number(4) & _COUNT_OF_MARIADB
    if count * _BYTES_OF_ONE > wire.left:
        raise Unreadable(Why.EVENT, position)
    result = GtidSet()
    for _ in range(count):
        domain, server, number = wire.number(4), wire.number(4), wire.number(8)
        result.last[domain, server] = number
    return result


def _of_mysql(wire: Wire, position: int) -> GtidSet:
    count = wire.number(8)
    is_tagged = count >> _HIGHEST == _TAGGED
    count = count >> 8 & _MIDDLE if is_tagged else count
    result = GtidSet()
    for _ in range(_bounded(count, wire, position)):
        source = str(UUID(bytes=wire.take(16)))
        if is_tagged and (tag := wire.take(wire.varied()).decode("latin-1")):
            source = f"{source}:{tag}"
        for _ in range(_bounded(wire.number(8), wire, position)):
            first, behind = wire.number(8), wire.number(8)
            result._add_interval(source, first, behind - 1)
    return result


def _bounded(count: int, wire: Wire, position: int) -> int:
    """A number of things that each have as many bytes at least."""
    if count * _BYTES_OF_ONE > wire.left:
        raise Unreadable(Why.EVENT, position)
    return count
