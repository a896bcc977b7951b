"""From rows to the values that are planned with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from backups.dumpfile.log_positions import Place
from backups.models import Database, LogArchive, LogGap, LogMark, LogPiece, LogTransaction, Snapshot
from backups.moments.planning import Draft, drafted
from backups.moments.timeline import Barrier, Base, Gap, Log, Mark, Piece
from backups.moments.until import Until


def log_of(database: Database) -> Log:
    """What the portal's rows tell of a database's log."""
    archive = LogArchive.objects.filter(database=database).first()
    return Log(
        is_on=archive is not None and archive.is_on,
        server=archive.server_uuid if archive else "",
        end=_place(archive) if archive else None,
        stored_until=archive.stored_until if archive else None,
        switched=archive.switched_at if archive else None,
        bases=bases_of(database),
        pieces=[piece_of(row) for row in LogPiece.objects.filter(database=database).order_by("pk")],
        gaps=[
            Gap(row.begins, row.ends, row.noticed_at, row.sentence)
            for row in LogGap.objects.filter(database=database).order_by("begins", "pk")
        ],
        marks=[
            Mark(moment, Place(file, position))
            for moment, file, position in LogMark.objects.filter(database=database)
            .order_by("moment", "pk")
            .values_list("moment", "file", "position")
        ],
    )


def draft_of(database: Database, until: Until) -> Draft:
    """What a restore to a moment begins with, and where its end is, by rows. Raises Problem."""
    known = None
    if until.before and until.place is None:
        known = _listed(database, until.before)
    return drafted(log_of(database), until, known=known)


def _listed(database: Database, gtid: str) -> Place | None:
    """Where a transaction begins, if it is one that is listed."""
    listed = LogTransaction.objects.filter(piece__database=database, piece__forgotten_at=None, gtid=gtid)
    found = listed.values_list("piece__file", "position").first()
    return Place(*found) if found else None


def bases_of(database: Database) -> list[Base]:
    """The dumps that a replay may begin with: kept, made here, not known to be bad, of an exact position."""
    kept = Snapshot.objects.present().made_here().not_known_bad().filter(database=database)
    return [
        Base(snapshot.pk, snapshot.time, place, server, str((snapshot.log or {}).get("gtid") or ""))
        for snapshot in kept.order_by("time", "pk")
        if snapshot.source == database.database
        and (place := place_of(snapshot.log))
        and (server := server_of(snapshot.log))
    ]


def place_of(log: Mapping[str, Any] | None) -> Place | None:
    """A dump's own place in the log, as its manifest tells it; None where that is not exact."""
    if not log or log.get("exact") is not True:
        return None
    file, position = log.get("file"), log.get("position")
    if isinstance(file, str) and isinstance(position, int) and not isinstance(position, bool):
        return Place(file, position)
    return None


def server_of(log: Mapping[str, Any] | None) -> str:
    """Whose log it is: the server's UUID, else its id; empty where that is not told."""
    server = (log or {}).get("server")
    if not isinstance(server, Mapping):
        return ""
    return str(server.get("uuid") or server.get("id") or "")


def piece_of(row: LogPiece) -> Piece:
    """A piece, whether it is still kept or not."""
    return Piece(
        key=row.pk,
        repository=row.repository_id,
        snapshot_id=row.snapshot_id,
        server=row.server_uuid,
        file=row.file,
        made=row.file_made,
        start=row.start,
        end=row.end,
        stored=row.stored_at,
        first=row.first_moment,
        last=row.last_moment,
        transactions=row.transactions,
        bytes=row.bytes,
        sha256=row.sha256,
        barriers=[_barrier(row.file, each) for each in row.barriers],
        is_kept=row.forgotten_at is None,
    )


def _barrier(file: str, told: Mapping[str, Any]) -> Barrier:
    moment = told.get("moment")
    return Barrier(
        Place(file, int(told["position"])),
        _moment(moment) if moment else None,
        str(told.get("code", "")),
        dict(told.get("params") or {}),
    )


def _moment(told: object) -> datetime:
    moment = datetime.fromisoformat(str(told))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _place(archive: LogArchive) -> Place | None:
    if not archive.file or archive.position is None:
        return None
    return Place(archive.file, archive.position)
