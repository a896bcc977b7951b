"""Where long transactions of a log wait: on a disk of Vedetta's, and not in /tmp, which is often memory."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings


def spill_folder() -> str:
    """The folder; whoever writes there makes it."""
    return settings.DUMP_SPOOL_DIR or str(Path(settings.RESTIC_CACHE_DIR).absolute() / "log-spill")
