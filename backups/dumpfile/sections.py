"""The parts of a dump: what each holds, its size and its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from backups import at_first_use
from backups.dumpfile.limits import LONGEST_DEFINITION
from backups.dumpfile.quoted import unquoted
from backups.dumpfile.rewriting import (
    DEFINED_BY,
    DEFINES,
    LONGEST_DEFINER,
    UNWRAPPED,
    databases_of_libraries,
    normalised_table,
    without_definer,
    without_own_libraries,
    without_qualifiers,
    without_state,
)
from backups.dumpfile.row_sums import RowSum
from backups.dumpfile.table_text import next_number
from backups.dumpfile.views import FROM_DATABASE, without_own_name
from backups.errors import Problem
from backups.text.kinds import kind_word
from backups.text.sentences import number, phrase


class Kind:
    """What a section holds."""

    HEADER = "header"
    DATABASE = "database"
    SEQUENCE = "sequence"
    TABLE = "table"
    ROWS = "rows"
    TRIGGER = "trigger"
    PLACEHOLDER = "view placeholder"
    EVENT = "event"
    PROCEDURE = "procedure"
    FUNCTION = "function"
    PACKAGE = "package"
    PACKAGE_BODY = "package body"
    LIBRARY = "library"
    VIEW = "view"
    EVENTS = "events"
    ROUTINES = "routines"
    ROUTINE = "routine"
    FOOTER = "footer"


ROUTINES = (Kind.PROCEDURE, Kind.FUNCTION, Kind.PACKAGE, Kind.PACKAGE_BODY)
_NORMALISED = frozenset({Kind.TABLE, Kind.TRIGGER, Kind.VIEW, Kind.EVENT})
_WRITTEN_OTHERWISE = frozenset({Kind.TRIGGER, Kind.VIEW, Kind.EVENT, *ROUTINES})
_OF_A_DEFINER = frozenset({Kind.TRIGGER, Kind.VIEW, Kind.EVENT})
# What is read whole where it is loaded, so that no backup may hold one that is too long for that.
DEFINITIONS = frozenset({*_NORMALISED, Kind.PLACEHOLDER, Kind.SEQUENCE, Kind.LIBRARY, *ROUTINES})
# MySQL keeps it where a body of one statement was sent together with others, and no client keeps it.
_LAST_SEMICOLON = at_first_use.pattern(rb";(?= ?(?:\*/ ?)?;;\n(?:DELIMITER ;\n|/\*!\d+ SET |\Z))")
# Behind the last one.
_EVENTS_END = at_first_use.pattern(rb"DELIMITER ;\n/\*!\d+ SET TIME_ZONE= @save_time_zone \*/ ;\n\Z")
SEE_IT = phrase("See what wrote that; drop it or make it shorter, then try again.")


class Section:
    """A part of a dump. A trigger's name is known only some lines into it.

    `table` is the table that rows and triggers belong to, `foreign` the databases that a view
    names, and other ones whose libraries a routine uses. Comment lines are left out, and `as_json`
    leaves out as well what says the same in other words after a restore, so that the same data gives
    the same digest wherever it lies.
    """

    def __init__(self, kind: str, name: str = "", table: str = "") -> None:
        self.kind, self.name, self.table = kind, name, table
        self.foreign: set[str] = set()
        self.alters = 0
        self._size, self._hash = 0, hashlib.sha256()
        # The same of a routine without its last semicolon and its database's name, kept where it has these.
        self._loose: tuple[int, Any] | None = None
        # That as anybody's, and the beginning that tells whose it is while it is not all there.
        self._anybodys: tuple[int, Any] | None = None
        self._head: bytearray | None = None
        self._definition = bytearray()
        # Of rows that nothing orders, where that is wanted.
        self._sum: RowSum | None = None

    def sum_rows(self) -> None:
        """From now on, sum its rows up in such a way that their order does not count."""
        self._sum = RowSum()

    def add(self, data: bytes | memoryview, database: str = "") -> None:
        """Count and digest a piece of the section; a definition is kept until it is whole.

        `database` is whose section it is, where that is known.
        """
        if self.kind in DEFINITIONS and self._length + len(data) > LONGEST_DEFINITION:
            raise too_long(self)
        if self.kind == Kind.VIEW:
            self.foreign |= {unquoted(found[1]) for found in FROM_DATABASE.finditer(data)}
        if self.kind in _NORMALISED:
            self._definition += data
            return
        if self.kind in ROUTINES:
            self.foreign |= databases_of_libraries(bytes(data)) - {database}
            self._add_loosely(bytes(data), database)
        if self._sum is not None:
            self._sum.add(data)
        self._size += len(data)
        self._hash.update(data)

    def _add_loosely(self, line: bytes, database: str) -> None:
        without = without_own_libraries(_LAST_SEMICOLON.sub(b"", line), database)
        if self._anybodys is None and line.startswith(DEFINES):
            self._anybodys, self._head = self._so_far(), bytearray()
        if self._anybodys is not None:
            self._anybodys = _grown(self._anybodys, self._without_definer(without))
        if self._loose is not None or without != line:
            self._loose = _grown(self._loose or self._so_far(), without)

    def _so_far(self) -> tuple[int, Any]:
        size, digest = self._loose or (self._size, self._hash)
        return size, digest.copy()

    def _without_definer(self, line: bytes) -> bytes:
        """What there is of a routine with one line more; none while it is not known whose it is."""
        if self._head is None:
            return line
        self._head += line
        found = DEFINED_BY.match(self._head)
        if not (found and found["definer"]) and len(self._head) < LONGEST_DEFINER:
            return b""
        head, self._head = bytes(self._head), None
        return without_definer(head)

    def tells(self, text: bytes) -> bool:
        """Whether a definition that is kept is made by this statement, but for how dump programs wrap it."""
        return UNWRAPPED.sub(b"", text) in UNWRAPPED.sub(b"", self._definition)

    @property
    def definition(self) -> bytes:
        """What came by of a table, trigger, view or event, as it was written; empty for all else."""
        return bytes(self._definition)

    def event_digest(self) -> str:
        """Of an event: the same wherever in a dump it stands, and another in another state."""
        return hashlib.sha256(_as_anywhere(_LAST_SEMICOLON.sub(b"", self._definition))).hexdigest()

    @property
    def is_empty(self) -> bool:
        """Whether it holds no statement."""
        return not self._length

    @property
    def _length(self) -> int:
        return self._size + len(self._definition)

    def as_json(
        self, collations: Mapping[str, str], *, whatever_state: bool = False, whoever_defines: bool = False
    ) -> dict[str, Any]:
        """The section's line in a manifest. `collations` as `normalised_table` takes them.

        With `whatever_state` an event's digest is the same whether it is enabled or not, and whether
        it is the first or the last of the dump, where delimiters are written otherwise; and a body's
        whether MySQL has kept the semicolon behind it or not, and whichever the database is that it lies
        in with the libraries that it uses. With `whoever_defines` beside it, it is the same as well whoever
        the DEFINER of a view, trigger, routine or event is.
        """
        definition = bytes(self._definition)
        size, digest = self._size, self._hash
        if whatever_state:
            definition = _LAST_SEMICOLON.sub(b"", definition)
            size, digest = self._loose or (size, digest)
        if whoever_defines:
            size, digest = self._anybodys or (size, digest)
            definition = without_definer(definition) if self.kind in _OF_A_DEFINER else definition
            definition += self._head or b""
        if self.kind == Kind.EVENT and whatever_state:
            definition = _as_anywhere(without_state(definition))
        if self.kind == Kind.TRIGGER:
            definition = without_qualifiers(definition)
        elif self.kind == Kind.TABLE:
            definition = normalised_table(definition, collations)
        elif self.kind == Kind.VIEW:
            definition = without_own_name(definition)
        digest = digest.copy()
        digest.update(definition)
        size += len(definition)
        entry = {"kind": self.kind, "name": self.name, "bytes": size, "sha256": digest.hexdigest()}
        return {**entry, "table": self.table} if self.kind == Kind.TRIGGER else entry

    @property
    def row_sum(self) -> dict[str, Any] | None:
        """How many rows it has and their sum, as a manifest tells them; None unless they were summed up."""
        return self._sum.told() if self._sum is not None else None

    def told(self, collations: Mapping[str, str]) -> dict[str, Any]:
        """What a dump's own manifest tells of the section, so that a log that is replayed can be proved.

        Beside what `as_json` says: of a table the number that comes next, of rows that nothing orders their
        number and a sum, and of what is written otherwise in another database, as `whatever_state` and
        `whoever_defines` have it, length and digest there.
        """
        entry = self.as_json(collations)
        if self.kind == Kind.TABLE and (counter := next_number(self.definition)) is not None:
            entry["auto_increment"] = counter
        elif (rows := self.row_sum) is not None:
            entry["rows"] = rows
        elif self.kind in _WRITTEN_OTHERWISE:
            there = self.as_json(collations, whatever_state=True, whoever_defines=True)
            if there["sha256"] != entry["sha256"]:
                entry["elsewhere"] = {name: there[name] for name in ("bytes", "sha256")}
        return entry


def _as_anywhere(event: bytes) -> bytes:
    """An event's text as if it stood in the middle of others."""
    return _EVENTS_END.sub(b"", event).replace(b" */;;\n", b" */;\n", 1)


