"""Is all there that a backup needs? Each check answers in one sentence, within seconds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from django.conf import settings

from backups import mysql, process, restic, verdict
from backups.actions import room, verify_place
from backups.actions.verify import scratch_name
from backups.catalog import learned, made_here
from backups.choices import Level
from backups.configuration import environment
from backups.dumping.mysqldump import Source, refuse_what_cuts_dumps
from backups.endpoints import (
    database_server,
    repository_access,
    restores_as_another,
    restoring_server,
    scratch_server,
    to_verify_at,
    verifies_elsewhere,
)
from backups.errors import Problem
from backups.gate import drill
from backups.gate.status_files import make_sure_writable
from backups.keeping import suspicions
from backups.models import Database, Run
from backups.mysql import excess_rights, grants
from backups.reports import standing
from backups.repositories import identity
from backups.runs import notes
from backups.runs.outcome import Outcome
from backups.runs.progress import Progress
from backups.scheduling import schedules, staleness
from backups.text import checked, formatting

Tick = Callable[[], None]
# Beyond it, a replica's delay is more than what comes and goes.
_BEHIND_SECONDS = 60
# Of what no dump carries; the snapshot's page has all of it.
_SHOWN = 10
# CHECK TABLE reads a table with all its keys.
_CHECK_SECONDS = 6 * 60 * 60


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. A `warning` is worth reading and stops nothing."""

    name: str
    ok: bool
    detail: str
    warning: bool = False


@dataclass
class Found:
    """What the checks learned on the way, for the backup that follows."""

    access: restic.Access | None = None
    server: mysql.Server | None = None
    scratch_password: str = field(default="", repr=False)
    info: mysql.ServerInfo | None = None
    clients: mysql.Clients | None = None
    restic_version: str = ""
    restic_origin: restic.Origin | None = None
    data_length: int = 0
    left_out: list[mysql.LeftOut] = field(default_factory=list)
    # Tables that are not InnoDB, with their engine in brackets.
    loose: list[str] = field(default_factory=list)
    # What is saved before a restore does without views that cannot be read; no other backup does.
    is_safety_copy: bool = False
    broken_views: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


Look = Callable[[Database, Found, Tick | None], str]


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
        yield _restoring(database)
    found.warnings += [
        *_grants_to_come(database, found),
        *_room_unknown(database, found),
        *suspicions.sentences(database),
        *environment.undeclared([database])[database.pk],
        *_nobody_is_told(),
        *_key(),
        *_gate_in_trouble(),
    ]
    for warning in found.warnings:
        yield Check("warning", ok=True, detail=warning, warning=True)


def _told(name: str, look: Look, database: Database, found: Found, tick: Tick | None) -> str:
    """What a check tells. It ticks while a server takes its time for its answers."""
    if tick is None or name not in _ASK_THE_SERVER:
        return look(database, found, tick)
    told: list[str] = []

    def hang_up() -> None:
        if found.server is not None:
            mysql.hang_up_on(found.server)

    process.watched(lambda: told.append(look(database, found, tick)), tick, hang_up)
    return told[0]


def gate_checks(
    urls: Sequence[str], drills: list[drill.Drilled], nginx_configuration: str = ""
) -> Iterator[Check]:
    """A drill for each address: does the gate close it? What was found is put into `drills`."""
    for url in urls:
        try:
            held = drill.hold(url, settings.SENTINEL.heartbeat_path, standing.gate_by_files)
        except Problem as problem:
            yield Check(_GATE, ok=False, detail=problem.sentence())
        else:
            found = drill.explained(held, nginx_configuration)
            drills.append(found)
            yield Check(_GATE, ok=found.ok, detail=found.detail)
            if found.warnings:
                yield Check("warning", ok=True, detail=_may_let_in(found), warning=True)


def _may_let_in(found: drill.Drilled) -> str:
    return (
        f"{found.url} closes for the drill, but these lines of nginx's may let others in while the gate is "
        "closed, by their address, cookie or browser, or out of a cache: "
        f"{', '.join(map(str, found.warnings))}."
    )


