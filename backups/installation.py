"""How this installation starts worker and gate and where they log, for sentences that say what to do."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

# Where our image, and nobody else, has them. Who started it, Compose or another, cannot be seen from inside.
_IMAGE = (Path("/app/manage.py"), Path("/usr/local/bin/entrypoint"))
_UNITS = tuple(Path(folder) for folder in ("/etc/systemd/system", "/usr/lib/systemd/system"))
_UNIT = "vedetta-worker.service"


class Commands(NamedTuple):
    """What to type."""

    start_worker: str
    worker_log: str
    # Also one that hangs.
    restart_gate: str
    gate_log: str


@lru_cache(maxsize=1)
def commands() -> Commands:
    """By what is found on this machine: our image, systemd's units, or neither."""
    if all(file.exists() for file in _IMAGE):
        return Commands(
            "`docker compose up -d db_backup`, or its container where Compose does not run it",
            "`docker compose logs db_backup`, or the log of that container,",
            "`docker compose restart sentinel`, or its container where Compose does not run it",
            "`docker compose logs sentinel`, or the log of that container,",
        )
    if any((folder / _UNIT).exists() for folder in _UNITS):
        return Commands(
            "`systemctl start vedetta-worker`",
            "`journalctl -u vedetta-worker`",
            "`systemctl restart vedetta-gate`",
            "`journalctl -u vedetta-gate`",
        )
    return Commands(
        "`manage.py worker`",
        "its own log",
        "end it and run `gunicorn -c sentinel/gunicorn.conf.py sentinel.wsgi`, or `make run` again",
        "its own log",
    )
