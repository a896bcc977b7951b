"""What commands have in common: `--json`, progress on a terminal, plain lines elsewhere, exit statuses."""

from __future__ import annotations

import json
import logging
import signal
import sys
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Mapping
from types import FrameType
from typing import Any, NoReturn

from django.core.management.base import BaseCommand
from django.db import DatabaseError
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

from backups import runner, services
from backups.choices import Action, Status, Trigger
from backups.errors import Problem, Refused
from backups.health import database_problem
from backups.models import Database, Repository, Run
from backups.plain import plain
from backups.progress import State

DONE, FAILED, REFUSED, CANCELLED = 0, 1, 3, 130


class VedettaCommand(BaseCommand):
    """A command that ends in one sentence, and with `--json` in one JSON object.

    Subclasses define `work`, which returns what the JSON object holds besides the status and
    raises Problem where it fails.
    """

    requires_system_checks: list[str] = []
    as_json = False
    # What a person should see goes to standard error where standard output is for data.
    stdout_is_data = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        """`--json` for all, then what the command itself takes."""
        add_json(parser)
        self.add_own_arguments(parser)

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        """The command's own arguments."""

    def work(self, **options: Any) -> Mapping[str, Any]:
        """Do it; answers what the JSON object holds besides the status."""
        raise NotImplementedError

    def handle(self, *_: Any, **options: Any) -> None:
        """Run `work` and end with the exit status of the contract."""
        self.as_json = options.get("json", False)
        signal.signal(signal.SIGTERM, _as_keyboard_interrupt)
        # The command says itself how its run ends.
        logging.getLogger("backups").setLevel(logging.ERROR)
        try:
            told = self.work(**options)
        except Refused as refused:
            self._end(REFUSED, {"status": "failed", "error": refused.sentence()})
        except RunEnded as ended:
            self._end(ended.exit_status, ended.told)
        except Problem as problem:
            self._end(FAILED, {"status": "failed", "error": problem.sentence()})
        except DatabaseError as error:
            found = database_problem(thoroughly=True)
            sentence = found or (
                f"The portal's own database cannot be used ({error}). Snapshots and gate are not touched by "
                "that. Check DATABASE_URL, its server, and the free space there; then try again."
            )
            self._end(FAILED, {"status": "failed", "error": sentence})
        except KeyboardInterrupt:
            self._end(CANCELLED, {"status": "failed", "error": "Cancelled."})
        if self.as_json:
            self._print_json({"status": "succeeded", **told})

    def say(self, text: str) -> None:
        """A line for a person; with `--json` it goes to standard error."""
        (self.stderr if self.as_json or self.stdout_is_data else self.stdout).write(plain(text))

    def _end(self, exit_status: int, told: Mapping[str, Any]) -> NoReturn:
        if self.as_json:
            self._print_json(told)
        else:
            self.stderr.write(self.style.ERROR(plain(str(told["error"]))))
        sys.exit(exit_status)

    def _print_json(self, told: Mapping[str, Any]) -> None:
        self.stdout.write(json.dumps(told, default=str))

    def play(
        self,
        action: Action,
        *,
        database: Database | None = None,
        repository: Repository | None = None,
        **enqueue: Any,
    ) -> Run:
        """Play a run in this process, showing how it goes. Raises Refused, RunEnded."""
        run = services.run_enqueue(
            action=action,
            trigger=Trigger.CLI,
            database=database,
            repository=repository,
            send=False,
            **enqueue,
        )
        return self.play_queued(run)

    def play_queued(self, run: Run) -> Run:
        """Play a run that was inserted but not sent, as `play` does. Raises RunEnded."""
        try:
            with Watch(self) as watch:
                played = runner.execute(run.pk, observer=watch.observe, send_follow_ups=False)
        except KeyboardInterrupt:
            run.refresh_from_db()
            if run.status != Status.CANCELLED:
                raise
            played = run  # which says what it left
        return self._judge(played or run)

    def _judge(self, run: Run) -> Run:
        if run.status == Status.SUCCEEDED:
            return run
        told = {"status": "failed", "error": run.error, "run_id": run.pk}
        exit_status = CANCELLED if run.status == Status.CANCELLED else FAILED
        raise RunEnded(exit_status, told, run)


def add_json(parser: ArgumentParser) -> None:
    """`--json`, also for a subcommand's parser: said before or after the verb, it counts."""
    parser.add_argument(
        "--json", action="store_true", default=SUPPRESS,
        help="print one JSON object as the last line",
    )  # fmt: skip


class RunEnded(Exception):
    """A run that this command played ended without success."""

    def __init__(self, exit_status: int, told: Mapping[str, Any], run: Run | None = None) -> None:
        self.run = run
        self.exit_status = exit_status
        self.told = told
        super().__init__(str(told["error"]))


class Watch:
    """Shows a run: a bar on a terminal, lines elsewhere, all on standard error with `--json`."""

    def __init__(self, command: VedettaCommand) -> None:
        self._command = command
        self._console = Console(stderr=command.as_json or command.stdout_is_data)
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=None)
        self._phase = ""

    def __enter__(self) -> Watch:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def observe(self, state: State, lines: list[str]) -> None:
        """Take in what the run reports."""
        if state.phase != self._phase:
            self._phase = state.phase
            self._bar.reset(self._task, total=state.bytes_expected, description=state.phase)
            if not self._console.is_terminal:
                self._command.say(f"{state.phase} …")
        expected = state.bytes_expected
        if expected is not None:
            expected = max(expected, state.bytes_done)
        self._bar.update(
            self._task,
            completed=state.bytes_done,
            total=expected,
            description=plain(f"{state.phase} {state.detail}".strip()[:60]),
        )
        for line in lines:
            self._console.print(f"  {plain(line)}", markup=False, highlight=False, soft_wrap=True)


def database_named(name: str | None) -> Database:
    """The database called `name`, or the only one. Raises Problem."""
    databases = Database.objects.select_related("repository")
    if name:
        found = databases.filter(name=name).first()
        if found is None:
            raise Problem(
                f"There is no database called {name}.",
                do=f"There are: {', '.join(d.name for d in databases) or 'none yet'}.",
            )
        return found
    if len(databases) == 1:
        return databases[0]
    if not databases:
        raise Problem("No database is set up.", do="Set MYSQL_DATABASE and run `manage.py bootstrap`.")
    primary = databases.filter(is_primary=True).first()
    if primary is None:
        names = ", ".join(database.name for database in databases)
        raise Problem("It is not said which database.", do=f"Say --database with one of: {names}.")
    return primary


def repository_named(name: str | None) -> Repository:
    """The repository called `name`, or the first. Raises Problem."""
    repositories = Repository.objects.all()
    found = repositories.filter(name=name).first() if name else repositories.order_by("pk").first()
    if found is None:
        raise Problem(
            f"There is no repository called {name}." if name else "No repository is set up.",
            do="Set RESTIC_REPOSITORY and run `manage.py bootstrap`.",
        )
    return found


def _as_keyboard_interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
