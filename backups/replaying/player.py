"""Transactions, played one after the other into another database than the one that they were made in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import cast

from backups.binlog.events import Format
from backups.binlog.held_events import HeldEvents
from backups.binlog.kinds import Kind
from backups.binlog.transactions import Ending, Transaction
from backups.dumpfile.log_positions import Place
from backups.replaying import problems
from backups.replaying.batches import Batch
from backups.replaying.judging import Judge, LetOut
from backups.replaying.line import Line
from backups.replaying.problems import Where
from backups.replaying.result import KeptBack, Replayed
from backups.replaying.rows import MOST_BYTES, Group, count
from backups.replaying.steps import Begin, Definition, End, Savepoint, Standing, Step, Steps
from backups.replaying.xa import Held, NeverPrepared

# MariaDB logs an ALTER when it begins as well, if it is told to: the end of it is a statement like any other.
_NOTHING_OF_IT = (Ending.ALTER_BEGUN, Ending.ALTER_UNDONE)
# How a transaction ends of tables that have them: with others, the server logs the word COMMIT.
_COMMITS = (Kind.XID, Kind.XA_PREPARE)
# Called between transactions; what it raises ends the replay there.
Tick = Callable[[Replayed], None]


@dataclass
class Player:
    """Plays transactions in the order of the log, small ones of rows together."""

    line: Line
    where: Where
    judge: Judge
    tick: Tick
    replayed: Replayed = field(default_factory=Replayed)
    held: Held = field(default_factory=Held)
    _format: Format | None = None

    def __post_init__(self) -> None:
        self._batch = Batch(self._send_batch)

    def begin_file(self, name: str) -> None:
        """What follows is in this file."""
        self._batch.flush()
        self.where.file = name

    def begin_format(self, log_format: Format) -> None:
        """What follows is written in this format. Raises ReplayProblem for another kind of server's."""
        self._batch.flush()
        if log_format.is_mariadb != self.line.is_mariadb:
            raise problems.other_flavour(self.where, log_format.version)
        self._format = log_format
        self.judge = self.judge.reading(log_format)

    def play(self, transaction: Transaction) -> None:
        """Play one, or keep it for later. Raises Problem, and what `tick` raises."""
        self.where.start = transaction.start
        try:
            played = None if transaction.kind in _NOTHING_OF_IT else self.held.played(transaction)
            if played is not None and self._play(played):
                self.replayed.transactions += 1
        except NeverPrepared:
            raise problems.xa_unknown(self.where) from None
        except Standing as standing:
            raise problems.stands_in_the_way(self.where) from standing
        self.replayed.seen += 1
        self.replayed.moment = transaction.moment
        self.replayed.position = Place(self.where.file, transaction.end)
        self.tick(self.replayed)

    def finish(self) -> None:
        """Play what is still gathered, and what was kept back. Raises Problem."""
        self._batch.flush()
        for kept in self.replayed.kept_back:
            self.where.file, self.where.start = kept.place
            self.line.define(kept.definition, kept.let_out)
        self.replayed.left_prepared = sum(
            any(isinstance(step, Group) for step in self._steps(transaction))
            for transaction in self.held.by_name.values()
        )
        self.replayed.bytes = self.line.bytes_sent

    def _steps(self, transaction: Transaction) -> Iterable[Step]:
        return Steps(self.judge.is_source, self.where.target.encode()).of(transaction.events)

    def _play(self, transaction: Transaction) -> bool:
        """Whether there was anything of the source in it."""
        steps = self._steps(transaction)
        events = cast(HeldEvents, transaction.events)
        if transaction.kind == Ending.ROWS and events.kind not in _COMMITS:
            # Of tables without transactions, which MySQL takes in none of ours.
            return self._one_by_one(step for step in steps if not isinstance(step, Begin | End))
        if events.size <= MOST_BYTES:
            steps = list(steps)
            groups = [step for step in steps if isinstance(step, Group)]
            if self._batch.is_empty:
                self.where.first = transaction.start
            if self._batch.add(steps, groups):
                return bool(groups)
        return self._one_by_one(steps)

    def _one_by_one(self, steps: Iterable[Step]) -> bool:
        """Nothing is sent before there is something of the source."""
        before: list[Step] = []
        is_ours = False
        for step in steps:
            let_out = self._let_out(step) if isinstance(step, Definition) else None
            if not is_ours and (let_out is not None or isinstance(step, Group)):
                is_ours = True
                self._begin_alone(before)
            if is_ours:
                self._send(step, let_out)
            else:
                before.append(step)
        return is_ours

    def _begin_alone(self, before: Iterable[Step]) -> None:
        """What a transaction begins with that is not sent together with others."""
        self._batch.flush()
        self.where.first = self.where.start
        self._tell_format()
        if begin := next((step for step in before if isinstance(step, Begin)), None):
            self.line.begin(begin)
        for step in before:
            if isinstance(step, Savepoint):
                self.line.savepoint(step)

    def _send(self, step: Step, let_out: LetOut | None) -> None:
        if isinstance(step, Group):
            self._send_rows([step])
        elif isinstance(step, Savepoint):
            self.line.savepoint(step)
        elif isinstance(step, End):
            self.line.end(step)
        elif isinstance(step, Definition) and let_out is not None:
            self.replayed.statements += 1
            self.line.define(step, let_out)

    def _let_out(self, definition: Definition) -> LetOut | None:
        """What of a statement is to be run now. Events run by themselves once they are there."""
        let_out = self.judge.of(definition, self.where)
        if let_out is not None and (let_out.ours.verb, let_out.ours.kind) == ("ALTER", "table"):
            self.line.refuse_altered(let_out.ours)
        if let_out is not None and let_out.ours.is_event:
            place = Place(self.where.file, self.where.start)
            self.replayed.kept_back.append(KeptBack(definition, let_out, place))
            return None
        return let_out

    def _send_batch(self, begin: Begin, groups: Sequence[Group]) -> None:
        self._tell_format()
        self.line.begin(begin)
        self._send_rows(groups)
        self.line.end(End.COMMIT)

    def _tell_format(self) -> None:
        """Between transactions: MySQL would not take it within one."""
        if self._format is not None:
            self.line.begin_format(self._format)
            self._format = None

    def _send_rows(self, groups: Sequence[Group]) -> None:
        self.line.rows(groups)
        self.replayed.rows += sum(map(count, groups))
        self.replayed.row_events += sum(len(group.rows) for group in groups)
