"""Events of a transaction come out as they were put in, wherever they waited."""

from __future__ import annotations

import os
from pathlib import Path

from backups.binlog.events import Event
from backups.replaying.held_events import HeldEvents


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
