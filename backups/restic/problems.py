"""The kinds of problems with restic and its repository that whoever calls tells apart."""

from __future__ import annotations

from collections.abc import Sequence

from backups import process
from backups.errors import Problem
from backups.restic.access import Access
from backups.text.sentences import phrase

# `--stdin-from-command` with a path in `--stdin-filename` fails in 0.18.0.
OLDEST_VERSION = (0, 18, 1)


class ResticError(Problem):
    """restic ended without success."""

    code = "restic.failed"


class NoRepository(ResticError):
    """There is no repository at the location (exit status 10)."""

    code = "restic.no_repository"


# Of one in whose place another was begun, above all.
LEFT = phrase(
    "No database is backed up to it any more. If it is gone for good, nothing needs to be done: its "
    "snapshots stay listed. If not, bring it back to its place."
)


class OtherRepository(ResticError):
    """Another repository lies at the location than the one that is known there."""

    code = "restic.other_repository"

    def __init__(self, what: str, access: Access, found_id: str = "") -> None:
        self.found_id = found_id
        super().__init__(
            what,
            do=phrase(
                "If its disk or share is not mounted, or another one is, mount the right one. If the "
                "address is wrong, correct {url_set_by}. If the repository that is there should be "
                "used from now on, {another}. The snapshots of the known one stay listed.",
                url_set_by=access.url_set_by,
                another=access.names.another,
            )
            if access.names.is_used
            else LEFT,
        )


class WrongPassword(ResticError):
    """The password opens no key of the repository (exit status 12)."""

    code = "restic.wrong_password"


class RepositoryLocked(ResticError):
    """Another restic holds a lock (exit status 11)."""

    code = "restic.locked"


class RepositoryUnreachable(ResticError):
    """The repository's storage gave no answer or refused."""

    code = "restic.unreachable"


class NoBucket(RepositoryUnreachable):
    """The storage answers, but has no such bucket."""

    code = "restic.no_bucket"


class AccessDenied(RepositoryUnreachable):
    """The storage refuses our keys."""

    code = "restic.access_denied"


class MayNotDelete(AccessDenied):
    """The storage lets us add files, but not remove them."""

    code = "restic.may_not_delete"


class NotPermitted(RepositoryUnreachable):
    """The user that restic runs as may not read or write the repository's files."""

    code = "restic.not_permitted"


class RepositoryFull(ResticError):
    """No space is left where the repository (or restic's cache) lies."""

    code = "restic.full"


class UnreadableSnapshots(ResticError):
    """Some snapshots (`ids`) are in the repository, but restic's answer (`completed`) left them out."""

    code = "restic.unreadable_snapshots"

    def __init__(self, ids: Sequence[str], completed: process.Completed) -> None:
        self.ids = tuple(ids)
        self.completed = completed
        named = ", ".join(snapshot_id[:8] for snapshot_id in ids[:10])
        super().__init__(
            phrase("The repository holds snapshots that cannot be read now: {named}.", named=named),
            do=phrase("See whether the storage works, then check the repository."),
        )


class SnapshotGone(ResticError):
    """The repository has no such snapshot: forgotten by somebody else, or its file is lost."""

    code = "restic.snapshot_gone"


class AlreadyInitialised(ResticError):
    """There is a repository already."""

    code = "restic.already_initialised"


class Interrupted(ResticError):
    """restic was stopped, or stopped itself because its source failed (exit status 130)."""

    code = "restic.interrupted"


class IncompleteSource(ResticError):
    """restic could not read all of its source (exit status 3)."""

    code = "restic.incomplete_source"


class CommandFailed(ResticError):
    """The command whose output restic was to store ended without success."""

    code = "restic.command_failed"


class Killed(ResticError):
    """A signal ended restic."""

    code = "restic.killed"


class DamagedData(ResticError):
    """The repository's data is not what was written."""

    code = "restic.damaged_data"


def get_restic() -> str:
    """What to do where restic is missing or too old."""
    wanted = ".".join(map(str, OLDEST_VERSION))
    return phrase("Install restic {wanted} or newer; `make setup` does it on Debian.", wanted=wanted)
