"""A verification: restore a snapshot in full, dump it again, compare byte for byte."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from backups import mysql, process, restic
from backups.actions import reach, room, verify_place
from backups.actions.dropping import drop_scratch
from backups.actions.loading import load_snapshot
from backups.actions.repository import opened
from backups.catalog import made_here
from backups.choices import Action, Health, Trigger, Verdict
from backups.dumpfile.allowed import Allowed
from backups.dumpfile.digesting import Digester
from backups.dumpfile.judge import Judge
from backups.dumpfile.manifests import ManifestDamaged, objects_in
from backups.dumpfile.ready import Found, Unmade, Wish
from backups.dumpfile.sections import ROUTINES, Kind
from backups.dumpfile.spelling import in_lower_case, respelled
from backups.dumpfile.tally import Tally
from backups.dumpfile.tally import differences as tally_differences
from backups.dumping.streaming import stream_dump
from backups.endpoints import scratch_server, to_verify_at
from backups.errors import Problem
from backups.gate import status_files
from backups.loading.definers import dialect_of
from backups.loading.loader import live_tablespaces
from backups.loading.problems import BrokenDump, LoadProblem
from backups.loading.progress import End, Loading
from backups.loading.table_plan import comparable
from backups.models import Database, Repository, Run, Snapshot
from backups.runs import lifecycle
from backups.runs.outcome import CallsForMore, FollowUp, Outcome
from backups.runs.progress import Progress
from backups.snapshots import selection
from backups.text.terminal import counted, plain

# Of the 64 characters of a name, so that the pattern of a GRANT has room for the rest.
_LONGEST_BASE = 40
_COUNT_SECONDS = 24 * 3600


@dataclass
class Findings:
    """What a verification compared and what it found."""

    compared: list[str] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    computed_anew: list[mysql.ComputedAnew] = field(default_factory=list)
    # What a setting of the scratch database's server alone keeps from being made.
    refused: list[Unmade] = field(default_factory=list)
    # What is compared as it is defined, and could not be opened.
    not_run: list[reach.NotRun] = field(default_factory=list)
    unreadable: str = ""
    restore_seconds: float | None = None
    tables: int | None = None
    rows: int | None = None
    bytes: int | None = None
    source_version: str = ""
    scratch_version: str = ""
    scratch_address: str = ""

    @property
    def verdict(self) -> Verdict:
        """Identical only where something was compared and nothing differs."""
        if self.unreadable:
            return Verdict.UNREADABLE
        return Verdict.DIFFERENT if self.differences else Verdict.IDENTICAL


@dataclass(frozen=True)
class Scratch:
    """Where the test restore goes."""

    server: mysql.Server
    info: mysql.ServerInfo
    programs: mysql.Clients
    database: str
    row: Database


def run(run: Run, progress: Progress) -> Outcome:
    """Verify the run's snapshot, or the database's newest. Raises Problem unless identical."""
    progress.phase("preflight")
    snapshot = _snapshot(run)
    # The newest may still lie where its database was backed up to before.
    run.repository = snapshot.repository
    lifecycle.run_note(run.pk, snapshot=snapshot, repository=snapshot.repository)
    access = opened(run, progress)
    findings = Findings()
    with scratch_database(run, snapshot, progress) as scratch:
        findings.scratch_version, findings.scratch_address = str(scratch.info), scratch.server.address
        _refuse_other_spelling(snapshot, scratch, respelled((snapshot.manifest or {}).get("inventory", {})))
        loading = Loading(Digester(source_name(snapshot)), tally=Tally(only_numbered=is_by_vedetta(snapshot)))
        try:
            _restore(snapshot, access, scratch, loading, findings, progress)
        except mysql.OfTheServer as problem:
            _refuse_unlike(snapshot, scratch, problem)
            raise
        except (restic.ResticError, LoadProblem, Unreadable) as problem:
            if proves_nothing(problem):
                raise
            _refuse_other_spelling(snapshot, scratch, loading.found.clashing)
            _refuse_unlike(snapshot, scratch, problem)
            if isinstance(problem, LoadProblem) and not isinstance(problem, BrokenDump):
                reach.refuse_less_than_all(scratch.server, scratch.database)
            findings.unreadable = problem.sentence()
        else:
            _refuse_other_spelling(snapshot, scratch, sorted(loading.found.respelled.values()))
            _refuse_other_engine(scratch, loading)
            _compare(snapshot, loading, scratch, findings, progress)
    return _conclude(run, snapshot, findings, progress)


class Unreadable(Problem):
    """The snapshot's content is not a whole dump."""


