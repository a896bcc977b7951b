"""A backup: preflight, dump into restic, confirm, heartbeat."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction

from backups import process, restic
from backups.actions.preflight import make_ready
from backups.actions.steps.checks import ReadyBackup
from backups.actions.steps.dump_connections import SeveralFailed, Telling, order_for, over_one
from backups.actions.steps.dump_told import problem_told
from backups.actions.steps.follow_ups import after_backup
from backups.actions.steps.one_list import out_of_all
from backups.actions.steps.opening import wait_for_maintenance
from backups.actions.steps.read_back import Asked, read_back, take_back, unconfirmed
from backups.actions.steps.shrunk import tell_shrunk
from backups.catalog import learned, made_here, records
from backups.choices import SAFETY_TAG, Level, Trigger
from backups.configuration import environment
from backups.dumpfile import log_positions
from backups.dumping.order import Order, Report
from backups.dumping.program import command
from backups.endpoints import names_of
from backups.errors import Cancelled, Problem
from backups.gate import heartbeat_files
from backups.keeping import pins, suspicions
from backups.models import Database, LogArchive, Pin, Run, Snapshot
from backups.repositories import identity
from backups.requests import BackupRequest, read_as
from backups.runs import notes
from backups.runs.outcome import Outcome
from backups.runs.portal_database_away import outlast
from backups.runs.progress import Progress
from backups.runs.subject import database_of
from backups.snapshots.naming import path_of, tag_of
from backups.text.sentences import phrase


def run(run: Run, progress: Progress) -> Outcome:
    """Back up the run's database. Raises Problem, Cancelled."""
    database = database_of(run)
    progress.phase("preflight")
    outlast(lambda: wait_for_maintenance(database.repository, progress))
    ready = _preflight(run, database, progress)
    progress.phase("dump", expected=outlast(lambda: _expected_bytes(database, ready)))
    stored = _dumped(run, database, ready, progress)
    progress.disable_cancel()
    progress.bytes_done(stored.summary.total_bytes_processed)
    progress.phase("confirm")
    snapshot, suspicious = _confirm(run, database, ready, stored, progress)
    progress.phase("heartbeat")
    if ready.broken_views:
        _withhold(run, phrase("that copy has all rows, but not all views"))
        progress.warn(phrase("The heartbeat is withheld: this copy has all rows, but not all views."))
    else:
        outlast(lambda: _heartbeat(run, database, snapshot, suspicious, progress))
    outlast(lambda: learned.backup_counted(database.repository))
    return Outcome(outlast(lambda: tuple(after_backup(run, database))))


@dataclass(frozen=True)
class StoredDump:
    """What was asked of restic, what it says of the snapshot, and the dump program's manifest of it."""

    asked: Asked
    summary: restic.BackupSummary
    manifest: dict[str, Any]


def _preflight(run: Run, database: Database, progress: Progress) -> ReadyBackup:
    ready = make_ready(database, progress.tick, is_safety_copy=run.trigger == Trigger.RESTORE)
    server, info, clients = ready.source.server, ready.source.info, ready.source.programs
    progress.mask_secrets([*ready.access.secret_values(), server.password])
    if not database.repository.restic_id:
        identity.meet(database.repository, ready.access, progress.tick)
        ready = replace(ready, access=replace(ready.access, names=names_of(database.repository)))
    notes.run_update(
        run.pk,
        **notes.restic_facts(ready.restic_version, ready.restic_origin),
        server_version=str(info),
        client_version=str(clients),
    )
    outlast(
        lambda: learned.database_probed(
            database,
            flavour=info.flavour,
            server_version=info.version,
            client_version=str(clients),
            warnings=ready.warnings,
        )
    )
    of_restic = phrase(
        "restic {restic_version}, {restic_origin}",
        restic_version=ready.restic_version,
        restic_origin=ready.restic_origin.words,
    )
    progress.log(
        phrase("{info}, {clients} client, {of_restic}.", info=info, clients=clients, of_restic=of_restic)
    )
    for note in ready.notes:
        progress.log(note)
    for warning in ready.warnings:
        progress.warn(warning)
    return ready


def _expected_bytes(database: Database, ready: ReadyBackup) -> int:
    """The last dump's size; for a first one the server's estimate."""
    newest = database.snapshots.filter(total_bytes_processed__gt=0).first()
    return (newest.total_bytes_processed if newest else None) or ready.data_length


