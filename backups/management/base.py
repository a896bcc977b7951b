"""What commands have in common: `--json`, progress on a terminal, plain lines elsewhere, exit statuses.

What plays runs is loaded when one is played: many commands play none, and an argument that is wrong is told
at once.
"""

from __future__ import annotations

import json
import logging
import shlex
import signal
import sys
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError
from collections.abc import Mapping
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from backups import errors, validators
from backups.choices import Status, Trigger
from backups.errors import Failure, Problem, Refused
from backups.management import interrupts
from backups.management.waiting import Wait, add_wait
from backups.models import Database, Repository, Run
from backups.text.sentences import phrase
from backups.text.terminal import escape_control_characters

if TYPE_CHECKING:
    from backups.requests import Request

DONE, FAILED, WRONG_USAGE, REFUSED, CANCELLED = 0, 1, 2, 3, 130


class WrongUsage(Problem):
    """An argument of the command is missing or wrong (exit status 2)."""

    code = "usage"


def failed(failure: Failure, **more: Any) -> dict[str, Any]:
    """What the JSON object of a command holds that failed."""
    return {"status": "failed", "error": failure.sentence, "error_code": failure.code, **more}


def given(text: str) -> str:
    """An option's value as argparse is to take it: one that was left empty is no value.

    So `--into "$NAME"` with NAME unset is wrong usage, and no other wish. Raises ArgumentTypeError.
    """
    if not text.strip():
        raise ArgumentTypeError(phrase("an empty value; is a variable of your script not set?"))
    return text


def target_database(text: str) -> str:
    """The name of a database that a restore may make, as argparse is to take it."""
    try:
        validators.target_name(given(text))
    except ValidationError as error:
        raise ArgumentTypeError(f"{text!r}: {error.messages[0]}") from None
    return text


