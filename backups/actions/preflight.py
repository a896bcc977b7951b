"""Is all there that a backup needs? Each check answers in one sentence, within seconds."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from django.conf import settings

from backups import mysql, process, requests, restic, verdict
from backups.actions.steps import log_warnings, rights, verify_place
from backups.actions.steps.checks import Check, Found, Look, ReadyBackup, Tick
from backups.actions.steps.connection_checks import connections_told
from backups.actions.steps.gate_drill import gate_checks
from backups.actions.steps.restore_checks import grants_to_come, restore_user, room_unknown
from backups.actions.steps.scratch import scratch_name
from backups.actions.steps.server_checks import (
    client_fits,
    may_dump,
    server_answers,
    tables_are_sound,
    views_are_readable,
)
from backups.catalog import learned, made_here
from backups.choices import Level
from backups.configuration import environment, undeclared
from backups.endpoints import repository_access, restores_as_another, scratch_server
from backups.errors import Problem
from backups.gate import drill
from backups.gate.heartbeat_files import make_sure_writable
from backups.keeping import suspicions
from backups.models import Database, Run
from backups.reports import own_database, portal_start, standing
from backups.repositories import identity
from backups.requests import DrillRequest, PreflightRequest, sealing
from backups.runs import notes
from backups.runs.outcome import Outcome
from backups.runs.progress import Progress
from backups.runs.subject import database_of
from backups.scheduling import schedules, staleness
from backups.text import checked, formatting
from backups.text.sentences import joined, parts_within, phrase


def checks(database: Database, found: Found, tick: Tick | None = None) -> Iterator[Check]:
    """Look at everything, one check after the other, going on after those that fail."""
    for name, look in _CHECKS:
        try:
            detail = _told(name, look, database, found, tick)
        except Problem as problem:
            yield Check(name, ok=False, detail=problem.sentence())
        else:
            yield Check(name, ok=True, detail=detail)
    if restores_as_another(database):
        yield restore_user(database)
    found.warnings += [
        *grants_to_come(database, found),
        *room_unknown(database, found),
        *suspicions.sentences(database),
        *log_warnings.sentences(database),
        *undeclared.words([database])[database.pk],
        *_nobody_is_told(),
        *_key(),
        *_gate_in_trouble(),
        *_portal_secrets(),
        *_portal_database(),
    ]
    for warning in found.warnings:
        yield Check("warning", ok=True, detail=warning, warning=True)


def _told(name: str, look: Look, database: Database, found: Found, tick: Tick | None) -> str:
    """What a check tells. It ticks while a server takes its time for its answers."""
    if tick is None or name not in _ASK_THE_SERVER:
        return look(database, found, tick)
    answers: list[str] = []

    def hang_up() -> None:
        if found.server is not None:
            mysql.hang_up_on(found.server)

    process.run_in_thread(lambda: answers.append(look(database, found, tick)), tick, hang_up)
    return answers[0]


def run(run: Run, progress: Progress) -> Outcome:
    """Look at everything for whoever waits for it, telling each check as it comes. Raises Problem.

    It may have been asked for as a drill of an address, and is that and nothing else then.
    """
    database = database_of(run)
    if isinstance(asked := requests.read(run), DrillRequest):
        return _drill(run, asked.url, progress)
    assert isinstance(asked, PreflightRequest)  # noqa: S101  as its action says
    progress.phase("preflight")
    progress.detail(_CHECKS[0][0])
    found, done = Found(), list[Check]()
    for check in checks(database, found, progress.tick):
        done.append(check)
        if found.access and found.server:
            progress.mask_secrets([*found.access.secret_values(), found.server.password])
        if found.scratch_password:
            progress.mask_secrets([found.scratch_password])
        left_out = [left._asdict() for left in found.left_out]
        result = {**_told_checks(done), "not_in_backup": left_out}
        if found.scratch_log is not None:
            result |= found.scratch_log.noted
        notes.run_update(run.pk, result=result)
        progress.log(f"{check.name.capitalize()}: {check.detail}", _level(check))
        progress.detail(next((name for name, _ in _CHECKS[len(done) :]), ""))
        progress.tick()
    if asked.with_grants:
        notes.run_update(run.pk, result={**result, **rights.told(database, progress.masked)})
    if found.restic_origin:
        notes.run_update(run.pk, **notes.restic_facts(found.restic_version, found.restic_origin))
    if found.info and found.clients:
        learned.database_probed(
            database,
            flavour=found.info.flavour,
            server_version=found.info.version,
            client_version=str(found.clients),
            warnings=found.warnings,
        )
    if failed := [check for check in done if not check.ok]:
        raise Problem(
            phrase(
                "{count} of {all} checks failed: {detail}",
                count=len(failed),
                all=len(_CHECKS),
                detail=failed[0].detail,
            ),
            code="preflight.checks_failed",
        )
    return Outcome()


def _told_checks(done: Sequence[Check]) -> dict[str, object]:
    """As the run has them, and beside them what makes their texts ones of the reader's language."""
    told = [asdict(each) for each in done]
    return {"checks": told, "checks_parts": parts_within(told)}


