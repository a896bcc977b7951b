"""What a restore to a moment will do, beside what any restore does. Nothing is changed by looking."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from backups import mysql
from backups.actions.steps.moment_found import Way, found
from backups.actions.steps.moment_replay import told_of
from backups.actions.steps.replay_place import replaying_place
from backups.choices import ReplayVerdict, RestoreMode
from backups.dumpfile.log_positions import Place
from backups.endpoints import repository_access, restoring_server, scratch_server
from backups.errors import Problem
from backups.models import Database, LogPiece, ReplayProof
from backups.moments.planning import Draft
from backups.moments.rows import draft_of
from backups.moments.timeline import rank
from backups.moments.until import Until
from backups.restoring.plan import Plan
from backups.text.sentences import phrase

_SAMPLES = 10
# One that proves nothing of speed was over in less.
_LEAST_SECONDS = 0.1


def with_moment(plan: Plan, until: Until, seconds: float) -> Plan:
    """The plan with what the log adds to it; what stands in the way is an obstacle.

    The log is read for no longer than `seconds`.
    """
    database = plan.snapshot.database
    if database is None:
        return plan
    try:
        draft = draft_of(database, until).from_base(plan.snapshot.pk)
        way = found(draft, plan.snapshot, repository_access(plan.snapshot.repository), _within(seconds))
        _look_at_place(database, plan)
    except Problem as problem:
        plan.obstacles.append(problem.sentence())
        return plan
    log_bytes = sum(_share(piece, way) for piece in way.pieces)
    replay_seconds = _expected_seconds(database, log_bytes)
    lost = _lost(draft, way)
    told: dict[str, Any] = {
        **told_of(way.cut),
        "base": plan.snapshot.snapshot_id,
        "pieces": len(way.pieces),
        "log_bytes": log_bytes,
        "lost_transactions": lost,
        "load_seconds": plan.seconds,
        "replay_seconds": replay_seconds,
    }
    whole = None
    if plan.seconds is not None and replay_seconds is not None:
        whole = plan.seconds + replay_seconds
    return plan.with_moment(told, whole)


def _within(seconds: float) -> Callable[[], None]:
    until = time.monotonic() + seconds

    def tick() -> None:
        if time.monotonic() > until:
            raise Problem(
                phrase(
                    "The stored log could not be read within {seconds} s, so that nobody can say yet which "
                    "transaction is the last one.",
                    seconds=f"{seconds:g}",
                ),
                code="moment.too_slow",
                do=phrase("Look again. The restore itself takes the time that it needs."),
            )

    return tick


def _look_at_place(database: Database, plan: Plan) -> None:
    """Raise Problem where the log may not be replayed where the restore goes."""
    is_file = plan.mode == RestoreMode.FILE
    server = scratch_server(database) if is_file else restoring_server(database)
    with mysql.connect(server) as connection:
        info = mysql.probe(connection)
    target = f"{database.database[:40]}__verify_1" if is_file else plan.target
    if plan.mode == RestoreMode.REPLACE:
        target = mysql.derived_name(plan.target, "restore", 1)
    replaying_place(database, server, info, target)


def _share(piece: LogPiece, way: Way) -> int:
    """How many of its bytes are replayed, by its positions."""
    start, end = Place(piece.file, piece.start), Place(piece.file, piece.end)
    first = max(start, way.after, key=rank)
    last = min(end, way.cut.place, key=rank)
    return round(piece.bytes * max(last.position - first.position, 0) / max(piece.end - piece.start, 1))


def _expected_seconds(database: Database, log_bytes: int) -> float | None:
    """How long the replay takes, by the speed that proofs of this database measured; None without any."""
    if not log_bytes:
        return 0.0
    proofs = ReplayProof.objects.filter(
        database=database,
        verdict=ReplayVerdict.IDENTICAL,
        replay_seconds__gt=_LEAST_SECONDS,
        log_bytes__gt=0,
    )
    samples = proofs.values_list("log_bytes", "replay_seconds")[:_SAMPLES]
    speeds = [size / took for size, took in samples if took]
    return round(log_bytes / median(speeds), 1) if speeds else None


def _lost(draft: Draft, way: Way) -> int:
    """How many transactions lie behind the moment, at least: the next one, and those of the pieces behind."""
    behind = [piece for piece in draft.stretch.pieces if rank(piece.begins) >= rank(way.cut.place)]
    first = way.cut.left_out
    is_counted = first is None or any(rank(piece.begins) <= rank(first.begins) for piece in behind)
    return sum(piece.transactions for piece in behind) + (0 if is_counted else 1)
