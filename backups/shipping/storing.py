"""Pieces on their way into the repository, and the rows that tell of them."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from backups import binlog, process, restic
from backups.binlog import Transaction
from backups.choices import ArchiveState
from backups.endpoints import repository_access
from backups.errors import Problem
from backups.models import Database, LogArchive, LogMark, LogPiece
from backups.moments.spilling import spill_folder
from backups.runs.leases import lease_holder
from backups.shipping import leases, program
from backups.shipping.contents import Contents
from backups.shipping.cutting import Barrier, Cut
from backups.shipping.spool import Spool
from backups.shipping.stream import Begin
from backups.snapshots.naming import LOG_TAG, tag_of
from backups.text.sentences import phrase

logger = logging.getLogger(__name__)


@dataclass
class Piece:
    """A piece that grows: its bytes, how far it reaches, and what is told of what is in it."""

    spool: Spool
    made: int
    end: int
    server: str
    cases: int
    contents: Contents = field(default_factory=Contents)
    is_new: bool = True
    row: int | None = None
    # What it was begun at, by our clock.
    begun: datetime = field(default_factory=timezone.now)

    @property
    def file(self) -> str:
        """Of which file of the log it is."""
        return self.spool.file

    @property
    def start(self) -> int:
        """Where it begins there."""
        return self.spool.start

    def named(self, database: str) -> binlog.Piece:
        """What it is called in the repository."""
        return binlog.Piece(database, self.file, self.made, self.start, self.end)

    def take(self, item: Transaction, cut: Cut) -> None:
        """Append what a transaction is to the database."""
        self.spool.add(cut.written(self.spool.format))
        self.contents.take(item, cut, timezone.now())
        self.is_new = True

    def block(self, position: int, seconds: float, barrier: Barrier) -> None:
        """Note what no replay goes past."""
        self.contents.block(position, seconds, barrier, timezone.now())
        self.is_new = True

    def close(self) -> None:
        """Give its room back."""
        self.spool.close()


class InUse(Problem):
    """A run of ours has the repository for itself."""

    code = "log.repository_in_use"


def access_to(database: Database) -> restic.Access:
    """How to reach the repository, if nobody has it for himself. Raises Problem, InUse."""
    if (holder := lease_holder(database.repository)) is not None:
        raise InUse(
            phrase("{holder} has the repository for itself.", holder=holder),
            do=phrase("The log is stored when that is over; the server keeps it until then."),
        )
    return repository_access(database.repository)


def store(
    archive: LogArchive, piece: Piece, access: restic.Access, tick: process.Tick, *, seconds: float
) -> restic.BackupSummary:
    """Have restic keep a piece within so many seconds.

    Raises Problem, LeaseGone, and whatever `tick` raises.
    """
    leases.hold(archive)
    named = piece.named(archive.database.database)
    piece.spool.flush()
    order_fd = process.secret_fd(program.order(named, piece.cases, piece.spool.sha256, spill_folder()))
    summaries: list[restic.BackupSummary] = []

    def read(line: str) -> None:
        if summary := restic.parse_backup_summary(line):
            summaries.append(summary)

    args = restic.backup_args(
        path=named.path,
        host=settings.BACKUP_HOST,
        tags=["vedetta", LOG_TAG, tag_of(archive.database)],
        command=program.command(order_fd, piece.spool.fd, iter(access.environment_secrets())),
    )
    try:
        restic.probed_call(
            access,
            restic.Command(
                restic.at_once(args),
                phrase("storing a piece of the log"),
                deadline=seconds,
                pass_fds=[order_fd, piece.spool.fd],
                trusts_lately=True,
            ),
            on_stdout=read,
            tick=tick,
        )
    except restic.RepositoryLocked:
        # A restic that was killed leaves its lock behind, and may have been the last one.
        with suppress(restic.ResticError):
            restic.remove_stale_locks(access, tick=tick)
        raise
    finally:
        os.close(order_fd)
    if not summaries or restic.holds_snapshot(access, summaries[-1].snapshot_id) is False:
        raise Problem(
            phrase("restic did not store a piece of the log, though it said no word of that."),
            code="log.not_stored",
            do=phrase("It is tried again each minute. Check the repository."),
        )
    return summaries[-1]


def record(
    archive: LogArchive, piece: Piece, summary: restic.BackupSummary, *, sealed: bool, reached: dict[str, Any]
) -> None:
    """Note a stored piece and how far the log is stored with it, or nothing of both. Raises LeaseGone.

    A piece that grew takes the place of what it was: its earlier snapshots go with the next forget.
    """
    with transaction.atomic():
        leases.hold(archive)
        told = {
            "repository": archive.database.repository,
            "snapshot_id": summary.snapshot_id,
            "end": piece.end,
            "first_moment": piece.contents.first,
            "last_moment": piece.contents.last,
            "transactions": piece.contents.transactions,
            "bytes": piece.spool.size,
            "sha256": piece.spool.sha256,
            "barriers": piece.contents.told,
            "sealed": sealed,
            "stored_at": timezone.now(),
            "read_back_at": None,
        }
        if piece.row is None:
            row = LogPiece.objects.create(
                database=archive.database,
                server_uuid=piece.server,
                file=piece.file,
                file_made=piece.made,
                start=piece.start,
                **told,
            )
            piece.row = row.pk
        else:
            LogPiece.objects.filter(pk=piece.row).update(**told)
        piece.contents.list_news(piece.row)
        advance(archive, **reached)
    piece.contents.news, piece.is_new = [], False


def advance(archive: LogArchive, **reached: Any) -> None:
    """Note how far the log is stored."""
    for name, value in reached.items():
        setattr(archive, name, value)
    archive.save(update_fields=[*reached])


def mark(archive: LogArchive, moment: datetime, reached: Begin) -> None:
    """Note how long the log was at a moment, to a quarter of a second.

    While it does not grow, the second of two marks moves on.
    """
    file, made, position = reached
    last = list(LogMark.objects.filter(database=archive.database).order_by("-moment")[:2])
    same = [each for each in last if (each.file, each.file_made, each.position) == (file, made, position)]
    if len(same) == 2:
        LogMark.objects.filter(pk=last[0].pk).update(moment=moment)
    else:
        LogMark.objects.create(
            database=archive.database, moment=moment, file=file, file_made=made, position=position
        )


def note_problem(archive: LogArchive, problem: Problem | None) -> None:
    """Note why the last look at a log came to nothing, or that one came to something."""
    if problem is None:
        if archive.problem_code:
            advance(archive, problem="", problem_code="", problem_since=None)
        return
    since = archive.problem_since or timezone.now()
    advance(archive, problem=problem.sentence(), problem_code=problem.code, problem_since=since)


def is_followed(archive: LogArchive) -> bool:
    """Whether a log is being read on."""
    return archive.state == ArchiveState.FOLLOWING
