"""Events of a transaction are given back as they were, however many there are."""

from __future__ import annotations

import pytest

from backups.binlog import Event
from backups.shipping import held


@pytest.mark.parametrize("most", [0, 50, 1 << 20], ids=["in a file", "in both", "in memory"])
def test_events_come_back_as_they_were_and_more_than_once(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "MOST_IN_MEMORY", most)
    events = [
        Event(4 + 10 * number, number, 2**32 - 1, 7, 1 << 31, number, 0xFFFF, bytes([number]) * number)
        for number in range(40)
    ]
    found = held.Held()

    found.extend(events[:1])
    for event in events[1:]:
        found.append(event)

    assert next(iter(found)) == events[0]
    assert list(found) == events
    assert list(found) == events
