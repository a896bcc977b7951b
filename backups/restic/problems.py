"""What the ends of restic mean, in sentences."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from backups import process
from backups.errors import Problem, shortened
from backups.restic import ssh
from backups.restic.access import Access
from backups.restic.lines import readable, reasons
from backups.restic.refusals import BUCKET, FULL, KEYS, refusal_in, said_in

# `--stdin-from-command` with a path in `--stdin-filename` fails in 0.18.0.
OLDEST_VERSION = (0, 18, 1)


class ResticError(Problem):
    """restic ended without success."""


class NoRepository(ResticError):
    """There is no repository at the location (exit status 10)."""


# Of one in whose place another was begun, above all.
_LEFT = (
    "No database is backed up to it any more: if it is gone for good, nothing needs to be done, and what it "
    "held stays listed; if not, bring it back to its place."
)


class OtherRepository(ResticError):
    """There is a repository at the location, and not the one that is known to lie there."""

    def __init__(self, what: str, access: Access, found_id: str = "") -> None:
        self.found_id = found_id
        super().__init__(
            what,
            do="If its disk or share is not mounted, or another one is, mount the right one; if the address "
            f"is wrong, correct {access.url_set_by}. If the one that is there is to be used from now on, "
            f"{access.names.another}; what the known one held stays listed."
            if access.names.is_used
            else _LEFT,
        )


class WrongPassword(ResticError):
    """The password opens no key of the repository (exit status 12)."""


class RepositoryLocked(ResticError):
    """Another restic holds a lock (exit status 11)."""


class RepositoryUnreachable(ResticError):
    """The repository's storage gave no answer or refused."""


class NoBucket(RepositoryUnreachable):
    """The storage answers, but has no such bucket."""


class AccessDenied(RepositoryUnreachable):
    """The storage refuses our keys."""


class MayNotDelete(AccessDenied):
    """The storage lets us add files and not remove them."""


class NotPermitted(RepositoryUnreachable):
    """The user that restic runs as may not read or write the repository's files."""


class RepositoryFull(ResticError):
    """No space is left where the repository (or restic's cache) lies."""


class UnreadableSnapshots(ResticError):
    """Snapshots (`ids`) are in the repository, and restic answered (`completed`) without them."""

    def __init__(self, ids: Sequence[str], completed: process.Completed) -> None:
        self.ids = tuple(ids)
        self.completed = completed
        named = ", ".join(snapshot_id[:8] for snapshot_id in ids[:10])
        super().__init__(
            f"The repository holds snapshots that cannot be read now: {named}.",
            do="See whether the storage works, then check the repository.",
        )


class SnapshotGone(ResticError):
    """The repository has no such snapshot: forgotten by somebody else, or its file is lost."""


class AlreadyInitialised(ResticError):
    """There is a repository already."""


class Interrupted(ResticError):
    """restic was stopped, or stopped itself because its source failed (exit status 130)."""


class IncompleteSource(ResticError):
    """restic could not read all of its source (exit status 3)."""


class CommandFailed(ResticError):
    """The command whose output restic was to store ended without success."""


class Killed(ResticError):
    """A signal ended restic."""


class DamagedData(ResticError):
    """The repository's data is not what was written."""


def error_from(completed: process.Completed, access: Access, doing: str) -> ResticError:
    """What a restic that ended without success means; unknown ends are failures."""
    code = completed.returncode
    lines = reasons(completed.stderr_tail)
    if code < 0:
        return Killed(
            f"restic was killed by signal {-code} while {doing}.",
            do="See whether the machine ran out of memory, then try again.",
        )
    by_code = {10: _no_repository, 11: _locked, 12: _wrong_password}
    if code in by_code:
        return by_code[code](access, lines)
    return _error_from_words(lines, access, doing) or _error_otherwise(code, lines, doing)


def _error_otherwise(code: int, lines: Sequence[str], doing: str) -> ResticError:
    last = lines[-1] if lines else "it gave no reason"
    if code == 130:
        return Interrupted(f"restic was interrupted while {doing}: {last}.")
    if code == 3:
        return IncompleteSource(f"restic could not read all of its source while {doing}: {last}.")
    return ResticError(
        f"restic failed while {doing} (exit status {code}): {last.rstrip('.')}.",
        do="Run preflight, which looks at storage and password one by one; then try again.",
    )


_NO_SUCH_FILE = "specified key does not exist|nosuchkey|no such file or directory"


