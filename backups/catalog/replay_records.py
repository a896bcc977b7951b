"""Writes down what proofs by replay found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backups.choices import ReplayVerdict
from backups.models import ReplayProof, Run
from backups.runs.notes import run_update


def proof_record(run: Run, counted: Mapping[str, int], **found: Any) -> ReplayProof:
    """Store what a proof found, and put it into its run's result. It changes no snapshot.

    `counted` are its `transactions`, `row_events` and `row_changes`, how many rows these events changed.
    """
    # The column has the name, and events in it: the rows stand in the run's result alone.
    own = {"transactions": counted["transactions"], "row_changes": counted["row_events"]}
    proof = ReplayProof.objects.create(run=run, **own, **found)
    run_update(run.pk, result={**as_json(proof), "row_changes": counted["row_changes"]})
    return proof


def no_proof(run: Run, reason: str) -> None:
    """Put into a run's result that there was no backup that a proof could begin with, and no row."""
    proof = ReplayProof(verdict=ReplayVerdict.NOTHING, reason=reason)
    run_update(run.pk, result={**_figures(proof), "row_changes": 0, "base": None, "next": None})


def as_json(proof: ReplayProof) -> dict[str, Any]:
    """A proof for programs: seconds, bytes, and ids of snapshots."""
    return {
        **_figures(proof),
        "base": proof.base.snapshot_id,
        "next": proof.next.snapshot_id if proof.next else None,
    }


def _figures(proof: ReplayProof) -> dict[str, Any]:
    return {
        "verdict": str(proof.verdict),
        "transactions": proof.transactions,
        "row_events": proof.row_changes,
        "log_bytes": proof.log_bytes,
        "load_seconds": proof.load_seconds,
        "replay_seconds": proof.replay_seconds,
        "differences": list(proof.differences),
        "not_covered": list(proof.not_covered),
        "reason": str(proof.reason),
    }
