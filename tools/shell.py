"""Running other programs during the set-up: a line on the screen, all else in a log file."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
LOG = ROOT / "var" / "log" / "setup.log"
LOG_LINES_SHOWN = 15


class SetupError(Exception):
    """The set-up cannot go on. Its text is one sentence for the person at the terminal."""


def say(text: str) -> None:
    """Print one step."""
    print(f"setup: {text}", file=sys.stderr, flush=True)


def cache_dir() -> Path:
    """The folder for what is made once per machine and shared by all checkouts."""
    named = os.environ.get("VEDETTA_CACHE")
    if named:
        return Path(named).resolve()
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home).resolve() / "vedetta"


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a program with its output in the log; if it fails, raise SetupError with its end."""
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("a") as log:
        print("$", *argv, file=log, flush=True)
        start = log.tell()
        done = subprocess.run(
            argv,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise SetupError(f"`{Path(argv[0]).name}` ended with {done.returncode} (log: {LOG}).\n{_tail(start)}")


def output_of(argv: Sequence[str | Path]) -> str | None:
    """What a program prints, or None where it is missing or fails."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError:
        return None
    return None if done.returncode else done.stdout.decode(errors="replace")


@contextlib.contextmanager
def locked(path: Path, wait_message: str) -> Iterator[None]:
    """Hold an exclusive lock, so that two set-ups at once do the work only once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(wait_message)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _tail(start: int) -> str:
    """The last lines that a program wrote to the log, which it began to fill at `start`."""
    with LOG.open(errors="replace") as log:
        log.seek(start)
        return "".join(f"  {line}" for line in log.readlines()[-LOG_LINES_SHOWN:]).rstrip()