def _refuse_unlike(snapshot: Snapshot, scratch: Scratch, problem: Problem) -> None:
    """A server of another kind or release that does not take a dump proves nothing against it."""
    is_of_the_load = isinstance(problem, LoadProblem | mysql.OfTheServer)
    server = (snapshot.manifest or {}).get("server")
    if not is_of_the_load or isinstance(problem, BrokenDump) or server is None:
        return
    source = mysql.ServerInfo(server["flavour"], server["version"])
    if (source.flavour, source.number[:2]) == (scratch.info.flavour, scratch.info.number[:2]):
        return
    raise Problem(
        f"Nothing was proved: snapshot {snapshot.short_id} was dumped from {source}, and {scratch.info} "
        f"at {scratch.server.address} does not take it ({problem.what.rstrip('.')}).",
        do=f"For a proof, {to_verify_at(scratch.row, 'a server of the same kind and release')}.",
    ) from problem


def _refuse_other_spelling(snapshot: Snapshot, scratch: Scratch, names: Sequence[str]) -> None:
    """Raise Problem for a snapshot that a server cannot hold byte for byte, because it spells names anew."""
    if not names:
        return
    with mysql.connect(scratch.server) as connection:
        if not mysql.folds_names(connection):
            return
    raise Problem(
        f"Nothing was proved: the server at {scratch.server.address} gives tables and views names in lower "
        f"case (lower_case_table_names=1), and snapshot {snapshot.short_id} has {mysql.named(names)}.",
        do=f"For a proof, {to_verify_at(scratch.row, verify_place.SAME_NAMES)}.",
    )


def _refuse_other_engine(scratch: Scratch, loading: Loading) -> None:
    """Raise OfTheServer where tables lie in other storage engines than those of the snapshot."""
    if other_engine := loading.of_other_engine():
        raise mysql.OfTheServer(
            f"Nothing was proved: {scratch.info} at {scratch.server.address} made tables with another "
            f"storage engine than the snapshot's ({other_engine}).",
            do=mysql.SEE_ENGINES,
        )


NOT_THE_SNAPSHOTS_FAULT = (
    restic.RepositoryUnreachable,
    restic.RepositoryLocked,
    restic.RepositoryFull,
    restic.WrongPassword,
    restic.NoRepository,
    restic.OtherRepository,
    # What was forgotten, here or by somebody else, is no bad backup.
    restic.SnapshotGone,
    restic.Killed,
    restic.Interrupted,
)


def proves_nothing(problem: Problem) -> bool:
    """Whether what went wrong says nothing of the snapshot: what may not be read may be as good as ever."""
    if isinstance(problem, NOT_THE_SNAPSHOTS_FAULT):
        return True
    return isinstance(problem, restic.ResticError) and "permission denied" in problem.what.lower()


def _snapshot(run: Run) -> Snapshot:
    if run.snapshot is not None:
        return run.snapshot
    assert run.database is not None  # noqa: S101
    newest = selection.newest_to_prove(run.database)
    if newest is None:
        raise Problem(f"There is no snapshot of {run.database} to verify.", do="Back it up first.")
    return newest


# ---------------------------------------------------------------- The scratch database


def scratch_name(database: str, run_id: int) -> str:
    """The name of a run's scratch database, by which the reaper finds it."""
    return f"{database[:_LONGEST_BASE]}__verify_{run_id}"


@contextmanager
def scratch_database(run: Run, snapshot: Snapshot, progress: Progress) -> Iterator[Scratch]:
    """An empty database for the length of a block; dropped whatever happens. Raises Problem."""
    database = run.database
    assert database is not None  # noqa: S101
    server = scratch_server(database)
    progress.hide([server.password])
    name = scratch_name(database.database, run.pk)
    another = to_verify_at(database, "another server")
    manifest = snapshot.manifest or {}
    with mysql.connect(server) as connection:
        info = mysql.probe(connection)
        _refuse_other_kind(database, server, info, snapshot)
        programs = mysql.clients(info, settings.MYSQL_CLIENT_DIR)
        room.refuse_without_room(connection, server, snapshot, instead=another)
        # Noted before it exists, so that the reaper finds it even if we die in between.
        where = {"address": server.address, "server": str(info), "set_by": server.address_set_by}
        lifecycle.run_note(run.pk, result={"scratch": name, "verified_on": where}, server_version=str(info))
        lifecycle.run_note(run.pk, client_version=str(programs))
        try:
            _create(connection, database, server, name, manifest)
        except mysql.MissingPrivilege:
            lifecycle.left_cleared(run.pk, "scratch")
            raise
    progress.log(f"Restoring into {name} at {server.address} ({info}, {programs} client).")
    with room.full_disk_told(name, instead=another):
        try:
            yield Scratch(server, info, programs, name, database)
        finally:
            drop_scratch(run.pk, server, name, progress.tick_to_the_end)


