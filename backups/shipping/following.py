"""A minute of one server: its log read on from where it was, cut to each database, stored, and noted."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Sequence

from django.db import DatabaseError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from backups import process, restic
from backups.binlog import Transaction, Unreadable
from backups.choices import ArchiveState
from backups.endpoints import database_server
from backups.errors import UNEXPECTED, Problem
from backups.models import Database, LogArchive, Server, Snapshot
from backups.shipping import bases, ends, gaps, leases, reading_back, storing
from backups.shipping.cutting import databases_in
from backups.shipping.ends import LogEnd
from backups.shipping.fetch import LogLost
from backups.shipping.follower import Follower, where
from backups.shipping.stream import Begin, Stream, in_order
from backups.text.sentences import phrase

# Of each minute of a database, for pieces that are to be read back.
READ_BACK_SECONDS = 15.0

logger = logging.getLogger(__name__)


class Stopped(Exception):
    """This process is to end."""


class ServerFollower:
    """Follows the log of one server for all of its databases that want it; lives as long as its process."""

    def __init__(self, server: Server, tick: process.Tick) -> None:
        self.server = server
        # Raises Stopped where this process is to end.
        self._tick = tick
        # By the keys of archives.
        self._followers: dict[int, Follower] = {}

    def minute(self) -> bool:
        """Fetch and store what is new; answers whether more is there already. Raises nothing of its own.

        What failed is noted with each database, and tried again in a minute.
        """
        archives = [each for each in archives_of(self.server) if leases.take(each)]
        for gone in self._followers.keys() - {each.pk for each in archives}:
            self._drop(gone)
        if not archives:
            return False
        try:
            return self._follow(archives)
        except (leases.LeaseGone, Stopped):
            self.drop_all()
        except Problem as problem:
            for archive in archives:
                self._failed(archive, problem)
        except DatabaseError:
            raise
        except Exception as error:  # noqa: BLE001  an odd log of one server keeps no other waiting
            self._unexpected(archives, error)
        return False

    def _follow(self, archives: Sequence[LogArchive]) -> bool:
        server = database_server(archives[0].database)
        end = ends.ask(server)
        ready = [each for each in archives if self._is_ready(each, end)]
        if not ready:
            return False
        furthest_behind = min((self._followers[each.pk] for each in ready), key=lambda each: each.order)
        stream = Stream(server, furthest_behind.reached, end, furthest_behind.gtids)
        try:
            self._read(stream, ready, end)
        except (LogLost, Unreadable) as problem:
            self._save_all(ready, None)
            self._break_all(ready, stream, problem)
            return False
        finally:
            stream.close()
        self._save_all(ready, end if stream.is_at_end else None)
        self._break_all(ready, stream, None)
        return not stream.is_at_end

    def _read(self, stream: Stream, ready: Sequence[LogArchive], end: LogEnd) -> None:
        followers = [self._followers[each.pk] for each in ready]
        for item in stream.items():
            self._tick()
            what = item.what
            databases = databases_in(what, end.spelled) if isinstance(what, Transaction) else None
            for follower in followers:
                follower.take(item, databases, stream.gtids)
        for follower in followers:
            follower.arrive(stream.reached, stream.gtids)

    # ------------------------------------------------------------ Where to read on

    def _is_ready(self, archive: LogArchive, end: LogEnd) -> bool:
        """Whether there is something to follow for a database; what does not follow is a gap."""
        if storing.is_followed(archive) and (why := _another(archive, end)) is not None:
            self._break(archive, why)
        if bases.waits(archive):
            base = bases.base_since(archive, end)
            if base is None:
                bases.ask_for_one(archive.database, bases.begins_anew_at(archive))
                storing.note_problem(archive, None)
                return False
            self._begin_at(archive, base, end)
        if archive.pk not in self._followers:
            begin = Begin(archive.file, archive.file_made, archive.position or 0)
            self._followers[archive.pk] = Follower(archive, begin, end)
        self._followers[archive.pk].archive = archive
        return True

    def _begin_at(self, archive: LogArchive, base: Snapshot, end: LogEnd) -> None:
        log = base.log or {}
        begin = Begin(str(log["file"]), None, int(log["position"]))
        columns = where(archive.database, begin, None)
        columns["gtids"]["from"] = {"file": begin.file, "position": begin.position}
        with transaction.atomic():
            leases.hold(archive)
            gaps.ended(archive, base.time)
            storing.advance(
                archive,
                state=ArchiveState.FOLLOWING,
                server_uuid=end.server,
                address=archive.database.server.address,
                # All that was committed before is in the dump.
                stored_until=base.time,
                **columns,
            )
        gaps.tell_end(archive.database)
        self._drop(archive.pk)
        self._followers[archive.pk] = Follower(archive, begin, end, base)

    # ------------------------------------------------------------ What came of it

    def _save_all(self, ready: Sequence[LogArchive], end: LogEnd | None) -> None:
        for archive in ready:
            try:
                self._save(archive, end)
            except leases.LeaseGone:
                logger.warning("the log of %s is followed by another process", archive.database)
                self._drop(archive.pk)
            except Problem as problem:
                self._failed(archive, problem)

    def _save(self, archive: LogArchive, end: LogEnd | None) -> None:
        """Store what is new, then note how far that is; with `end` all up to it was read."""
        follower = self._followers[archive.pk]
        access = None
        for piece, is_full, reached in follower.to_store():
            access = access or storing.access_to(archive.database)
            summary = storing.store(archive, piece, access, self._tick)
            storing.record(archive, piece, summary, sealed=is_full, reached=reached)
        with transaction.atomic():
            leases.hold(archive)
            told = follower.where(follower.reached, follower.gtids)
            storing.advance(archive, **told, **({"stored_until": end.moment} if end else {}))
            if end is not None and end.is_prompt:
                storing.mark(archive, end.moment, follower.reached)
        storing.note_problem(archive, None)
        gaps.tell_lateness(archive)
        bases.ask_after_barrier(archive.database)
        follower.seal_if_old(at_once=bases.is_newer(archive.database, follower.begun))
        self._read_back(archive, access)

    def _read_back(self, archive: LogArchive, access: restic.Access | None) -> None:
        """Prove, a few at a time, that pieces are there and readable, before anybody needs them."""
        if not reading_back.due(reading_back.pieces_of(archive.database)):
            return
        try:
            access = access or storing.access_to(archive.database)
            found = reading_back.read_back(archive.database, access, self._tick, seconds=READ_BACK_SECONDS)
        except Problem as problem:
            logger.info("the log of %s could not be read back: %s", archive.database, problem.code)
            return
        for row, why in found.wrong:
            ends = bases.time_after(archive.database, row.stored_at)
            if gaps.lost_piece(archive, row, why, ends) is not None and ends is None:
                self._drop(archive.pk)
                bases.ask_for_one(archive.database, timezone.now())

    def _failed(self, archive: LogArchive, problem: Problem) -> None:
        """What is not stored is fetched again, from where the row says."""
        logger.warning("the log of %s: %s", archive.database, problem.code)
        self._drop(archive.pk)
        storing.note_problem(archive, problem)
        gaps.tell_lateness(archive)

    def _unexpected(self, archives: Sequence[LogArchive], error: Exception) -> None:
        """What nobody expected is told without its words, which may be somebody's data."""
        name = type(error).__name__
        places = "".join(traceback.format_tb(error.__traceback__))
        logger.error("the log of %s: %s\n%s", self.server, name, places)
        problem = Problem(phrase("Something unexpected happened ({error}).", error=name), code=UNEXPECTED)
        for archive in archives:
            self._failed(archive, problem)

    def _break(self, archive: LogArchive, why: Problem) -> None:
        self._drop(archive.pk)
        gap = gaps.opened(archive, why)
        logger.warning("the log of %s breaks off: %s", archive.database, why.code)
        bases.ask_for_one(archive.database, gap.noticed_at)

    def _break_all(self, ready: Sequence[LogArchive], stream: Stream, why: Problem | None) -> None:
        """What was lost concerns those that had not come further; some have reasons of their own."""
        reached = in_order(stream.reached.file, stream.reached.position)
        for archive in ready:
            if (follower := self._followers.get(archive.pk)) is None:
                continue
            if follower.broken is not None:
                self._break(archive, follower.broken)
            elif why is not None and follower.order <= reached:
                self._break(archive, why)

    def _drop(self, key: int) -> None:
        if (follower := self._followers.pop(key, None)) is not None:
            follower.close()

    def drop_all(self) -> None:
        """Keep nothing in this process: all is fetched again from where the rows say."""
        for key in list(self._followers):
            self._drop(key)

    def close(self) -> None:
        """Let others follow."""
        for follower in self._followers.values():
            leases.release(follower.archive)
            follower.close()
        self._followers.clear()


