"""What the environment and .env leave open, filled in and kept from run to run."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path

from portal.env import env_file
from sentinel.env_file import summed_up
from tools import ports
from tools.mariadb import SampleMariaDB
from tools.ports import HOST
from tools.running.common import RUN_ENV, VAR, RunError
from tools.shell import ROOT

# Without them the next run could not open what this one made.
GENERATED = ("SECRET_KEY", "RESTIC_PASSWORD", "MYSQL_PASSWORD", "PORTAL_ADMIN_PASSWORD")


class Given:
    """What the environment and .env say; an empty value counts as not set."""

    def __init__(self) -> None:
        found = env_file(ROOT / ".env")
        if (doubt := summed_up(found.doubts)) and doubt.stops and not RUN_ENV.exists():
            raise RunError(f"{doubt.what} Nothing new is set up with that. {doubt.do}")
        self._env_file = found.values
        kept = env_file(RUN_ENV).values
        # A shell that has read run.env, for manage.py, gives back what this made: nobody chose it.
        self._ours = kept if all(os.environ.get(name) == value for name, value in kept.items()) else {}

    def get(self, name: str) -> str:
        """The value of NAME, empty where it is not set."""
        said = "" if name in self._ours else os.environ.get(name, "").strip()
        return said or self._env_file.get(name, "").strip()

    def has(self, name: str) -> bool:
        """Whether NAME or NAME_FILE is set."""
        return bool(self.get(name) or self.get(f"{name}_FILE"))


def filled_in(given: Given) -> tuple[dict[str, str], SampleMariaDB | None]:
    """What was left open, filled in: secrets kept from the last run, or new ones."""
    kept = env_file(RUN_ENV).values
    settings = {
        name: kept.get(name) or secrets.token_urlsafe(12 if name == "PORTAL_ADMIN_PASSWORD" else 36)
        for name in GENERATED
        if not given.has(name)
    }
    if not given.has("RESTIC_REPOSITORY"):
        settings["RESTIC_REPOSITORY"] = str(VAR / "repository")
    elif "RESTIC_PASSWORD" in settings:
        raise RunError("RESTIC_REPOSITORY is set, but RESTIC_PASSWORD is not: set it as well.")
    if given.has("MYSQL_HOST"):
        if settings.pop("MYSQL_PASSWORD", None):
            raise RunError("MYSQL_HOST is set, but MYSQL_PASSWORD is not: set it as well.")
        return settings, None
    mariadb = SampleMariaDB(
        folder=VAR / "mariadb",
        port=free_port(given.get("MYSQL_PORT"), kept.get("MYSQL_PORT", "")),
        database=given.get("MYSQL_DATABASE") or "orders_tracker",
        user=given.get("MYSQL_USER") or "vedetta",
        password=settings.get("MYSQL_PASSWORD") or secret(given, "MYSQL_PASSWORD"),
    )
    settings |= {
        "MYSQL_HOST": HOST,
        "MYSQL_PORT": str(mariadb.port),
        "MYSQL_DATABASE": mariadb.database,
        "MYSQL_USER": mariadb.user,
    }
    return settings, mariadb


def secret(given: Given, name: str) -> str:
    """The value of NAME, or what the file that NAME_FILE names holds. Raises RunError."""
    if value := given.get(name):
        return value
    try:
        return Path(given.get(f"{name}_FILE")).read_text().strip()
    except OSError:
        raise RunError(f"{name}_FILE names a file that cannot be read.") from None


def free_port(*wanted: str) -> int:
    """The first wanted port that is free, else any that is."""
    for port in wanted:
        if port.isdecimal():
            with socket.socket() as probe, contextlib.suppress(OSError, OverflowError):
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((HOST, int(port)))
                return int(probe.getsockname()[1])
    return ports.lasting_port()


def moved_places(settings: Mapping[str, str]) -> list[str]:
    """What `bootstrap` is to be told of our own places: the same as last time, at another address."""
    kept = env_file(RUN_ENV).values
    own = {"MYSQL_PORT": "database", "RESTIC_REPOSITORY": "repository"}
    moved = [
        thing
        for name, thing in own.items()
        if name in settings and kept.get(name, "") not in ("", settings[name])
    ]
    return [argument for thing in moved for argument in ("--moved", thing)]


def keep(settings: Mapping[str, str]) -> None:
    """Write run.env, which `manage.py` reads too; never half, and readable by its owner only."""
    earlier = env_file(RUN_ENV).values
    # The one opens var/repository and the other the portal's sessions, also when .env names others now.
    kept: dict[str, str] = {n: earlier[n] for n in ("RESTIC_PASSWORD", "SECRET_KEY") if n in earlier}
    kept.update(settings)
    lines = [f"{name}={value}\n" for name, value in sorted(kept.items())]
    draft = RUN_ENV.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text("# Made by `make run`. What .env or the environment says wins.\n" + "".join(lines))
    draft.replace(RUN_ENV)


def for_gunicorn(given: Given) -> dict[str, str]:
    """What gunicorn itself and its two files of settings read, who know of no .env. Raises RunError."""
    processes = given.get("WEB_CONCURRENCY") or "2"
    if not re.fullmatch(r"0*[1-9][0-9]{0,2}", processes):
        raise RunError(
            f"WEB_CONCURRENCY is {processes[:40]!r}, but must be a whole number of processes from 1 to 999."
        )
    named = {"WEB_CONCURRENCY": processes, "FORWARDED_ALLOW_IPS": given.get("FORWARDED_ALLOW_IPS")}
    # gunicorn's greetings would hide the addresses; a person's own options come after and win.
    named["GUNICORN_CMD_ARGS"] = f"--log-level warning {given.get('GUNICORN_CMD_ARGS')}".strip()
    return {name: value for name, value in named.items() if value}