def _refuse_other_kind(
    database: Database, server: mysql.Server, info: mysql.ServerInfo, snapshot: Snapshot
) -> None:
    """Before a client is looked for that nobody needs here."""
    dumped_from = (snapshot.manifest or {}).get("server", {}).get("flavour", "")
    verify_place.refuse_other_kind(
        database,
        server,
        info,
        of=[dumped_from, database.server_flavour],
        what=f"Nothing was proved: snapshot {snapshot.short_id}",
    )


def _create(
    connection: Any, database: Database, server: mysql.Server, name: str, manifest: dict[str, Any]
) -> None:
    try:
        with mysql.translated(server, name):
            mysql.create_database(
                connection, name, manifest.get("charset", ""), manifest.get("collation", "")
            )
    except mysql.UnknownDatabase as error:
        raise mysql.MissingPrivilege(
            f"The user {server.user} may not create the scratch database {name}.",
            do=verify_place.how_to_allow(connection, database, name),
        ) from error


# ---------------------------------------------------------------- Restore


def _restore(
    snapshot: Snapshot,
    access: restic.Access,
    scratch: Scratch,
    loading: Loading,
    findings: Findings,
    progress: Progress,
) -> None:
    """Load the whole snapshot; raises what shows it to be unreadable."""
    progress.phase("restore", expected=snapshot.total_bytes_processed)
    _, seconds = load_snapshot(
        snapshot,
        access,
        server=scratch.server,
        info=scratch.info,
        wish=wish(scratch.database, source_name(snapshot)),
        progress=progress,
        detail=lambda loading: loading.doing,
        refuse=lambda loading: _refuse_unless_complete(snapshot, loading),
        loading=loading,
    )
    findings.restore_seconds = seconds
    progress.log(f"Restored in {seconds:.1f} seconds.")


def wish(database: str, source: str) -> Wish:
    """How a dump is loaded to be verified: all of it in the name of the user that verifies, and no other's.

    Whoever may make what runs as an administrator is one.
    """
    return Wish(database, source=source, current_user_defines=True, without_what_is_denied=True)


def source_name(snapshot: Snapshot) -> str:
    """The name that the database had when it was dumped."""
    return snapshot.source


def _refuse_unless_complete(snapshot: Snapshot, loading: Loading) -> None:
    """Raise Unreadable for half a dump and for a file that holds nothing of the database."""
    if loading.end == End.CUT or (is_by_vedetta(snapshot) and not loading.digester.is_complete):
        raise Unreadable("The dump in the snapshot stops before its closing line.")
    if is_by_vedetta(snapshot) and not _has_manifest(loading):
        raise Unreadable("The dump in the snapshot has no manifest, with which each of Vedetta's ends.")
    if why := holds_nothing(loading, source_name(snapshot)):
        raise Unreadable(why)


def is_by_vedetta(snapshot: Snapshot) -> bool:
    """Whether the snapshot says that Vedetta made it, so that its dump must end as ours do."""
    return "vedetta" in snapshot.tags


def holds_nothing(loading: Loading, database: str) -> str:
    """Why there is nothing of `database` in what was read, empty where there is.

    A dump by Vedetta may be of an empty database: its manifest says so.
    """
    found = loading.found
    if found.own_statements or _has_manifest(loading):
        return ""
    if found.others:
        names = ", ".join(sorted(found.others))
        return f"The file holds {names}, and nothing of {database}."
    return "The file holds no table, no row and no definition."


def _has_manifest(loading: Loading) -> bool:
    try:
        return loading.digester.manifest() is not None
    except ManifestDamaged:
        return True


# ---------------------------------------------------------------- Compare