def _error_from_words(lines: Sequence[str], access: Access, doing: str) -> ResticError | None:
    text = "\n".join(lines).lower()
    if "start the sftp session" in text:
        # Whatever else ssh complained of, as of a key that is not there.
        return unreachable(access, lines)
    if "no space left on device" in text or "disk quota exceeded" in text:
        return RepositoryFull(
            f"No space is left on the disk that holds the repository or restic's cache ({doing}).",
            do="Free some space, then try again.",
        )
    if "command failed" in text:
        said = next(line for line in lines if "command failed" in line.lower())
        return CommandFailed(
            f"The program whose output restic was to store did not end well: {said.rstrip('.')}.",
            do="Try again.",
        )
    if missing := _certificate_missing(lines, doing):
        return missing
    if "config file already exists" in text:
        return AlreadyInitialised(
            f"There is a repository at {access.url} already.", do="Nothing needs to be done."
        )
    if re.search(rf"failed to find snapshot: (?:.*(?:{_NO_SUCH_FILE})|no matching id found)", text):
        return SnapshotGone(
            f"The repository at {access.url} holds that snapshot no more ({doing}): {lines[-1].rstrip('.')}.",
            do="Run `manage.py snapshots`, which brings the list up to date, and choose another one.",
        )
    if denied := not_permitted(lines, access, doing):
        return denied
    if re.search(_NO_SUCH_FILE, text):
        return ResticError(
            f"The storage of {access.url} lacks a file that restic needs ({doing}).",
            do="See whether somebody or a lifecycle rule removes files there, then check the repository.",
        )
    return _unreachable_from_words(text, access, lines)


_CERTIFICATES = {
    "RESTIC_CACERT": re.compile(r"unable to read root certificate: open (\S+): "),
    "RESTIC_TLS_CLIENT_CERT": re.compile(r"^(?:Fatal: )?ReadFile: open (\S+): "),
}


def _certificate_missing(lines: Sequence[str], doing: str) -> ResticError | None:
    """A file that restic is told of for TLS, and reads whatever the repository is."""
    for name, words in _CERTIFICATES.items():
        for line in lines:
            if found := words.search(line):
                return ResticError(
                    f"restic cannot read the file {found[1]}, which {name} names ({doing}).",
                    do=f"Correct {name}, or take it out: a repository in a folder needs none.",
                )
    return None


_OF_A_FILE = re.compile(
    r"(?:open|read|write|lstat|stat|mkdir|unlink\w*|remove|rename|chmod|fdopendir|readdirent) "
    r"(?P<path>\S.*?): (?:permission denied|operation not permitted)"
)


def not_permitted(lines: Sequence[str], access: Access, doing: str) -> NotPermitted | None:
    """The file that our user may not touch, where restic named one; without its cache it can do."""
    for line in lines:
        found = None if "open cache" in line else _OF_A_FILE.search(line)
        if found and not (access.cache_dir and found["path"].startswith(access.cache_dir)):
            return not_ours(found["path"], access, doing)
    return None


def not_ours(path: str, access: Access, doing: str) -> NotPermitted:
    """A file of the repository that another user made."""
    return NotPermitted(
        f"The user {process.user_name()} may not read or write {path} of the repository {access.url} "
        f"({doing}): another user made it, as a run as root does.",
        do=_give(access),
    )


def complaint(stderr: Sequence[str], access: Access, doing: str) -> ResticError | None:
    """What kept restic from files though it ended well, as a repair does that leaves them out."""
    lines = reasons(stderr)
    return not_permitted(lines, access, doing) or refused(lines, access)


def _give(access: Access) -> str:
    """How the repository's files come to belong to whom Vedetta runs as."""
    if not access.folder:
        return "Give all files of the repository to the user that we log in as, on the storage itself."
    user = process.user_name()
    folder = shlex.quote(access.folder)
    return f"As root, run: chown -R {user}: {folder} and run commands as {user} from now on."


_NOT_REMOVED = re.compile(
    r"(?i)Remove\(<\w+/.*(?:access ?denied|40[13]\b|forbidden|not authori[sz]ed|object ?lock|retention|worm)"
)


def refused(lines: Sequence[str], access: Access, *, final_only: bool = False) -> ResticError | None:
    """What the storage's own "no" means, where it said one."""
    if kept := next((line for line in lines if _NOT_REMOVED.search(line)), ""):
        return MayNotDelete(
            f"The storage of {access.url} refuses our keys ({_without_secrets(said_in(kept), access)}): they "
            "may add files and may not delete there.",
            do="If that is meant, as with append-only storage, set BACKUP_KEEP_ALL=true: then nothing is "
            "forgotten. If not, allow deleting there (S3: DeleteObject in our key's policy; a REST server: "
            "without --append-only).",
        )
    found = refusal_in("\n".join(lines), final_only=final_only)
    if found is None:
        return None
    refusal, said = found
    if access.scheme in ("", "sftp") and refusal.kind == KEYS:
        return None
    kinds = {BUCKET: NoBucket, KEYS: AccessDenied, FULL: RepositoryFull}
    return kinds.get(refusal.kind, RepositoryUnreachable)(
        refusal.what.format(storage=access.url, said=_without_secrets(said, access)),
        do=refusal.do.format(keys=access.keys_named, url_set_by=access.url_set_by),
    )


# What is shorter would only garble the words.
_SHORTEST_SECRET = 4


def _without_secrets(said: str, access: Access) -> str:
    """A storage's own words, which may repeat what it was sent."""
    for secret in access.secret_values():
        if len(secret) >= _SHORTEST_SECRET:
            said = said.replace(secret, "…")
    return said


_UNREACHABLE = re.compile(
    r"returned error, retrying|connection refused|no such host|i/o timeout|dial tcp|start the sftp session"
    r"|error talking http to rclone"
)


