"""What a storage that refuses, or cannot be reached, means, by restic's words and its own."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from backups import process
from backups.errors import shortened
from backups.restic import ssh
from backups.restic.access import Access
from backups.restic.output import readable
from backups.restic.problems import (
    AccessDenied,
    MayNotDelete,
    NoBucket,
    NotPermitted,
    RepositoryFull,
    RepositoryUnreachable,
    ResticError,
)
from backups.restic.refusals import BUCKET, FULL, KEYS, refusal_in, said_in
from backups.text.sentences import phrase

_CERTIFICATES = {
    "RESTIC_CACERT": re.compile(r"unable to read root certificate: open (\S+): "),
    "RESTIC_TLS_CLIENT_CERT": re.compile(r"^(?:Fatal: )?ReadFile: open (\S+): "),
}
_OF_A_FILE = re.compile(
    r"(?:open|read|write|lstat|stat|mkdir|unlink\w*|remove|rename|chmod|fdopendir|readdirent) "
    r"(?P<path>\S.*?): (?:permission denied|operation not permitted)"
)
_NOT_REMOVED = re.compile(
    r"(?i)Remove\(<\w+/.*(?:access ?denied|40[13]\b|forbidden|not authori[sz]ed|object ?lock|retention|worm)"
)
# What is shorter would only garble the words.
_SHORTEST_SECRET = 4
_UNREACHABLE = re.compile(
    r"returned error, retrying|connection refused|no such host|i/o timeout|dial tcp|start the sftp session"
    r"|error talking http to rclone"
)
# An answer of the storage itself, and not of the network.
_ANSWERED = re.compile(
    r"(?i)error response code|http response \(\d+\)|\b[45]\d\d [a-z]+|internal error|slow ?down|try again"
)
# S3 says what it has to say in words of its own, of which there is no end; the network's are few.
_OF_THE_NETWORK = re.compile(
    r"(?i)dial|lookup|no such host|no route|unreachable|refused|reset|broken pipe|\beof\b|time(?:d )?-?out"
    r"|deadline|tls|handshake|x509|certificate|closed|cancell?ed|proxy|malformed"
)


def certificate_missing(lines: Sequence[str], doing: str) -> ResticError | None:
    """A file that restic is told of for TLS, and reads whatever the repository is."""
    for name, words in _CERTIFICATES.items():
        for line in lines:
            if found := words.search(line):
                return ResticError(
                    phrase(
                        "restic cannot read the file {found}, which {name} names ({doing}).",
                        found=found[1],
                        name=name,
                        doing=doing,
                    ),
                    code="restic.named_file_unreadable",
                    do=phrase(
                        "Correct {name}, or take it out: a repository in a folder does not need it.",
                        name=name,
                    ),
                )
    return None


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
        phrase(
            "The user {person} may not read or write {path} of the repository {url} ({doing}): "
            "another user made it, for example a command run as root.",
            person=process.user_name(),
            path=path,
            url=access.url,
            doing=doing,
        ),
        do=_give(access),
    )


def _give(access: Access) -> str:
    """How the repository's files come to belong to whom Vedetta runs as."""
    if not access.folder:
        return phrase(
            "On the storage itself, give all files of the repository to the user that we log in as."
        )
    user = process.user_name()
    folder = shlex.quote(access.folder)
    return phrase(
        "As root, run: chown -R {user}: {folder} and run commands as {user} from now on.",
        user=user,
        folder=folder,
    )


def refused(lines: Sequence[str], access: Access, *, final_only: bool = False) -> ResticError | None:
    """What the storage's own "no" means, where it said one."""
    if kept := next((line for line in lines if _NOT_REMOVED.search(line)), ""):
        return MayNotDelete(
            phrase(
                "The storage of {url} refuses our keys ({without_secrets}): they may add files and may "
                "not delete there.",
                url=access.url,
                without_secrets=_without_secrets(said_in(kept), access),
            ),
            do=phrase(
                "If that is meant, as with append-only storage, set BACKUP_KEEP_ALL=true: then nothing "
                "is forgotten. If not, allow deleting there (S3: DeleteObject in our key's policy; a "
                "REST server: without --append-only)."
            ),
        )
    found = refusal_in("\n".join(lines), final_only=final_only)
    if found is None:
        return None
    refusal, said = found
    if access.scheme in ("", "sftp") and refusal.kind == KEYS:
        return None
    kinds = {BUCKET: NoBucket, KEYS: AccessDenied, FULL: RepositoryFull}
    return kinds.get(refusal.kind, RepositoryUnreachable)(
        phrase(refusal.what, storage=access.url, said=_without_secrets(said, access)),
        do=phrase(refusal.do, keys=access.keys_named, url_set_by=access.url_set_by),
    )


def _without_secrets(said: str, access: Access) -> str:
    """A storage's own words, which may repeat what it was sent."""
    for secret in access.secret_values():
        if len(secret) >= _SHORTEST_SECRET:
            said = said.replace(secret, "…")
    return said


def unreachable_from_words(text: str, access: Access, lines: Sequence[str]) -> ResticError | None:
    """What restic's words mean of a storage, None where they are none of that."""
    if no := refused(lines, access):
        return no
    return unreachable(access, lines) if _UNREACHABLE.search(text) else None


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
        return RepositoryUnreachable(
            phrase("The repository {url} cannot be reached: {why}.", url=access.url, why=why), do=do
        )
    last = next((line for line in reversed(lines) if line.strip()), "")
    if rclone := [line for line in lines if "rclone: " in line and "error talking" not in line]:
        last = rclone[-1]
    if _is_answer(last, access):
        return RepositoryUnreachable(
            phrase(
                "The repository {url} cannot be reached: its storage answers with an error ({said_in}).",
                url=access.url,
                said_in=said_in(last) or phrase("without a word"),
            ),
            do=phrase("See the storage's own log, or what its provider says of its state, then try again."),
        )
    reworded = re.sub(r" returned error, retrying after [\w.]+:", " failed:", readable(last))
    reason = phrase(" (restic: {reworded})", reworded=shortened(reworded, 300)) if last else ""
    return RepositoryUnreachable(
        phrase("The repository {url} cannot be reached{reason}.", url=access.url, reason=reason),
        do=phrase("Check the network and the storage, then try again."),
    )