def _compare(
    snapshot: Snapshot, loading: Loading, scratch: Scratch, findings: Findings, progress: Progress
) -> None:
    try:
        manifest = loading.digester.manifest()
    except ManifestDamaged:
        findings.differences.append("the manifest in the snapshot is not what was written")
        return
    collations = _collations(manifest, scratch)
    written = loading.digester.sections(collations)
    findings.bytes = loading.bytes_read
    findings.compared.append("the dump's closing line")
    if manifest is None:
        findings.not_compared.append(
            "stream digest and manifest: the snapshot has none, it was not made by Vedetta"
        )
        if made_here.is_of_another(snapshot, manifest):
            findings.differences.append(_ANOTHER_MANIFEST)
        findings.source_version = "unknown"
    else:
        server = manifest["server"]
        findings.source_version = str(mysql.ServerInfo(server["flavour"], server["version"]))
        _compare_stream(snapshot, written, manifest, findings)
        if not findings.differences:
            made_here.learn(snapshot, manifest)
    progress.phase("compare", expected=loading.bytes_read)
    # Events come in disabled, whatever they were, and all is the verifying user's.
    stream = loading.digester.sections(collations, whatever_state=True, whoever_defines=True)
    numbered = loading.tally if loading.tally is not None and loading.tally.only_numbered else None
    tally = Tally(only_numbered=numbered is not None)
    wants_tally = bool(numbered.numbered) if numbered is not None else manifest is None
    _refuse_less_than_all(loading.found, scratch)
    again = _dump_again(scratch, collations, findings, progress, tally if wants_tally else None)
    wanted = loading.found.inventory() if manifest is None else made_of(stream, loading.found)
    _compare_inventory(scratch, without_left_out(wanted, loading.found), findings)
    if manifest is not None:
        same = _same_but_for_numbers(numbered, tally, findings) if numbered is not None else set()
        _compare_sections(stream, again, manifest, scratch, loading.found, findings, same)
    elif loading.tally is not None:
        _compare_objects(loading, loading.tally, tally, collations, findings)
    _tell_unmade(loading.found, {scratch.database, source_name(snapshot)}, findings, manifest is not None)
    _tell_computed_anew(loading, manifest, findings)
    # What no backup has is told of by the end, and once is enough.
    known = {left["table"] for left in snapshot.not_in_backup}
    findings.not_compared += [
        f"{each.kind} {each.name}: {each.why}"
        for each in loading.found.left_out
        if each.kind != "table" or each.name not in known
    ]
    findings.not_compared += [f"{each.kind} {each.name}: {each.why}" for each in loading.found.reworded]


def _refuse_less_than_all(found: Found, scratch: Scratch) -> None:
    """Raise MissingPrivilege where what was denied may be in the scratch database itself."""
    if any(mysql.is_denied(each.code) for each in found.unmade):
        reach.refuse_less_than_all(scratch.server, scratch.database)


def _tell_unmade(found: Found, own: Collection[str], findings: Findings, has_manifest: bool) -> None:
    """What could not be made is a difference, but where it needs what lies beyond the database.

    Nor is it where the server refuses it as such, or what it calls. The dump's own text of it was compared
    with the manifest, where there is one.
    """
    findings.refused = [each for each in found.unmade if each.is_sound]
    findings.not_compared += [f"{each.words} {each.do}".rstrip(".") for each in findings.refused]
    unmade = [each for each in found.unmade if not each.is_sound]
    beyond = reach.beyond(unmade, own, [each.ready.name for each in findings.refused])
    findings.differences += [each.words.rstrip(".") for each in unmade if each not in beyond]
    if has_manifest:
        findings.not_run += [reach.NotRun(each.ready.kind, each.ready.name, each.why) for each in beyond]
    else:
        findings.not_compared += [f"{each.words} It needs what is not in this database" for each in beyond]
    findings.not_compared += [each.words for each in findings.not_run]


def _tell_computed_anew(loading: Loading, manifest: dict[str, Any] | None, findings: Findings) -> None:
    """Generated columns that came out otherwise; what MariaDB's dumps have is compared as rows are."""
    is_in_rows = manifest is not None and manifest["server"]["flavour"] == mysql.MARIADB
    for each in loading.computed_anew:
        if each.differ:
            findings.differences.append(each.words)
        elif not is_in_rows:
            findings.not_compared.append(each.words)
        else:
            continue
        findings.computed_anew.append(each)


def _compare_stream(
    snapshot: Snapshot, stream: list[dict[str, Any]], manifest: dict[str, Any], findings: Findings
) -> None:
    findings.compared.append("the stream's digest with the manifest")
    as_then = as_counted_then(stream, manifest["sections"])
    findings.differences += differing_sections(manifest["sections"], as_then, "in the stream")
    is_another = snapshot.dump_sha256 and snapshot.dump_sha256 != manifest["sha256"]
    if is_another or made_here.is_of_another(snapshot, manifest):
        findings.differences.append(_ANOTHER_MANIFEST)


_ANOTHER_MANIFEST = "the manifest is not the one that the backup recorded"


def _collations(manifest: dict[str, Any] | None, scratch: Scratch) -> dict[str, str]:
    """What the digests of table definitions were normalised with."""
    if manifest is not None:
        return dict(manifest.get("collations", {}))
    with mysql.connect(scratch.server) as connection:
        return mysql.default_collations(connection, scratch.info)


def without_left_out(wanted: dict[str, list[str]], found: Found) -> dict[str, list[str]]:
    """An inventory without what was not made: tables with their triggers, events."""
    unmade = {(each.kind, each.name) for each in found.left_out} - found.made.keys()
    of_kind = {Kind.TRIGGER: Kind.TABLE}
    kept = {
        kind: [name for name in names if (of_kind.get(kind, kind), name) not in unmade]
        for kind, names in wanted.items()
    }
    return {kind: names for kind, names in kept.items() if names}


