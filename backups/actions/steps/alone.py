"""What needs the repository for itself, while others may be using it.

restic ends with 11 where somebody holds a lock. One that a dead restic left goes, our own runs are waited
for as long as they live, and at night what somebody else does for some minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from backups import process, restic
from backups.choices import Status, Trigger
from backups.models import Run
from backups.runs.progress import Progress
from backups.runs.refusals import describe
from backups.text.sentences import phrase

# The next try of a night comes in an hour; until then nobody's backup is to wait for a stranger.
STRANGERS_SECONDS = 600.0
Calls = Callable[[Sequence[str]], process.Completed]
# Runs in these phases have not opened the repository, and may themselves wait for us.
_NOT_THERE_YET = ("", "preflight", "copy", "safety backup")


def call(
    run: Run, access: restic.Access, command: Callable[[], restic.Command], progress: Progress
) -> process.Completed:
    """`restic.probed_call`, once nobody else holds a lock. Raises as that does: RepositoryLocked in the end.

    The command is made anew for each try, as hours may lie between the first and the last.
    """
    first = command()
    try:
        return restic.probed_call(access, replace(first, args=restic.at_once(first.args)), tick=progress.tick)
    except restic.RepositoryLocked:
        # A restic that was killed leaves its lock behind, which nobody else takes away.
        restic.remove_stale_locks(access, tick=progress.tick)
    until = time.monotonic() + (STRANGERS_SECONDS if run.trigger == Trigger.SCHEDULE else 0)
    told = ""
    while True:
        try:
            return restic.call(access, command(), tick=progress.tick)
        except restic.RepositoryLocked as locked:
            # Who typed a command is told at once rather than kept.
            ours = _at_work(run) if run.trigger != Trigger.CLI else None
            if ours is None and time.monotonic() > until:
                raise
            words = _waits_for(ours, locked)
        if words != told:
            progress.log(words)
            told = words
        progress.detail(words)


def past_stale_locks(
    access: restic.Access, args: Sequence[str], call: Calls, progress: Progress
) -> process.Completed:
    """What `call` answers of these arguments; where a lock was in the way, once more without stale ones.

    Then restic waits for a while for those who still hold one. Raises as `call` does, and MayNotDelete.
    """
    try:
        return call(restic.at_once(args))
    except restic.RepositoryLocked:
        restic.remove_stale_locks(access, tick=progress.tick)
    return call(args)


def _at_work(run: Run) -> Run | None:
    """Another run of ours that may hold a lock in the repository."""
    others = Run.objects.filter(repository=run.repository, status=Status.RUNNING).exclude(pk=run.pk)
    return others.exclude(phase__in=_NOT_THERE_YET).order_by("pk").first()


def _waits_for(ours: Run | None, locked: restic.RepositoryLocked) -> str:
    if ours is not None:
        return phrase("Waiting for {describe}, which uses the repository.", describe=describe(ours))
    return phrase("Waiting for another program that uses the repository. {what}", what=locked.what)
