"""`make run`: start what is missing, make and verify a first backup, serve; Ctrl-C stops it all.

What the environment and .env leave open is filled in: a private MariaDB with a sample database, a
local repository, generated secrets; with --verify-server also a second private server, for test
restores. All of it lies in var/ and is kept from run to run.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import re
import secrets
import select
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

from django.core.exceptions import ImproperlyConfigured

from backups import mysql
from backups.errors import Problem
from backups.process import OUR_STDERR, OUR_STDOUT, PIPE, Child, base_environment
from portal.env import env_file
from sentinel.env_file import summed_up
from tools.mariadb import SampleMariaDB
from tools.private_server import HOST, PrivateServer, PrivateServerError
from tools.shell import ROOT, SetupError
from tools.verify_server import Like, verify_server

VAR = ROOT / "var"
RUN_ENV = VAR / "run.env"
LOGS = VAR / "log"
STARTS_WITHIN_SECONDS = 60
ENDS_WITHIN_SECONDS = 90
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Without them the next run could not open what this one made.
GENERATED = ("SECRET_KEY", "RESTIC_PASSWORD", "MYSQL_PASSWORD", "PORTAL_ADMIN_PASSWORD")


class RunError(Exception):
    """It cannot go on. Its text is one sentence for the person at the terminal."""


class Stopped(BaseException):
    """Ctrl-C, or a signal that means the same."""


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


def say(text: str) -> None:
    """A line for the person at the terminal, who may have closed it."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


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


@dataclass(frozen=True)
class Address:
    """Where a server listens, as gunicorn is told it: host:port or unix:/path, or several with commas.

    Of several the first is the one that is asked and told.
    """

    bind: str
    variable: str

    @property
    def first(self) -> str:
        """The first of what `bind` names."""
        return self.bind.partition(",")[0].strip()

    @property
    def place(self) -> tuple[str, int] | None:
        """Host and port; None for a socket in the file system."""
        if self.first.startswith("unix:"):
            return None
        host, _, port = self.first.rpartition(":")
        if not port.isdecimal() or int(port) > 65535:
            raise RunError(f"{self.variable} is {self.first!r}, but must be like 127.0.0.1:8000.")
        return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104  as gunicorn reads it

    @property
    def url(self) -> str:
        """What a person on this machine types."""
        if self.place is None:
            return self.first
        host, port = self.place
        if host in ("0.0.0.0", "::"):  # noqa: S104
            host = HOST
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def make_sure_it_is_free(self) -> None:
        """Raise RunError where something listens there."""
        if self.place is None:
            if self._socket_answers():
                raise RunError(
                    f"{self.first} is not to be had: stop what listens there, or change {self.variable}."
                )
            return
        family = socket.AF_INET6 if ":" in self.place[0] else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(self.place)
            except OSError as error:
                raise RunError(
                    f"{self.first} is not to be had ({error.strerror}): stop what listens there, or set "
                    f"{self.variable}, as in `{self.variable}={HOST}:{self.place[1] + 80} make run`."
                ) from None

    def answers(self, path: str) -> bool:
        """Whether a server answers there, be it with a refusal."""
        if self.place is None:
            return self._socket_answers()
        try:
            urllib.request.urlopen(self.url + path, timeout=5).close()  # noqa: S310  our own server
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def _socket_answers(self) -> bool:
        """Whether somebody listens on the socket: what was killed leaves its file behind."""
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(self.first.removeprefix("unix:"))
            except OSError:
                return False
        return True


class Given:
    """What the environment and .env say; an empty value counts as not set."""

    def __init__(self) -> None:
        found = env_file(ROOT / ".env")
        if (doubt := summed_up(found.doubts)) and doubt.stops and not RUN_ENV.exists():
            raise RunError(f"{doubt.what} Nothing new is set up with that. {doubt.do}")
        self._env_file = found.values

    def get(self, name: str) -> str:
        """The value of NAME, empty where it is not set."""
        return os.environ.get(name, "").strip() or self._env_file.get(name, "").strip()

    def has(self, name: str) -> bool:
        """Whether NAME or NAME_FILE is set."""
        return bool(self.get(name) or self.get(f"{name}_FILE"))