@dataclass(frozen=True)
class Lacking:
    """Rights that a user does not hold and needs for a `purpose`, and what an administrator can `do`."""

    user: str
    purpose: str
    because: str
    do: str

    @property
    def words(self) -> str:
        """A sentence for a person."""
        return f"{self.user} may not make {self.purpose}: {self.because}. {self.do}"


def held_too_little(database: Database) -> list[Lacking]:
    """What its users would have to hold for backups and test restores, as their own grants tell."""
    told = []
    server = database_server(database)
    with mysql.connect(server) as connection:
        info = mysql.probe(connection)
        if missing := grants.missing_for_dump(connection, info, database.database):
            do = f"Run as an administrator: {missing.statement}"
            told.append(Lacking(server.user, f"a backup of {database.database}", missing.because, do))
    scratch, there = scratch_name(database.database, 1), scratch_server(database)
    with mysql.connect(there) as connection:
        if missing := grants.missing_in_scratch(connection, scratch):
            do = verify_place.how_to_allow(connection, database, scratch)
            told.append(Lacking(there.user, f"databases such as {scratch}", missing.because, do))
    return told


def held_too_much(database: Database) -> list[excess_rights.Excess]:
    """What its users hold and could do without; what only a restore needs as well, but of who restores."""
    name = database.database
    server = database_server(database)
    told = _excess_at(server, excess_rights.Needs(server.user, name))
    if (scratch := scratch_server(database)) != server:
        told += _excess_at(scratch, excess_rights.Needs(scratch.user, name, dumps=False))
    if restores_as_another(database):
        with suppress(Problem):  # it need not be there
            restoring = restoring_server(database)
            told += _excess_at(restoring, excess_rights.Needs(restoring.user, name, restores=True))
    return told


def _excess_at(server: mysql.Server, needs: excess_rights.Needs) -> list[excess_rights.Excess]:
    with mysql.connect(server) as connection:
        spelled = mysql.spelling(connection)(needs.database)
        needs = replace(needs, database=spelled)
        lines = mysql.show_grants(connection)
        others = excess_rights.asleep(lines, mysql.current_role(connection), needs) + excess_rights.stand_ins(
            lines, needs
        )
        return [*excess_rights.excess(grants.of_user(connection), needs), *others]


def run(run: Run, progress: Progress) -> Outcome:
    """Look at everything for whoever waits for it, telling each check as it comes. Raises Problem.

    With `gate` in its options it is a drill of that address and nothing else.
    """
    assert run.database is not None  # noqa: S101
    if url := run.options.get("gate"):
        return _drill(run, str(url), progress)
    progress.phase("preflight")
    progress.detail(_CHECKS[0][0])
    found, told = Found(), list[Check]()
    for check in checks(run.database, found, progress.tick):
        told.append(check)
        if found.access and found.server:
            progress.hide([*found.access.secret_values(), found.server.password])
        if found.scratch_password:
            progress.hide([found.scratch_password])
        notes.run_note(run.pk, result={"checks": [asdict(each) for each in told]})
        progress.log(f"{check.name.capitalize()}: {check.detail}", _level(check))
        progress.detail(next((name for name, _ in _CHECKS[len(told) :]), ""))
        progress.tick()
    if found.restic_origin:
        notes.run_note(run.pk, **notes.restic_facts(found.restic_version, found.restic_origin))
    if found.info and found.clients:
        learned.database_probed(
            run.database,
            flavour=found.info.flavour,
            server_version=found.info.version,
            client_version=str(found.clients),
            warnings=found.warnings,
        )
    if failed := [check for check in told if not check.ok]:
        raise Problem(f"{len(failed)} of {len(_CHECKS)} checks failed: {failed[0].detail}")
    return Outcome()


def _drill(run: Run, url: str, progress: Progress) -> Outcome:
    progress.phase("drill")
    progress.detail(url)
    drills: list[drill.Drilled] = []
    (check,) = gate_checks([url], drills)
    notes.run_note(run.pk, result={"checks": [asdict(check)], "gate": [each.told() for each in drills]})
    if not check.ok:
        raise Problem(check.detail)
    progress.log(f"{check.name.capitalize()}: {check.detail}", _level(check))
    return Outcome()


