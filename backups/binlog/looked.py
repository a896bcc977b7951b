"""What a transaction did, looked at as its events go by, none of which is kept: for who looks through a log.

How servers write a row's values: sql/field.cc of both, `pack` of each kind of field.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from backups.binlog.events import Event
from backups.binlog.kinds import QUERIES, ROWS, Kind
from backups.binlog.queries import is_frame, parse_query
from backups.binlog.rows import rows_in, values_of
from backups.binlog.table_maps import NO_TABLE, TableMap, number_of, parse_table_map
from backups.binlog.unreadable import Unreadable, Why

# Of a transaction so many statements are told, and so many characters of each; so many tables by name.
MOST_STATEMENTS, LONGEST_STATEMENT, MOST_TABLES = 5, 2000, 100
# By the names that SQL has for them: the kind of a column in a table map, and how many bytes it has.
WHOLE_NUMBERS: Mapping[str, tuple[int, int]] = {
    "tinyint": (1, 1), "smallint": (2, 2), "mediumint": (9, 3), "int": (3, 4), "bigint": (8, 8),
}  # fmt: skip
SHORT_TEXTS: Mapping[str, int] = {"varchar": 15, "char": 254}
ENCODINGS = {"utf8mb4": "utf-8", "utf8mb3": "utf-8", "utf8": "utf-8", "latin1": "cp1252", "ascii": "ascii"}


class KeyValue(NamedTuple):
    """A value of a table's key as rows in the log have it: of which column of how many, of which kind."""

    column: int
    columns: int
    kind: int
    value: bytes

    @classmethod
    def of_number(cls, place: tuple[int, int], kind: str, number: int, *, is_unsigned: bool) -> KeyValue:
        """A whole number; `kind` is one of WHOLE_NUMBERS. Raises OverflowError where it does not fit."""
        code, length = WHOLE_NUMBERS[kind]
        return cls(*place, code, number.to_bytes(length, "little", signed=not is_unsigned))

    @classmethod
    def of_text(cls, place: tuple[int, int], kind: str, text: str, charset: str) -> KeyValue:
        """A text, letter by letter; `kind` is one of SHORT_TEXTS.

        Raises ValueError for a character set that is not known here, and for letters that it has not.
        """
        if (encoding := ENCODINGS.get(charset)) is None:
            raise ValueError(charset)
        # A CHAR is written without the spaces that fill it up.
        value = (text.rstrip(" ") if kind == "char" else text).encode(encoding)
        return cls(*place, SHORT_TEXTS[kind], value)

    def fits(self, table: TableMap) -> bool:
        """Whether a table's rows can be looked at for it: as they were then, it was a column like this."""
        is_there = table.columns == self.columns and 0 <= self.column < self.columns
        return is_there and table.types[self.column] == self.kind


@dataclass(frozen=True)
class Look:
    """What is looked for in rows, and whether statements are told.

    `keys` are by the table's name; None for one whose key cannot be what is looked for.
    """

    keys: Mapping[str, KeyValue | None] = field(default_factory=dict)
    is_for_key: bool = False
    with_text: bool = False

    def begin(self) -> Looked:
        """For the next transaction, as `read` wants it."""
        return Looked(self)


@dataclass
class Looked:
    """Takes the events of one transaction, and keeps what is told of it."""

    look: Look
    # Of each table how many rows, by kind of change; those beyond MOST_TABLES are counted.
    tables: dict[str, Counter[str]] = field(default_factory=dict)
    tables_beyond: set[int] = field(default_factory=set)
    rows: int = 0
    # What it said, where that is asked for and the log has it; how many more there were, or longer.
    statements: list[str] = field(default_factory=list)
    statements_beyond: int = 0
    # Whether a statement is in it as text, which changes a definition most often; its words in small letters.
    is_statement: bool = False
    spoken: str = ""
    has_key: bool = False
    # Tables whose rows could not be looked at for the key.
    unlike: set[str] = field(default_factory=set)
    _maps: dict[int, TableMap] = field(default_factory=dict)

    def append(self, event: Event) -> None:
        """The next event. Raises Unreadable."""
        if event.kind == Kind.TABLE_MAP:
            table = parse_table_map(event)
            self._maps[table.number] = table
        elif event.kind in ROWS:
            self._take_rows(event)
        elif event.kind in QUERIES:
            text = parse_query(event).text
            if not is_frame(text):
                self.is_statement = True
                self.spoken = text[:LONGEST_STATEMENT].decode("utf-8", "replace").casefold()
                self._say(text)
        elif event.kind == Kind.ANNOTATE_ROWS:
            self._say(event.body)
        elif event.kind == Kind.ROWS_QUERY:
            # Before it stands one byte of its length, which is too short for it.
            self._say(event.body[1:])

    def _take_rows(self, event: Event) -> None:
        if (number := number_of(event)) == NO_TABLE:
            return
        if (table := self._maps.get(number)) is None:
            raise Unreadable(Why.ORDER, event.position)
        name = table.table.decode("utf-8", "replace")
        count = rows_in(event, table)
        self.rows += count
        if name not in self.tables and len(self.tables) >= MOST_TABLES:
            self.tables_beyond.add(number)
        else:
            self.tables.setdefault(name, Counter())[str(ROWS[event.kind])] += count
        if self.look.is_for_key and not self.has_key:
            self._look_for_key(event, table, name)

    def _look_for_key(self, event: Event, table: TableMap, name: str) -> None:
        key = self.look.keys.get(name)
        if name not in self.look.keys or (key is not None and not key.fits(table)):
            self.unlike.add(name)
        elif key is not None:
            self.has_key = any(value == key.value for value in values_of(event, table, key.column))

    def _say(self, text: bytes) -> None:
        if not self.look.with_text:
            return
        if len(self.statements) >= MOST_STATEMENTS:
            self.statements_beyond += 1
            return
        told = text[: 4 * LONGEST_STATEMENT].decode("utf-8", "replace")
        is_whole = len(text) <= 4 * LONGEST_STATEMENT and len(told) <= LONGEST_STATEMENT
        self.statements.append(told if is_whole else f"{told[:LONGEST_STATEMENT]}…")