def _serve(started: contextlib.ExitStack, lock_fd: int, megabytes: float, *, has_verify_server: bool) -> None:
    given = Given()
    of_gunicorn = _of_gunicorn(given)
    portal = Address(given.get("PORTAL_BIND") or f"{HOST}:8000", "PORTAL_BIND")
    gate = Address(given.get("SENTINEL_BIND") or f"{HOST}:8001", "SENTINEL_BIND")
    for address in (portal, gate):
        address.make_sure_it_is_free()
    if has_verify_server:
        _refuse_another_place(given)
    settings, mariadb = _settings(given)
    if mariadb is not None:
        _start(mariadb, started, lock_fd)
        mariadb.load_sample(megabytes, lambda: say(f"Filling it with the sample {mariadb.database} …"))
    if has_verify_server:
        settings |= _start_verify_server(given, settings, started, lock_fd)
    elif "VERIFY_MYSQL_HOST" in env_file(RUN_ENV).values and not given.has("VERIFY_MYSQL_HOST"):
        say("Without --verify-server test restores go to the database's own server again.")
    moved = _moved(settings)
    _keep(settings)
    services = Services({**os.environ, **settings}, lock_fd, started, of_gunicorn)
    services.set_up(moved)
    services.start(portal, gate)
    _tell(portal, gate, given, settings, mariadb)
    services.follow()


def _settings(given: Given) -> tuple[dict[str, str], SampleMariaDB | None]:
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
        port=_free_port(given.get("MYSQL_PORT"), kept.get("MYSQL_PORT", "")),
        database=given.get("MYSQL_DATABASE") or "orders_tracker",
        user=given.get("MYSQL_USER") or "vedetta",
        password=settings.get("MYSQL_PASSWORD") or _secret(given, "MYSQL_PASSWORD"),
    )
    settings |= {
        "MYSQL_HOST": HOST,
        "MYSQL_PORT": str(mariadb.port),
        "MYSQL_DATABASE": mariadb.database,
        "MYSQL_USER": mariadb.user,
    }
    return settings, mariadb


def _secret(given: Given, name: str) -> str:
    if value := given.get(name):
        return value
    try:
        return Path(given.get(f"{name}_FILE")).read_text().strip()
    except OSError:
        raise RunError(f"{name}_FILE names a file that cannot be read.") from None


def _free_port(*wanted: str) -> int:
    """The first wanted port that is free, else any that is."""
    for port in (*wanted, "0"):
        if port.isdecimal():
            with socket.socket() as probe, contextlib.suppress(OSError, OverflowError):
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((HOST, int(port)))
                return int(probe.getsockname()[1])
    raise RunError("This machine has no free port.")


def _moved(settings: Mapping[str, str]) -> list[str]:
    """What `bootstrap` is to be told of our own places: the same as last time, at another address."""
    kept = env_file(RUN_ENV).values
    own = {"MYSQL_PORT": "database", "RESTIC_REPOSITORY": "repository"}
    moved = [
        thing
        for name, thing in own.items()
        if name in settings and kept.get(name, "") not in ("", settings[name])
    ]
    return [argument for thing in moved for argument in ("--moved", thing)]


def _keep(settings: Mapping[str, str]) -> None:
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


def _start(server: PrivateServer, started: contextlib.ExitStack, lock_fd: int, purpose: str = "") -> None:
    name = server.folder.name
    say(f"Starting a private {server.flavour}{purpose} on {HOST}:{server.port} (var/{name}) …")
    child = server.start(LOGS / f"{name}.log", pass_fds=[lock_fd])
    started.callback(child.stop, 60)


# ---------------------------------------------------------------- The server for test restores


def _refuse_another_place(given: Given) -> None:
    """Raise RunError where test restores go elsewhere already: nothing would use what we start."""
    if given.has("VERIFY_MYSQL_HOST"):
        raise RunError(
            "VERIFY_MYSQL_HOST is set, so test restores would go there and not to the server of "
            "--verify-server: leave out one of the two."
        )


