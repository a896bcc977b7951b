"""Events of a transaction are given back as they were, however many there are and wherever they waited."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backups.binlog.events import Event
from backups.binlog.held_events import HeldEvents


@pytest.mark.parametrize("most", [0, 50, 1 << 20], ids=["in a file", "in both", "in memory"])
def test_events_come_back_as_they_were_and_more_than_once(most: int) -> None:
    events = [
        Event(4 + 10 * number, number, 2**32 - 1, 7, 1 << 31, number, 0xFFFF, bytes([number]) * number)
        for number in range(40)
    ]
    found = HeldEvents(in_memory=most)

    found.extend(events[:1])
    for event in events[1:]:
        found.append(event)

    assert next(iter(found)) == events[0]
    assert list(found) == events
    assert list(found) == events


def test_they_come_out_in_their_order_as_often_as_they_are_asked_for(tmp_path: Path) -> None:
    events = [
        Event(1 << 33, 30, 5, 7, 100 + number, 0xFFFFFFFF, 1, os.urandom(number)) for number in range(200)
    ]
    held = HeldEvents(str(tmp_path), in_memory=5000)
    for event in events:
        held.append(event)

    assert list(held) == events
    assert list(held) == events
    assert held.size > 5000
    assert list(tmp_path.iterdir()) == []
