"""A minute of one server: its log read on from where it was, cut to each database, stored, and noted.

A repository that keeps the others of its server waiting gets a follower of its own (`Patience`).
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial

from django.db import DatabaseError, transaction
from django.utils import timezone

from backups import mysql, process
from backups.binlog import Transaction, Unreadable
from backups.choices import ArchiveState
from backups.endpoints import database_server
from backups.errors import UNEXPECTED, Problem
from backups.gate import heartbeat_files
from backups.models import LogArchive, Server, Snapshot
from backups.shipping import barriers, bases, ends, gaps, leases, reading_back, storing
from backups.shipping.cutting import databases_in
from backups.shipping.ends import LogEnd
from backups.shipping.fetch import LogLost
from backups.shipping.follower import Follower, where
from backups.shipping.patience import Patience
from backups.shipping.stream import Begin, Stream, in_order
from backups.text.sentences import phrase

# Of each minute of a server, for pieces that are to be read back, of all of its databases together.
READ_BACK_SECONDS = 15.0

logger = logging.getLogger(__name__)


class Stopped(Exception):
    """This process is to end."""


class ServerFollower:
    """Follows the log of one server for all of its databases that want it; lives as long as its process.

    With the key of a repository `apart` it is for its databases alone, else for all but those of `slow`.
    """

    def __init__(self, server: Server, tick: process.Tick, apart: int | None = None) -> None:
        self.server = server
        # Raises Stopped where this process is to end.
        self._tick = tick
        self._apart = apart
        # Repositories that are followed apart, by their keys. It changes when a look is over, and not within.
        self.slow: frozenset[int] = frozenset()
        self._patience = Patience(is_apart=apart is not None)
        # By the keys of archives.
        self._followers: dict[int, Follower] = {}
        # Of which archive pieces were read back last, by its key.
        self._read_back_last = 0

    def minute(self) -> bool:
        """Fetch and store what is new; answers whether more is there already. Raises nothing of its own.

        What failed is noted with each database, and tried again in a minute.
        """
        wanted = archives_of(self.server)
        ours = [each for each in wanted if self._is_ours(each)]
        self._patience = Patience(is_apart=self._apart is not None)
        # Of logs that another process follows as well: that may be on another host, with another gate.
        _tell_gate(ours)
        _tell_gate_whose()
        try:
            more = self._minute([each for each in ours if leases.take(each)])
        finally:
            _tell_gate(ours)
        if self._apart is not None:
            return more
        for each in wanted:
            # Who follows it may be waiting for its storage, and tells nobody meanwhile.
            if each not in ours:
                gaps.tell_lateness(each)
        new = self._patience.slow - self.slow
        self.slow = self.slow | new
        return more or bool(new)

    def _is_ours(self, archive: LogArchive) -> bool:
        repository = archive.database.repository_id
        return repository not in self.slow if self._apart is None else repository == self._apart

    @property
    def is_quick(self) -> bool:
        """Whether the last look found the repository as it should be, so that it need not be apart."""
        return self._patience.is_quick

    def _minute(self, archives: Sequence[LogArchive]) -> bool:
        for gone in self._followers.keys() - {each.pk for each in archives}:
            self._drop(gone)
        try:
            return bool(archives) and self._guarded(archives, lambda: self._follow(archives))
        except (leases.LeaseGone, Stopped):
            self.drop_all()
            return False

    def _guarded(self, archives: Sequence[LogArchive], follow: Callable[[], object]) -> bool:
        """Follow these, or prove them; what fails is noted with each.

        Raises LeaseGone, Stopped, DatabaseError.
        """
        try:
            return bool(follow())
        except Problem as problem:
            for archive in archives:
                self._failed(archive, problem)
        except (leases.LeaseGone, Stopped, DatabaseError):
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
        for each in ready:
            self._followers[each.pk].begin(server)
        groups = self._read_together(ready)
        more = [self._guarded(each, partial(self._follow_together, server, each, end)) for each in groups]
        if any(more):
            # What is not stored yet comes first.
            return True
        self._read_back_in_turn(ready)
        return False

    def _read_together(self, ready: Sequence[LogArchive]) -> list[list[LogArchive]]:
        """Those that are read with one look at the log: all that go well, and those that fail apart.

        Who fails stands still, and what is read begins at the one that is furthest behind: with a repository
        that is away for long, the others would never be read to the end of the log.
        """
        groups: dict[int | None, list[LogArchive]] = {None: []}
        for each in ready:
            apart = each.database.repository_id if each.problem_code else None
            groups.setdefault(apart, []).append(each)
        return [group for group in groups.values() if group]

    def _follow_together(self, server: mysql.Server, ready: Sequence[LogArchive], end: LogEnd) -> bool:
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
        # What could not be stored would be read from the server again at once, and again.
        return not stream.is_at_end and not any(each.problem_code for each in ready)

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
        if storing.is_followed(archive) and (why := ends.another(archive, end)) is not None:
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
        holding = leases.Holding(ready, self._tick)
        for archive in ready:
            repository = archive.database.repository_id
            if self._patience.is_over(repository) and self._followers[archive.pk].has_news:
                self._put_off(archive)
                continue
            try:
                with self._patience.waiting_for(repository):
                    self._save(archive, end, holding.tick)
            except leases.LeaseGone:
                self._leave_to_another(archive)
            except Problem as problem:
                self._failed(archive, problem)
            else:
                # The storage of the next one may hang.
                _tell_gate([archive])

    def _put_off(self, archive: LogArchive) -> None:
        """Its repository kept us waiting for another database: it would once more for this one."""
        if (problem := self._patience.problem_of(archive.database.repository_id)) is not None:
            self._failed(archive, problem)
        else:
            self._drop(archive.pk)

    def _leave_to_another(self, archive: LogArchive) -> None:
        logger.warning("the log of %s is followed by another process", archive.database)
        self._drop(archive.pk)

    def _save(self, archive: LogArchive, end: LogEnd | None, tick: process.Tick) -> None:
        """Store what is new, then note how far that is; with `end` all up to it was read."""
        follower = self._followers[archive.pk]
        access = None
        for piece, is_full, reached in follower.to_store():
            access = access or storing.access_to(archive.database)
            summary = storing.store(archive, piece, access, tick, seconds=self._patience.seconds)
            storing.record(archive, piece, summary, sealed=is_full, reached=reached)
            self._patience.stored()
        with transaction.atomic():
            leases.hold(archive)
            told = follower.where(follower.reached, follower.gtids)
            storing.advance(archive, **told, **({"stored_until": end.moment} if end else {}))
            # What came behind a file of more than 4 GB was read as well, and committed later.
            if end is not None and end.is_prompt and follower.order <= in_order(*end.place):
                storing.mark(archive, end.moment, follower.reached)
        storing.note_problem(archive, None)
        gaps.tell_lateness(archive)
        barriers.see_to(archive)
        follower.seal_if_old(at_once=bases.is_newer(archive.database, follower.begun))

    def _read_back_in_turn(self, ready: Sequence[LogArchive]) -> None:
        """Prove, a few at a time, that pieces are there and readable, before anybody needs them.

        With a time for each, many databases would keep the next look at the log waiting for minutes. The next
        look goes on with whom this one does not come to.
        """
        until = time.monotonic() + READ_BACK_SECONDS
        for archive in sorted(ready, key=lambda each: (each.pk <= self._read_back_last, each.pk)):
            left = until - time.monotonic()
            if left <= 0:
                return
            repository = archive.database.repository_id
            if archive.pk not in self._followers or archive.problem_code:
                continue
            if self._patience.is_over(repository):
                continue
            self._read_back_last = archive.pk
            try:
                with self._patience.waiting_for(repository):
                    self._guarded([archive], partial(self._read_back, archive, left))
            except leases.LeaseGone:
                self._leave_to_another(archive)

    def _read_back(self, archive: LogArchive, seconds: float) -> None:
        if not reading_back.due(reading_back.pieces_of(archive.database)):
            return
        try:
            access = storing.access_to(archive.database)
            found = reading_back.read_back(
                archive.database, access, self._tick, reading_back.Limits(seconds, self._patience.seconds),
                cutter=self._followers[archive.pk].cutter,
            )  # fmt: skip
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
    rows = LogArchive.objects.wanted().filter(database__server=server)
    return list(rows.select_related("database", "database__server", "database__repository").order_by("pk"))


def _tell_gate(archives: Sequence[LogArchive]) -> None:
    try:
        heartbeat_files.write_last_logged(archives)
    except Problem as problem:
        logger.warning("the gate is not told how far logs are stored: %s", problem.code)


def _tell_gate_whose() -> None:
    """That it is to look at these times: a list that was lost, or is an older one, would open it silently."""
    try:
        heartbeat_files.write_gates()
    except Problem as problem:
        logger.warning("the gate is not told which logs are to be stored: %s", problem.code)