def _grown(size_and_digest: tuple[int, Any], data: bytes) -> tuple[int, Any]:
    """A length and a digest with more behind them."""
    size, digest = size_and_digest
    digest.update(data)
    return size + len(data), digest


class Piece(NamedTuple):
    """Some bytes of a dump and the section they belong to.

    `ends_swallowed` marks a DELIMITER line after a body that ended in a comment: mysqldump put the
    delimiter on the comment's line, where the client does not see it. `alters_database` marks a
    whole ALTER DATABASE, with which a dump gives a body the collation that it was made under.
    """

    section: Section
    data: bytes | memoryview
    is_comment: bool
    ends_swallowed: bool = False
    alters_database: bool = False


class TooLarge(Problem):
    """A statement or definition of the dump is too long to be kept in memory."""

    code = "dump.statement_too_large"


def too_long(section: Section) -> TooLarge:
    """What to say of a section with a definition that is too long."""
    return TooLarge(
        phrase(
            "The definition of {words} is longer than {longest_definition} MB, and none is read beyond that.",
            words=in_words(section),
            longest_definition=LONGEST_DEFINITION >> 20,
        ),
        do=SEE_IT,
    )


def in_words(section: Section) -> str:
    """A section by its kind and its name, for sentences."""
    return phrase(
        "{kind} {section}{of_table}",
        kind=kind_word(section.kind),
        section=section.name or phrase("without a name"),
        of_table=of_table(section),
    )


def too_many(most: int, last: Section) -> TooLarge:
    """A dump of more than `most` sections."""
    return TooLarge(
        phrase(
            "The dump has more than {most} parts, the last of them {last}.",
            most=number(most),
            last=in_words(last),
        ),
        do=SEE_IT,
    )


def of_table(section: Section) -> str:
    """Which table a section belongs to, for sentences; empty for one that belongs to none."""
    return (
        phrase(" of table {table}", table=section.table)
        if section.table and section.kind != Kind.TABLE
        else ""
    )