def _dumped(run: Run, database: Database, ready: ReadyBackup, progress: Progress) -> StoredDump:
    """What several connections cannot do, one may still be able to do."""
    order = order_for(run, database, ready)
    try:
        return _dump_into_restic(run, database, ready, order, progress)
    except SeveralFailed as failed:
        return _dump_into_restic(run, database, ready, over_one(order, failed, progress), progress)


def _dump_into_restic(
    run: Run, database: Database, ready: ReadyBackup, order: Order, progress: Progress
) -> StoredDump:
    """restic runs the dump program and keeps its output only if it ends well.

    Raises SeveralFailed as well.
    """
    asked = _asked(run, database)
    order_fd = process.secret_fd(order.as_json())
    report_fd = process.secret_fd(b"")
    report = Report(report_fd)
    summaries: list[restic.BackupSummary] = []
    telling = Telling(order, progress)

    def read_status(line: str) -> None:
        if (done := restic.parse_status(line)) is not None:
            progress.bytes_done(done)
        elif summary := restic.parse_backup_summary(line):
            summaries.append(summary)

    def hear(line: str) -> None:
        text = restic.readable(line)
        # The dump program has said before why it failed, and the run ends in that sentence.
        if not (restic.tells_of_failed_command(text) and "problem" in report.read()):
            progress.log(text, Level.WARNING)

    def tick() -> None:
        reported = report.read()
        telling.hear(reported)
        progress.detail(str(reported.get("progress", {}).get("doing", "")))
        progress.tick()

    try:
        restic.probed_call(
            ready.access,
            restic.Command(
                restic.backup_args(
                    path=asked.path,
                    host=asked.host,
                    tags=asked.tags,
                    command=command(order_fd, report_fd, iter(ready.access.environment_secrets())),
                ),
                phrase("storing the dump"),
                pass_fds=[order_fd, report_fd],
            ),
            on_stdout=read_status,
            on_stderr=hear,
            tick=tick,
        )
        reported = report.read()
        telling.hear(reported)
    except restic.OtherRepository:
        take_back(ready.access, summaries)
        raise
    except restic.ResticError as error:
        if summaries:
            raise unconfirmed(summaries[-1], error) from error
        telling.hear(reported := report.read())
        problem = _of_dump_or_restic(reported, error)
        raise (problem if problem is error else telling.failure(problem)) from error
    except (Cancelled, KeyboardInterrupt):
        take_back(ready.access, summaries)
        raise
    finally:
        os.close(order_fd)
        os.close(report_fd)
    return _whole(asked, summaries, reported)


def _asked(run: Run, database: Database) -> Asked:
    is_safety_copy = run.trigger == Trigger.RESTORE
    tags = ["vedetta", tag_of(database), *([SAFETY_TAG] if is_safety_copy else [])]
    return Asked(settings.BACKUP_HOST, path_of(database), tags)


def _whole(asked: Asked, summaries: list[restic.BackupSummary], reported: dict[str, Any]) -> StoredDump:
    if not summaries or "manifest" not in reported:
        raise Problem(
            phrase("restic ended without saying what it stored."),
            code="restic.said_nothing_stored",
            do=phrase("Run `manage.py snapshots`."),
        )
    return StoredDump(asked, summaries[-1], reported["manifest"])


def _of_dump_or_restic(reported: dict[str, Any], error: restic.ResticError) -> Problem:
    """When the dump failed, restic's own complaint is only its consequence."""
    if isinstance(error, restic.RepositoryUnreachable | restic.RepositoryFull):
        return error
    if (problem := problem_told(reported)) is not None:
        return problem
    if isinstance(error, restic.Interrupted | restic.CommandFailed) and "manifest" not in reported:
        return Problem(
            phrase("The dump program was killed before the dump was whole."),
            code="dump.killed",
            do=phrase("See whether the machine ran out of memory, then back up again."),
        )
    return error