class VedettaCommand(BaseCommand):
    """A command that ends in one sentence, and with `--json` in one JSON object.

    Subclasses define `work`, which returns what the JSON object holds besides the status and
    raises Problem where it fails.
    """

    requires_system_checks: list[str] = []
    as_json = False
    # What a person should see goes to standard error where standard output is for data.
    stdout_is_data = False
    # Whether it plays a run that may have to wait for others.
    may_wait = False
    # Whether the command has a place of its own for what of `.env` is in doubt.
    tells_of_env_file = False

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        """Options are taken by their whole names: none that is meant otherwise may come to `--replace`."""
        return super().create_parser(prog_name, subcommand, allow_abbrev=False, **options)

    def run_from_argv(self, argv: list[str]) -> None:
        """As Django does it; with `--json` also wrong usage ends in an object."""
        if "--json" in argv[2:]:
            try:
                self.create_parser(argv[0], argv[1]).parse_args(argv[2:])
            except CommandError as wrong:
                self._print_json(failed(Failure(str(wrong).removeprefix("Error: "), WrongUsage.code)))
        super().run_from_argv(argv)

    def add_arguments(self, parser: ArgumentParser) -> None:
        """`--json` for all, then what the command itself takes."""
        add_json(parser)
        if self.may_wait:
            add_wait(parser)
        self.add_own_arguments(parser)

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        """The command's own arguments."""

    def work(self, **options: Any) -> Mapping[str, Any]:
        """Do it; answers what the JSON object holds besides the status."""
        raise NotImplementedError

    def handle(self, *_: Any, **options: Any) -> None:
        """Run `work` and end with the exit status of the contract."""
        self.as_json = options.get("json", False)
        self.waits = Wait(self.say, options)
        signal.signal(signal.SIGTERM, _as_keyboard_interrupt)
        # The command says itself how its run ends.
        logging.getLogger("backups").setLevel(logging.ERROR)
        if (doubt := settings.ENV_FILE_DOUBT) and not self.tells_of_env_file:
            self.stderr.write(escape_control_characters(f"Warning: {doubt.sentence}"))
        try:
            result = self.work(**options)
        except WrongUsage as wrong:
            self._end(WRONG_USAGE, failed(Failure.of(wrong)))
        except Refused as refused:
            holder = {"held_by": refused.held_by} if refused.held_by else {}
            self._end(REFUSED, failed(Failure.of(refused), **holder, **self.waits.told()))
        except RunEnded as ended:
            self._end(ended.exit_status, ended.result)
        except Problem as problem:
            self._end(FAILED, failed(Failure.of(problem)))
        except DatabaseError as error:
            self._end(FAILED, failed(Failure(_what_is_wrong(error), "portal.database")))
        except KeyboardInterrupt:
            self._end(CANCELLED, failed(Failure(phrase("Cancelled."), errors.CANCELLED)))
        if self.as_json:
            self._print_json({"status": "succeeded", **result, **self.waits.told()})

    def say(self, text: str) -> None:
        """A line for a person; with `--json` it goes to standard error."""
        (self.stderr if self.as_json or self.stdout_is_data else self.stdout).write(
            escape_control_characters(text)
        )

    def _end(self, exit_status: int, result: Mapping[str, Any]) -> NoReturn:
        if self.as_json:
            self._print_json(result)
        else:
            self.stderr.write(self.style.ERROR(escape_control_characters(str(result["error"]))))
        sys.exit(exit_status)

    def _print_json(self, result: Mapping[str, Any]) -> None:
        self.stdout.write(json.dumps(result, default=str))

    def play(self, request: Request) -> Run:
        """Play what is asked for, showing how it goes. Raises Problem, RunEnded.

        The worker plays it where this process has not the secrets.
        """
        from backups.management import elsewhere

        if (missing := elsewhere.missing_here(request)) is not None:
            return self._judge(self._followed(request, missing))
        return self._judge(self._played(request))

    def _played(self, request: Request) -> Run:
        from backups.management.watch import Watch
        from backups.runs.asked import Asker
        from backups.worker import executor

        with interrupts.held() as let_through:
            run = request.submit(Asker(Trigger.CLI, waits=self.waits.is_wanted), send=False)
            try:
                let_through()
                with Watch(self.say, to_stderr=self.as_json or self.stdout_is_data) as watch:
                    return self.waits.executed(run, watch.observe)
            except KeyboardInterrupt:
                executor.end_interrupted(run)
                run.refresh_from_db()
                if run.status != Status.CANCELLED:
                    raise
        return run  # which says what it left

    def _followed(self, request: Request, missing: Problem) -> Run:
        from backups.runs.asked import Asker

        with interrupts.held() as let_through:
            run = request.submit(Asker(Trigger.CLI, waits=self.waits.is_wanted))
            try:
                let_through()
                return self._follow(run, missing)
            except KeyboardInterrupt:
                return self._left(run)

    def _follow(self, run: Run, missing: Problem) -> Run:
        from backups.management import elsewhere
        from backups.management.watch import Watch

        note = phrase("{missing} The worker plays it, as run {run}.", missing=missing.what, run=run.pk)
        self.stderr.write(escape_control_characters(note))
        with Watch(self.say, to_stderr=self.as_json or self.stdout_is_data) as watch:
            return elsewhere.Follower(run, missing, watch.observe, self.waits).to_its_end()

    def _left(self, run: Run) -> Run:
        """After Ctrl-C, the run if it is cancelled. Raises RunEnded, and KeyboardInterrupt if it was over."""
        from backups.runs import lifecycle

        with suppress(lifecycle.IllegalTransition):
            lifecycle.run_cancel(run)  # whoever was interrupted may not have come to it
        run.refresh_from_db()
        if run.status == Status.CANCELLED:
            return run
        if run.is_over:
            raise KeyboardInterrupt
        left = Failure(
            phrase("{run} was left to the worker, which was asked to stop it.", run=run), errors.CANCELLED
        )
        raise RunEnded(CANCELLED, failed(left, run_id=run.pk), run)

    def _judge(self, run: Run) -> Run:
        if run.status == Status.SUCCEEDED:
            return run
        result = failed(Failure(run.error, run.error_code), run_id=run.pk)
        exit_status = CANCELLED if run.status == Status.CANCELLED else FAILED
        raise RunEnded(exit_status, result, run)


