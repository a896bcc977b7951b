"""A verification: restore a snapshot in full, dump it again, compare byte for byte."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from backups import mysql, restic
from backups.actions.steps import reach
from backups.actions.steps.dumped_again import dump_again
from backups.actions.steps.dumped_ahead import DumpAhead
from backups.actions.steps.findings import Findings, Scratch, Unreadable
from backups.actions.steps.inventories import (
    collations_of,
    compare_inventory,
    compare_objects,
    made_of,
    same_but_for_numbers,
    without_left_out,
)
from backups.actions.steps.load_connections import load_connections
from backups.actions.steps.loading import load_snapshot
from backups.actions.steps.opening import OpenedSnapshot, opened
from backups.actions.steps.proof import (
    bad_news,
    explained_by_the_server,
    health_of,
    proved_in_part,
    stamp,
    take_back_proof,
)
from backups.actions.steps.refusing import (
    proves_nothing,
    refuse_other_engine,
    refuse_other_spelling,
    refuse_unlike,
)
from backups.actions.steps.scratch import scratch_database
from backups.actions.steps.sections import (
    DumpedTwice,
    as_counted_then,
    compare_sections,
    differing_sections,
)
from backups.actions.steps.whole import is_by_vedetta, refuse_unless_complete, source_name, whole_load_options
from backups.catalog import made_here, records
from backups.choices import Verdict
from backups.dumpfile.digesting import Digester
from backups.dumpfile.manifests import ManifestDamaged
from backups.dumpfile.ready import Found
from backups.dumpfile.spelling import respelled
from backups.dumpfile.tally import Tally
from backups.errors import Problem
from backups.loading.loader import Destination
from backups.loading.problems import BrokenDump, LoadProblem
from backups.loading.progress import Loading
from backups.models import Run, Snapshot
from backups.runs import notes
from backups.runs.outcome import Outcome
from backups.runs.progress import Progress
from backups.runs.subject import database_of
from backups.snapshots import selection
from backups.text import formatting
from backups.text.sentences import joined, phrase, plural


def run(run: Run, progress: Progress) -> Outcome:
    """Verify the run's snapshot, or the database's newest. Raises Problem unless identical."""
    progress.phase("preflight")
    snapshot = _snapshot(run)
    # The newest may still lie where its database was backed up to before.
    run.repository = snapshot.repository
    notes.run_update(run.pk, snapshot=snapshot, repository=snapshot.repository)
    access = opened(run, progress)
    findings = Findings()
    with scratch_database(run, snapshot, progress) as scratch:
        findings.scratch_version, findings.scratch_address = str(scratch.info), scratch.server.address
        refuse_other_spelling(snapshot, scratch, respelled((snapshot.manifest or {}).get("inventory", {})))
        loading = Loading(Digester(source_name(snapshot)), tally=Tally(only_numbered=is_by_vedetta(snapshot)))
        try:
            _restore(OpenedSnapshot(snapshot, access), scratch, loading, findings, progress)
        except mysql.OfTheServer as problem:
            refuse_unlike(snapshot, scratch, problem)
            raise
        except (restic.ResticError, LoadProblem, Unreadable) as problem:
            if proves_nothing(problem):
                raise
            refuse_other_spelling(snapshot, scratch, loading.found.clashing)
            refuse_unlike(snapshot, scratch, problem)
            if isinstance(problem, LoadProblem) and not isinstance(problem, BrokenDump):
                reach.refuse_less_than_all(scratch.server, scratch.database)
            findings.unreadable = problem.sentence()
        else:
            refuse_other_spelling(snapshot, scratch, sorted(loading.found.respelled.values()))
            refuse_other_engine(scratch, loading)
            _compare(snapshot, loading, scratch, findings, progress)
    return _conclude(run, snapshot, findings, progress)


def _snapshot(run: Run) -> Snapshot:
    if run.snapshot is not None:
        return run.snapshot
    database = database_of(run)
    newest = selection.newest_to_prove(database)
    if newest is None:
        raise Problem(
            phrase("There is no snapshot of {database} to verify.", database=database),
            code="snapshot.none",
            do=phrase("Back it up first."),
        )
    return newest


# ---------------------------------------------------------------- Restore


def _restore(
    stored: OpenedSnapshot, scratch: Scratch, loading: Loading, findings: Findings, progress: Progress
) -> None:
    """Load the whole snapshot; raises what shows it to be unreadable."""
    snapshot = stored.snapshot
    progress.phase("restore", expected=snapshot.total_bytes_processed)
    options = whole_load_options(scratch.database, source_name(snapshot))
    connections = load_connections(snapshot, scratch.server, progress)
    ahead = DumpAhead(scratch)
    # Another program's dump is compared row by row, which needs all of it.
    loading.look = ahead.look if is_by_vedetta(snapshot) else None
    seconds = load_snapshot(
        stored,
        Destination(scratch.server, scratch.info, options, connections),
        loading,
        progress,
        refuse=lambda loading: refuse_unless_complete(snapshot, loading),
    )
    findings.restore_seconds, findings.ahead = seconds, ahead.found
    progress.log(phrase("Restored in {duration}.", duration=formatting.duration(seconds)))


# ---------------------------------------------------------------- Compare


def _compare(
    snapshot: Snapshot, loading: Loading, scratch: Scratch, findings: Findings, progress: Progress
) -> None:
    try:
        manifest = loading.digester.manifest()
    except ManifestDamaged:
        findings.differences.append(phrase("the manifest in the snapshot is not what was written"))
        return
    collations = collations_of(manifest, scratch)
    written = loading.digester.sections(collations)
    findings.bytes = loading.bytes_read
    findings.compared.append(phrase("the dump's closing line"))
    if manifest is None:
        findings.not_compared.append(
            phrase("stream digest and manifest: the snapshot has none, it was not made by Vedetta")
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
    again = dump_again(scratch, collations, findings, progress, tally if wants_tally else None)
    wanted = loading.found.inventory() if manifest is None else made_of(stream, loading.found)
    compare_inventory(scratch, without_left_out(wanted, loading.found), findings)
    if manifest is not None:
        same = same_but_for_numbers(numbered, tally, findings) if numbered is not None else set()
        compare_sections(DumpedTwice(stream, again, same), manifest, scratch, loading.found, findings)
    elif loading.tally is not None:
        compare_objects(loading, loading.tally, tally, collations, findings)
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
        findings.not_compared += [
            phrase("{words} It needs what is not in this database", words=each.words) for each in beyond
        ]
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
    findings.compared.append(phrase("the stream's digest with the manifest"))
    as_then = as_counted_then(stream, manifest["sections"])
    findings.differences += differing_sections(manifest["sections"], as_then, phrase("in the stream"))
    is_another = snapshot.dump_sha256 and snapshot.dump_sha256 != manifest["sha256"]
    if is_another or made_here.is_of_another(snapshot, manifest):
        findings.differences.append(_ANOTHER_MANIFEST)


_ANOTHER_MANIFEST = phrase("the manifest is not the one that the backup recorded")


# ---------------------------------------------------------------- Conclude


def _conclude(run: Run, snapshot: Snapshot, findings: Findings, progress: Progress) -> Outcome:
    database, verdict = database_of(run), findings.verdict
    findings.not_compared += [
        phrase("{left_out}: it is in no backup", left_out=mysql.LeftOut(**left).words)
        for left in snapshot.not_in_backup
    ]
    for thing in findings.not_compared:
        progress.warn(phrase("Not compared: {thing}.", thing=thing))
    if findings.refused:
        refused = [
            {"kind": each.ready.kind, "name": each.ready.name, "why": each.why, "do": each.do}
            for each in findings.refused
        ]
        notes.run_update(run.pk, result={"refused": refused})
    if findings.refused and verdict == Verdict.IDENTICAL:
        raise proved_in_part(snapshot, findings)
    health_before = health_of(snapshot)
    records.verification_record(
        run,
        snapshot,
        is_of_the_server=explained_by_the_server(findings),
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
        notes.run_update(run.pk, result={"not_run": [each._asdict() for each in findings.not_run]})
    if findings.computed_anew:
        notes.run_update(
            run.pk, result={"computed_anew": [each._asdict() for each in findings.computed_anew]}
        )
    if verdict != Verdict.IDENTICAL:
        take_back_proof(database, snapshot)
        raise bad_news(snapshot, findings, health_before)
    progress.log(_good_news(snapshot, findings))
    stamp(database, snapshot)
    return Outcome()


def _good_news(snapshot: Snapshot, findings: Findings) -> str:
    return phrase(
        "Snapshot {snapshot} restores in full: {tables}, {rows}; compared {compared}.{not_run}",
        snapshot=snapshot.short_id,
        tables=plural("{n} table", "{n} tables", n=findings.tables or 0),
        rows=plural("{n} row", "{n} rows", n=findings.rows or 0),
        compared=joined(findings.compared, ", "),
        not_run=_not_run(findings),
    )


def _not_run(findings: Findings) -> str:
    names = [f"{each.kind} {each.name}" for each in findings.not_run]
    return phrase(" Not compared is whether these run: {names}.", names=mysql.named(names)) if names else ""