def made_of(
    sections: Sequence[dict[str, Any]], found: Found, *, folds_names: bool = False
) -> dict[str, list[str]]:
    """What a dump holds by its sections, without what the server did not make; triggers by their table.

    Where the server `folds_names`, all in its spelling.
    """
    held = objects_in(sections)
    if folds_names:
        held = in_lower_case(held)
    for each in found.unmade:
        names = held.get(each.ready.kind, [])
        name = each.ready.table if each.ready.kind == Kind.TRIGGER else each.ready.name
        if name in names:
            names.remove(name)
    return held


def _dump_again(
    scratch: Scratch,
    collations: dict[str, str],
    findings: Findings,
    progress: Progress,
    tally: Tally | None,
) -> list[dict[str, Any]]:
    """Dump the scratch database and count its rows meanwhile; `tally` takes in what the dump makes."""
    digester = Digester(scratch.database)
    dumped = _Counter(_tallier(scratch, tally) if tally is not None else None)

    def tick() -> None:
        progress.bytes_done(dumped.counted)
        progress.detail(f"{digester.section.kind} {digester.section.name}")
        progress.tick()

    with mysql.connect(scratch.server) as connection:
        tables = mysql.inventory(connection, scratch.database).get(Kind.TABLE, [])
        # To count another server's rows would prove nothing of the snapshot, and fail where it is away.
        elsewhere = mysql.tables_without_rows(connection, scratch.database)
    findings.tables = len(tables)
    with ThreadPoolExecutor(1) as beside:
        rows = _RowCount(scratch, [table for table in tables if table not in elsewhere])
        counting = beside.submit(rows.count)
        try:
            stream_dump(
                scratch.server,
                scratch.database,
                info=scratch.info,
                programs=scratch.programs,
                digester=digester,
                write=dumped.count,
                tick=tick,
            )
            dumped.close()
            while not counting.done():
                progress.tick()
                process.pause()
        finally:
            rows.stop()
        findings.rows = counting.result()
    return digester.sections(collations, whatever_state=True, whoever_defines=True)


def _tallier(scratch: Scratch, tally: Tally) -> Callable[[bytes | None], None]:
    """What takes a dump of the scratch database in, and None at its end."""
    dialect = dialect_of(scratch.server, scratch.info)
    allowed = Allowed(
        dialect,
        wish(scratch.database, scratch.database),
        tablespace_of=live_tablespaces(scratch.server, scratch.database, dialect),
    )
    judge = Judge(dialect, allowed)

    def take(data: bytes | None) -> None:
        for ready in judge.close() if data is None else judge.feed(data):
            tally.add(ready)
        for ready in allowed.rest() if data is None else ():
            tally.add(ready)

    return take


@dataclass
class _Counter:
    take: Callable[[bytes | None], None] | None
    counted: int = 0

    def count(self, data: bytes | memoryview) -> None:
        self.counted += len(data)
        if self.take is not None:
            self.take(bytes(data))

    def close(self) -> None:
        if self.take is not None:
            self.take(None)


class _RowCount:
    """Counts rows in a thread of its own; a large table takes its time."""

    def __init__(self, scratch: Scratch, tables: list[str]) -> None:
        self._scratch, self._tables = scratch, tables
        self._stopped = threading.Event()
        self._thread: int | None = None

    def count(self) -> int:
        """The rows of all tables. Raises MySQLProblem, also when it is stopped."""
        counted = 0
        with mysql.connect(self._scratch.server, read_seconds=_COUNT_SECONDS) as connection:
            self._thread = connection.thread_id()
            for table in self._tables:
                if self._stopped.is_set():
                    break
                counted += mysql.count_rows(connection, self._scratch.database, table)
            self._thread = None
        return counted

    def stop(self) -> None:
        """End it, which changes nothing where it is through."""
        self._stopped.set()
        if self._thread is not None:
            mysql.kill(self._scratch.server, self._thread)


def _compare_inventory(scratch: Scratch, wanted: dict[str, list[str]], findings: Findings) -> None:
    findings.compared.append("the inventory of tables, views, triggers, routines and events")
    with mysql.connect(scratch.server) as connection:
        restored = mysql.inventory(connection, scratch.database)
    for kind in sorted({*wanted, *restored}):
        missing = _without(wanted.get(kind, []), restored.get(kind, []))
        extra = _without(restored.get(kind, []), wanted.get(kind, []))
        of_table = "a trigger of table " if kind == Kind.TRIGGER else f"{kind} "
        findings.differences += [f"{of_table}{name} is missing after the restore" for name in missing]
        findings.differences += [
            f"{of_table}{name} is there after the restore, but not in the dump" for name in extra
        ]


def _without(names: list[str], others: list[str]) -> list[str]:
    """The names left when each of the others took away one."""
    return list((Counter(names) - Counter(others)).elements())


