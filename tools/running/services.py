"""Portal, worker and gate: set up, started, followed and ended."""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from backups.process import OUR_STDERR, OUR_STDOUT, PIPE, Child, Program, base_environment
from portal import servers_secrets
from portal.env import env_file
from tools.running.address import Address
from tools.running.common import RunError, say
from tools.shell import ROOT

STARTS_WITHIN_SECONDS = 60
ENDS_WITHIN_SECONDS = 90


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
        of_portal = self.of_portal(portal)
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

    def of_portal(self, portal: Address) -> dict[str, str]:
        """The portal's environment, without what the worker alone needs, of which .env may declare some."""
        declaring = env_file(ROOT / ".env").values
        own = servers_secrets.without(self._environment, declaring)
        return {**own, **self._of_gunicorn, "PORTAL_BIND": portal.bind}

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
            Program([sys.executable, *arguments], environment, pass_fds=[self._lock_fd, *fds]),
            stdout=stdout,
            stderr=OUR_STDERR,
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


def _end(name: str, child: Child, grace: float) -> None:
    if child.poll() is None:
        say(f"Stopping the {name} …")
    child.stop(grace)
