"""Which snapshots a policy keeps and which may be forgotten, worked out without asking restic. Pure.

What is held whatever a policy says comes from `holds`; `requests.retention_plan` puts both together.

The rules are restic's (internal/restic/snapshot_policy.go): newest first, each rule keeps the newest
snapshot of a day, week or month until its count is used up, and the oldest while any is left.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, tzinfo

from backups.text.sentences import english, joined, phrase

# What a restore overwrote is nowhere else. That something is missing shows when the month is closed.
SAFETY_KEPT = timedelta(days=30)
# For how long the worker keeps the rows that a comparison found.
ROWS_KEPT = timedelta(days=1)


@dataclass(frozen=True)
class Policy:
    """Of how many days, weeks and months the newest snapshot is kept."""

    daily: int
    weekly: int
    monthly: int


@dataclass(frozen=True)
class Dated:
    """A snapshot, when it was made, and with which others the policy counts it; None is with none at all."""

    id: str
    time: datetime
    series: Hashable


@dataclass(frozen=True)
class Plan:
    """The ids of what stays, each with its reasons, and of what goes."""

    keep: Mapping[str, Sequence[str]]
    forget: Sequence[str]


def plan(snapshots: Sequence[Dated], policy: Policy, held: Mapping[str, Sequence[str]], zone: tzinfo) -> Plan:
    """What a policy keeps of each series, and what is `held` whatever it says; all else goes.

    Days, weeks and months are those of the zone.
    """
    why: dict[str, list[str]] = {each.id: list(held.get(each.id, ())) for each in snapshots}
    series: dict[Hashable, list[Dated]] = {}
    for each in snapshots:
        series.setdefault(each.series, []).append(each)
    for key, of_one in series.items():
        if key is not None:
            for found, rule in _kept(of_one, policy, zone):
                why[found].append(phrase("{rule} snapshot", rule=_IN_SHORT[rule]))
    return Plan(
        keep={found: tuple(dict.fromkeys(reasons)) for found, reasons in why.items() if reasons},
        forget=tuple(found for found, reasons in why.items() if not reasons),
    )


# What reasons begin with, in the rows that they are stored in.
_IN_SHORT = {
    "daily": phrase("daily"),
    "weekly": phrase("weekly"),
    "monthly": phrase("monthly"),
    "newest": phrase("newest"),
    "newest verified": phrase("newest verified"),
    "safety": phrase("safety"),
    "wanted": phrase("wanted"),
    "pinned": phrase("pinned"),
    "last copy of a table": phrase("last copy of a table"),
    "before a suspicious one": phrase("before a suspicious one"),
    "base of the log": phrase("base of the log"),
}


# What `plan` says where a rule of the policy keeps one, which nothing else need hold.
RULES = frozenset(phrase("{rule} snapshot", rule=_IN_SHORT[rule]) for rule in ("daily", "weekly", "monthly"))


def in_short(reasons: Iterable[str]) -> str:
    """Reasons as a table has room for them, as in "newest, daily"; of another version's the first words."""
    first_words = (english(reason).partition(" snapshot")[0].partition(":")[0] for reason in reasons)
    return joined((_IN_SHORT.get(words, words) for words in first_words), ", ")


def _kept(series: Iterable[Dated], policy: Policy, zone: tzinfo) -> Iterable[tuple[str, str]]:
    left: dict[str, int] = asdict(policy)
    last: dict[str, tuple[int, ...]] = {}
    newest_first = sorted(series, key=lambda each: (each.time, each.id), reverse=True)
    for each in newest_first:
        local = each.time.astimezone(zone)
        for rule, bucket in _BUCKETS.items():
            if left[rule] and (last.get(rule) != bucket(local) or each is newest_first[-1]):
                last[rule] = bucket(local)
                left[rule] -= 1
                yield each.id, rule


_BUCKETS: dict[str, Callable[[datetime], tuple[int, ...]]] = {
    "daily": lambda time: (time.year, time.month, time.day),
    "weekly": lambda time: tuple(time.isocalendar()[:2]),
    "monthly": lambda time: (time.year, time.month),
}
