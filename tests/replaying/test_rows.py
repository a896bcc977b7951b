"""Row events as statements: none of another database, whatever they are made of, and none too long."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterable

import pytest

from backups.binlog.events import HEADER, Event
from backups.binlog.kinds import Kind
from backups.binlog.table_maps import STATEMENT_END, flags_of, renamed
from backups.replaying.fence import NotOurs, refuse_others
from backups.replaying.rows import Group, binlog, fits, in_fragments, packet_for, statements

TARGET = b"shop__x"


def table_map(number: int, database: bytes, table: bytes = b"t") -> Event:
    body = number.to_bytes(6, "little") + b"\1\0" + bytes([len(database)]) + database + b"\0"
    body += bytes([len(table)]) + table + b"\0" + b"\1\3\0\0"
    return Event(4, Kind.TABLE_MAP, 0, 1, HEADER.size + len(body), 0, 0, body)


def rows(number: int, size: int = 10, *, ends: bool = False) -> Event:
    body = number.to_bytes(6, "little") + bytes([int(ends), 0, 2, 0, 1, 255]) + b"x" * size
    return Event(4, Kind.WRITE_ROWS, 0, 1, HEADER.size + len(body), 0, 0, body)


def events_in(raw: bytes) -> list[Event]:
    found, at = [], 0
    while at < len(raw):
        when, kind, server, size, end, flags = HEADER.unpack_from(raw, at)
        found.append(Event(0, kind, when, server, size, end, flags, raw[at + HEADER.size : at + size]))
        at += size
    return found


def raw(events: Iterable[Event]) -> bytes:
    return b"".join(event.raw for event in events)


OURS = table_map(1, TARGET)


def test_rows_of_the_target_pass_the_fence() -> None:
    refuse_others(raw([OURS, rows(1), rows(1, ends=True)]), TARGET)
    refuse_others(
        raw([renamed(table_map(1, b"shop"), TARGET), rows(1, ends=True), OURS, rows(1, ends=True)]), TARGET
    )


@pytest.mark.parametrize(
    "events",
    [
        [table_map(1, b"shop"), rows(1, ends=True)],
        [table_map(1, b"shop__xy"), rows(1, ends=True)],
        [table_map(1, b"shop__"), rows(1, ends=True)],
        [table_map(1, b"SHOP__X"), rows(1, ends=True)],
        [OURS, table_map(2, b"other"), rows(1), rows(2, ends=True)],
        # Of a table that was told in another statement, or never.
        [OURS, rows(2, ends=True)],
        [OURS, rows(1, ends=True), rows(1, ends=True)],
        # Left open: the server would take what comes next for a part of it.
        [OURS, rows(1)],
        [OURS],
        [OURS, rows(1, ends=True)._replace(kind=Kind.QUERY)],
        [OURS, rows(1, ends=True)._replace(kind=Kind.FORMAT)],
        [OURS, rows(1, ends=True)._replace(kind=Kind.WRITE_ROWS_COMPRESSED)],
        [OURS, rows(1, ends=True)._replace(body=b"\1")],
    ],
)
def test_nothing_else_does(events: list[Event]) -> None:
    with pytest.raises(NotOurs):
        refuse_others(raw(events), TARGET)


def test_bytes_that_were_cut_or_changed_do_not_pass_for_others_rows() -> None:
    whole = raw([OURS, rows(1), rows(1, ends=True)])
    for length in range(1, len(whole)):
        with pytest.raises(NotOurs):
            refuse_others(whole[:length], TARGET)
    chance = random.Random(1)
    for _ in range(500):
        changed = bytearray(whole)
        changed[chance.randrange(len(whole))] = chance.randrange(256)
        try:
            refuse_others(bytes(changed), TARGET)
        except NotOurs:
            continue
        maps = [event for event in events_in(bytes(changed)) if event.kind == Kind.TABLE_MAP]
        assert all(event.body[9 : 9 + event.body[8]] == TARGET for event in maps)


def test_a_long_statement_is_divided_between_its_events_each_part_whole_in_itself() -> None:
    group = Group([OURS, table_map(2, TARGET)], [rows(1, 1000, ends=False) for _ in range(10)])

    parts = list(statements([group], 3500))

    assert all(len(part) <= 3500 for part in parts)
    for part in parts:
        refuse_others(part, TARGET)
        assert [event.kind for event in events_in(part)[:2]] == [Kind.TABLE_MAP] * 2
    sent = [event for part in parts for event in events_in(part) if event.kind == Kind.WRITE_ROWS]
    assert len(sent) == 10
    assert sum(bool(flags_of(event) & STATEMENT_END) for event in sent) == len(parts)


def test_short_ones_go_together_each_with_its_end() -> None:
    groups = [Group([OURS], [rows(1)]) for _ in range(5)]

    (one,) = statements(groups, 10_000)

    refuse_others(one, TARGET)
    assert len(list(statements(groups, groups[0].size * 2))) == 3
    assert binlog(one) == b"BINLOG '" + base64.b64encode(one) + b"'"


@pytest.mark.parametrize("packet", [1 << 20, 16 << 20, (16 << 20) + 1])
def test_what_fits_into_a_packet_does_and_what_does_not_needs_the_one_that_is_named(packet: int) -> None:
    for fragments in (1, 2):
        size = fits(packet, fragments=fragments)
        longest = b"x" * size
        sent = [binlog(longest)] if fragments == 1 else in_fragments(longest)
        assert max(map(len, sent)) + 1 <= packet
        needed = packet_for(size + 3, fragments=fragments)
        assert needed >= packet
        assert fits(needed, fragments=fragments) >= size + 3
