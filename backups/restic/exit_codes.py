"""What a restic that ended without success means: by its exit code, or by its words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from backups import process
from backups.restic.access import Access
from backups.restic.missing import no_repository
from backups.restic.output import reasons
from backups.restic.problems import (
    AlreadyInitialised,
    CommandFailed,
    IncompleteSource,
    Interrupted,
    Killed,
    RepositoryFull,
    RepositoryLocked,
    ResticError,
    SnapshotGone,
    WrongPassword,
)
from backups.restic.storage_errors import (
    certificate_missing,
    not_permitted,
    refused,
    unreachable,
    unreachable_from_words,
)
from backups.text.sentences import phrase

_NO_SUCH_FILE = "specified key does not exist|nosuchkey|no such file or directory"


def error_from(completed: process.Completed, access: Access, doing: str) -> ResticError:
    """What a restic that ended without success means; unknown ends are failures."""
    code = completed.returncode
    lines = reasons(completed.stderr_tail)
    if code < 0:
        return Killed(
            phrase("restic was killed by signal {signal} while {doing}.", signal=-code, doing=doing),
            do=phrase("See whether the machine ran out of memory, then try again."),
        )
    by_code = {10: no_repository, 11: _locked, 12: _wrong_password}
    if code in by_code:
        return by_code[code](access, lines)
    return _error_from_words(lines, access, doing) or _error_otherwise(code, lines, doing)


def _error_otherwise(code: int, lines: Sequence[str], doing: str) -> ResticError:
    last = lines[-1] if lines else phrase("it gave no reason")
    if code == 130:
        return Interrupted(phrase("restic was interrupted while {doing}: {last}.", doing=doing, last=last))
    if code == 3:
        return IncompleteSource(
            phrase("restic could not read all of its source while {doing}: {last}.", doing=doing, last=last)
        )
    return ResticError(
        phrase(
            "restic failed while {doing} (exit status {code}): {last}.",
            doing=doing,
            code=code,
            last=last.rstrip("."),
        ),
        do=phrase(
            "Press Test connection, or run `manage.py preflight`: it looks at storage and password one by "
            "one. Then try again."
        ),
    )


def _error_from_words(lines: Sequence[str], access: Access, doing: str) -> ResticError | None:
    text = "\n".join(lines).lower()
    if "start the sftp session" in text:
        # Whatever else ssh complained of, as of a key that is not there.
        return unreachable(access, lines)
    if "no space left on device" in text or "disk quota exceeded" in text:
        return RepositoryFull(
            phrase(
                "No space is left on the disk that holds the repository or restic's cache ({doing}).",
                doing=doing,
            ),
            do=phrase("Free some space, then try again."),
        )
    if "command failed" in text:
        said = next(line for line in lines if "command failed" in line.lower())
        return CommandFailed(
            phrase(
                "The program whose output restic was to store did not end well: {said}.",
                said=said.rstrip("."),
            ),
            do=phrase("Try again."),
        )
    if missing := certificate_missing(lines, doing):
        return missing
    if "config file already exists" in text:
        return AlreadyInitialised(
            phrase("There is a repository at {url} already.", url=access.url),
            do=phrase("Nothing needs to be done."),
        )
    if re.search(rf"failed to find snapshot: (?:.*(?:{_NO_SUCH_FILE})|no matching id found)", text):
        return _snapshot_gone(lines[-1], access, doing)
    if denied := not_permitted(lines, access, doing):
        return denied
    if re.search(_NO_SUCH_FILE, text):
        return ResticError(
            phrase(
                "The storage of {url} lacks a file that restic needs ({doing}).", url=access.url, doing=doing
            ),
            code="restic.file_missing",
            do=phrase(
                "See whether somebody or a lifecycle rule removes files there, then check the repository."
            ),
        )
    return unreachable_from_words(text, access, lines)


def _snapshot_gone(said: str, access: Access, doing: str) -> SnapshotGone:
    return SnapshotGone(
        phrase(
            "The repository at {url} does not hold that snapshot any more ({doing}): {said}.",
            url=access.url,
            doing=doing,
            said=said.rstrip("."),
        ),
        do=phrase("Run `manage.py snapshots`, which brings the list up to date, and choose another one."),
    )


def _wrong_password(access: Access, _lines: Sequence[str]) -> WrongPassword:
    return WrongPassword(
        phrase("The password does not open the repository {url}.", url=access.url),
        do=phrase(
            "Set {password_set_by} to the one that it was made with.",
            password_set_by=access.password_set_by,
        ),
    )


def _locked(access: Access, lines: Sequence[str]) -> RepositoryLocked:
    holder = next((line for line in lines if "lock" in line.lower()), phrase("by another restic"))
    return RepositoryLocked(
        phrase("The repository {url} is locked: {holder}.", url=access.url, holder=holder),
        do=phrase("Wait for the other restic to end; if it died, run `manage.py repository unlock`."),
    )


def complaint(stderr: Sequence[str], access: Access, doing: str) -> ResticError | None:
    """What kept restic from files though it ended well, as a repair does that leaves them out."""
    lines = reasons(stderr)
    return not_permitted(lines, access, doing) or refused(lines, access)