def _level(check: Check) -> Level:
    if check.warning:
        return Level.WARNING
    return Level.INFO if check.ok else Level.ERROR


def make_ready(database: Database, tick: Tick | None = None, *, is_safety_copy: bool = False) -> Found:
    """What a backup needs, all of it there. Raises Problem with the first that is not.

    But for the repository, which is probed while the backup's own restic opens it; and a backup that
    comes too rarely, or of another database than `.env` means by now, or with a line of it that means
    something else to others, is a backup still.
    """
    found = Found(is_safety_copy=is_safety_copy)
    for name, look in _CHECKS:
        if name not in (_REPOSITORY, _SCHEDULE, _TEST_RESTORES, _ENV_FILE, _ENVIRONMENT):
            _told(name, look, database, found, tick)
    if (differs := environment.disagreement(database)) is not None:
        found.warnings.append(differs.sentence())
    found.warnings += environment.warnings(database)
    found.notes += environment.overruled(database)
    found.notes += environment.undeclared([database])[database.pk]
    return found


def _status_folder(_database: Database, _found: Found, _tick: Tick | None) -> str:
    folder = make_sure_writable()
    return f"Heartbeats can be written to {folder}."


def _restic(database: Database, found: Found, _tick: Tick | None) -> str:
    found.access = repository_access(database.repository)
    found.restic_version = restic.version(found.access)
    unheard = restic.held_back(name for name, value in os.environ.items() if value)
    kept = f"; not shown to it, as it would heed them: {', '.join(sorted(unheard))}" if unheard else ""
    found.restic_origin = restic.origin(found.access.program)
    return f"restic {found.restic_version}, {found.restic_origin.words}{kept}"


def _repository(database: Database, found: Found, tick: Tick | None) -> str:
    if found.access is None:
        raise Problem("The repository was not tried, because restic is not ready.")
    restic.refuse_others_files(found.access, "looking at its files")
    identity.meet(database.repository, found.access, tick)
    return f"{database.repository.url} opens with the password."


def _database(database: Database, found: Found, _tick: Tick | None) -> str:
    found.server = database_server(database)
    with mysql.connect(found.server, database.database) as connection:
        found.info = mysql.probe(connection)
        found.warnings += mysql.server_warnings(found.info)
        found.data_length = mysql.data_length(connection, database.database)
        _note_left_out(connection, database, found)
        elsewhere = {left.table for left in found.left_out}
        loose = mysql.tables_without_snapshot(connection, database.database)
        found.loose = [table for table in loose if table.rpartition(" (")[0] not in elsewhere]
        if found.loose:
            found.warnings.append(
                "Not InnoDB, so not covered by the consistent snapshot; what is written to them "
                f"during a dump may come out torn: {', '.join(found.loose)}."
            )
        _note_lossy(connection, database, found)
        replica = mysql.replica(connection)
        if replica is not None:
            _note_replica(replica, found)
            if mysql.inventory(connection, database.database).get("event"):
                found.notes.append(
                    "Its events are stored as a replica has them, disabled: enable them after a restore."
                )
        in_the_clear = not found.server.stays_here and not mysql.is_encrypted(connection)
    return (
        f"{found.info} at {found.server.address} has {database.database}.{f' {replica}.' if replica else ''}"
        f"{_IN_THE_CLEAR.format(found.server) if in_the_clear else ''}"
    )


_IN_THE_CLEAR = (
    " The connection is not encrypted, and whoever listens on the network reads along. Turn TLS on in the "
    "server; with {0.ssl_mode_set_by} at REQUIRED or more nothing goes without it."
)


