"""From rows to the values that are planned with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet

from backups.dumpfile.log_positions import Place
from backups.models import Database, LogArchive, LogGap, LogMark, LogPiece, LogTransaction, Snapshot
from backups.moments import large_rows, refusals
from backups.moments.planning import Draft, drafted
from backups.moments.timeline import Barrier, Base, Gap, Log, Mark, Piece, rank
from backups.moments.until import Until
from backups.moments.windows import first_wall_after


def log_of(database: Database, *, with_marks: bool = True) -> Log:
    """What the portal's rows tell of a database's log; without its marks, which are many, if so wanted.

    Those are needed to tell exactly when a dump's place was reached.
    """
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
            Gap(row.begins, row.ends, row.noticed_at, row.sentence, _reached_before(row))
            for row in LogGap.objects.filter(database=database).order_by("begins", "pk")
        ],
        marks=marks_of(database) if with_marks else (),
    )


def marks_of(database: Database) -> list[Mark]:
    """All of them, the oldest first."""
    return _marks(LogMark.objects.filter(database=database))


def marks_since(database: Database, moment: datetime, most: int) -> list[Mark]:
    """Those from a moment on, the oldest first, so many at most."""
    return _marks(LogMark.objects.filter(database=database, moment__gte=moment), most)


def _marks(found: QuerySet[LogMark], most: int | None = None) -> list[Mark]:
    told = found.order_by("moment", "pk").values_list("moment", "file", "position")[:most]
    return [Mark(moment, Place(file, position)) for moment, file, position in told]


def _reached_before(gap: LogGap) -> Place | None:
    """How far the log was followed when it broke off; of a piece that was lost, where that begins."""
    return Place(gap.after_file, gap.after_position) if gap.after_position is not None else None


def draft_of(database: Database, until: Until) -> Draft:
    """What a restore to a moment begins with, and where its end is, by rows. Raises Problem."""
    return drafted(log_of(database), until, known=_known(database, until))


def drafts_of(database: Database, untils: Iterable[Until]) -> list[Draft]:
    """The same of several moments, all to begin with the dump that leads to each of them.

    Raises Problem, also where a gap lies between them, or what no replay goes past.
    """
    log = log_of(database)
    drafts = [drafted(log, until, known=_known(database, until)) for until in untils]
    if len({(draft.stretch.begins, draft.stretch.ends) for draft in drafts}) > 1:
        raise refusals.apart()
    base = min((draft.base for draft in drafts), key=lambda base: rank(base.place))
    for draft in drafts:
        _refuse_walls(draft, base, drafts)
    return [draft.from_base(base.key) for draft in drafts]


def _refuse_walls(draft: Draft, base: Base, drafts: Sequence[Draft]) -> None:
    """Raise Problem where something cannot be replayed between another's dump and one of several moments.

    Its own dump leads to each of them, so that stands behind another one of them, or is one.
    """
    wall = first_wall_after(draft.stretch, base.place, max(draft.lower, draft.base.place, key=rank))
    if wall is None:
        return
    for each in drafts:
        if isinstance(wall, Barrier) and each.lower == each.upper == wall.place:
            raise refusals.barred(each.until.before, wall)
    raise refusals.apart_by(wall)


def _known(database: Database, until: Until) -> Place | None:
    return _listed(database, until.before) if until.before and until.place is None else None


def _listed(database: Database, gtid: str) -> Place | None:
    """Where a transaction begins, if it is one that is listed."""
    listed = LogTransaction.objects.filter(piece__database=database, piece__forgotten_at=None, gtid=gtid)
    found = listed.values_list("piece__file", "position").first()
    return Place(*found) if found else None


class Spot(NamedTuple):
    """A place in the stored log by the key of its piece, so that a log that began anew is in order too."""

    piece: int
    position: int


def defined_between(database: Database, since: Spot, until: Spot | None = None) -> frozenset[str]:
    """What was made, altered, renamed, emptied or dropped from a place on, up to another or to the end.

    As far as it is listed: in small letters, as some servers take names.
    """
    where = Q(piece__gt=since.piece) | Q(piece=since.piece, position__gte=since.position)
    if until is not None:
        where &= Q(piece__lt=until.piece) | Q(piece=until.piece, position__lt=until.position)
    rows = LogTransaction.objects.filter(where, piece__database=database, is_definition=True)
    told = rows.values_list("tables", flat=True)
    return frozenset(str(name).casefold() for names in told if isinstance(names, dict) for name in names)


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
        barriers=[_barrier(row.file, each) for each in row.barriers if not large_rows.is_one(each)],
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