def _drill(run: Run, url: str, progress: Progress) -> Outcome:
    progress.phase("drill")
    progress.detail(url)
    drills: list[drill.Drilled] = []
    (check,) = gate_checks([url], drills)
    notes.run_update(run.pk, result={**_told_checks([check]), "gate": [each.told() for each in drills]})
    if not check.ok:
        raise Problem(check.detail, code="gate.drill_failed")
    progress.log(f"{check.name.capitalize()}: {check.detail}", _level(check))
    return Outcome()


def _level(check: Check) -> Level:
    if check.warning:
        return Level.WARNING
    return Level.INFO if check.ok else Level.ERROR


def make_ready(database: Database, tick: Tick | None = None, *, is_safety_copy: bool = False) -> ReadyBackup:
    """What a backup needs, all of it there. Raises Problem with the first that is not.

    But for the repository, which is probed while the backup's own restic opens it; and a backup that
    comes too rarely, or of another database than `.env` means by now, or with a line of it that means
    something else to others, is a backup still.
    """
    found = Found(is_safety_copy=is_safety_copy)
    for name, look in _CHECKS:
        if name not in _NOT_BEFORE_A_BACKUP:
            _told(name, look, database, found, tick)
    if (differs := environment.disagreement(database)) is not None:
        found.warnings.append(differs.sentence())
    found.warnings += environment.warnings(database)
    found.notes += environment.overruled(database)
    found.notes += undeclared.words([database])[database.pk]
    return found.ready()


def _status_folder(_database: Database, _found: Found, _tick: Tick | None) -> str:
    folder = make_sure_writable()
    return phrase("Heartbeats can be written to {folder}.", folder=folder)


def _restic(database: Database, found: Found, _tick: Tick | None) -> str:
    found.access = repository_access(database.repository)
    found.restic_version = restic.version(found.access)
    unheard = restic.held_back(name for name, value in os.environ.items() if value)
    kept = (
        phrase(
            "; Vedetta hides these variables from it, because restic would follow them: {unheard}",
            unheard=", ".join(sorted(unheard)),
        )
        if unheard
        else ""
    )
    found.restic_origin = restic.origin(found.access.program)
    return phrase(
        "restic {restic_version}, {restic_origin}{kept}",
        restic_version=found.restic_version,
        restic_origin=found.restic_origin.words,
        kept=kept,
    )


def _repository(database: Database, found: Found, tick: Tick | None) -> str:
    if found.access is None:
        raise Problem(
            phrase("The repository was not tried, because restic is not ready."),
            code="preflight.restic_not_ready",
        )
    restic.refuse_others_files(found.access, phrase("looking at its files"))
    identity.meet(database.repository, found.access, tick)
    return phrase("{url} opens with the password.", url=database.repository.url)


def _key() -> Iterator[str]:
    """What is wrong with the key that signs, or still to be done with it; no backup waits for it."""
    try:
        made_here.key_in_use()
    except Problem as problem:
        yield problem.sentence()
    if words := sealing.to_type_again():
        yield words
    if words := made_here.not_copied():
        yield words


def _gate_in_trouble() -> list[str]:
    """As the portal found it last."""
    found = standing.gate_process()
    return [joined(found)] if found else []