def _unreachable_from_words(text: str, access: Access, lines: Sequence[str]) -> ResticError | None:
    if no := refused(lines, access):
        return no
    return unreachable(access, lines) if _UNREACHABLE.search(text) else None


# An answer of the storage itself, and not of the network.
_ANSWERED = re.compile(
    r"(?i)error response code|http response \(\d+\)|\b[45]\d\d [a-z]+|internal error|slow ?down|try again"
)
# S3 says what it has to say in words of its own, of which there is no end; the network's are few.
_OF_THE_NETWORK = re.compile(
    r"(?i)dial|lookup|no such host|no route|unreachable|refused|reset|broken pipe|\beof\b|time(?:d )?-?out"
    r"|deadline|tls|handshake|x509|certificate|closed|cancell?ed|proxy|malformed"
)


def _is_answer(line: str, access: Access) -> bool:
    if _ANSWERED.search(line):
        return True
    is_tried_again = "returned error, retrying" in line
    return access.scheme == "s3" and is_tried_again and not _OF_THE_NETWORK.search(said_in(line))


def no_bucket(access: Access) -> ResticError:
    """The storage works, and the bucket is not there."""
    return refused(["bucket does not exist"], access) or unreachable(access)


def unreachable(access: Access, lines: Sequence[str] = ()) -> ResticError:
    """The storage gives no answer, or none but "no"; `lines` are restic's last words about it."""
    if no := refused(lines, access):
        return no
    if said := ssh.said_in(lines):
        why, do = ssh.meaning(said, process.user_name(), access.url_set_by)
        return RepositoryUnreachable(f"The repository {access.url} cannot be reached: {why}.", do=do)
    last = next((line for line in reversed(lines) if line.strip()), "")
    if rclone := [line for line in lines if "rclone: " in line and "error talking" not in line]:
        last = rclone[-1]
    if _is_answer(last, access):
        return RepositoryUnreachable(
            f"The repository {access.url} cannot be reached: its storage answers with an error "
            f"({said_in(last) or 'without a word'}).",
            do="See the storage's own log, or what its provider says of its state, then try again.",
        )
    told = re.sub(r" returned error, retrying after [\w.]+:", " failed:", readable(last))
    reason = f" (restic: {shortened(told, 300)})" if last else ""
    return RepositoryUnreachable(
        f"The repository {access.url} cannot be reached{reason}.",
        do="Check the network and the storage, then try again.",
    )


def _no_repository(access: Access, _lines: Sequence[str]) -> NoRepository:
    named = ["--repository", access.names.name] if access.names.name else []
    init = shlex.join(["manage.py", "repository", "init", *named])
    return NoRepository(
        f"There is no repository at {access.url}{_folder(access)}.",
        do=f"If it is a new one, run `{init}`; if not, mount its disk, correct {access.url_set_by} or see "
        "why its files are gone.",
    )


def gone(missing: NoRepository | NoBucket, access: Access) -> NoRepository | NoBucket:
    """The same of one that the portal knows to be there: no other one is made in its place unasked."""
    if access.names.known:
        missing.what = f"{missing.what.removesuffix('.')}, where the portal knows {access.names.known}."
        missing.do = (
            f"{_put_right(access)} No other one was made in its place. If it is lost and a new one is to "
            f"begin there, {access.names.another}; what the lost one held stays listed."
            if access.names.is_used
            else _LEFT
        )
    return missing


def _put_right(access: Access) -> str:
    """What it is most likely comes first: an empty folder is a disk away, none at all a wrong address."""
    correct = f"correct {access.url_set_by}"
    if not access.folder:
        return f"If the address is wrong, {correct}; if not, see why its files are gone."
    if "is empty)" in _folder(access):
        return f"If its disk or share is not mounted, mount it; if the address is wrong, {correct}."
    return f"If the address is wrong, {correct}; if its disk or share is not mounted, mount it."


def _folder(access: Access) -> str:
    """What there is in its place, of one in a folder: a disk that is not mounted leaves an empty one."""
    if not access.folder:
        return ""
    wanted = Path(access.folder)
    try:
        there = next(folder for folder in (wanted, *wanted.parents) if folder.exists())
        is_empty = there.is_dir() and next(there.iterdir(), None) is None
    except OSError:
        return ""
    if is_empty:
        return f" (the folder {there} is empty)"
    return f" (there is no folder {wanted})" if there != wanted else ""


def _wrong_password(access: Access, _lines: Sequence[str]) -> WrongPassword:
    return WrongPassword(
        f"The password does not open the repository {access.url}.",
        do=f"Set {access.password_set_by} to the one that it was made with.",
    )


def _locked(access: Access, lines: Sequence[str]) -> RepositoryLocked:
    holder = next((line for line in lines if "lock" in line.lower()), "by another restic")
    return RepositoryLocked(
        f"The repository {access.url} is locked: {holder}.",
        do="Wait for the other restic to end; if it died, run `manage.py repository unlock`.",
    )


def get_restic() -> str:
    """What to do where restic is missing or too old."""
    wanted = ".".join(map(str, OLDEST_VERSION))
    return f"Install restic {wanted} or newer; `make setup` does it on Debian."
