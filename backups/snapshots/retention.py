"""What restic's forget would keep, worked out without asking it: for the preview in a form. Pure.

The rules are restic's (internal/restic/snapshot_policy.go): newest first, each rule keeps the newest
snapshot of a day, week or month until its count is used up, and the oldest while any is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from backups.text.sentences import joined, phrase

# What a restore overwrote is nowhere else. That something is missing shows when the month is closed.
SAFETY_KEPT = timedelta(days=30)


# What the rules are called, in the rows that a rule keeps and before people.
IN_WORDS = {
    "daily": phrase("daily"),
    "weekly": phrase("weekly"),
    "monthly": phrase("monthly"),
    "newest": phrase("newest"),
}


def in_words(rules: Iterable[str]) -> str:
    """Rules for people; of those of another version the names alone."""
    return joined((IN_WORDS.get(rule, rule) for rule in rules), ", ")


def kept(times: Sequence[datetime], *, daily: int, weekly: int, monthly: int) -> dict[datetime, list[str]]:
    """Which of the local `times` are kept, and by which rules, newest first."""
    left = {"daily": daily, "weekly": weekly, "monthly": monthly}
    last: dict[str, tuple[int, ...]] = {}
    found: dict[datetime, list[str]] = {}
    newest_first = sorted(times, reverse=True)
    for time in newest_first:
        for rule, bucket in _BUCKETS.items():
            if left[rule] == 0 or (last.get(rule) == bucket(time) and time is not newest_first[-1]):
                continue
            last[rule] = bucket(time)
            left[rule] -= 1
            found.setdefault(time, []).append(rule)
    if newest_first:
        # Ours: the newest stays whatever the rules say.
        found.setdefault(newest_first[0], ["newest"])
    return found


_BUCKETS: dict[str, Callable[[datetime], tuple[int, ...]]] = {
    "daily": lambda time: (time.year, time.month, time.day),
    "weekly": lambda time: tuple(time.isocalendar()[:2]),
    "monthly": lambda time: (time.year, time.month),
}
