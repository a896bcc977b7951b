"""Rows that requests are about, and one request of each form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.utils import timezone

from backups.choices import ArchiveState, DefinerPolicy, RestoreMode, Swap, Trigger
from backups.models import Database, LogArchive, LogPiece, Repository, Restore, Run, Snapshot
from backups.requests import (
    ApplyRowsRequest,
    Asker,
    BackupRequest,
    CheckRequest,
    Choice,
    DefineRequest,
    DiffRequest,
    DrillRequest,
    DropKeptRequest,
    ForgetRequest,
    ForgetSnapshotRequest,
    InitRequest,
    PortalCopyRequest,
    PreflightRequest,
    PruneRequest,
    RecoverRequest,
    RepairIndexRequest,
    RepairSnapshotsRequest,
    ReplayProofRequest,
    Request,
    RestoreRequest,
    RowsBackRequest,
    SnapshotsRequest,
    StatsRequest,
    UndoRequest,
    UndoTransactionsRequest,
    UnlockRequest,
    VerifyRequest,
)
from backups.runs.restores import restore_note
from tests.admin.conftest import login, person, roles
from tests.rows import a_server

__all__ = ["login", "person", "roles"]

CLI = Asker(Trigger.CLI)
WHOLE = {
    "sha256": "0" * 64, "bytes": 1, "server": {"flavour": "mariadb", "version": "10.11.6"}, "sections": [],
    "inventory": {"table": ["a", "b"]},
}  # fmt: skip


@dataclass(frozen=True)
class Rows:
    """A database with a snapshot, and a restore of it that kept the tables of before."""

    database: Database
    snapshot: Snapshot
    others: Snapshot
    kept: Restore

    @property
    def repository(self) -> Repository:
        """Where its snapshots lie."""
        return self.database.repository


@pytest.fixture
def rows(db: None) -> Rows:
    """Rows that a portal may have."""
    repository = Repository.objects.create(name="main", url="/nowhere")
    shop = Database.objects.create(
        name="shop", server=a_server("h"), database="shop", repository=repository, is_primary=True
    )
    snapshot, others = (
        Snapshot.objects.create(
            repository=repository, database=shop, snapshot_id=letter * 64, time=timezone.now(),
            path=f"/mysql/{name}.sql", manifest={**WHOLE, "database": name}, made_here=True,
        )
        for letter, name in (("a", "shop"), ("b", "other"))
    )  # fmt: skip
    run = RestoreRequest(shop, snapshot, RestoreMode.REPLACE, "shop").submit(CLI, send=False)
    Run.objects.update(status="succeeded", finished_at=timezone.now())
    restore_note(run.restore, swap=Swap.FINISHED, swapped_at=timezone.now(), kept_in="shop__before_1")
    return Rows(shop, snapshot, others, run.restore)


# Of the version before there are no rows of these forms.
NEW_FORMS = frozenset({"forget_snapshot", "diff", "rows_back", "apply_rows", "replay", "undo_transactions"})


def _that_kept_rows(rows: Rows) -> Run:
    return _over(rows, "diff", {"kept": {"tables": []}})


def _that_proved_a_script(rows: Rows) -> Run:
    return _over(rows, "rows_back", {"rows_back": {"proved": True, "triggers": [{"trigger": "noted"}]}})


def _over(rows: Rows, action: str, result: dict[str, Any]) -> Run:
    return Run.objects.create(
        action=action, database=rows.database, repository=rows.repository, snapshot=rows.snapshot,
        trigger="cli", status="succeeded", finished_at=timezone.now(), result=result,
    )  # fmt: skip


def _proved_by_replay(rows: Rows) -> Request:
    LogArchive.objects.update_or_create(database=rows.database, defaults={"state": ArchiveState.FOLLOWING})
    return ReplayProofRequest(rows.database)


def _of_a_stored_log(rows: Rows) -> Request:
    """Of two transactions behind a dump with an exact position."""
    log = {
        "file": "binlog.000003", "position": 1000, "gtid": "", "server": {"id": 1, "uuid": "u"},
        "exact": True, "how": "lock", "why_not": None,
    }  # fmt: skip
    rows.snapshot.manifest = {**WHOLE, "database": "shop", "log": log}
    rows.snapshot.save()
    LogArchive.objects.update_or_create(
        database=rows.database,
        defaults={
            "state": ArchiveState.FOLLOWING, "server_uuid": "u", "file": "binlog.000003", "file_made": 1,
            "position": 9000, "stored_until": timezone.now(), "switched_at": rows.snapshot.time,
        },
    )  # fmt: skip
    LogPiece.objects.get_or_create(
        database=rows.database, repository=rows.snapshot.repository, snapshot_id="c" * 64, server_uuid="u",
        file="binlog.000003", file_made=1, start=1000, end=9000, transactions=4, bytes=9000,
    )  # fmt: skip
    return UndoTransactionsRequest.of(rows.database, ["binlog.000003:5000", "binlog.000003:2000"])


# By form; each with all that it can say.
EACH: dict[str, Callable[[Rows], Request]] = {
    "backup": lambda rows: BackupRequest(rows.database),
    "verify": lambda rows: VerifyRequest(rows.database, rows.snapshot),
    "restore": lambda rows: RestoreRequest(
        rows.database, rows.others, RestoreMode.REPLACE, "shop", tables=("b", "a"),
        definers=DefinerPolicy.CURRENT_USER, without_safety=True, known_bad=True, reason="Why ünd so",
        across=("other", "shop"),
    ),
    "undo": lambda rows: UndoRequest(rows.kept, "It was right after all."),
    "drop_kept": lambda rows: DropKeptRequest(rows.kept),
    "define": lambda rows: DefineRequest(rows.kept),
    "forget": lambda rows: ForgetRequest(rows.repository, rows.database),
    "forget_snapshot": lambda rows: ForgetSnapshotRequest(
        rows.others, "It has what has to go.", "anna", "b" * 64, although_held=True
    ),
    "prune": lambda rows: PruneRequest(rows.repository),
    "check": lambda rows: CheckRequest(rows.repository, rows.database, True, "5%"),
    "stats": lambda rows: StatsRequest(rows.repository),
    "repair_index": lambda rows: RepairIndexRequest(rows.repository),
    "repair_snapshots": lambda rows: RepairSnapshotsRequest(rows.repository),
    "unlock": lambda rows: UnlockRequest(rows.repository),
    "init": lambda rows: InitRequest(rows.repository, in_place=True),
    "snapshots": lambda rows: SnapshotsRequest(rows.repository),
    "recover": lambda rows: RecoverRequest(rows.repository),
    "portal": lambda rows: PortalCopyRequest(rows.repository),
    "preflight": lambda rows: PreflightRequest(rows.database),
    "diff": lambda rows: DiffRequest(rows.database, rows.snapshot, rows.others, ("b", "a")),
    "undo_transactions": _of_a_stored_log,
    "rows_back": lambda rows: RowsBackRequest(
        rows.database, _that_kept_rows(rows), (Choice("b", ("gone",)), Choice.of_numbers("a", [1, 2, 9])),
        with_changed_again=True, reason="Why ünd so",
    ),
    "apply_rows": lambda rows: ApplyRowsRequest(rows.database, _that_proved_a_script(rows), True, True, "So"),
    "replay": lambda rows: _proved_by_replay(rows),
    "drill": lambda rows: DrillRequest(rows.database, "https://shop.example.com/"),
}  # fmt: skip
