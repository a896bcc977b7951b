"""Where rows of people's databases are kept for a day on the worker's host, and scripts that give them back."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from backups.differences.kept_rows import kept_rows

logger = logging.getLogger(__name__)

KEPT = timedelta(days=1)


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
            }
            for each in rows.tables()
        ]
    return {"until": (timezone.now() + KEPT).isoformat(), "sha256": digest, "tables": tables}


def forget_old() -> None:
    """Remove what was written more than a day ago. What cannot be is logged, and tried again."""
    past = time.time() - KEPT.total_seconds()
    with suppress(FileNotFoundError):
        for path in folder().iterdir():
            try:
                if path.stat().st_mtime < past:
                    path.unlink()
            except FileNotFoundError:
                continue
            except OSError as error:
                logger.warning("%s cannot be removed (%s)", path, error)


def forget(run_ids: list[int]) -> None:
    """Remove all that these runs keep."""
    for run_id in run_ids:
        for path in folder().glob(f"{run_id}.*"):
            with suppress(FileNotFoundError):
                path.unlink()
