"""Which databases are paused, muted and retired, as the verdict has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from backups.choices import StandDownKind
from backups.models import StandDown
from backups.verdict import StandDownFacts


@dataclass(frozen=True)
class StoodDown:
    """What holds at one moment: by a database's key, and of those that are retired by name."""

    paused: Mapping[int, StandDownFacts] = field(default_factory=dict)
    muted: Mapping[int, StandDownFacts] = field(default_factory=dict)
    retired: Mapping[str, StandDownFacts] = field(default_factory=dict)


def of(rows: Iterable[StandDown], now: datetime) -> StoodDown:
    """By those that nobody ended, each with its database's name: when they end by themselves, time says."""
    paused, muted, retired = {}, {}, {}
    for each in rows:
        if each.until is not None and each.until <= now:
            continue
        facts = StandDownFacts(each.made_at, each.made_by, each.reason, each.until)
        if each.kind == StandDownKind.RETIREMENT:
            retired[each.database.name] = facts
        elif each.kind == StandDownKind.PAUSE:
            paused[each.database_id] = facts
        else:
            muted[each.database_id] = facts
    return StoodDown(paused, muted, dict(sorted(retired.items())))
