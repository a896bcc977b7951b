"""`manage.py preflight`: is all there that a backup needs?"""

from __future__ import annotations

import shlex
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

from backups.actions.preflight import checks
from backups.actions.steps import rights
from backups.actions.steps.checks import Check, Found
from backups.actions.steps.gate_drill import gate_checks
from backups.choices import Status
from backups.errors import Failure, Problem
from backups.gate import asking, drill
from backups.gate.nginx_lines import MOST_CHARACTERS
from backups.management.base import (
    CANCELLED,
    FAILED,
    RunEnded,
    VedettaCommand,
    WrongUsage,
    add_database,
    database_named,
    failed,
    given,
)
from backups.management.elsewhere import preflight_left_to_worker
from backups.models import Database, Run
from backups.requests import PreflightRequest
from backups.text.sentences import phrase

_SHOWN = 100


class Command(VedettaCommand):
    """Check programs, versions, privileges, repository and status folder."""

    tells_of_env_file = True
    help = phrase("Check binaries, versions, privileges, repository and status folder.")

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        add_database(parser)
        parser.add_argument(
            "--gate", metavar="URL", type=given, action="append", default=[],
            help=phrase("also hold a drill: does the gate close this address? Closes it for nobody; may be "
"repeated"),
        )  # fmt: skip
        parser.add_argument(
            "--grants",
            action="store_true",
            help=phrase(
                "also name rights that are more than is needed, what each lets somebody do, and what lacks"
            ),
        )
        parser.add_argument(
            "--nginx",
            metavar="FILE",
            type=given,
            help=phrase(
                "what `nginx -T` printed, - for standard input: for lines that open what a drill finds open"
            ),
        )

    def work(self, **options: Any) -> Mapping[str, Any]:
        urls = options["gate"]
        _refuse_wrong(urls)
        configuration = _nginx_configuration(options["nginx"], urls)
        found, drills = list[Check](), list[drill.Drilled]()
        # One of the checks says itself that the environment means another database.
        database = database_named(options["database"], or_ask=False)
        request = PreflightRequest(database, with_grants=options["grants"])
        by_worker = preflight_left_to_worker(request, self.stderr.write)
        looked, learned = self._looked(database, by_worker)
        for check in chain(looked, gate_checks(urls, drills, configuration)):
            found.append(check)
            mark = "!" if check.warning else ("ok" if check.ok else "FAILED")
            self.say(f"{mark:>6}  {check.name}: {check.detail}")
        result = {
            "checks": [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in found],
            **learned(),
            "gate": [each.told() for each in drills],
            **(self._grants(database, by_worker) if options["grants"] else {}),
            "not_looked_at": self._others(database),
        }
        wrong = [check for check in found if not check.ok]
        if wrong:
            # A person has just read the sentences.
            which = wrong[0].detail if self.as_json else f"{', '.join(check.name for check in wrong)}."
            error = phrase(
                "{count} of {all} checks failed: {which}",
                count=len(wrong),
                all=len(found),
                which=which,
            )
            raise RunEnded(FAILED, failed(Failure(error, "preflight.checks_failed"), **result))
        return result

    def _looked(
        self, database: Database, run: Run | None
    ) -> tuple[Iterable[Check], Callable[[], dict[str, Any]]]:
        """The checks as they come, and afterwards what is in no backup, and in a binary log; as the worker
        has it, where this process has not the secrets. Raises RunEnded.
        """
        if run is None:
            learned = Found()
            return checks(database, learned), lambda: _learned(learned)
        result = run.result
        if run.status == Status.CANCELLED or not result.get("checks"):
            exit_status = CANCELLED if run.status == Status.CANCELLED else FAILED
            raise RunEnded(exit_status, failed(Failure(run.error, run.error_code), run_id=run.pk))
        self.stderr.write(
            phrase("The worker looked at this, because this process does not have the secrets for it.")
        )
        told = {"not_in_backup": result.get("not_in_backup", []), "binary_log": result.get("binary_log")}
        return [Check(**each) for each in result["checks"]], lambda: told

    def _others(self, looked_at: Database) -> list[str]:
        """The databases of which nothing was said, so that nobody takes this for a word about all."""
        others = [each.name for each in Database.objects.exclude(pk=looked_at.pk).order_by("name")]
        if others:
            self.say(
                phrase("Only {looked_at} was looked at. The others are looked at by:", looked_at=looked_at)
            )
        for name in others:
            self.say(f"  manage.py preflight {shlex.quote(f'--database={name}')}")
        return others

    def _grants(self, database: Database, run: Run | None) -> dict[str, Any]:
        """A report: it changes nothing of how the command ends. As the worker has it, if that looked."""
        try:
            if run is not None:
                held, lacking = rights.heard(run.result)
            else:
                held, lacking = rights.held_too_much(database), rights.held_too_little(database)
        except Problem as problem:
            self.say(phrase("The rights could not be read: {sentence}", sentence=problem.sentence()))
            return {"grants": None, "lacking": None}
        for lack in lacking:
            self.say(f"{'lacks':>6}  {lack.words}")
        for each in held:
            self.say(f"{'more':>6}  {each.words}")
        if not held:
            self.say(phrase("No right is more than is needed."))
        return {
            "grants": [asdict(each) for each in held],
            "lacking": [asdict(lack) for lack in lacking],
        }


def _learned(found: Found) -> dict[str, Any]:
    log = found.scratch_log
    return {
        "not_in_backup": [left._asdict() for left in found.left_out],
        "binary_log": None if log is None else asdict(log),
    }


def _refuse_wrong(urls: list[str]) -> None:
    for url in urls:
        try:
            asking.checked(url)
        except Problem as problem:
            raise WrongUsage(
                phrase("--gate {url}: {problem}", url=_shown(url), problem=problem.what), do=problem.do
            ) from None


def _shown(url: str) -> str:
    """An address as it was given, but for what may be a password in it."""
    without = url if "@" not in url else f"…@{url.rpartition('@')[2]}"
    return repr(without if len(without) <= _SHOWN else f"{without[:_SHOWN]}…")


def _nginx_configuration(name: str | None, urls: list[str]) -> str:
    if name is None:
        return ""
    if not urls:
        raise WrongUsage(phrase("--nginx is for drills."), do=phrase("Say --gate with an address as well."))
    try:
        with nullcontext(sys.stdin.buffer) if name == "-" else Path(name).open("rb") as file:
            return file.read(MOST_CHARACTERS).decode(errors="replace")
    except OSError as error:
        raise Problem(
            phrase("{name} cannot be read ({error}).", name=name, error=error.strerror),
            code="preflight.file_not_readable",
        ) from None
