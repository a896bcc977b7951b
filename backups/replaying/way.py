"""From one place of the log up to another one, over its files or pieces of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from backups import mysql
from backups.binlog.events import Reading
from backups.binlog.held_events import HeldEvents
from backups.binlog.kinds import Kind
from backups.binlog.names import Piece
from backups.binlog.transactions import Marker, Transaction, read
from backups.dumpfile.log_positions import Place
from backups.mysql.answers import as_number, fetch_one
from backups.replaying import problems
from backups.replaying.judging import Judge
from backups.replaying.line import Line
from backups.replaying.player import Player, Tick
from backups.replaying.problems import Where
from backups.replaying.result import Replayed
from backups.replaying.rights import refuse_unfit_settings
from backups.replaying.settings import Collations
from backups.replaying.xa import Held


@dataclass(frozen=True)
class Part:
    """A file of the log, or a piece of one, whose bytes come in `chunks`."""

    file: str
    chunks: Iterable[bytes]
    piece: Piece | None = None


@dataclass(frozen=True)
class Route:
    """Whose transactions are played into which database: those after a place, and up to another one.

    Both places are between transactions. Without the second all are played that there are. What a
    transaction has that is too long for memory waits in a file in `folder`, by default the system's.
    `prepared` are the XA transactions that an earlier part of the same way left prepared, and those that this
    one leaves.
    """

    source: str
    target: str
    after: Place
    until: Place | None = None
    folder: str = ""
    prepared: Held = field(default_factory=Held)


def replay(
    connection: mysql.LoadingConnection,
    info: mysql.ServerInfo,
    route: Route,
    parts: Iterable[Part],
    tick: Tick = lambda _: None,
) -> Replayed:
    """Play the log's parts, in the order of the log, into a database that is as the source was at `after`.

    `connection` is a session of its own in the target, on the server that wrote the log or one of its kind,
    and not fit for anything else afterwards. Whatever goes wrong, nothing but the target has changed, and
    that may be half: whoever made it drops it. Raises Problem, and what `tick` raises.
    """
    where = Where(connection.server, info, route.target)
    with where.translated(connection.driver):
        refuse_unfit_settings(connection.driver, connection.server, info)
        (folds_case,) = fetch_one(connection.driver, "SELECT @@lower_case_table_names <> 0", as_number)
        collations = Collations.of(connection.driver)
    judge = Judge(route.source, route.target, info, collations, bool(folds_case))
    player = Player(Line(connection, info, where, collations), where, judge, tick, held=route.prepared)
    _Way(route, player, route.after).go(parts)
    player.finish()
    return player.replayed


@dataclass
class _Way:
    route: Route
    player: Player
    # Up to here all is in the target.
    at: Place
    # Whether the file of the base was seen.
    has_begun: bool = False

    def go(self, parts: Iterable[Part]) -> None:
        """Raises Problem where the parts do not reach from one end to the other."""
        for part in parts:
            if self._is_over(part):
                return
        if not self.has_begun:
            raise problems.base_not_in_log(self.route.after)
        if self.route.until is not None:
            raise problems.log_ends_early(self.at, self.route.until)

    def _is_over(self, part: Part) -> bool:
        """Play a part; whether the end of the way is in it."""
        self.player.begin_file(part.file)
        if part.file == self.route.after.file:
            self.has_begun = True
        if self.has_begun and part.file != self.at.file:
            self.at = Place(part.file, 0)
        if self.has_begun and part.piece is not None and part.piece.start > self.at.position > 0:
            raise problems.gap(self.at, part.piece.start)
        reading = Reading(piece=part.piece)
        until = self._end_in(part)
        for each in read(part.chunks, reading, lambda: HeldEvents(self.route.folder)):
            if isinstance(each, Marker) and each.event.kind == Kind.FORMAT and reading.format is not None:
                self.player.begin_format(reading.format)
            elif until is not None and each.end > until and self.has_begun:
                if each.start < until:
                    raise problems.within_transaction(Place(part.file, until))
                return True
            else:
                self._take(each)
        if self.has_begun:
            covered = reading.whole if part.piece is None else part.piece.end
            self.at = Place(part.file, max(self.at.position, covered))
        return until is not None and self.has_begun and self.at.position >= until

    def _end_in(self, part: Part) -> int | None:
        until = self.route.until
        return until.position if until is not None and until.file == part.file else None

    def _take(self, each: Transaction | Marker) -> None:
        if not self.has_begun or each.end <= self.at.position:
            if isinstance(each, Transaction):
                self.player.held.passed(each)
            return
        if each.start < self.at.position:
            raise problems.within_transaction(self.at)
        if isinstance(each, Transaction):
            self.player.play(each)
        elif each.event.kind == Kind.INCIDENT or not each.is_known:
            self.player.where.start = each.start
            raise problems.stands_in_the_way(self.player.where)
        self.at = Place(self.at.file, each.end)