def _portal_secrets() -> list[str]:
    """As the web process found them at its last start."""
    found = portal_start.finding()
    return [joined(found)] if found else []


def _portal_database() -> list[str]:
    """What the kind of the portal's own database cannot do."""
    found = own_database.finding()
    return [joined(found)] if found else []


def _nobody_is_told() -> Iterator[str]:
    """Where neither a channel nor a ping is there, or one would tell nobody."""
    return (each.sentence for each in verdict.of_channels(standing.read().overall))


def _schedule(database: Database, found: Found, _tick: Tick | None) -> str:
    for words, cron in (
        (phrase("backup"), database.backup_cron),
        (phrase("verification"), database.verify_cron),
    ):
        if cron and not schedules.usable(cron):
            raise Problem(
                phrase(
                    "The {words} schedule of {database} is {shown}, which is no cron expression, so "
                    "it starts nothing.",
                    words=words,
                    database=database,
                    shown=checked.shown(cron),
                ),
                code="schedule.no_cron",
                do=phrase("Correct it in the portal."),
            )
    if not database.backup_cron:
        return phrase("No backups are scheduled.")
    found.warnings += staleness.conflicts(database)
    gap, allowed = schedules.longest_gap(database.backup_cron), staleness.backup_allowed(database)
    return phrase(
        "Backups are due at most {gap} apart, and are stale after {allowed}.",
        gap=formatting.approximate_duration(gap),
        allowed=formatting.approximate_duration(allowed),
    )


def _test_restores(database: Database, found: Found, _tick: Tick | None) -> str:
    """No backup waits for this server, and a verification that finds it unfit is too late."""
    server = scratch_server(database)
    found.scratch_password = server.password
    own = verify_place.OwnServer()
    if found.server is not None and found.info is not None:
        with mysql.connect(found.server, database.database) as connection:
            own = verify_place.OwnServer(found.info, mysql.inventory(connection, database.database))
    scratch = scratch_name(database.database, 1)
    detail, warnings = verify_place.looked_at(database, own, scratch=scratch)
    found.warnings += warnings
    found.scratch_log = verify_place.log_of(database, own, scratch=scratch)
    if found.scratch_log is not None and found.scratch_log.words:
        found.warnings.append(found.scratch_log.words)
    return detail


def _env_file(_database: Database, found: Found, _tick: Tick | None) -> str:
    doubt = settings.ENV_FILE_DOUBT
    if doubt and doubt.is_agreed:
        found.warnings.append(doubt.sentence)
    elif doubt:
        raise Problem(doubt.what, code="env.doubt", safe=doubt.until, do=doubt.do)
    return phrase("Each line of .env means the same to every program that reads such files.")


def _environment(database: Database, found: Found, _tick: Tick | None) -> str:
    if (differs := environment.disagreement(database)) is not None:
        raise differs
    found.warnings += environment.warnings(database)
    overruled = environment.overruled(database)
    return joined([phrase("The environment means the same database and repository."), *overruled])


_REPOSITORY = "repository"
_ENV_FILE = ".env"
_ENVIRONMENT = "environment"
_SCHEDULE = "schedule"
_TEST_RESTORES = "test restores"
_CONNECTIONS = "connections"
_NOT_BEFORE_A_BACKUP = (_REPOSITORY, _CONNECTIONS, _SCHEDULE, _TEST_RESTORES, _ENV_FILE, _ENVIRONMENT)
_ASK_THE_SERVER = ("database", "client", "privileges", "views", _CONNECTIONS)
_CHECKS: tuple[tuple[str, Look], ...] = (
    (phrase("status folder"), _status_folder),
    ("restic", _restic),
    (_REPOSITORY, _repository),
    ("database", server_answers),
    ("client", client_fits),
    ("privileges", may_dump),
    ("views", views_are_readable),
    ("tables", tables_are_sound),
    (_CONNECTIONS, connections_told),
    (_SCHEDULE, _schedule),
    (_TEST_RESTORES, _test_restores),
    (_ENV_FILE, _env_file),
    (_ENVIRONMENT, _environment),
)
