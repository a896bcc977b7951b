"""How long a command takes until its own work begins, beside the least that Django takes."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.common import PROJECT, Options, print_table, work_folder

_LEAST_ROUNDS = 5
_ONLY_RIGHTS = """
SECRET_KEY = "of a measurement"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
"""
# Ends where Django gives a command its arguments.
_COMMAND = """
import os, sys
from django.core.management.base import BaseCommand
BaseCommand.execute = lambda *_, **__: os._exit(0)
from portal.command_line import main
main()
"""
_WANTED = 1.2


@dataclass(frozen=True)
class Start:
    """What is started: Python's arguments, and with which of both settings."""

    arguments: tuple[str, ...]
    settings: str = "portal.settings"


_LEAST = Start(("-c", "import django; django.setup()"), "only_rights")
_STARTS = {
    "Python": Start(("-c", "pass")),
    "Django with nothing but users and their rights": _LEAST,
    **{
        f"manage.py {name}": Start(("-c", _COMMAND, name))
        for name in ("backup", "status", "bootstrap", "check")
    },
    "the dump program": Start(("-c", "import backups.dumping.program")),
}


def measure(options: Options) -> None:
    """Print the table."""
    with work_folder() as folder:
        (folder / "only_rights.py").write_text(_ONLY_RIGHTS)
        rounds = max(options.rounds, _LEAST_ROUNDS)
        took: dict[str, list[tuple[float, float]]] = {name: [] for name in _STARTS}
        # In turns, the first of which fills the caches of all.
        for turn in range(rounds + 1):
            for name, start in _STARTS.items():
                seconds = _started(start, folder)
                if turn:
                    took[name].append(seconds)
    _print(took, rounds)


def _started(start: Start, folder: Path) -> tuple[float, float]:
    """How long it took, and how much of a processor."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{PROJECT}:{folder}",
        "DATABASE_URL": f"sqlite:///{folder / 'portal.sqlite3'}",
        "DJANGO_SETTINGS_MODULE": start.settings,
    }
    before, began = _children(), time.monotonic()
    subprocess.run([sys.executable, *start.arguments], cwd=folder, env=environment, check=True)
    return time.monotonic() - began, _children() - before


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _print(took: dict[str, list[tuple[float, float]]], rounds: int) -> None:
    wall = {name: [one[0] for one in each] for name, each in took.items()}
    least = statistics.median(next(wall[name] for name, start in _STARTS.items() if start is _LEAST))
    print_table(
        "Command start",
        ["until its own work begins", "seconds", "spread", "of a processor", "ratio"],
        [
            [
                name,
                f"{statistics.median(wall[name]):.2f}",
                f"{min(wall[name]):.2f}–{max(wall[name]):.2f}",  # noqa: RUF001
                f"{statistics.median(one[1] for one in each):.2f}",
                f"{statistics.median(wall[name]) / least:.2f}",
            ]
            for name, each in took.items()
        ],
        f"Medians of {rounds}, in turns. The ratio is to Django with nothing but users and their rights; at "
        f"most {_WANTED} is wanted of backup.",
    )
