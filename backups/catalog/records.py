"""Writes down which snapshots a repository holds, which run made them and what they were found to be."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from backups.choices import BAD_VERDICTS, Health, Verdict
from backups.keeping.pins import carry_over
from backups.models import Database, Repository, Run, Snapshot, Verification
from backups.runs.notes import run_update
from backups.runs.recovered import run_rebuilt
from backups.text.sentences import phrase

if TYPE_CHECKING:
    from backups import restic


@dataclass(frozen=True)
class Provenance:
    """What is known of a snapshot beside what its repository lists: which run made it, and what it holds.

    `signature` is given by who just made it, and empty where there was no key to sign with.
    """

    made_by: Run | None = None
    manifest: Mapping[str, Any] | None = None
    signature: str | None = None


_UNKNOWN = Provenance()
# Keys in one statement.
_AT_ONCE = 500


def snapshot_record(
    info: restic.SnapshotInfo,
    *,
    repository: Repository,
    database: Database | None,
    provenance: Provenance = _UNKNOWN,
) -> Snapshot:
    """Insert or complete the row of a snapshot that the repository holds."""
    manifest = provenance.manifest
    known: dict[str, Any] = {
        "database": database,
        "time": info.time,
        "host": info.hostname,
        "path": info.paths[0] if info.paths else "",
        "tags": list(info.tags),
        "total_bytes_processed": info.total_bytes_processed,
        "data_added": info.data_added,
        "data_added_packed": info.data_added_packed,
        "forgotten_at": None,
    }
    if provenance.made_by is not None:
        known["made_by"] = provenance.made_by
    if manifest is not None:
        known |= {"manifest": dict(manifest), "dump_sha256": manifest["sha256"]}
    if provenance.signature is not None:
        known |= {"signature": provenance.signature, "made_here": True}
    snapshot, _ = Snapshot.objects.update_or_create(
        repository=repository, snapshot_id=info.id, defaults=known
    )
    return snapshot


def snapshot_learned(snapshot: Snapshot, manifest: Mapping[str, Any]) -> None:
    """Store the manifest by which a snapshot that came here without it was just proved."""
    if snapshot.manifest is None:
        Snapshot.objects.filter(pk=snapshot.pk).update(
            manifest=dict(manifest), dump_sha256=manifest["sha256"]
        )


def backup_rebuilt(repository: Repository, info: restic.SnapshotInfo, database: Database | None) -> bool:
    """Write down the backup that made a snapshot, where its run is not known; answers whether."""
    snapshot = Snapshot.objects.get(repository=repository, snapshot_id=info.id)
    if snapshot.made_by is not None or database is None:
        return False
    run = run_rebuilt(snapshot, info, database)
    Snapshot.objects.filter(pk=snapshot.pk).update(made_by=run)
    return True


def snapshots_sync(
    repository: Repository,
    found: Sequence[tuple[restic.SnapshotInfo, Database | None]],
    *,
    unreadable: Collection[str] = (),
    is_repaired: bool = False,
    now: datetime | None = None,
) -> tuple[int, int]:
    """Make the table say what the repository holds; answers how many are new and how many gone.

    Those with `unreadable` ids are there, though restic does not list them. What was made of a bad one is
    bad as well until it is verified, and so is all that a repair has just written anew.
    """
    now = now or timezone.now()
    there = Snapshot.objects.present().filter(repository=repository)
    known = set(there.values_list("snapshot_id", flat=True))
    # Read before their database was set up.
    ownerless = set(there.filter(database=None).values_list("snapshot_id", flat=True))
    present = {info.id for info, _ in found}
    missing = known - present - set(unreadable)
    with transaction.atomic():
        for info, database in found:
            if info.id not in known:
                snapshot = snapshot_record(info, repository=repository, database=database)
                if info.original:
                    carry_over(info.original, snapshot)
                if info.original and (is_repaired or _was_bad(info.original, repository)):
                    Snapshot.objects.filter(pk=snapshot.pk).update(verdict=Verdict.UNREADABLE)
            elif database is not None and info.id in ownerless:
                there.filter(snapshot_id=info.id).update(database=database)
        gone = Snapshot.objects.filter(repository=repository, snapshot_id__in=missing).update(
            forgotten_at=now
        )
    return len(present - known), gone


def snapshots_forgotten(repository: Repository, ids: Collection[str], now: datetime | None = None) -> None:
    """Note that a repository does not hold these any more, as restic just removed them."""
    there = Snapshot.objects.present().filter(repository=repository, snapshot_id__in=list(ids))
    there.update(forgotten_at=now or timezone.now())


def _was_bad(snapshot_id: str, repository: Repository) -> bool:
    """Whether a snapshot, which may be gone by now, was known to be bad."""
    rows = Snapshot.objects.filter(repository=repository, snapshot_id=snapshot_id, verdict__in=BAD_VERDICTS)
    return rows.exists()


def verification_record(
    run: Run, snapshot: Snapshot, *, is_of_the_server: bool = False, **found: Any
) -> Verification:
    """Store what a verification found, which is what the snapshot is from now on: the newest one counts.

    Of one that is bad its repository is suspect, unless it is known to be damaged, or all that was found
    `is_of_the_server`, whose settings make other values of the same rows.
    """
    with transaction.atomic():
        verification = Verification.objects.create(run=run, snapshot=snapshot, **found)
        is_good = verification.verdict == Verdict.IDENTICAL
        snapshot.verdict = verification.verdict
        snapshot.verified_at = verification.finished_at if is_good else None
        snapshot.save(update_fields=["verdict", "verified_at"])
        if verification.verdict in BAD_VERDICTS and not is_of_the_server:
            _suspect(snapshot, run, verification)
    result = {
        "snapshot_id": snapshot.snapshot_id,
        "verdict": str(verification.verdict),
        "differences": verification.differences,
        "tables": verification.tables,
        "rows": verification.rows,
    }
    run_update(run.pk, result=result)
    return verification


def _suspect(snapshot: Snapshot, run: Run, verification: Verification) -> None:
    because = phrase(
        "{action} {run} found snapshot {snapshot} {verdict}",
        action=run.get_action_display().lower(),
        run=run.pk,
        snapshot=snapshot.short_id,
        verdict=verification.get_verdict_display().lower(),
    )
    repository = Repository.objects.filter(pk=snapshot.repository_id).exclude(health=Health.DAMAGED)
    repository.update(health=Health.SUSPECT, check_error=because)


def snapshots_kept(keys: Mapping[tuple[str, ...], Sequence[int]]) -> None:
    """Store why retention keeps snapshots, whose keys are given by the reasons."""
    for reasons, alike in keys.items():
        for begin in range(0, len(alike), _AT_ONCE):
            some = Snapshot.objects.filter(pk__in=alike[begin : begin + _AT_ONCE])
            some.update(kept_because=list(reasons))
