"""What takes seconds to make and is only copied: made once for all processes of a test run."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

_NAMED_IN = "VEDETTA_TESTS_MADE_ONCE"


def made_once(name: str, make: Callable[[Path], object]) -> Path:
    """The path of that name that `make` made, in this process or in another; the others wait for it."""
    folder = _folder()
    path, whole = folder / name, folder / f"{name}.whole"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            make(path)
            whole.touch()
    return path


def migrated_database() -> Path:
    """A portal's database without rows, to copy: its migrations take two seconds."""
    return made_once("portal.sqlite3", _migrate)


def _migrate(file: Path) -> None:
    # Which itself has a list made once.
    from tests.servers.commands import start_command

    ran = start_command(("migrate", "-v0"), {**os.environ, "DATABASE_URL": f"sqlite:///{file}"})
    _, said = ran.communicate()
    if ran.returncode:
        raise RuntimeError(f"migrate: {said.strip()}")


def share() -> None:
    """Have the processes that this one will start share with it."""
    _folder()


def _folder() -> Path:
    if _NAMED_IN not in os.environ:
        folder = tempfile.mkdtemp(prefix="vedetta-made-once-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ[_NAMED_IN] = folder
    return Path(os.environ[_NAMED_IN])
