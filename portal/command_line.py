"""Vedetta's command line: `manage.py` in a checkout, `vedetta` where a wheel is installed."""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import BaseCommand, ManagementUtility, find_commands
from django.db import DatabaseError

from portal.hardening import keep_private
from portal.streams import outlive_readers
from sentinel.environment import SOURCE, home

_ASKS_FOR_HELP: tuple[list[str], ...] = ([], ["help"], ["-h"], ["--help"])


def main() -> None:
    """Run a command; a wrong setting ends it with one sentence, and so does Ctrl-C while it loads."""
    try:
        _run()
    except KeyboardInterrupt:
        _stopped()


def _run() -> None:
    gc.disable()  # else a third of the time that loading takes; see _Utility
    keep_private()
    outlive_readers()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    from portal import env, starting

    starting.begin(sys.argv[1] if len(sys.argv) > 1 else "")
    try:
        import portal.settings  # Django itself would show `help` instead of the error
    except ImproperlyConfigured as error:
        if sys.argv[1:] in _ASKS_FOR_HELP:
            print(_commands())
            env.stop(error, status=0)
        env.stop(error)
    if Path(portal.settings.DATABASES["default"]["NAME"]).parent == portal.settings.VAR_DIR:
        with suppress(OSError):  # what comes of it is told by whoever opens the database
            portal.settings.VAR_DIR.mkdir(exist_ok=True)
    try:
        _execute(sys.argv)
    except DatabaseError:
        from backups.portal_copy.portal_database import database_problem

        if not (problem := database_problem(thoroughly=True)):
            raise
        sys.exit(f"vedetta: {problem}")


def _stopped() -> NoReturn:
    """What a command of ours is stopped in, it tells itself; here it was not loaded yet, or is Django's."""
    text = (
        "Stopped at the keyboard." if _Utility.has_loaded else "Stopped at the keyboard. Nothing was begun."
    )
    if "--json" in sys.argv:
        print(json.dumps({"status": "failed", "error": text, "error_code": "cancelled"}))
    else:
        print(text, file=sys.stderr)
    sys.exit(130)


def _commands() -> str:
    """Which there are: before anything is set up, Django itself would list its own alone."""
    names = find_commands(str(SOURCE / "backups" / "management"))
    return "\n".join(["Commands, once it is set up:", *(f"  {name}" for name in sorted(names))])


def installed() -> None:
    """`vedetta`: where the units of deploy/systemd run this installation, with their user and environment."""
    units = _as_units()
    if home() == Path(units.PROJECT) and _may_be_there(Path(units.SETTINGS)):
        units.main([sys.executable, "-P", "-m", "portal"])
    main()


def _as_units() -> ModuleType:
    """The program that root has as /usr/local/bin/vedetta where this is a checkout."""
    file = Path("deploy", "systemd", "vedetta.py")
    beside = Path(__file__).parent / file
    spec = importlib.util.spec_from_file_location("vedetta", beside if beside.is_file() else SOURCE / file)
    assert spec is not None and spec.loader is not None  # noqa: S101, PT018  it names a file
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _may_be_there(file: Path) -> bool:
    """Also where this user may not look: then it is said that others may."""
    try:
        return file.exists()
    except OSError:
        return True


class _Utility(ManagementUtility):
    """Django's own; what is loaded stays, so that from here on only what comes later is looked at."""

    has_loaded = False

    def fetch_command(self, subcommand: str) -> BaseCommand:
        try:
            command = super().fetch_command(subcommand)
            _Utility.has_loaded = True
            return command
        finally:
            gc.freeze()
            gc.enable()


def _execute(argv: list[str]) -> None:
    utility = _Utility(argv)
    if argv[1:2] == ["version"]:
        # Django itself would print its own version and ask no command.
        django.setup()
        utility.fetch_command("version").run_from_argv(argv)
    else:
        utility.execute()
