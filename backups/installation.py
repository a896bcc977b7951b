"""How this installation starts its worker and where that logs, for sentences that say what to do."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

# Docker's and Podman's marks of a container.
_CONTAINER = (Path("/.dockerenv"), Path("/run/.containerenv"))
_UNITS = tuple(Path(folder) for folder in ("/etc/systemd/system", "/usr/lib/systemd/system"))
_UNIT = "vedetta-worker.service"


class Commands(NamedTuple):
    """What to type."""

    start_worker: str
    worker_log: str


@lru_cache(maxsize=1)
def commands() -> Commands:
    """By what is found on this machine: Compose, systemd, or neither."""
    if any(mark.exists() for mark in _CONTAINER):
        return Commands("`docker compose up -d db_backup`", "`docker compose logs db_backup`")
    if any((folder / _UNIT).exists() for folder in _UNITS):
        return Commands("`systemctl start vedetta-worker`", "`journalctl -u vedetta-worker`")
    return Commands("`manage.py worker`", "its own log")