def _start_verify_server(
    given: Given, settings: Mapping[str, str], started: contextlib.ExitStack, lock_fd: int
) -> dict[str, str]:
    """Start it; answers what commands and worker have to know of it. Raises RunError and others."""
    kept = env_file(RUN_ENV).values
    backed_up = _to_be_backed_up(given, settings)
    like = Like.asked(backed_up)
    named = "VERIFY_MYSQL_PASSWORD"
    told = {} if given.has(named) else {named: kept.get(named) or secrets.token_urlsafe(36)}
    server = verify_server(
        like,
        VAR,
        port=_free_port(given.get("VERIFY_MYSQL_PORT"), kept.get("VERIFY_MYSQL_PORT", "")),
        user=given.get("VERIFY_MYSQL_USER") or backed_up.user,
        password=told.get(named) or _secret(given, named),
    )
    if given.get("VERIFY_MYSQL_PORT") not in ("", str(server.port)):
        # Commands in another terminal would read it.
        raise RunError(
            f"VERIFY_MYSQL_PORT is {given.get('VERIFY_MYSQL_PORT')}, which is not to be had: leave it empty, "
            "and --verify-server takes a port that is free."
        )
    _start(server, started, lock_fd, " for test restores")
    _tell_of_another_release(like, server)
    return told | {
        "VERIFY_MYSQL_HOST": HOST,
        "VERIFY_MYSQL_PORT": str(server.port),
        "VERIFY_MYSQL_USER": server.user,
        # It goes over no network, whatever is asked for of the way to the first.
        "VERIFY_MYSQL_SSL_MODE": given.get("VERIFY_MYSQL_SSL_MODE") or "PREFERRED",
    }


def _tell_of_another_release(like: Like, server: PrivateServer) -> None:
    info = Like.asked(mysql.Server(HOST, server.port, server.user, server.password)).info
    if info.number[:2] != like.info.number[:2]:
        say(
            f"! It is {info}, and what is backed up is on {like.info}: what another release writes "
            "otherwise, or does not take, is not proved."
        )


def _to_be_backed_up(given: Given, settings: Mapping[str, str]) -> mysql.Server:
    def said(name: str) -> str:
        return settings.get(name) or given.get(name)

    port = said("MYSQL_PORT") or "3306"
    if not port.isdecimal():
        raise RunError(f"MYSQL_PORT is {port!r}, but must be a number.")
    return mysql.Server(
        host=said("MYSQL_HOST"),
        port=int(port),
        user=said("MYSQL_USER"),
        password=settings.get("MYSQL_PASSWORD") or _secret(given, "MYSQL_PASSWORD"),
        ssl_mode=said("MYSQL_SSL_MODE") or "PREFERRED",
        ssl_ca=said("MYSQL_SSL_CA"),
    )