def _compare_objects(
    loading: Loading, wanted: Tally, again: Tally, collations: dict[str, str], findings: Findings
) -> None:
    """A dump by other hands with one of what it became, object by object: there is no digest."""
    definitions = {
        name: (comparable(text, collations), comparable(again.tables.get(name, b""), collations))
        for name, text in wanted.tables.items()
        if name not in wanted.completed_later
    }
    differing = tally_differences(wanted, again, definitions)
    findings.differences += differing
    objects = len(wanted.rows) + len(definitions) + len(wanted.definitions)
    findings.compared.append(f"{objects - len(differing)} of {objects} objects (rows, definitions)")
    findings.not_compared += [
        f"how {name} is defined: the file adds its keys apart" for name in sorted(wanted.completed_later)
    ]
    if loading.end == End.UNKNOWN:
        findings.differences.append(
            "nobody can tell whether the file is whole: it has no closing line (--compact, --skip-comments)"
        )
    if wanted.rows and not loading.found.with_rows:
        findings.differences.append("the file holds no row of any table (--no-data)")
    findings.not_compared += [
        f"{counted(count, 'statement')} of the database {name}, not loaded"
        for name, count in loading.found.others.items()
    ]


def _same_but_for_numbers(wanted: Tally, again: Tally, findings: Findings) -> set[str]:
    """Tables that a server numbers anew (MariaDB, versioned by transactions), and whose rows are the same."""
    same = {table for table, rows in wanted.rows.items() if again.rows.get(table) == rows}
    findings.not_compared += [f"the transactions' numbers in {table}: they are given anew" for table in same]
    return same


def _compare_sections(
    stream: list[dict[str, Any]],
    again: list[dict[str, Any]],
    manifest: dict[str, Any],
    scratch: Scratch,
    found: Found,
    findings: Findings,
    rows_are_same: Collection[str],
) -> None:
    """The dump of the restored database with the one in the snapshot, section by section.

    Where other versions were at work, a difference in how they write things is none in the data:
    what cannot be told apart is named as not compared.
    """
    partial = {(each.kind, each.name) for each in found.left_out}
    partial |= {(each.ready.kind, each.ready.name) for each in found.unmade}
    partial |= {(Kind.PLACEHOLDER, each.ready.name) for each in found.unmade if each.ready.kind == Kind.VIEW}
    if not any(kind == Kind.EVENT for kind, _ in found.made):
        partial.add((Kind.EVENTS, ""))  # what stands around them
    reworded = {(each.kind, each.name) for each in found.reworded}

    def compared(sections: list[dict[str, Any]]) -> list[dict[str, Any]]:
        whole = (section for section in sections if not _is_left_out(section, partial, found))
        return [section for section in whole if (section["kind"], section["name"]) not in reworded]

    wanted, again = compared(stream), compared(again)
    known = {f"{Kind.ROWS} {table} differs after the restore" for table in rows_are_same}
    differing = [each for each in differing_sections(wanted, again, "after the restore") if each not in known]
    excuse = other_versions(manifest, scratch.info, scratch.programs)
    with_json = _tables_with_json(scratch) if differing else []
    for difference in differing:
        kind_rows = difference.startswith(f"{Kind.ROWS} ")
        if excuse and (not kind_rows or excuse.of_client):
            findings.not_compared.append(f"{difference} ({excuse.reason})")
        else:
            findings.differences.append(difference + _known_cause(difference, with_json))
    findings.compared.append(f"{len(wanted) - len(differing)} of {len(stream)} sections byte for byte")


def _is_left_out(section: dict[str, Any], partial: Collection[tuple[str, str]], found: Found) -> bool:
    """Whether a section is of what was not made, or the definition of a table that was made in part."""
    kind = section["kind"]
    if kind not in (Kind.TABLE, Kind.ROWS, Kind.TRIGGER) or (kind, section["name"]) in partial:
        return (kind, section["name"]) in partial
    table = section["table"] if kind == Kind.TRIGGER else section["name"]
    is_made = ("table", table) in found.made
    return (Kind.TABLE, table) in partial and (kind == Kind.TABLE or not is_made)


def _tables_with_json(scratch: Scratch) -> list[str]:
    with mysql.connect(scratch.server) as connection:
        return mysql.tables_with_json(connection, scratch.database)


def _known_cause(difference: str, with_json: Collection[str]) -> str:
    """What is known to make rows differ after a restore that went well, for a person."""
    if any(difference.startswith(f"{Kind.ROWS} {table} differs") for table in with_json):
        return " (it has JSON columns: MySQL dumps decimals in them as text and reads them back as doubles)"
    return ""


