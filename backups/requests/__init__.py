"""What can be asked for: one form each, in which pages, commands, schedules and runs say what they want.

A form is checked, submitted as a run, stored in the run's row and read from there again.
"""

from backups.requests.backup import BackupRequest
from backups.requests.base import About, Request
from backups.requests.diff import DiffRequest, of_moment, side_named
from backups.requests.forget_snapshot import ForgetSnapshotRequest
from backups.requests.maintenance import (
    CheckRequest,
    ForgetRequest,
    InitRequest,
    PruneRequest,
    RecoverRequest,
    RepairIndexRequest,
    RepairSnapshotsRequest,
    RepositoryRequest,
    SnapshotsRequest,
    StatsRequest,
    UnlockRequest,
)
from backups.requests.portal import PortalCopyRequest
from backups.requests.preflight import DrillRequest, PreflightRequest
from backups.requests.reading import FORMS, read, read_as
from backups.requests.replay_proof import ReplayProofRequest
from backups.requests.restore import DefineRequest, DropKeptRequest, RestoreRequest, UndoRequest
from backups.requests.rows_back import ApplyRowsRequest, Choice, RowsBackRequest
from backups.requests.undo_transactions import UndoTransactionsRequest
from backups.requests.verify import VerifyRequest
from backups.runs.asked import Asker

__all__ = [
    "FORMS",
    "About",
    "ApplyRowsRequest",
    "Asker",
    "BackupRequest",
    "CheckRequest",
    "Choice",
    "DefineRequest",
    "DiffRequest",
    "DrillRequest",
    "DropKeptRequest",
    "ForgetRequest",
    "ForgetSnapshotRequest",
    "InitRequest",
    "PortalCopyRequest",
    "PreflightRequest",
    "PruneRequest",
    "RecoverRequest",
    "RepairIndexRequest",
    "RepairSnapshotsRequest",
    "ReplayProofRequest",
    "RepositoryRequest",
    "Request",
    "RestoreRequest",
    "RowsBackRequest",
    "SnapshotsRequest",
    "StatsRequest",
    "UndoRequest",
    "UndoTransactionsRequest",
    "UnlockRequest",
    "VerifyRequest",
    "of_moment",
    "read",
    "read_as",
    "side_named",
]
