"""Which of a repository's keys our password opens, so that restic need not try the others first.

restic derives a key from the password for each that it tries: half a second, and of three keys it may try
all. Told of one (RESTIC_KEY_HINT), it tries that first, and goes on to the others where the password does
not open it any more or it is gone. So a hint that no longer fits costs time, but fails nothing.

It is noted beside restic's cache, by address and restic's own id, without any secret. A folder shows when
its keys changed, and the note is of no use from then on. Other storages do not, and nothing shows when we
were given the password of another key: so where there are several, it is learnt again each night.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from backups import process
from backups.restic.access import Access
from backups.restic.arguments import list_keys_args
from backups.restic.parsers import parse_keys
from backups.restic.runner import PROBE_DEADLINE_SECONDS, QUESTION_MEMORY, Command, call
from backups.text.sentences import phrase

_DAY = 86400.0
# One key needs no hint, so that it matters little when another one joins it.
_SINGLE_KEY_SECONDS, _SEVERAL_KEYS_SECONDS = 30 * _DAY, 0.9 * _DAY
_LARGEST_NOTE = 1000


@dataclass(frozen=True)
class KeyNote:
    """The key that the password opens, one of so many, and the state of the folder that they are in."""

    key: str
    keys: int
    folder: str


def noted_key(access: Access) -> str:
    """The id to tell restic of; empty where none is known, the keys changed or there is only one."""
    note = _read(access)
    return note.key if note is not None and note.keys > 1 and note.folder == _folder(access) else ""


def learn_key(access: Access, *, tick: process.Tick | None = None) -> str:
    """Learn it where it is not known, or may be another by now; answers a sentence where it is news.

    Raises ResticError like `call`.
    """
    file, before = _file(access), _read(access)
    if file is None or not _is_due(file, before, access):
        return ""
    with suppress(OSError):
        file.unlink(missing_ok=True)
    state = _folder(access)
    question = Command(
        list_keys_args(), phrase("reading the list of keys"), deadline=PROBE_DEADLINE_SECONDS,
        most_memory=QUESTION_MEMORY,
    )  # fmt: skip
    key, keys = parse_keys(call(access, question, tick=tick).stdout)
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(KeyNote(key, keys, state))))
    if keys == 1 or (before is not None and before.key == key and before.keys > 1):
        return ""
    return phrase(
        "The repository has {keys} keys. The password opens key {key}, so restic is told to try that first.",
        keys=keys,
        key=key[:8],
    )


def _is_due(file: Path, note: KeyNote | None, access: Access) -> bool:
    if note is None or note.folder != _folder(access):
        return True
    if note.folder and note.keys == 1:
        return False
    try:
        age = time.time() - file.stat().st_mtime
    except OSError:
        return True
    return not 0 <= age < (_SINGLE_KEY_SECONDS if note.keys == 1 else _SEVERAL_KEYS_SECONDS)


def _file(access: Access) -> Path | None:
    known_id = access.names.known_id
    if not (access.cache_dir and known_id):
        return None
    digest = hashlib.sha256(f"{access.url}\n{known_id}".encode()).hexdigest()
    return Path(access.cache_dir) / f"vedetta-key-{digest[:16]}"


def _read(access: Access) -> KeyNote | None:
    file = _file(access)
    if file is None:
        return None
    try:
        with file.open() as opened:
            found = json.loads(opened.read(_LARGEST_NOTE))
        note = KeyNote(str(found["key"]), int(found["keys"]), str(found["folder"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return note if re.fullmatch(r"[0-9a-f]{8,64}", note.key) else None


def _folder(access: Access) -> str:
    """The state of a folder's keys, which another one has once a key was added or taken away."""
    if not access.folder:
        return ""
    try:
        found = (Path(access.folder) / "keys").stat()
    except OSError:
        return "?"
    return f"{found.st_dev} {found.st_ino} {found.st_mtime_ns}"
