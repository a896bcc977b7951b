"""An SQL file of a moment, kept for a day where the worker runs, for whoever downloads it in the portal."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from django.utils import timezone

from backups import process
from backups.actions.steps import kept_files
from backups.actions.steps.restore_file import Write
from backups.actions.steps.whole import source_name
from backups.differences.keeping import make_folder
from backups.errors import Problem
from backups.models import Restore, Run
from backups.moments.until import Until
from backups.runs import notes
from backups.runs.progress import Progress
from backups.text import formatting
from backups.text.sentences import phrase

_BLOCK = 1 << 20
# So many bytes are written between two looks at the room that is left.
_LOOK_AFTER = 1 << 24
# What the run's result calls it.
KEPT = "kept_file"


def refuse_without_room(restore: Restore) -> None:
    """Raise Problem where a file of the size of the backup's dump surely does not fit where it is kept."""
    wanted = restore.snapshot.total_bytes_processed or 0
    kept, free = _room()
    if kept + wanted > free - wanted:
        raise Problem(
            phrase(
                "The SQL file has about {wanted}. Where it would be kept, {free} are free and {kept} are "
                "kept already. What is kept may take no more room than it leaves free, for all else on that "
                "disk.",
                wanted=formatting.size(wanted),
                free=formatting.size(free),
                kept=formatting.size(kept),
            ),
            code="restore.no_room_for_file",
            safe=phrase("Nothing was done."),
            do=_make_room(),
        )


def _room() -> tuple[int, int]:
    """Bytes that all kept files take, and that are free where they lie. Raises Problem."""
    folder = kept_files.folder()
    try:
        make_folder(folder)
        return kept_files.bytes_kept(), shutil.disk_usage(folder).free
    except OSError as error:
        raise _not_written(folder, error) from error


def _refuse_more() -> None:
    """Raise Problem where a file that is being written leaves others too little."""
    kept, free = _room()
    if kept > free:
        raise Problem(
            phrase(
                "The SQL file became too large: what is kept may take no more room than it leaves free, and "
                "{free} are left.",
                free=formatting.size(free),
            ),
            code="restore.no_room_for_file",
            safe=phrase("No file was left there."),
            do=_make_room(),
        )


def _make_room() -> str:
    return phrase(
        "Make room in RESTIC_CACHE_DIR, or write the file elsewhere: manage.py restore --output DIR."
    )


def keep(restore: Restore, progress: Progress, stream: Callable[[Write], None]) -> None:
    """Keep what `stream` hands on, for a day; it raises Problem where that is not whole."""
    progress.phase("write", expected=restore.snapshot.total_bytes_processed)
    digest, count = hashlib.sha256(), 0

    with _new_file(kept_files.dump_of(restore.run_id)) as file:

        def write(data: bytes | memoryview) -> None:
            nonlocal count
            before = count // _LOOK_AFTER
            digest.update(data)
            count += len(data)
            file.write(data)
            if count // _LOOK_AFTER != before:
                _refuse_more()

        stream(write)
    told = {
        "until": kept_files.until(),
        "sha256": digest.hexdigest(),
        "bytes": count,
        "name": _name(restore),
    }
    notes.run_update(restore.run_id, result={KEPT: told})
    progress.log(phrase("The file can be downloaded for a day."))


def kept_stream(run_id: int, tick: process.Tick) -> tuple[str, Iterator[bytes | memoryview]]:
    """A kept file's name and its bytes. Raises Problem, what `tick` raises.

    At its end as well, where they are not those that were written: then nobody takes it for whole.
    """
    run = Run.objects.filter(pk=run_id).first()
    told = run.result.get(KEPT) if run is not None and isinstance(run.result, dict) else None
    try:
        name, sha256 = str(told["name"]), str(told["sha256"])  # type: ignore[index]
        is_over = datetime.fromisoformat(str(told["until"])) <= timezone.now()  # type: ignore[index]
        # A path of ours, which no row names.
        file = None if is_over else kept_files.dump_of(run_id).open("rb")
    except (KeyError, OSError, TypeError, ValueError):
        file = None
    if file is None:
        raise Problem(
            phrase("The SQL file of this restore is not kept any more."),
            code="restore.file_not_kept",
            do=phrase("Have it made again."),
        )
    return name, _bytes(file, sha256, tick)


def _bytes(file: BinaryIO, sha256: str, tick: process.Tick) -> Iterator[bytes | memoryview]:
    digest = hashlib.sha256()
    with file:
        while block := file.read(_BLOCK):
            tick()
            digest.update(block)
            yield block
    if digest.hexdigest() != sha256:
        raise Problem(
            phrase("The SQL file is not the one that was written."),
            code="restore.file_altered",
            do=phrase("Have it made again, and see who else may write to RESTIC_CACHE_DIR."),
        )


def _name(restore: Restore) -> str:
    until = Until.from_row(restore.until)
    if until is not None and until.moment is not None:
        of = f"{timezone.localtime(until.moment):%Y%m%d-%H%M%S}"
    else:
        of = f"before-{until.before}" if until is not None else ""
    return re.sub(r"[^\w.-]", "_", f"{source_name(restore.snapshot)}-{of}.sql")


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name only when it is whole. Raises Problem."""
    partial = path.with_name(f"{path.name}{kept_files.PARTIAL}")
    try:
        make_folder(path.parent)
        partial.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(partial, flags, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except OSError as error:
        raise _not_written(path, error) from error
    finally:
        partial.unlink(missing_ok=True)


def _not_written(path: Path, error: OSError) -> Problem:
    return Problem(
        phrase("{path} cannot be written ({error}).", path=path, error=error.strerror or error),
        code="restore.file_not_written",
        safe=phrase("No file was left there."),
        do=phrase("Check the folder's mode and free space."),
    )
