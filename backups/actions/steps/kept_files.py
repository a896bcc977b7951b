"""What is kept for a day, on the worker's host: rows, scripts that give them back, SQL files of a moment."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from backups.choices import TERMINAL
from backups.differences.keeping import full_disk_told, make_folder
from backups.differences.kept_rows import CHANGED, Change, kept_rows, packed
from backups.models import Run
from backups.snapshots.retention import ROWS_KEPT

# A table may have a thousand.
_MOST_COLUMNS = 50
_DUMP = ".dump.sql"
# Behind the name of a file that is not whole yet.
PARTIAL = ".partial"
logger = logging.getLogger(__name__)


def folder() -> Path:
    """Where they lie; nobody else may look into it."""
    return Path(settings.RESTIC_CACHE_DIR).absolute() / "kept-rows"


def rows_of(run_id: int) -> Path:
    """The rows that a run keeps."""
    return folder() / f"{run_id}.rows"


def script_of(run_id: int, *, undo: bool = False) -> Path:
    """The script of a run as a person reads it, or what undoes it."""
    return folder() / f"{run_id}.{'undo.sql' if undo else 'sql'}"


def statements_of(run_id: int) -> Path:
    """The statements of that script, one by one, as a connection is sent them."""
    return folder() / f"{run_id}.statements"


def dump_of(run_id: int) -> Path:
    """The SQL file that a restore made to be downloaded."""
    return folder() / f"{run_id}{_DUMP}"


def bytes_kept() -> int:
    """What all of them take, also those that are being written. Raises OSError."""
    count = 0
    for path in folder().iterdir():
        with suppress(FileNotFoundError):
            count += path.stat().st_size
    return count


def told(path: Path, digest: str) -> Mapping[str, Any]:
    """What a run's row says of the rows that it keeps: counts and names, and no value."""
    with kept_rows(path) as rows:
        tables = [
            {
                "table": each.name,
                "gone": each.gone,
                "new": each.new,
                "changed": each.changed,
                "beyond": each.beyond,
                "same_columns": each.is_as_then,
                "columns": differing_columns(rows.changes(each.name, [CHANGED])),
            }
            for each in rows.tables()
        ]
    return {"until": until(), "sha256": digest, "limit": settings.ROWS_BACK_LIMIT, "tables": tables}


def differing_columns(changes: Iterable[Change]) -> list[str]:
    """In which columns changed rows differ, in the order of the table; no more than a page can name."""
    found: dict[bytes, None] = {}
    for each in changes:
        then, now = each.then or {}, each.now or {}
        found.update(
            dict.fromkeys(name for name, value in then.items() if name in now and now[name] != value)
        )
    return [name.decode(errors="replace") for name in found][:_MOST_COLUMNS]


def until() -> str:
    """Until when what is written now is kept."""
    return (timezone.now() + ROWS_KEPT).isoformat()


def store_script(run_id: int, text: bytes, undo: bytes, statements: Iterable[bytes]) -> Mapping[str, str]:
    """Store a script, what undoes it, and its statements one by one; answers the SHA-256 of each."""
    return {
        "script_sha256": _stored(script_of(run_id), text),
        "undo_sha256": _stored(script_of(run_id, undo=True), undo),
        "statements_sha256": _stored(statements_of(run_id), packed(statements)),
    }


def _stored(path: Path, data: bytes) -> str:
    with full_disk_told():
        make_folder(path.parent)
        path.unlink(missing_ok=True)
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb"
        ) as file:
            file.write(data)
    return hashlib.sha256(data).hexdigest()


def forget_old() -> None:
    """Remove what was written more than a day ago, or is of a run that is gone.

    Half a file goes with the end of its run. What cannot be removed is logged, and tried again.
    """
    past = time.time() - ROWS_KEPT.total_seconds()
    try:
        there = [(path, path.stat().st_mtime) for path in folder().iterdir()]
    except FileNotFoundError:
        return
    numbers = {path.name.partition(".")[0] for path, _ in there}
    runs = Run.objects.filter(pk__in=[int(number) for number in numbers if number.isdecimal()])
    known = {str(number): status in TERMINAL for number, status in runs.values_list("pk", "status")}
    for path, written in there:
        is_over = known.get(path.name.partition(".")[0])
        if written >= past and (is_over is False or (is_over and path.suffix != PARTIAL)):
            continue
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("%s cannot be removed (%s)", path, error)


def keep_on(run_id: int) -> None:
    """Keep what a run keeps for a day from now on: it may be undone."""
    for path in folder().glob(f"{run_id}.*"):
        with suppress(FileNotFoundError):
            os.utime(path)