class Services:
    """The portal's own programs: commands that end, and those that serve."""

    def __init__(
        self,
        environment: Mapping[str, str],
        lock_fd: int,
        started: contextlib.ExitStack,
        of_gunicorn: Mapping[str, str],
    ) -> None:
        self._environment = environment
        self._of_gunicorn = of_gunicorn
        self._lock_fd = lock_fd
        self._started = started
        self._serving: dict[str, Child] = {}

    def set_up(self, moved: Sequence[str] = ()) -> None:
        """Bootstrap, and see to it that there is a backup and that one was verified.

        What fails once the portal's database is there is in its history as well, so the portal is
        served all the same. Raises RunError.
        """
        say("Setting up the portal …")
        told = self._command("bootstrap", *moved)
        is_set_up = "run_id" in told or "env_file" in told
        if told["status"] != "succeeded" and not is_set_up:
            raise RunError(str(told["error"]))
        listed = self._well(told) and self._well(self._command("snapshots"))
        if not listed:
            return
        if not listed["snapshots"]:
            say("Making a first backup …")
            if not self._well(self._command("backup")):
                return
        if not any(snapshot["verified"] for snapshot in listed["snapshots"]):
            say("Verifying it: restoring it in full and comparing byte for byte …")
            self._well(self._command("verify"))

    @staticmethod
    def _well(told: dict[str, Any]) -> dict[str, Any] | None:
        """What a command told where it succeeded; else its error is said."""
        if told["status"] == "succeeded":
            return told
        say(f"! {told['error']}")
        return None

    def _command(self, *arguments: str) -> dict[str, Any]:
        """Run a command of manage.py; its progress is shown. Answers its JSON."""
        with self._child("manage.py", *arguments, "--json", stdout=PIPE) as running:
            output = running.stdout.read().decode()
            running.wait()
        try:
            told = json.loads(output.splitlines()[-1])
        except (IndexError, ValueError):
            raise RunError(f"`manage.py {arguments[0]}` ended without an answer.") from None
        return dict(told)

    @contextlib.contextmanager
    def _child(self, *arguments: str, stdout: int = OUR_STDOUT) -> Iterator[Child]:
        child = self._new(arguments, self._environment, stdout=stdout)
        try:
            yield child
        finally:
            child.stop(20)
            child.close()

    def start(self, portal: Address, gate: Address) -> None:
        """Start worker, portal and gate and wait until each answers. Raises RunError."""
        say("Starting the portal, the worker and the gate …")
        ready, ready_end = os.pipe()
        worker = ("manage.py", "worker", "--ready-fd", str(ready_end))
        self._start("worker", worker, self._environment, 70, ready_end)
        os.close(ready_end)
        gunicorn = ("-m", "gunicorn", "-c")
        of_portal = {**self._environment, **self._of_gunicorn, "PORTAL_BIND": portal.bind}
        self._start("portal", (*gunicorn, "portal/gunicorn.conf.py", "portal.wsgi"), of_portal, 15)
        gate_environment = self._of_gate(gate)
        self._start("gate", (*gunicorn, "sentinel/gunicorn.conf.py", "sentinel.wsgi"), gate_environment, 15)
        until = time.monotonic() + STARTS_WITHIN_SECONDS
        waiting = {
            "portal": lambda: portal.answers("/healthz"),
            "gate": lambda: gate.answers("/sentinel/status"),
            "worker": lambda: bool(select.select([ready], [], [], 0)[0]),
        }
        for name, answers in waiting.items():
            while not answers():
                self._make_sure_all_run()
                if time.monotonic() > until:
                    raise RunError(f"The {name} gives no answer.")
                time.sleep(0.1)
        os.close(ready)
        self._make_sure_all_run()

    def follow(self) -> NoReturn:
        """Wait for a signal. Raises RunError when one of them ends by itself."""
        while True:
            self._make_sure_all_run()
            time.sleep(0.5)

    def _start(
        self, name: str, arguments: Sequence[str], environment: Mapping[str, str], grace: float, *fds: int
    ) -> None:
        child = self._new(arguments, environment, fds=fds)
        self._serving[name] = child
        self._started.callback(_end, name, child, grace)

    def _new(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        stdout: int = OUR_STDOUT,
        fds: Sequence[int] = (),
    ) -> Child:
        return Child(
            [sys.executable, *arguments],
            env=environment,
            stdout=stdout,
            stderr=OUR_STDERR,
            pass_fds=[self._lock_fd, *fds],
        )

    def _of_gate(self, gate: Address) -> dict[str, str]:
        """The gate reads its own few names from .env and run.env; it needs no secrets."""
        own = {name: value for name, value in self._environment.items() if name.startswith("SENTINEL_")}
        return {
            **base_environment(),
            **own,
            **self._of_gunicorn,
            "SENTINEL_BIND": gate.bind,
        }

    def _make_sure_all_run(self) -> None:
        for name, child in self._serving.items():
            if (status := child.poll()) is not None:
                raise RunError(f"The {name} ended by itself (status {status}), so everything is stopped.")


def _of_gunicorn(given: Given) -> dict[str, str]:
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


def _end(name: str, child: Child, grace: float) -> None:
    if child.poll() is None:
        say(f"Stopping the {name} …")
    child.stop(grace)


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
        f"  Portal    {portal.url}/",
        f"  Sign in   as {user} with the password {password}",
        f"  Gate      {gate.url}/sentinel/ok",
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
