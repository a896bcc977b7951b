"""Locks: who holds them since when, and the safe way to remove those that nobody needs."""

from __future__ import annotations

from django.utils import timezone

from backups import restic
from backups.actions.steps.opening import opened
from backups.models import Run
from backups.runs import notes
from backups.runs.outcome import Outcome
from backups.runs.progress import Progress
from backups.text.sentences import joined, phrase, plural


def run(run: Run, progress: Progress) -> Outcome:
    """Remove stale locks. restic takes none away whose process may still live."""
    progress.phase("unlock")
    access = opened(run, progress)
    before = restic.locks(access, tick=progress.tick)
    for lock in before:
        progress.log(f"Found {described(lock)}.")
    restic.remove_stale_locks(access, tick=progress.tick)
    after = restic.locks(access, tick=progress.tick)
    sentence = _sentence(len(before) - len(after), after)
    progress.log(sentence)
    notes.run_update(run.pk, result={"sentence": sentence, "locks": len(after)})
    return Outcome()


def described(lock: restic.Lock) -> str:
    """Who holds a lock and since when."""
    kind = phrase("an exclusive lock") if lock.exclusive else phrase("a shared lock")
    since = timezone.localtime(lock.time)
    return phrase(
        "{kind} held by process {pid} of {person} on {hostname} since {since}",
        kind=kind,
        pid=lock.pid,
        person=lock.username,
        hostname=lock.hostname,
        since=f"{since:%Y-%m-%d %H:%M:%S}",
    )


def _sentence(removed: int, left: tuple[restic.Lock, ...]) -> str:
    if not left:
        return (
            plural(
                "{n} stale lock removed; the repository is free.",
                "{n} stale locks removed; the repository is free.",
                n=removed,
            )
            if removed
            else phrase("No locks.")
        )
    return plural(
        "{n} stale lock removed. Still held: {left}. That restic may be at work. If it is dead, its lock "
        "counts as stale after 30 minutes.",
        "{n} stale locks removed. Still held: {left}. That restic may be at work. If it is dead, its lock "
        "counts as stale after 30 minutes.",
        n=removed,
        left=joined(map(described, left), "; "),
    )
