"""How much of Django a command begins with: those that back up and restore need no pages, seldom the queue.

The apps stay installed, and with them their tables, rights and migrations. Only their code comes later or
not at all: of the admin alone its table of what people did, which is in the portal's copy as well.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from typing import Any

# What makes all tables, and the rights to them: it needs to know them all.
MAKE_TABLES = frozenset({"bootstrap", "recover"})
WITHOUT_PAGES = MAKE_TABLES | {
    "accept", "archive_logs", "backup", "diff", "log_archive", "mute", "pause", "pin", "pins", "preflight",
    "repository", "restore", "resume", "retention", "retire", "rows_back", "snapshots", "status",
    "take_back", "undo_restore", "unmute", "unpin", "verify", "version",
}  # fmt: skip
# Nothing but what pages are made with.
_OF_PAGES = frozenset(
    {
        "unfold",
        "unfold.contrib.filters",
        "unfold.contrib.forms",
        "django.contrib.humanize",
        "django.contrib.messages",
        "django.contrib.staticfiles",
    }
)
_WITHOUT_THEIR_PAGES = {
    "django.contrib.admin": "portal.later.Admin",
    "axes": "portal.later.Axes",
}
_WITHOUT_THE_QUEUE = {"django_q": "portal.later.Queue", "backups": "backups.apps.WithoutQueue"}

_command = ""


def begin(command: str) -> None:
    """Say which command this process is for, before the settings are read."""
    global _command
    _command = command


def has_pages() -> bool:
    """Whether this process may be asked for one."""
    return _command not in WITHOUT_PAGES


def apps(all_of_them: Sequence[str]) -> list[str]:
    """INSTALLED_APPS as this process needs them."""
    if has_pages():
        return list(all_of_them)
    _run_when_used("django.contrib.admin")
    instead = _WITHOUT_THEIR_PAGES | ({} if _command in MAKE_TABLES else _WITHOUT_THE_QUEUE)
    return [instead.get(app, app) for app in all_of_them if app not in _OF_PAGES]


def _run_when_used(name: str) -> None:
    """Have a package there, for the modules in it, whose own code runs when something of it is asked for."""
    if name in sys.modules:
        return
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.loader is not None  # noqa: S101, PT018  it is a package
    package, loader = importlib.util.module_from_spec(spec), spec.loader

    def run(attribute: str) -> Any:
        # What its own code does not have is an error from here on, as in any module.
        if package.__dict__.pop("__getattr__", None) is not None:
            loader.exec_module(package)
        return getattr(package, attribute)

    package.__dict__["__getattr__"] = run
    sys.modules[name] = package
    parent, _, child = name.rpartition(".")
    setattr(sys.modules[parent], child, package)
