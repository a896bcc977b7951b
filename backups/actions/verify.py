"""A verification: restore a snapshot in full, dump it again, compare byte for byte."""

from __future__ import annotations

from backups import mysql
from backups.actions.steps.dumped_again import dump_again
from backups.actions.steps.dumped_ahead import DumpAhead
from backups.actions.steps.findings import Findings, Scratch
from backups.actions.steps.inventories import (
    collations_of,
    compare_inventory,
    compare_objects,
    made_of,
    same_but_for_numbers,
    without_left_out,
)
from backups.actions.steps.opening import OpenedSnapshot, opened
from backups.actions.steps.proof import (
    bad_news,
    explained_by_the_server,
    health_of,
    proved_in_part,
    stamp,
    take_back_proof,
)
from backups.actions.steps.refusing import refuse_other_spelling
from backups.actions.steps.scratch import scratch_database
from backups.actions.steps.scratch_load import (
    ANOTHER_MANIFEST,
    compare_stream,
    load_whole,
    refuse_less_than_all,
    tell_computed_anew,
    tell_left_out,
    tell_unmade,
)
from backups.actions.steps.sections import DumpedTwice, compare_sections
from backups.actions.steps.whole import is_by_vedetta, source_name
from backups.catalog import made_here, records
from backups.choices import Verdict
from backups.dumpfile.digesting import Digester
from backups.dumpfile.manifests import ManifestDamaged
from backups.dumpfile.spelling import respelled
from backups.dumpfile.tally import Tally
from backups.errors import Problem
from backups.loading.progress import Loading
from backups.models import Run, Snapshot
from backups.runs import notes
from backups.runs.outcome import Outcome
from backups.runs.progress import Progress
from backups.runs.subject import database_of
from backups.snapshots import selection
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
        ahead = DumpAhead(scratch)
        # Another program's dump is compared row by row, which needs all of it.
        loading.look = ahead.look if is_by_vedetta(snapshot) else None
        load_whole(OpenedSnapshot(snapshot, access), scratch, loading, findings, progress)
        findings.ahead = ahead.found
        if not findings.unreadable:
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
            findings.differences.append(ANOTHER_MANIFEST)
        findings.source_version = "unknown"
    else:
        server = manifest["server"]
        findings.source_version = str(mysql.ServerInfo(server["flavour"], server["version"]))
        compare_stream(snapshot, written, manifest, findings)
        if not findings.differences:
            made_here.learn(snapshot, manifest)
    progress.phase("compare", expected=loading.bytes_read)
    # Events come in disabled, whatever they were, and all is the verifying user's.
    stream = loading.digester.sections(collations, whatever_state=True, whoever_defines=True)
    numbered = loading.tally if loading.tally is not None and loading.tally.only_numbered else None
    tally = Tally(only_numbered=numbered is not None)
    wants_tally = bool(numbered.numbered) if numbered is not None else manifest is None
    refuse_less_than_all(loading.found, scratch)
    again = dump_again(scratch, collations, findings, progress, tally if wants_tally else None)
    wanted = loading.found.inventory() if manifest is None else made_of(stream, loading.found)
    compare_inventory(scratch, without_left_out(wanted, loading.found), findings)
    if manifest is not None:
        same = same_but_for_numbers(numbered, tally, findings) if numbered is not None else set()
        compare_sections(DumpedTwice(stream, again, same), manifest, scratch, loading.found, findings)
    elif loading.tally is not None:
        compare_objects(loading, loading.tally, tally, collations, findings)
    own = {scratch.database, source_name(snapshot)}
    tell_unmade(loading.found, own, findings, has_manifest=manifest is not None)
    tell_computed_anew(loading, manifest, findings)
    tell_left_out(snapshot, loading.found, findings)


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
