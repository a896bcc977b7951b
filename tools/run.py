"""`make run`: start what is missing, make and verify a first backup, serve; Ctrl-C stops it all.

What the environment and .env leave open is filled in: a private MariaDB with a sample database, a
local repository, generated secrets; with --verify-server also a second private server, for test
restores. All of it lies in var/ and is kept from run to run.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from typing import IO, NoReturn

from django.core.exceptions import ImproperlyConfigured

from backups.errors import Problem
from portal.env import env_file
from tools.mariadb import SampleMariaDB
from tools.ports import HOST
from tools.private_server import PrivateServerError
from tools.running.address import Address
from tools.running.common import RUN_ENV, VAR, RunError, Stopped, say
from tools.running.left_open import Given, filled_in, for_gunicorn, keep, moved_places
from tools.running.services import ENDS_WITHIN_SECONDS, Services
from tools.running.verify_server import refuse_another_place, start_private, start_verify_server
from tools.shell import ROOT, SetupError

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> None:
    """Serve until told to stop; the exit status is 0 when that went well."""
    parser = argparse.ArgumentParser(prog="tools.run", description="Start Vedetta with all it needs.")
    parser.add_argument(
        "--sample-megabytes", type=float, default=30, metavar="N", help="size of the sample database"
    )
    parser.add_argument(
        "--verify-server", action="store_true",
        help="start a second private server, of the kind of the first, to which all test restores go",
    )  # fmt: skip
    wanted = parser.parse_args()
    os.chdir(ROOT)
    for number in _STOPPING:
        # `nohup` ignores one of them, and means it.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)
    try:
        with _alone() as lock_fd, contextlib.ExitStack() as started:
            _serve(started, lock_fd, wanted.sample_megabytes, has_verify_server=wanted.verify_server)
    except (RunError, PrivateServerError, SetupError, ImproperlyConfigured, Problem) as error:
        sys.exit(f"run: {error}")
    except Stopped:
        say("Everything is stopped.")


def _stop(_signal: int, _frame: object) -> NoReturn:
    # What is being stopped must not be interrupted by a second signal.
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)
    raise Stopped


@contextlib.contextmanager
def _alone() -> Iterator[int]:
    """Refuse to run twice, and wait for the end of what an earlier run that was killed had started.

    Gives the second lock's descriptor: who inherits it has to end before the next run begins.
    """
    VAR.mkdir(exist_ok=True)
    with (VAR / "run.lock").open("a") as mine, (VAR / "run.children.lock").open("a") as childrens:
        if not _locked(mine):
            raise RunError("`make run` is running in this folder already.")
        until = time.monotonic() + ENDS_WITHIN_SECONDS
        if not _locked(childrens):
            say("Waiting for what an earlier run started to end.")
        while not _locked(childrens):
            if time.monotonic() > until:
                raise RunError(f"Something of an earlier run does not end; see `fuser {childrens.name}`.")
            time.sleep(0.2)
        yield childrens.fileno()


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _serve(started: contextlib.ExitStack, lock_fd: int, megabytes: float, *, has_verify_server: bool) -> None:
    given = Given()
    of_gunicorn = for_gunicorn(given)
    portal = Address(given.get("PORTAL_BIND") or f"{HOST}:8000", "PORTAL_BIND")
    gate = Address(given.get("SENTINEL_BIND") or f"{HOST}:8001", "SENTINEL_BIND")
    for address in (portal, gate):
        address.make_sure_it_is_free()
    if has_verify_server:
        refuse_another_place(given)
    settings, mariadb = filled_in(given)
    if mariadb is not None:
        start_private(mariadb, started, lock_fd)
        mariadb.load_sample(megabytes, lambda: say(f"Filling it with the sample {mariadb.database} …"))
    if has_verify_server:
        settings |= start_verify_server(given, settings, started, lock_fd)
    elif "VERIFY_MYSQL_HOST" in env_file(RUN_ENV).values and not given.has("VERIFY_MYSQL_HOST"):
        say("Without --verify-server test restores go to the database's own server again.")
    moved = moved_places(settings)
    keep(settings)
    services = Services({**os.environ, **settings}, lock_fd, started, of_gunicorn)
    services.set_up(moved)
    services.start(portal, gate)
    _tell(portal, gate, given, settings, mariadb)
    services.follow()


def _tell(
    portal: Address, gate: Address, given: Given, settings: Mapping[str, str], mariadb: SampleMariaDB | None
) -> None:
    user = given.get("PORTAL_ADMIN_USER") or "admin"
    password = settings.get("PORTAL_ADMIN_PASSWORD", "the PORTAL_ADMIN_PASSWORD that you set")
    repository = settings.get("RESTIC_REPOSITORY", "the RESTIC_REPOSITORY that you set")
    lines = [
        "",
        "Vedetta is running.",
        "",
        f"  Portal    {portal.told('/')}",
        f"  Sign in   as {user} with the password {password}",
        f"  Gate      {gate.told('/sentinel/ok')}",
        f"  Backups   in {repository}",
    ]
    if mariadb is not None:
        lines.append(f"  Database  {mariadb.database} on {HOST}:{mariadb.port}, a sample")
    if place := settings.get("VERIFY_MYSQL_HOST"):
        lines.append(f"  Verified  on {place}:{settings['VERIFY_MYSQL_PORT']}, a server for that alone")
    lines += ["", "What was generated is kept in var/run.env. Ctrl-C stops everything.", ""]
    for line in lines:
        say(line)


if __name__ == "__main__":
    main()
