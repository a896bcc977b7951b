"""Of which commit this installation is, how it starts worker and gate, and where they log: for sentences."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from backups.text.sentences import phrase

# Where our image, and nobody else, has them. Who started it, Compose or another, cannot be seen from inside.
_IMAGE = (Path("/app/manage.py"), Path("/usr/local/bin/entrypoint"))
_UNITS = tuple(Path(folder) for folder in ("/etc/systemd/system", "/usr/lib/systemd/system"))
_UNIT = "vedetta-worker.service"
# A checkout has its commit beside the packages. Who builds an image or a wheel says it in the file.
_CHECKOUT = Path(__file__).resolve().parent.parent
_BUILT_FROM = Path(__file__).with_name("commit.txt")
_COMMIT = re.compile(r"[0-9a-f]{40,64}")


class Commands(NamedTuple):
    """What to type."""

    start_worker: str
    worker_log: str
    # Also one that hangs.
    restart_gate: str
    gate_log: str
    # What is typed where guides say `manage.py`.
    manage: str = "manage.py"


@lru_cache(maxsize=1)
def commands() -> Commands:
    """By what is found on this machine: our image, systemd's units, or neither."""
    if all(file.exists() for file in _IMAGE):
        return Commands(
            phrase("`docker compose up -d db_backup`, or its container where Compose does not run it"),
            phrase("`docker compose logs db_backup`, or the log of that container,"),
            phrase("`docker compose restart sentinel`, or its container where Compose does not run it"),
            phrase("`docker compose logs sentinel`, or the log of that container,"),
            "docker compose exec db_backup manage",
        )
    if any((folder / _UNIT).exists() for folder in _UNITS):
        return Commands(
            "`systemctl start vedetta-worker`",
            "`journalctl -u vedetta-worker`",
            "`systemctl restart vedetta-gate`",
            "`journalctl -u vedetta-gate`",
            "sudo vedetta",
        )
    return Commands(
        "`manage.py worker`",
        phrase("its own log"),
        phrase("end it and run `gunicorn -c sentinel/gunicorn.conf.py sentinel.wsgi`, or `make run` again"),
        phrase("its own log"),
        _manage(),
    )


def _manage() -> str:
    """In a checkout by its own Python, as `make run` and the guide have it; a wheel brings a command."""
    if not (_CHECKOUT / "manage.py").is_file():
        return "vedetta"
    return ".venv/bin/python manage.py" if (_CHECKOUT / ".venv/bin/python").exists() else "manage.py"


def commit() -> str:
    """The commit that runs: what the builder of an image or a wheel said, or what a checkout has; else empty.

    Changes in a checkout that are not committed are not seen. git is not asked: it need not be installed, and
    answers nobody but the checkout's owner.
    """
    try:
        found = _line(_BUILT_FROM) if _BUILT_FROM.is_file() else _checked_out(_CHECKOUT / ".git")
    except (OSError, UnicodeError):
        return ""
    return found if _COMMIT.fullmatch(found) else ""


def _checked_out(git: Path) -> str:
    if git.is_file():  # of a `git worktree`
        git = git.parent / _line(git).removeprefix("gitdir: ")
    head = _line(git / "HEAD")
    if not head.startswith("ref: "):
        return head
    name = head.removeprefix("ref: ")
    shared = git / _line(git / "commondir") if (git / "commondir").is_file() else git
    if (shared / name).is_file():
        return _line(shared / name)
    packed = (line.split() for line in (shared / "packed-refs").read_text().splitlines())
    return next((words[0] for words in packed if words[1:] == [name]), "")


def _line(file: Path) -> str:
    return file.read_text().strip()