def add_json(parser: ArgumentParser) -> None:
    """`--json`, also for a subcommand's parser: said before or after the verb, it counts."""
    parser.add_argument(
        "--json", action="store_true", default=SUPPRESS,
        help=phrase("print one JSON object as the last line"),
    )  # fmt: skip


class RunEnded(Exception):
    """A run that this command played ended without success."""

    def __init__(self, exit_status: int, result: Mapping[str, Any], run: Run | None = None) -> None:
        self.run = run
        self.exit_status = exit_status
        self.result = result
        super().__init__(str(result["error"]))


def add_database(parser: ArgumentParser) -> None:
    """`--database`, for `database_named`."""
    parser.add_argument(
        "--database", metavar="NAME", type=given, help=phrase("which one, where there are several")
    )  # fmt: skip


def add_snapshot(parser: Any, **options: Any) -> None:
    """`--snapshot`, for a parser or a group of one."""
    parser.add_argument("--snapshot", metavar="ID", type=given, **options)


def database_named(name: str | None, *, or_ask: bool = True) -> Database:
    """The database called `name`; without one the environment's, or the only one. Raises Problem.

    A name that nobody has here fails (exit status 1), as that of a snapshot does; one that had to be said
    and was not is wrong usage.

    With `or_ask` also where the environment means another one than the portal has: a name chooses then.
    """
    database = _database_named(name)
    if name is not None or not or_ask:
        return database
    from backups.configuration import environment

    if (differs := environment.disagreement(database)) is not None:
        differs.safe = phrase("Nothing was done.")
        differs.do += phrase(
            " To go on with {database} as the portal has it, say --database {database_2}.",
            database=database,
            database_2=shlex.quote(database.name),
        )
        raise differs
    return database


def _database_named(name: str | None) -> Database:
    databases = Database.objects.select_related("repository", "server")
    if name is not None:
        found = databases.filter(name=name).first()
        if found is None:
            raise Problem(
                phrase("There is no database called {name}.", name=name),
                code="database.unknown",
                do=phrase(
                    "There are: {databases}.",
                    databases=", ".join(d.name for d in databases) or phrase("none yet"),
                ),
            )
        return found
    if len(databases) == 1:
        return databases[0]
    if not databases:
        raise Problem(
            phrase("No database is set up."),
            code="database.none",
            do=phrase("Set MYSQL_DATABASE and run `manage.py bootstrap`."),
        )
    primary = databases.filter(is_primary=True).first()
    if primary is None:
        names = ", ".join(database.name for database in databases)
        raise WrongUsage(
            phrase("No database was named."),
            do=phrase("Say --database with one of: {names}.", names=names),
        )
    return primary


def repository_named(name: str | None) -> Repository:
    """The repository called `name`; without one the first database's, or the first. Raises Problem.

    Also where the environment says that it is another one than the portal has.
    """
    repositories = Repository.objects.all()
    if name is not None:
        named = repositories.filter(name=name).first()
        if named is None:
            names = ", ".join(repository.name for repository in repositories)
            raise Problem(
                phrase("There is no repository called {name}.", name=name),
                code="repository.unknown",
                do=phrase("There are: {names}.", names=names or phrase("none yet")),
            )
        return named
    first = Database.objects.filter(is_primary=True).select_related("repository").first()
    found = first.repository if first else repositories.order_by("pk").first()
    if found is None:
        raise Problem(
            phrase("No repository is set up."),
            code="repository.none",
            do=phrase("Set RESTIC_REPOSITORY and run `manage.py bootstrap`."),
        )
    from backups.configuration import environment

    if first is not None and (differs := environment.other_repository(first)) is not None:
        differs.safe = phrase("Nothing was done.")
        differs.do += phrase(
            " To look after {url}, say --repository {name}.", url=found.url, name=shlex.quote(found.name)
        )
        raise differs
    return found


def _what_is_wrong(error: DatabaseError) -> str:
    from backups.portal_copy.portal_database import database_problem, reason

    return database_problem(thoroughly=True) or phrase(
        "The portal's own database cannot be used ({error}). Snapshots and gate are not "
        "touched by that. Check DATABASE_URL, its server, and the free space there; then "
        "try again.",
        error=reason(error),
    )


def _as_keyboard_interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