def _note_left_out(connection: Any, database: Database, found: Found) -> None:
    found.left_out = mysql.not_in_backup(connection, database.database)
    if found.left_out:
        shown = "; ".join(left.words for left in found.left_out[:_SHOWN])
        more = f"; and {len(found.left_out) - _SHOWN} more" if len(found.left_out) > _SHOWN else ""
        found.warnings.append(f"Not in any backup, as no dump carries it: {shown}{more}.")


def _note_lossy(connection: Any, database: Database, found: Found) -> None:
    """What clients of other character sets have made, and no dump program writes as it is."""
    found.warnings += [view.words for view in mysql.lossy_views(connection, database.database)]
    if found.info is None or found.info.flavour != mysql.MARIADB:
        return
    if routines := mysql.routines_with_lossy_definer(connection, database.database):
        found.warnings.append(
            "The server shows the definer of these routines with ? in the place of letters that the "
            "character set of the client lacks that made them, and so does every dump: "
            f"{', '.join(routines)}. Make them again as a client of utf8mb4."
        )


def _note_replica(replica: mysql.Replica, found: Found) -> None:
    """A fresh backup of a replica that stands still is one of old data."""
    if not replica.runs or replica.behind is None:
        found.warnings.append(
            f"{replica}: what is backed up may be old. See SHOW REPLICA STATUS there, or back up the source."
        )
    elif replica.behind > _BEHIND_SECONDS:
        found.warnings.append(f"{replica}: what is backed up is that old.")
    else:
        found.notes.append(f"{replica}.")


def _unreached(what: str) -> Problem:
    """Also where nobody was asked, as the password was not to be had."""
    return Problem(f"{what}, because the check of the database failed, which says why.")


def _client(database: Database, found: Found, _tick: Tick | None) -> str:
    if found.server is None or found.info is None:
        raise _unreached("No client was chosen")
    found.clients = mysql.clients(found.info, settings.MYSQL_CLIENT_DIR)
    found.warnings += mysql.client_warnings(found.info, found.clients)
    mysql.refuse_uncorrectable(found.server, found.info)
    refuse_what_cuts_dumps(Source(found.server, database.database, found.info, found.clients))
    if process.find_program("gzip") is None:
        found.warnings.append("gzip is not installed: BACKUP_DUMP_FORMAT=sql.gz will not work.")
    return f"{found.clients} ({found.clients.dump})"


def _privileges(database: Database, found: Found, _tick: Tick | None) -> str:
    if found.server is None or found.info is None:
        raise _unreached("The privileges were not read")
    with mysql.connect(found.server, database.database) as connection:
        missing = grants.missing_for_dump(connection, found.info, database.database)
        if missing:
            raise mysql.MissingPrivilege(
                f"The user {found.server.user} may not see all of {database.database}, so the dump "
                f"would leave something out ({missing.because}).",
                do=f"Run as an administrator: {missing.statement}",
            )
        mysql.refuse_what_hangs(connection, database.database)
        or_else = ", or restore without the safety backup: undoing it keeps the routine's text"
        mysql.refuse_unlinked_routines(
            connection, database.database, or_else=or_else if found.is_safety_copy else ""
        )
        if refused := grants.refused_by_binary_log(connection, database.database):
            found.warnings.append(
                f"{found.server.user} could not {_doing(database)} here what it backs up: the server writes "
                f"a binary log and {refused}. {mysql.TRUST_FUNCTION_CREATORS}"
            )
    found.warnings += _forbidden_tables(found.server, database)
    return f"{found.server.user} may dump all of {database.database}."


def _tables(database: Database, found: Found, tick: Tick | None) -> str:
    """A damaged table is found before anything is dumped where the server lets it be known."""
    server, name = found.server, database.database
    if server is None or found.info is None:
        raise _unreached("The tables were not looked at")
    with mysql.connect(server, name, read_seconds=_CHECK_SECONDS) as connection:
        thread = connection.thread_id()
        told: list[str] = []

        def look() -> None:
            mysql.refuse_unreadable(connection, name)
            mysql.refuse_short(connection, name)
            told.append(_checked(connection, server, name))

        if tick is None:
            look()
        else:
            process.watched(look, tick, lambda: mysql.kill(server, thread))
    return told[0]


