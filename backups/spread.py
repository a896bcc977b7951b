"""A dump over several connections: which of its pieces go where, and when.

A crew of connections makes all tables. Rows of tables whose definition is understood go to it in
chunks of whole statements, and their keys are made after them. All else goes to one client in the
dump's order, as it is written: rows of other tables, and what sees or moves them (triggers, routines,
events, views), once all rows are there. So no trigger fires while rows are loaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from backups.crew import Batch, Crew, Job
from backups.stream import Kind, Piece, Section
from backups.tables import Plan, plan_for, referenced_by

# Statements of rows are of about a megabyte. Larger chunks would keep other connections waiting.
CHUNK_BYTES = 2 << 20
# A statement beyond this is passed on piece by piece rather than gathered.
_LONGEST_STATEMENT = 4 << 20
_LONGEST_HEADER = 64 << 10
_SETTING = re.compile(rb"(?:/\*M?!\d+ )?SET [^;]*;\n", re.I)
# Of no use to rows that come over several connections: each statement is a transaction of its own.
_FRAME = re.compile(
    rb"(?:LOCK TABLES [^;]*|UNLOCK TABLES|/\*!40000 ALTER TABLE [^;]* (?:DIS|EN)ABLE KEYS \*/"
    rb"|SET autocommit=0|COMMIT);\n",
    re.I,
)
_INSERT = b"INSERT INTO "
_AMONG_TABLES = frozenset({Kind.TABLE, Kind.ROWS, Kind.SEQUENCE, Kind.PLACEHOLDER, Kind.TRIGGER})


@dataclass
class _Table:
    """The table that is passing by, or what is made like one.

    `statements` are whole and not sent yet, `part` is not whole.
    """

    section: Section
    text: bytearray = field(default_factory=bytearray)
    plan: Plan | None = None
    frame: list[bytes] = field(default_factory=list)
    statements: list[bytes] = field(default_factory=list)
    part: list[bytes] = field(default_factory=list)
    gathered: int = 0
    is_made: bool = False
    is_passed_on: bool = False
    chunks: Batch = field(default_factory=Batch)


class Spread:
    """Deals the pieces of one dump out.

    `is_fresh` says that the database held no table before, `referenced` to which tables foreign
    keys refer that are there already; `make_sure` is asked, once all pieces are there, to raise
    where they are not the whole dump.
    """

    def __init__(
        self, crew: Crew, *, is_fresh: bool, referenced: Iterable[str], make_sure: Callable[[], None]
    ) -> None:
        self._crew = crew
        # The server does not make a table without the key to which a foreign key refers.
        self._referenced = {name.lower() for name in referenced}
        self._make_sure = make_sure
        # As the dump has them: of tables that were made otherwise than it says.
        self.definitions: dict[str, bytes] = {}
        self._is_fresh = is_fresh
        self._header: list[bytes] = []
        self._begun = False
        # Once set, all that comes goes to the client as it is.
        self._alone = False
        self._table: _Table | None = None
        self._triggers: list[bytes] = []
        self._foreign_keys: list[bytes] = []

    def statements(self, pieces: Iterator[Piece]) -> Iterator[bytes | memoryview]:
        """What the client is to run, while the crew does the rest. Raises crew.Ended."""
        for piece in pieces:
            if self._alone:
                yield piece.data
            elif piece.section.kind == Kind.HEADER:
                yield from self._settings(bytes(piece.data))
            elif piece.section.kind in _AMONG_TABLES:
                yield from self._among_tables(piece)
            else:
                yield from self._after_tables()
                yield piece.data
        self._make_sure()
        yield from self._after_tables()

    def _settings(self, statement: bytes) -> Iterator[bytes]:
        """What holds for the whole dump, on each connection."""
        self._header.append(statement)
        # A dump without comments is one long header.
        self._alone = not _SETTING.fullmatch(statement) or sum(map(len, self._header)) > _LONGEST_HEADER
        yield statement

    def _among_tables(self, piece: Piece) -> Iterator[bytes | memoryview]:
        if not self._begun:
            self._begun = True
            self._crew.begin(self._header)
        kind = piece.section.kind
        if self._table is not None and not _belongs(piece.section, self._table):
            yield from self._ended(self._table)
        if kind == Kind.TRIGGER:
            self._triggers.append(bytes(piece.data))
        elif kind != Kind.ROWS:
            self._table = self._table or _Table(piece.section)
            self._table.text += piece.data
        elif self._table is not None:
            yield from self._rows(self._table, piece.data)
        else:
            yield piece.data

    def _rows(self, table: _Table, data: bytes | memoryview) -> Iterator[bytes | memoryview]:
        if table.is_passed_on:
            yield data
            return
        self._plan(table)
        table.part.append(bytes(data))
        # Row data has no newline behind a semicolon but at its end.
        if data[-2:] == b";\n":
            statement = b"".join(table.part)
            if table.plan is not None and statement.startswith(_INSERT):
                table.part.clear()
                self._gather(table, statement)
                return
            if table.plan is not None and _FRAME.fullmatch(statement):
                table.part.clear()
                table.frame.append(statement)
                return
            yield from self._pass_on(table)
        elif table.plan is None or sum(map(len, table.part)) > _LONGEST_STATEMENT:
            yield from self._pass_on(table)

    def _plan(self, table: _Table) -> None:
        """Take the definition apart, which is whole once rows or another section come."""
        if table.plan is not None or table.is_passed_on:
            return
        table.plan = plan_for(bytes(table.text))
        if table.plan is not None and table.section.name.lower() in self._referenced:
            table.plan = replace(table.plan, bare=table.plan.whole, keys=b"")

    def _gather(self, table: _Table, statement: bytes) -> None:
        table.statements.append(statement)
        table.gathered += len(statement)
        if table.gathered >= CHUNK_BYTES:
            self._make(table)
            self._send(table)

    def _make(self, table: _Table) -> None:
        """The table without its keys: it is not a small one."""
        assert table.plan is not None  # noqa: S101
        if not table.is_made:
            self._before_definition()
            self._crew.finish(Job(table.plan.bare, doing=f"table {table.section.name}"))
            table.is_made = True

    def _before_definition(self) -> None:
        """Tables of before may refer to each other, and their locks in a circle."""
        if not self._is_fresh:
            self._crew.drain()

    def _send(self, table: _Table) -> None:
        assert table.plan is not None  # noqa: S101
        if not table.plan.has_primary_key:
            # Its rows lie in the order in which they come.
            self._crew.wait_for(table.chunks)
        job = Job(table.statements, batch=table.chunks)
        table.statements, table.gathered = [], 0
        self._crew.submit(job)

    def _pass_on(self, table: _Table) -> Iterator[bytes | memoryview]:
        """Leave the rest of a table to the client, and make it as it is written if it is not made."""
        table.is_passed_on = True
        if table.is_made:
            self._crew.wait_for(table.chunks)
        else:
            if b" FOREIGN KEY " in table.text:
                # It looks at others while it is made, which then must not be in the middle of it.
                self._crew.drain()
                self._referenced |= referenced_by(bytes(table.text))
            self._before_definition()
            self._crew.finish(Job([bytes(table.text)]))
            yield from table.frame
        yield from table.statements
        yield from table.part

    def _ended(self, table: _Table) -> Iterator[bytes | memoryview]:
        """A table has passed by: send what is left of it, and its keys."""
        self._table = None
        self._plan(table)
        plan = table.plan
        if not table.is_passed_on and (plan is None or table.part):
            yield from self._pass_on(table)
        if table.is_passed_on:
            if table.is_made and plan is not None:
                yield plan.keys
                self.definitions[table.section.name] = plan.written
                self._foreign_keys.append(plan.foreign_keys)
            return
        assert plan is not None  # noqa: S101
        self._foreign_keys.append(plan.foreign_keys)
        self.definitions[table.section.name] = plan.written
        if table.is_made:
            if table.statements:
                self._send(table)
            if plan.keys:
                keys = Job([plan.keys], doing=f"indexes of {table.section.name}")
                self._crew.follow(table.chunks, keys)
        else:
            self._before_definition()
            self._crew.submit(Job([*plan.whole, *table.statements]))

    def _after_tables(self) -> Iterator[bytes | memoryview]:
        """From here on the client is alone: it adds what had to wait for all tables."""
        if self._alone:
            return
        self._alone = True
        if self._table is not None:
            yield from self._ended(self._table)
        if self._begun:
            self._crew.drain()
            self._crew.close()
        yield from filter(None, self._foreign_keys)
        yield from self._triggers


def _belongs(section: Section, table: _Table) -> bool:
    """Whether a section is the table's own or its rows, whose name may come some lines later."""
    if section.kind == Kind.ROWS:
        return section.table in ("", table.section.table)
    return section is table.section
