"""A restore to a file: the SQL into a folder, or to standard output."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from backups.actions.steps.whole import source_name
from backups.errors import Problem
from backups.models import Restore, Snapshot
from backups.runs import notes
from backups.runs.progress import Progress
from backups.text.sentences import phrase

STANDARD_OUTPUT = "-"

Write = Callable[[bytes | memoryview], object]


def to_file(restore: Restore, progress: Progress, stream: Callable[[Write], None]) -> None:
    """Write what `stream` hands on; it raises Problem where that was not what was backed up."""
    progress.phase("write", expected=restore.snapshot.total_bytes_processed)
    if restore.target == STANDARD_OUTPUT:
        stream(sys.stdout.buffer.write)
        sys.stdout.buffer.flush()
        return
    path = Path(restore.target) / file_name(restore.snapshot)
    with _new_file(path, restore.run_id) as file:
        stream(file.write)
    notes.run_update(restore.run_id, result={"file": str(path)})
    progress.log(phrase("Written to {path}.", path=path))


def file_name(snapshot: Snapshot) -> str:
    """A file's name for a snapshot's SQL: database, time in TIME_ZONE, id."""
    name = re.sub(r"[^\w.-]", "_", source_name(snapshot))
    return f"{name}-{snapshot.local_time:%Y%m%d-%H%M%S}-{snapshot.short_id}.sql"


@contextmanager
def _new_file(path: Path, run_id: int) -> Iterator[BinaryIO]:
    """A file that appears under its name only when it is whole. Raises Problem."""
    partial = path.with_name(f".{path.name}.partial").absolute()
    notes.run_update(run_id, result={"partial": str(partial)})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A dump holds everything: nobody else needs to read it, nor may have put a link in its place.
        partial.unlink(missing_ok=True)
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except OSError as error:
        raise Problem(
            phrase("{path} cannot be written ({error}).", path=path, error=error.strerror or error),
            code="restore.file_not_written",
            safe=phrase("No file was left there."),
            do=phrase("Check the folder's mode and free space."),
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
            notes.leftover_cleared(run_id, "partial")