def _checked(connection: Any, server: mysql.Server, database: str) -> str:
    wanted = settings.BACKUP_CHECK_TABLES
    if wanted == "off":
        return "All tables can be opened; they were not checked further (BACKUP_CHECK_TABLES)."
    tables = mysql.checked_tables(connection, database, with_innodb=wanted == "all")
    for table in tables:
        mysql.check_table(connection, server, database, table)
    return f"All tables can be opened, and CHECK TABLE finds no fault with {len(tables)} of them."


def _views(database: Database, found: Found, _tick: Tick | None) -> str:
    if found.server is None or found.info is None:
        raise _unreached("The views were not looked at")
    with mysql.connect(found.server, database.database) as connection:
        views = mysql.broken_views(connection, database.database)
        if not found.is_safety_copy:
            mysql.refuse_broken_views(connection, views, database.database)
    found.broken_views = [view.name for view in views]
    if views:
        found.warnings.append(
            f"These views of {database.database} cannot be read any more and are left out; their statements "
            f"are kept in the snapshot's list of what is not in it: {', '.join(found.broken_views)}."
        )
    return f"All views of {database.database} that a backup holds can be read."


def _doing(database: Database) -> str:
    """What of a backup is loaded on the live server."""
    return "restore" if verifies_elsewhere(database) else "verify or restore"


def _forbidden_tables(server: mysql.Server, database: Database) -> Iterator[str]:
    """What could not be verified or restored here, because the server makes no such tables for us."""
    name = database.database
    with mysql.loading_connections(server, name, 1) as (connection,):
        with mysql.translated(server, name):
            keyless = mysql.tables_without_primary_key(connection.driver, name)
        for setting, way_out in connection.key_rules().items() if keyless else ():
            yield (
                f"{server.user} could not {_doing(database)} here what it backs up: the server's {setting} "
                f"is on, and these tables have no primary key: {mysql.named(keyless)}. {way_out}"
            )


def _restoring(database: Database) -> Check:
    """Whether RESTORE_MYSQL_USER could restore now; it need not be there but for a restore."""
    user = settings.RESTORE_MYSQL_USER
    try:
        with mysql.connect(restoring_server(database)) as connection:
            missing = grants.missing_for_replacing(connection, database.database)
    except Problem as problem:
        why = "That is as it should be where it is made for a restore and dropped after it."
        detail = (
            f"RESTORE_MYSQL_USER {user} is not to be had now, and a restore needs it: {problem.what} {why}"
        )
        return Check(_RESTORING, ok=True, detail=detail)
    if missing:
        detail = f"RESTORE_MYSQL_USER {user} may not replace {database.database} ({missing.because})."
        return Check(_RESTORING, True, f"{detail} Run as an administrator: {missing.statement}", warning=True)
    return Check(_RESTORING, ok=True, detail=f"RESTORE_MYSQL_USER {user} may replace {database.database}.")


def _grants_to_come(database: Database, found: Found) -> Iterator[str]:
    """What a restore here would have to be granted. Told to whoever asks, and not with each backup."""
    if found.server is None or found.info is None:
        return
    with suppress(Problem), _as_restorer(database) as (user, connection):
        if missing := grants.missing_for_definers(connection, database.database):
            yield (
                f"{user} could not restore here what is backed up: {missing.because}. "
                f"Run as an administrator: {missing.statement}"
            )
        if missing := grants.missing_for_keys(connection, database.database):
            yield (
                f"{user} could not restore here all that is backed up: {missing.because}. "
                f"Run as an administrator: {missing.statement}"
            )


@contextmanager
def _as_restorer(database: Database) -> Iterator[tuple[str, Any]]:
    """Who restores the database, with a connection. Raises Problem."""
    server = restoring_server(database)
    with mysql.connect(server, database.database) as connection:
        yield server.user, connection