def _confirm(
    run: Run, database: Database, ready: ReadyBackup, stored: StoredDump, progress: Progress
) -> tuple[Snapshot, list[str]]:
    """Read the snapshot back from the repository by its id; answers with it why it is suspicious."""
    summary, manifest = stored.summary, stored.manifest
    all_listed = partial(out_of_all, run, ready.access, summary, progress)
    info = read_back(ready.access, stored.asked, summary, progress.tick, all_listed)
    signature = _signature(info, manifest, progress)
    provenance = records.Provenance(run, manifest, signature)
    snapshot, suspicious, pinned = outlast(lambda: _recorded(info, database, provenance))
    if pinned is not None:
        progress.log(pins.pinned_words(snapshot, pinned))
    notes.run_update(
        run.pk,
        snapshot=snapshot,
        bytes_done=summary.total_bytes_processed,
        result={
            "snapshot_id": summary.snapshot_id,
            "dump_bytes": summary.total_bytes_processed,
            "data_added": summary.data_added,
            "data_added_packed": summary.data_added_packed,
            "sha256": manifest["sha256"],
            "log": manifest["log"],
            "suspicious": suspicious,
        },
    )
    outlast(lambda: tell_shrunk(run, database, snapshot, ready.loose, progress))
    held = ", ".join(f"{kind} {len(names)}" for kind, names in manifest["inventory"].items())
    progress.log(
        phrase(
            "Snapshot {snapshot} holds, by kind: {held}.",
            snapshot=snapshot.short_id,
            held=held or phrase("nothing"),
        )
    )
    if not manifest["log"]["exact"] and _is_log_stored(database):
        progress.log(_of_no_use_for_log(manifest["log"]))
    return snapshot, suspicious


def _is_log_stored(database: Database) -> bool:
    archive = LogArchive.objects.filter(database=database).first()
    return archive is not None and archive.is_on


def _of_no_use_for_log(log: Mapping[str, Any]) -> str:
    return phrase(
        "No stored log can be replayed on it: it has {told}. It can be restored as any other, and moments "
        "before and after it as long as an earlier backup leads there.",
        told=log_positions.told(log),
    )


def _recorded(
    info: restic.SnapshotInfo, database: Database, provenance: records.Provenance
) -> tuple[Snapshot, list[str], Pin | None]:
    """At once, lest a worker that dies in between leave a suspicious one that passes for good.

    Nor may a forget come between the row and its pin.
    """
    with transaction.atomic():
        snapshot = records.snapshot_record(
            info, repository=database.repository, database=database, provenance=provenance
        )
        return snapshot, suspicions.judge(database, snapshot), _pinned(provenance.made_by, snapshot)


def _pinned(run: Run | None, snapshot: Snapshot) -> Pin | None:
    wish = read_as(run, BackupRequest).pin if run is not None else None
    if wish is None:
        return None
    # It may have been written already, and only the answer to it lost.
    return Pin.objects.filter(snapshot=snapshot).first() or pins.pin_record(snapshot, wish)


def _signature(info: restic.SnapshotInfo, manifest: dict[str, Any], progress: Progress) -> str:
    """By which the snapshot is known as ours; a backup goes on without a key."""
    try:
        return made_here.signature(made_here.key_in_use(), info.tags, manifest)
    except Problem as problem:
        progress.warn(phrase("The snapshot is not signed. {sentence}", sentence=problem.sentence()))
        return ""


def _heartbeat(
    run: Run, database: Database, snapshot: Snapshot, suspicious: list[str], progress: Progress
) -> None:
    """Tell the gate, unless an integrity check found damage that is not known to be mended.

    Nor of a backup that waits for a person, nor where the environment means another database by now:
    the gate would open on the proof of one that the application may not use any more. A restore does
    not wait for that to be settled.
    """
    database.repository.refresh_from_db()
    # Another may have become the first one meanwhile, whose times are not this one's.
    database.refresh_from_db(fields=["is_primary"])
    _withhold(run)
    if suspicious:
        progress.warn(suspicions.told(run.pk, suspicious))
    if database.repository.is_damaged:
        _withhold(run, phrase("the repository counted as damaged when it was made"))
        progress.warn(
            phrase(
                "The heartbeat is withheld: an integrity check found the repository damaged. The "
                "snapshot was made; repair the repository, check all of its data, then back up again."
            )
        )
    if suspicious or database.repository.is_damaged:
        return
    if (other := environment.other_database(database)) is not None:
        _withhold(run, phrase("the environment meant another database when it was made"))
        other.safe = phrase(
            "Snapshot {snapshot} of {database} was made and is good; no heartbeat was written.",
            snapshot=snapshot.short_id,
            database=database,
        )
        if run.trigger != Trigger.RESTORE:
            raise other
        progress.warn(other.sentence())
        return
    try:
        path = heartbeat_files.write_last_ok(database, snapshot.time)
        heartbeat_files.write_gates()
    except Problem as problem:
        problem.safe = phrase("Snapshot {snapshot} was made and is good.", snapshot=snapshot.short_id)
        raise
    notes.run_update(run.pk, result={"heartbeat": "written"})
    progress.log(phrase("Heartbeat written to {path}.", path=path))


def _withhold(run: Run, because: str = "") -> None:
    """Note that the gate is not told of this backup, and why, as the verdict says it."""
    notes.run_update(run.pk, result={"heartbeat": "withheld", "withheld_because": because})
