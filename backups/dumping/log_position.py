"""Where in the binary log a dump's moment is: looked for beside the dump, which never fails for it.

MariaDB's dump program is told the place by the server inside its own transaction, and tells it in comments.
Of all others it is asked while the tables are locked against writing and the dump programs have begun.
What is not certain is no position. docs/compatibility.md says for people when there is one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, TypeVar

from backups import mysql
from backups.dumpfile import log_positions, master_data
from backups.dumpfile.log_positions import How, Place, WhyNot
from backups.errors import Problem

T = TypeVar("T")
# A server that writes a huge transaction into its log tells nothing meanwhile.
_ASKING_SECONDS = 15


class LogPosition:
    """One for each dump. What is found first to be in the way stays.

    The order of the questions is what makes it certain: what is prepared, where the log stands and where the
    sequences are is asked before any dump program begins and after all have; see `mysql.log_state`.
    """

    def __init__(
        self, source: mysql.DumpSource, tables: Collection[str], sequences: Sequence[str], *, may_lock: bool
    ) -> None:
        self._source, self._tables, self._sequences = source, sorted(tables), sequences
        self._may_lock = may_lock
        self._why: WhyNot | None = None
        # What the server, or the way to it, said as it could not be asked.
        self.failed = ""
        self._before: mysql.LogState | None = None
        self._after: mysql.LogState | None = None
        self._numbers: tuple[Any, Any] = ({}, None)
        self._server: Mapping[str, Any] = {}
        self._found: tuple[Place, How, str | None] | None = None
        self._looking = threading.Lock()
        self._hears_program = False

    def begin(self) -> None:
        """Look at the server before any dump program begins."""
        self._ask_server(self._look_before)

    def _look_before(self, connection: Any) -> None:
        if not mysql.has_log(connection):
            raise mysql.NotExact(WhyNot.LOG_OFF)
        state = mysql.log_state(connection, self._source.info)
        mysql.refuse_unfit(connection, self._source.info, self._source.database, state)
        self._server = mysql.log_server(connection)
        self._numbers = (self._read_sequences(connection), None)
        self._before = state

    def cannot(self, why: WhyNot) -> None:
        """There is none, and why."""
        self._why = self._why or why

    def forget(self) -> None:
        """What was found was of dump programs that came to nothing."""
        self._found = self._after = None
        self._hears_program = False
        if self._why in _OF_A_TRY:
            self._why = None

    def is_told_by_program(self) -> bool:
        """Whether one dump program alone is to tell it, which begins now."""
        if self._is_possible and self._source.info.flavour == mysql.MARIADB:
            if self._source.programs.knows("master-data", since=(10,)):
                self._hears_program = True
            else:
                self.cannot(WhyNot.CLIENT)
        return self._hears_program

    def to_lock(self) -> Sequence[str]:
        """The tables that are to be locked for one dump program alone; none where that is of no use."""
        if not self._is_possible or self._source.info.flavour == mysql.MARIADB:
            return ()
        if not self._may_lock:
            self.cannot(WhyNot.LOCK_NOT_WANTED)
        elif not self._tables:
            self.cannot(WhyNot.NO_TABLES)
        elif len(self._tables) > mysql.MOST_LOCKED:
            self.cannot(WhyNot.TOO_MANY_TABLES)
        return self._tables if self._is_possible else ()

    def ask(self, lock: mysql.ReadLock) -> None:
        """All dump programs have begun, and the tables are still locked."""
        if not self._is_possible:
            return
        try:
            self._after = lock.log_state(self._source.info)
        except mysql.NotExact as error:
            self.cannot(error.why)
        except Problem as problem:
            self._could_not_ask(problem)
        else:
            self._found = self._after.place, How.LOCK, self._after.gtid

    def is_read(self) -> None:
        """A dump program begins to read a table's rows; if it is alone, it has read all sequences by now."""
        with self._looking:
            if self._hears_program and self._is_possible:
                self._look_again()

    def head(self, chunks: Iterator[bytes]) -> bytes:
        """What a dump program begins with, without what it tells there of the position.

        Raises what ended it.
        """
        data = b""
        while not master_data.is_told(data) and (more := next(chunks, b"")):
            data += more
        if (header := master_data.header(data)) is None:
            self.cannot(WhyNot.CLIENT)
            return data
        self._found = header.place, How.SNAPSHOT, header.gtid
        return header.data

    def rest(self, head: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """A dump from its first bytes on, without what its last ones tell of the position."""
        held = b""
        for data in chain([head], chunks):
            if len(held) >= master_data.FOOTER_BYTES:
                yield held
                held = b""
            held += data
        last, gtid = master_data.footer(held)
        if gtid and self._found:
            self._found = (*self._found[:2], gtid)
        yield last

    def told(self, tables: Sequence[str], sequences: Sequence[str]) -> dict[str, Any]:
        """What the manifest of a dump tells, which holds these tables and sequences."""
        if list(tables) != self._tables or list(sequences) != sorted(self._sequences):
            self.cannot(WhyNot.CHANGED)
        with self._looking:
            if self._is_possible:
                self._look_again()
        if self._is_possible:
            self._compare()
        if self._why or self._found is None:
            return log_positions.not_exact(self._why or WhyNot.NOT_ASKED)
        place, how, gtid = self._found
        if self._source.info.flavour == mysql.MARIADB and not gtid:
            gtid = self._gtid_before(place)
        return log_positions.exact(place, how, gtid=gtid, server=self._server)

    def _compare(self) -> None:
        before, after = self._before, self._after
        if before is None or after is None or self._found is None:
            self.cannot(WhyNot.NOT_ASKED)
        elif not self._found[0].is_between(before.place, after.place):
            self.cannot(WhyNot.LOG_CHANGED)
        elif before.xa_commits != after.xa_commits:
            self.cannot(WhyNot.XA)
        elif self._numbers[0] != self._numbers[1]:
            self.cannot(WhyNot.SEQUENCES_CHANGED)

    def _look_again(self) -> None:
        """What was not looked at since all programs have begun."""
        if self._after is not None and self._numbers[1] is not None:
            return
        self._ask_server(self._look_after)

    def _look_after(self, connection: Any) -> None:
        if self._after is None:
            self._after = mysql.log_state(connection, self._source.info)
        self._numbers = (self._numbers[0], self._read_sequences(connection))
        if mysql.log_server(connection) != self._server:
            raise mysql.NotExact(WhyNot.LOG_CHANGED)

    def _read_sequences(self, connection: Any) -> Mapping[str, Any]:
        return mysql.sequence_states(connection, self._source.database, self._sequences)

    def _gtid_before(self, place: Place) -> str | None:
        gtid = self._ask_server(lambda connection: mysql.gtid_before(connection, place))
        self._why = None  # a position is one without its GTID
        return gtid

    @property
    def _is_possible(self) -> bool:
        return self._why is None and self._before is not None

    def _ask_server(self, look: Callable[[Any], T]) -> T | None:
        """What is found there; None where there is no exact position, or the server does not answer."""
        try:
            server = self._source.server
            server = replace(server, question_seconds=min(server.question_seconds, _ASKING_SECONDS))
            with mysql.connect(server, read_seconds=_ASKING_SECONDS) as connection:
                return look(connection)
        except mysql.NotExact as error:
            self.cannot(error.why)
        except Problem as problem:
            self._could_not_ask(problem)
        return None

    def _could_not_ask(self, problem: Problem) -> None:
        self.failed = self.failed or problem.what
        self.cannot(WhyNot.NOT_ASKED)


# Another try may do without it.
_OF_A_TRY = frozenset({WhyNot.TABLES_IN_USE, WhyNot.NOT_BEGUN, WhyNot.NO_LOCK_RIGHT, WhyNot.NOT_ASKED})