def _room_unknown(database: Database, found: Found) -> Iterator[str]:
    """Where a second copy might fill the live server's disk. Told to whoever asks, not with each backup."""
    if found.server is None or found.info is None:
        return
    is_elsewhere = verifies_elsewhere(database)
    with suppress(Problem), mysql.connect(found.server) as connection:
        if not room.is_known(connection, found.server):
            copying = "restores make" if is_elsewhere else "verifications and restores make"
            or_else = "" if is_elsewhere else f"; or {to_verify_at(database, 'another server')}"
            yield (
                f"How much room {found.server.address} has left cannot be known from here, and {copying} a "
                "second copy there. Set VERIFY_MAX_MB to what may be taken; or install MariaDB's plugin "
                f"DISKS and grant FILE{or_else}."
            )


def _key() -> Iterator[str]:
    """What is wrong with the key that signs, or still to be done with it; no backup waits for it."""
    try:
        made_here.key_in_use()
    except Problem as problem:
        yield problem.sentence()
    if words := made_here.not_copied():
        yield words


def _gate_in_trouble() -> list[str]:
    """As the portal found it last."""
    found = standing.gate_process()
    return [" ".join(found)] if found else []


def _nobody_is_told() -> Iterator[str]:
    """Where neither a channel nor a ping is there, or one would tell nobody."""
    return (each.sentence for each in verdict.of_channels(standing.read().overall))


def _schedule(database: Database, found: Found, _tick: Tick | None) -> str:
    for words, cron in (("backup", database.backup_cron), ("verification", database.verify_cron)):
        if cron and not schedules.usable(cron):
            raise Problem(
                f"The {words} schedule of {database} is {checked.shown(cron)}, which is no cron "
                "expression, so "
                "nothing comes due by it.",
                do="Correct it in the portal.",
            )
    if not database.backup_cron:
        return "No backups are scheduled."
    found.warnings += staleness.conflicts(database)
    gap, allowed = schedules.longest_gap(database.backup_cron), staleness.backup_allowed(database)
    return (
        f"Backups are due at most {formatting.rough(gap)} apart, and are stale after "
        f"{formatting.rough(allowed)}."
    )


def _test_restores(database: Database, found: Found, _tick: Tick | None) -> str:
    """No backup waits for this server, and a verification that finds it unfit is too late."""
    server = scratch_server(database)
    found.scratch_password = server.password
    source = verify_place.Source()
    if found.server is not None and found.info is not None:
        with mysql.connect(found.server, database.database) as connection:
            source = verify_place.Source(found.info, mysql.inventory(connection, database.database))
    detail, warnings = verify_place.looked_at(database, source, scratch=scratch_name(database.database, 1))
    found.warnings += warnings
    return detail


def _env_file(_database: Database, found: Found, _tick: Tick | None) -> str:
    doubt = settings.ENV_FILE_DOUBT
    if doubt and doubt.is_agreed:
        found.warnings.append(doubt.sentence)
    elif doubt:
        raise Problem(doubt.what, safe=doubt.until, do=doubt.do)
    return "Each line of .env means the same to all that read such files."


def _environment(database: Database, found: Found, _tick: Tick | None) -> str:
    if (differs := environment.disagreement(database)) is not None:
        raise differs
    found.warnings += environment.warnings(database)
    overruled = environment.overruled(database)
    return " ".join(["The environment means the same database and repository.", *overruled])


_GATE = "gate"
_RESTORING = "restore user"
_REPOSITORY = "repository"
_ENV_FILE = ".env"
_ENVIRONMENT = "environment"
_SCHEDULE = "schedule"
_TEST_RESTORES = "test restores"
_ASK_THE_SERVER = ("database", "client", "privileges", "views")
_CHECKS: tuple[tuple[str, Look], ...] = (
    ("status folder", _status_folder),
    ("restic", _restic),
    (_REPOSITORY, _repository),
    ("database", _database),
    ("client", _client),
    ("privileges", _privileges),
    ("views", _views),
    ("tables", _tables),
    (_SCHEDULE, _schedule),
    (_TEST_RESTORES, _test_restores),
    (_ENV_FILE, _env_file),
    (_ENVIRONMENT, _environment),
)
