"""What is asked of a repository that opens: its snapshots, its locks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from backups import process
from backups.restic.access import Access
from backups.restic.arguments import cat_lock_args, list_locks_args, snapshots_args
from backups.restic.parsers import Lock, SnapshotInfo, parse_lock, parse_snapshots
from backups.restic.probing import probed_call
from backups.restic.problems import ResticError, UnreadableSnapshots
from backups.restic.runner import PROBE_DEADLINE_SECONDS, QUESTION_MEMORY, Calls, Command, call
from backups.text.sentences import phrase

OnUnreadable = Callable[[UnreadableSnapshots], object]


def snapshots(
    access: Access,
    *ids: str,
    tick: process.Tick | None = None,
    deadline: float | None = None,
    on_unreadable: OnUnreadable | None = None,
) -> tuple[SnapshotInfo, ...]:
    """The snapshots in the repository, oldest first; `on_unreadable` is told of those left out.

    Without a `deadline` it takes no longer than a storage is given to mend itself. Raises ResticError
    like `call`.
    """
    return _listed(access, call, _listing(access, ids, deadline), tick, on_unreadable)


def snapshots_of_known(
    access: Access,
    *,
    tick: process.Tick | None = None,
    deadline: float | None = None,
    on_unreadable: OnUnreadable | None = None,
) -> tuple[SnapshotInfo, ...]:
    """All of them, by a restic that is a `probe` as well: of no other repository than the one known.

    Raises ResticError like `probed_call`.
    """
    return _listed(access, probed_call, _listing(access, (), deadline), tick, on_unreadable)


def _listing(access: Access, ids: tuple[str, ...], deadline: float | None) -> Command:
    return Command(
        snapshots_args(*ids),
        phrase("reading the list of snapshots"),
        deadline=deadline or access.patience_seconds,
        most_memory=QUESTION_MEMORY,
    )


def _listed(
    access: Access,
    calls: Calls,
    question: Command,
    tick: process.Tick | None,
    on_unreadable: OnUnreadable | None,
) -> tuple[SnapshotInfo, ...]:
    try:
        completed = _twice(access, calls, question, tick)
    except UnreadableSnapshots as error:
        if on_unreadable is None:
            raise
        on_unreadable(error)
        completed = error.completed
    return parse_snapshots(completed.stdout)


def _twice(access: Access, calls: Calls, question: Command, tick: process.Tick | None) -> process.Completed:
    """Once more where another restic removed a snapshot just as it was read."""
    try:
        return calls(access, question, tick=tick)
    except UnreadableSnapshots:
        return calls(access, question, tick=tick)


def locks(access: Access, *, tick: process.Tick | None = None) -> tuple[Lock, ...]:
    """Who holds locks in the repository. Raises ResticError."""
    question = Command(
        list_locks_args(),
        phrase("listing locks"),
        deadline=PROBE_DEADLINE_SECONDS,
        most_memory=QUESTION_MEMORY,
    )
    listed = call(access, question, tick=tick)
    found: list[Lock] = []
    until = time.monotonic() + access.patience_seconds
    for lock_id in listed.stdout.decode(errors="replace").split():
        if time.monotonic() > until:
            raise ResticError(
                phrase(
                    "The repository at {url} has so many locks, or shows them so slowly, that they "
                    "could not all be read.",
                    url=access.url,
                ),
                code="restic.too_many_locks",
                do=phrase("Unlock it once no restic uses it."),
            )
        try:
            of_one = replace(question, args=cat_lock_args(lock_id), doing=phrase("reading a lock"))
            answer = call(access, of_one, tick=tick)
        except ResticError:
            continue  # gone since it was listed
        found.append(parse_lock(lock_id, answer.stdout))
    return tuple(found)
