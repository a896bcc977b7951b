"""From a run's row back to what was asked for, also from rows that an earlier or a later version wrote."""

from __future__ import annotations

from typing import TypeVar

from backups.errors import Problem
from backups.models import Run
from backups.requests.backup import BackupRequest
from backups.requests.base import NOTHING_DONE, Request
from backups.requests.diff import DiffRequest
from backups.requests.forget_snapshot import ForgetSnapshotRequest
from backups.requests.maintenance import (
    CheckRequest,
    ForgetRequest,
    InitRequest,
    PruneRequest,
    RecoverRequest,
    RepairIndexRequest,
    RepairSnapshotsRequest,
    SnapshotsRequest,
    StatsRequest,
    UnlockRequest,
)
from backups.requests.portal import PortalCopyRequest
from backups.requests.preflight import DrillRequest, PreflightRequest
from backups.requests.replay_proof import ReplayProofRequest
from backups.requests.restore import DefineRequest, DropKeptRequest, RestoreRequest, UndoRequest
from backups.requests.rows_back import ApplyRowsRequest, RowsBackRequest
from backups.requests.undo_transactions import UndoTransactionsRequest
from backups.requests.verify import VerifyRequest
from backups.runs.asked import form_of
from backups.text.sentences import phrase

FORMS: dict[str, type[Request]] = {
    each.form: each
    for each in (
        BackupRequest,
        VerifyRequest,
        ReplayProofRequest,
        RestoreRequest,
        UndoRequest,
        DropKeptRequest,
        DefineRequest,
        ForgetRequest,
        ForgetSnapshotRequest,
        PruneRequest,
        CheckRequest,
        StatsRequest,
        RepairIndexRequest,
        RepairSnapshotsRequest,
        UnlockRequest,
        InitRequest,
        SnapshotsRequest,
        RecoverRequest,
        PortalCopyRequest,
        PreflightRequest,
        DrillRequest,
        DiffRequest,
        UndoTransactionsRequest,
        RowsBackRequest,
        ApplyRowsRequest,
    )
}

Form = TypeVar("Form", bound=Request)


def read(run: Run) -> Request:
    """What a run was asked for with.

    Raises Problem for a form that this version does not know, and for what is not known any more.
    """
    form = form_of(run)
    kind = FORMS.get(form)
    if kind is None or kind.action != run.action or not _is_known_version(run, kind):
        raise Problem(
            phrase("This version of Vedetta does not know the form in which {run} was asked for.", run=run),
            code="request.unknown_form",
            safe=NOTHING_DONE,
            do=phrase("See that portal and worker are of the same version, then start it again."),
            params={"form": form},
        )
    try:
        payload = run.request if isinstance(run.request, dict) else kind.told_before(run)
        return kind.from_row(run, payload)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise Problem(
            phrase(
                "The request of {run} cannot be read ({kind}: {error}).",
                run=run,
                kind=type(error).__name__,
                error=error,
            ),
            code="request.unreadable",
            safe=NOTHING_DONE,
            do=phrase("Start it again."),
        ) from error


def read_as(run: Run, kind: type[Form]) -> Form:
    """The same, of the form that an action is played with. Raises Problem."""
    request = read(run)
    if not isinstance(request, kind):
        raise TypeError(f"{run} was asked for with {type(request).__name__}")
    return request


def _is_known_version(run: Run, kind: type[Request]) -> bool:
    if not isinstance(run.request, dict):
        return True
    version = run.request.get("version")
    return isinstance(version, int) and 1 <= version <= kind.version
