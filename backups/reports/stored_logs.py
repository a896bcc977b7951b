"""Up to when any moment of a database can be restored, as pages, monitors and commands tell it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from django.db.models import Count, Q
from django.utils import timezone

from backups.choices import ArchiveState
from backups.models import Database, LogArchive, LogGap
from backups.moments.newest import newest
from backups.moments.refusals import why
from backups.moments.rows import log_of
from backups.moments.timeline import Barrier, Log
from backups.moments.until import local
from backups.moments.windows import Window, open_barrier, windows
from backups.text import formatting
from backups.text.sentences import english, phrase
from backups.verdict import LogDoubt


@dataclass(frozen=True)
class StoredLog:
    """A database's stored log, with the times of which any moment can be had."""

    log: Log
    windows: Sequence[Window]

    @property
    def reaches_the_end(self) -> bool:
        """Whether the newest moment that can be had is the end of what is stored."""
        return bool(self.windows) and self.windows[-1].ends == self.log.stored_until

    @cached_property
    def barrier(self) -> Barrier | None:
        """What no replay goes past and no backup stands behind, so that no later moment can be had."""
        return open_barrier(self.log)

    def told_of_barrier(self) -> tuple[str, str] | None:
        """Why no later moment can be had, and what to do; None without such a barrier."""
        if self.barrier is None:
            return None
        if self.barrier.moment is None:
            reason = phrase("Newer moments cannot be restored: {why}", why=why(self.barrier))
        else:
            reason = phrase(
                "Moments after {since} cannot be restored: the log cannot be replayed past that. {why}",
                since=local(self.barrier.moment),
                why=why(self.barrier),
            )
        return reason, phrase("Make a backup: moments after it can be restored again.")

    def sentence(self, now: datetime | None = None) -> str:
        """What can be restored, of several times the newest."""
        now = now or timezone.now()
        if not self.windows:
            return phrase("No moment can be restored yet: the log goes on from the next backup.")
        newest = self.windows[-1]
        begins, ends = (formatting.to_the_second(each, now) for each in newest.whole)
        if self.barrier is not None:
            return phrase(
                "Restorable to any moment from {begins} to {ends}, and to no later one before the next "
                "backup.",
                begins=begins,
                ends=ends,
            )
        if not self.reaches_the_end:
            return phrase(
                "Restorable to any moment from {begins} to {ends}, and not to later ones.",
                begins=begins,
                ends=ends,
            )
        return phrase(
            "Restorable to any moment from {begins} to {ends} ({age}).",
            begins=begins,
            ends=ends,
            age=behind(newest.ends, now),
        )


def look(database: Database) -> StoredLog:
    """By the rows of now: five queries, for a page of one database."""
    log = log_of(database)
    return StoredLog(log, windows(log))


def newest_of(database: Database) -> StoredLog:
    """The same with the newest window alone, for who looks at many: of a log's marks few are read."""
    log = log_of(database, with_marks=False)
    window = newest(database, log)
    return StoredLog(log, [window] if window else [])


def behind(until: datetime, now: datetime) -> str:
    """How long ago the end of what is stored was, to the second: it is a minute, or something is wrong."""
    return phrase("{duration} ago", duration=formatting.duration(round((now - until).total_seconds())))


def short(state: str, until: datetime | None, now: datetime) -> str:
    """In a line, of which no further row is read; empty where it is off."""
    if not state or state == ArchiveState.OFF:
        return ""
    if state == ArchiveState.FOLLOWING and until is not None:
        return phrase(
            "stored up to {until} ({age})",
            until=formatting.to_the_second(until, now),
            age=behind(until, now),
        )
    return str(ArchiveState(state).label) if state in ArchiveState.values else state


def told() -> Mapping[str, Mapping[str, Any]]:
    """For monitors: of the databases whose log is stored, by their names, from when to when, open gaps."""
    wanted = (
        LogArchive.objects.exclude(state=ArchiveState.OFF)
        .select_related("database")
        .annotate(
            gaps_open=Count("database__log_gaps", filter=Q(database__log_gaps__ends=None), distinct=True)
        )
    )
    return {archive.database.name: _as_json(archive) for archive in wanted}


def doubts(databases: Iterable[Any], barred: Collection[int]) -> dict[int, LogDoubt]:
    """By their keys: of which databases, whose log is stored, newer moments cannot be had, and why.

    Of the databases it is told whether somebody wants their log (`log_state`), and of all of them one query
    is asked; `barred` are the keys of those that may stand at a barrier, by their alerts, and of each of
    those a few more.
    """
    wanted = {each.pk: each for each in databases if each.log_state not in (None, "", ArchiveState.OFF)}
    if not wanted:
        return {}
    gaps = LogGap.objects.filter(ends=None, database__log_archive__in=LogArchive.objects.wanted())
    found = {
        gap.database_id: LogDoubt("log_gap", _gap_words(wanted[gap.database_id], gap))
        for gap in gaps.order_by("-pk")
        if gap.database_id in wanted
    }
    for key in wanted.keys() & set(barred) - found.keys():
        if (told_of_it := newest_of(wanted[key]).told_of_barrier()) is not None:
            found[key] = LogDoubt("log_barrier", told_of_it[0])
    return found


def _gap_words(database: Database, gap: LogGap) -> str:
    return phrase(
        "The binary log of {database} is not stored from {begins} on: {sentence}",
        database=database,
        begins=local(gap.begins),
        sentence=gap.sentence,
    )


def barrier_as_json(stored: StoredLog) -> dict[str, Any] | None:
    """What no replay goes past and no backup stands behind; None without any."""
    told_of_it, barrier = stored.told_of_barrier(), stored.barrier
    if barrier is None or told_of_it is None:
        return None
    reason, step = told_of_it
    return {
        "since": _time(barrier.moment) if barrier.moment else None,
        "position": f"{barrier.place.file}:{barrier.place.position}",
        "code": barrier.code,
        "reason": english(reason),
        "next_step": english(step),
    }


def _as_json(archive: Any) -> dict[str, Any]:
    stored = newest_of(archive.database)
    found = stored.windows
    return {
        "restorable_from": _time(found[-1].begins) if found else None,
        "restorable_to": _time(found[-1].ends) if found else None,
        "log_gaps_open": archive.gaps_open,
        "log_barrier": barrier_as_json(stored),
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