@dataclass(frozen=True)
class Excuse:
    """Why a difference is none in the data: of the client's, rows may be written otherwise too."""

    reason: str
    of_client: bool


def other_versions(
    manifest: dict[str, Any], info: mysql.ServerInfo, programs: mysql.Clients
) -> Excuse | None:
    """Why this server or client may write the same otherwise than the ones of the backup did."""
    client = f"{manifest['client']['flavour']} {manifest['client']['version']}"
    if client != str(programs):
        return Excuse(f"dumped by {client}, compared with {programs}", of_client=True)
    server = mysql.ServerInfo(manifest["server"]["flavour"], manifest["server"]["version"])
    if str(server) != str(info):
        return Excuse(f"from {server}, compared on {info}", of_client=False)
    return None


def as_counted_then(
    sections: list[dict[str, Any]], manifest: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The sections of a stream as the version counted them that wrote the manifest.

    Older ones knew no libraries, and cut them and the routines behind them in other places: of these
    together the length alone can be compared.
    """
    if any(section["kind"] == Kind.LIBRARY for section in manifest):
        return sections
    before, now, behind = _cut_out(sections, Kind.LIBRARY)
    _, then, _ = _cut_out(manifest, Kind.ROUTINES)
    is_as_long = sum(each["bytes"] for each in then) == sum(each["bytes"] for each in now)
    return [*before, *then, *behind] if now and is_as_long else sections


def _cut_out(
    sections: Sequence[dict[str, Any]], first: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """What is before the first section of a kind, it with the libraries and routines behind, and the rest."""
    kinds = [section["kind"] for section in sections]
    begin = end = kinds.index(first) if first in kinds else len(kinds)
    while end < len(kinds) and kinds[end] in (first, Kind.LIBRARY, Kind.ROUTINE, *ROUTINES):
        end += 1
    return list(sections[:begin]), list(sections[begin:end]), list(sections[end:])


def differing_sections(wanted: list[dict[str, Any]], found: list[dict[str, Any]], where: str) -> list[str]:
    """The sections that are not the same, each as a short phrase that names it."""
    left = _by_key(wanted)
    right = _by_key(found)
    told = []
    for key in [*left, *(key for key in right if key not in left)]:
        name = plain(" ".join(part for part in key[:2] if part))
        if key not in right:
            told.append(f"{name} is missing {where}")
        elif key not in left:
            told.append(f"{name} was added {where}")
        elif left[key] != right[key]:
            told.append(f"{name} differs {where}")
    return told


def _by_key(sections: list[dict[str, Any]]) -> dict[tuple[str, str, int], tuple[int, str]]:
    """Sections by kind and name, with a number where two share both."""
    found: dict[tuple[str, str, int], tuple[int, str]] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for section in sections:
        key = (section["kind"], section["name"])
        found[*key, seen[key]] = (section["bytes"], section["sha256"])
        seen[key] += 1
    return found


# ---------------------------------------------------------------- Conclude


def _conclude(run: Run, snapshot: Snapshot, findings: Findings, progress: Progress) -> Outcome:
    verdict = findings.verdict
    findings.not_compared += [
        f"{mysql.LeftOut(**left).words}: it is in no backup" for left in snapshot.not_in_backup
    ]
    for thing in findings.not_compared:
        progress.warn(f"Not compared: {thing}.")
    if findings.refused:
        told = [
            {"kind": each.ready.kind, "name": each.ready.name, "why": each.why, "do": each.do}
            for each in findings.refused
        ]
        lifecycle.run_note(run.pk, result={"refused": told})
    if findings.refused and verdict == Verdict.IDENTICAL:
        raise _proved_in_part(snapshot, findings)
    health_before = _health_of(snapshot)
    lifecycle.verification_record(
        run,
        snapshot,
        is_of_the_server=_is_of_the_server(findings),
        verdict=verdict,
        compared=findings.compared,
        not_compared=findings.not_compared,
        differences=[findings.unreadable] if findings.unreadable else findings.differences,
        restore_seconds=findings.restore_seconds,
        tables=findings.tables,
        rows=findings.rows,
        bytes=findings.bytes,
        source_version=findings.source_version,
        scratch_version=findings.scratch_version,
        scratch_address=findings.scratch_address,
    )
    if findings.not_run:
        lifecycle.run_note(run.pk, result={"not_run": [each._asdict() for each in findings.not_run]})
    if findings.computed_anew:
        lifecycle.run_note(
            run.pk, result={"computed_anew": [each._asdict() for each in findings.computed_anew]}
        )
    if verdict != Verdict.IDENTICAL:
        _take_back_proof(run.database, snapshot)
        raise bad_news(snapshot, findings, health_before)
    progress.log(
        f"Snapshot {snapshot.short_id} restores in full: {counted(findings.tables or 0, 'table')}, "
        f"{counted(findings.rows or 0, 'row')}; compared {', '.join(findings.compared)}.{_not_run(findings)}"
    )
    _stamp(run.database, snapshot)
    return Outcome()


def _not_run(findings: Findings) -> str:
    names = [f"{each.kind} {each.name}" for each in findings.not_run]
    return f" Not compared is whether these run: {mysql.named(names)}." if names else ""


def _newest_proved(database: Database) -> Snapshot | None:
    proved = selection.backups_of(Snapshot.objects.trusted().meant().filter(database=database))
    return selection.newest_of(proved.exclude(verified_at=None))


def _take_back_proof(database: Database | None, snapshot: Snapshot) -> None:
    """What was proved and is found bad now is no proof any more: the gate goes by the one before."""
    assert database is not None  # noqa: S101
    database.refresh_from_db(fields=["is_primary"])
    # The file holds whole seconds.
    if status_files.last_verified(database) == snapshot.time.replace(microsecond=0):
        before = _newest_proved(database)
        status_files.take_last_verified_back(database, before.time if before else None)


def _stamp(database: Database | None, snapshot: Snapshot) -> None:
    """An older snapshot that is verified by hand does not turn the clock back."""
    assert database is not None  # noqa: S101
    if _newest_proved(database) == snapshot:
        # Another may have become the first one meanwhile, whose times are not this one's.
        database.refresh_from_db(fields=["is_primary"])
        status_files.write_last_verified(database, snapshot.time)


def _health_of(snapshot: Snapshot) -> Health:
    return Health(Repository.objects.values_list("health", flat=True).get(pk=snapshot.repository_id))


def bad_news(snapshot: Snapshot, findings: Findings, health_before: Health) -> Problem:
    """What to say of a snapshot that was found bad, in a repository that was like that before."""
    if findings.unreadable:
        return CallsForMore(
            f"Snapshot {snapshot.short_id} cannot be restored: {findings.unreadable}",
            _CHECK,
            safe="The live database was not touched.",
            do=f"Back up again now and verify that. {_OF_THE_REPOSITORY.get(health_before, _SUSPECT_NOW)}",
        )
    count = len(findings.differences)
    shown = "; ".join(findings.differences[:5]) + (f"; and {count - 5} more" if count > 5 else "")
    what = f"Snapshot {snapshot.short_id} restores, but not to what was backed up: {shown}."
    if _is_of_the_server(findings):
        return Problem(what, safe="The live database was not touched.", do=_cures(findings))
    return CallsForMore(
        what,
        _CHECK,
        safe="The live database was not touched.",
        do=f"{_cures(findings)} {_BACK_UP_AGAIN}".strip(),
    )


_CHECK_FOLLOWS = "a check of 5 % of its data follows, and one of all data tells for certain."
_SUSPECT_NOW = f"The repository is suspect from now on: {_CHECK_FOLLOWS}"
# What a snapshot that cannot be read says of where it lies, where that was not sound before.
_OF_THE_REPOSITORY = {
    Health.SUSPECT: f"The repository stays suspect: {_CHECK_FOLLOWS}",
    Health.DAMAGED: "The repository is known to be damaged: before that repair the index, then the "
    "snapshots, and check all data after it.",
}


_BACK_UP_AGAIN = (
    "Back up again now and verify that; keep this run's log for the cause. A check of 5 % of the "
    "repository's data follows."
)
# Of the repository alone, whose lease it takes.
_CHECK = FollowUp(Action.CHECK, {"read_data_subset": "5%"}, of_database=False, trigger=Trigger.VERIFY)


def _proved_in_part(snapshot: Snapshot, findings: Findings) -> mysql.OfTheServer:
    """What to say where nothing differs, and this server would not make all of it: no proof either way."""
    refused = findings.refused
    names = mysql.named([f"{each.ready.kind} {each.ready.name}" for each in refused])
    return mysql.OfTheServer(
        f"Snapshot {snapshot.short_id} is not proved in full: all that could be compared is the same, but "
        f"the server that it was restored to refused {names} ({refused[0].why.rstrip('.')}).",
        do=f"{refused[0].do} Then verify again.",
    )


def _cures(findings: Findings) -> str:
    """What makes the server give back what it made otherwise, by its settings."""
    return mysql.SET_AS_WRITTEN if any(each.differ for each in findings.computed_anew) else ""


def _is_of_the_server(findings: Findings) -> bool:
    """Whether generated columns explain all: no other backup would come out otherwise."""
    differing = [each for each in findings.computed_anew if each.differ]
    explained = {each.words for each in differing}
    explained |= {f"{Kind.ROWS} {plain(each.table)} differs after the restore" for each in differing}
    return bool(explained) and not findings.unreadable and explained.issuperset(findings.differences)