def archives_of(server: Server) -> list[LogArchive]:
    """The archives of a server's databases that somebody wants."""
    rows = wanted().filter(database__server=server)
    return list(rows.select_related("database", "database__server", "database__repository").order_by("pk"))


def wanted() -> QuerySet[LogArchive]:
    """The archives that somebody wants, of databases in service."""
    return LogArchive.objects.exclude(state=ArchiveState.OFF).filter(
        database__in=Database.objects.in_service()
    )


def _another(archive: LogArchive, end: LogEnd) -> Problem | None:
    """Why the server that answers is not the one that was followed; None where it is."""
    address = archive.database.server.address
    if archive.server_uuid != end.server:
        return LogLost(
            phrase(
                "Another server answers at {address}: its binary log does not follow the one before.",
                address=address,
            ),
            code="log.another_server",
        )
    followed, named = (archive.gtids or {}).get("database"), archive.database.database
    if followed not in (None, named):
        return LogLost(
            phrase(
                "The name of the database on its server was changed from {before} to {name}.",
                before=followed,
                name=named,
            ),
            code="log.database_changed",
        )
    if archive.address != address:
        return LogLost(
            phrase(
                "The address of the server was changed from {before} to {address}.",
                before=archive.address,
                address=address,
            ),
            code="log.address_changed",
        )
    return None
