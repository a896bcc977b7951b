"""Which repositories were opened on this host, and found to be the ones known.

Noted beside restic's cache, by address and restic's own id, without any secret: a wrong password restic
itself refuses. Of a folder its file `config` has to be the same one still, so that another disk that is
mounted there is looked at.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from pathlib import Path

from backups.restic.access import Access

# So long the last good look is good enough for a check, whose cache is one of its own and tells nothing.
LATELY_SECONDS = 3600.0


def note_opened(access: Access) -> None:
    """Note that it opens and is the one known. Without a place for notes, or an id, there is none."""
    if (note := _note(access)) is not None:
        with suppress(OSError):
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(_config(access))


def was_opened(access: Access, *, within: float | None = None) -> bool:
    """Whether it was, in the last seconds or ever, and is the same one still so far as that shows."""
    note = _note(access)
    if note is None:
        return False
    try:
        age = time.time() - note.stat().st_mtime
        is_in_time = within is None or 0 <= age < within
        return is_in_time and note.read_text() == _config(access)
    except (OSError, ValueError):
        return False


def forget_opened(access: Access) -> None:
    """Take the note away: something went wrong."""
    if (note := _note(access)) is not None:
        with suppress(OSError):
            note.unlink(missing_ok=True)


def _note(access: Access) -> Path | None:
    known_id = access.names.known_id
    if not (access.cache_dir and known_id):
        return None
    digest = hashlib.sha256(f"{access.url}\n{known_id}".encode()).hexdigest()
    return Path(access.cache_dir) / f"vedetta-opened-{digest[:16]}"


def _config(access: Access) -> str:
    """Which file a folder's `config` is; of other storages nothing is known without asking."""
    if not access.folder:
        return ""
    found = (Path(access.folder) / "config").stat()
    return f"{found.st_dev} {found.st_ino} {found.st_size} {found.st_mtime_ns}"
