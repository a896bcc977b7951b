"""The dump as a stream: its sections, their digests and the manifest at its end. Pure, no I/O.

A dump by mysqldump or mariadb-dump is a sequence of statements under comment lines that say what
follows. The splitter cuts it into sections (a table's structure, its rows, a trigger …) while it
passes by in chunks of any size, holding no more than a line of it.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from backups.dumpfile import manifests, mixed
from backups.dumpfile.encodings import WIDE
from backups.dumpfile.quoted import DOUBLE_BYTES, NAME_BYTES, TEXT_BYTES
from backups.dumpfile.statements import LONGEST_DEFINITION
from backups.dumpfile.views import FROM_DATABASE, without_own_name
from backups.errors import Problem

MANIFEST_VERSION = 1
_MANIFEST_BEGIN = b"-- Vedetta manifest %d\n" % MANIFEST_VERSION
_MANIFEST_END = b"-- Vedetta manifest end "


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


@dataclass(eq=False)
class Section:
    """A part of a dump. A trigger's name is known only some lines into it.

    `table` is the table that rows and triggers belong to, `foreign` the databases that a view
    names, and other ones whose libraries a routine uses. Comment lines are left out, and `as_json`
    leaves out as well what says the same in other words after a restore, so that the same data gives
    the same digest wherever it lies.
    """

    kind: str
    name: str = ""
    table: str = ""
    foreign: set[str] = field(default_factory=set)
    alters: int = 0
    _size: int = 0
    _hash: Any = field(default_factory=hashlib.sha256, repr=False)
    # The same of a routine without its last semicolon and its database's name, kept where it has these.
    _loose: tuple[int, Any] | None = field(default=None, repr=False)
    # That as anybody's, and the beginning that tells whose it is while it is not all there.
    _anybodys: tuple[int, Any] | None = field(default=None, repr=False)
    _head: bytearray | None = field(default=None, repr=False)
    _definition: bytearray = field(default_factory=bytearray, repr=False)

    def add(self, data: bytes | memoryview, database: str = "") -> None:
        """Count and digest a piece of the section; a definition is kept until it is whole.

        `database` is whose section it is, where that is known.
        """
        if self.kind in _DEFINITIONS and self._length + len(data) > LONGEST_DEFINITION:
            raise too_long(self)
        if self.kind == Kind.VIEW:
            self.foreign |= {_unquoted(found[1]) for found in FROM_DATABASE.finditer(data)}
        if self.kind in _NORMALISED:
            self._definition += data
            return
        if self.kind in ROUTINES:
            self.foreign |= databases_of_libraries(bytes(data)) - {database}
            self._add_loosely(bytes(data), database)
        self._size += len(data)
        self._hash.update(data)

    def _add_loosely(self, line: bytes, database: str) -> None:
        without = without_own_libraries(_LAST_SEMICOLON.sub(b"", line), database)
        if self._anybodys is None and line.startswith(_DEFINES):
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
        found = _DEFINED_BY.match(self._head)
        if not (found and found["definer"]) and len(self._head) < _LONGEST_DEFINER:
            return b""
        head, self._head = bytes(self._head), None
        return without_definer(head)

    def tells(self, text: bytes) -> bool:
        """Whether a definition that is kept is made by this statement, but for how dump programs wrap it."""
        return _UNWRAPPED.sub(b"", text) in _UNWRAPPED.sub(b"", self._definition)

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
            definition = _EVENTS_END.sub(b"", without_state(definition))
            definition = definition.replace(b" */;;\n", b" */;\n", 1)
        if self.kind == Kind.TRIGGER:
            definition = without_qualifiers(definition)
        elif self.kind == Kind.TABLE:
            definition = normalised_table(definition, collations)
        elif self.kind == Kind.VIEW:
            definition = without_own_name(definition)
        digest = digest.copy()
        digest.update(definition)
        size += len(definition)
        told = {"kind": self.kind, "name": self.name, "bytes": size, "sha256": digest.hexdigest()}
        return {**told, "table": self.table} if self.kind == Kind.TRIGGER else told


def _grown(told: tuple[int, Any], data: bytes) -> tuple[int, Any]:
    """A length and a digest with more behind them."""
    size, digest = told
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


# What mysqldump and mariadb-dump write above each part.
_MARKS: tuple[tuple[bytes, str], ...] = (
    (b"-- Table structure for table ", Kind.TABLE),
    (b"-- Dumping data for table ", Kind.ROWS),
    (b"-- Temporary table structure for view ", Kind.PLACEHOLDER),
    (b"-- Temporary view structure for view ", Kind.PLACEHOLDER),
    (b"-- Final view structure for view ", Kind.VIEW),
    (b"-- Sequence structure for ", Kind.SEQUENCE),
    (b"-- Dumping events for database ", Kind.EVENTS),
    (b"-- Dumping routines for database ", Kind.ROUTINES),
    (b"-- Current Database: ", Kind.DATABASE),
)
# Their comments name the database, which differs where the same data lies under another name.
_UNNAMED = frozenset({Kind.EVENTS, Kind.ROUTINES, Kind.DATABASE})
_FOOTER = b"/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;"
_SANDBOX = b"/*M!999999\\- "
_SAVED_CLIENT = re.compile(rb"/\*!50003 SET @saved_cs_client\b")
_SAVED_SQL_MODE = re.compile(rb"/\*!50003 SET @saved_sql_mode\b")
_DROP_ROUTINE = re.compile(
    rb"/\*!\d+ DROP (PROCEDURE|FUNCTION|PACKAGE BODY|PACKAGE|EVENT) IF EXISTS |DROP (LIBRARY) IF EXISTS "
)
# A trigger's text is dumped as its author typed it.
_TRIGGER_NAME = re.compile(
    rb"\A(?:[^`]|`(?:[^`]|``)*+`)*?\bTRIGGER\s+(?:IF\s+NOT\s+EXISTS\s+)?"
    rb"(?:(?:`(?:[^`]|``)++`|\"(?:[^\"]|\"\")++\"|[^\s`.\"]+)\s*\.\s*)?"
    rb"(`(?:[^`]|``)++`|\"(?:[^\"]|\"\")++\"|[^\s`.\"]++(?!\s*\.))",
    re.I,
)
_COMMENT = rb"/\*(?!M?!)(?:[^*]|\*(?!/))*+(?:\*/|\Z)|(?:#|--\s)[^\n]*+(?:\n|\Z)"
_BLANK = rb"(?:\s|" + _COMMENT + rb")"
_NAME = rb"(?:`(?:[^`]|``)++`|\"(?:[^\"]|\"\")++\"|(?:[^\s`.,;()'\"/#-]|-(?!-))++)"
_QUALIFIER = rb"(?:" + _NAME + _BLANK + rb"*+\." + _BLANK + rb"*+)?"
# Comments and what is in quotes are passed over whole, so that nothing is looked at more than twice.
_QUALIFIED_TRIGGER = re.compile(
    rb"(?P<head>\bTRIGGER" + _BLANK + rb"++"
    rb"(?:IF" + _BLANK + rb"++NOT" + _BLANK + rb"++EXISTS" + _BLANK + rb"++)?)"
    + _QUALIFIER
    + rb"(?P<own>" + _NAME + _BLANK + rb"++(?:BEFORE|AFTER)" + _BLANK + rb"++(?:INSERT|UPDATE|DELETE)"
    + _BLANK + rb"++ON" + _BLANK + rb"++)"
    + _QUALIFIER
    + rb"(?P<table>" + _NAME + rb")"
    rb"|" + _COMMENT + rb"|" + NAME_BYTES + rb"|" + TEXT_BYTES + rb"|" + DOUBLE_BYTES,
    re.I | re.S,
)  # fmt: skip
_ALTER_DATABASE_BEGINS = (b"ALTER DATABASE `", b"/*!50003 ALTER DATABASE `")
_ALTER_DATABASE = re.compile(rb"((?:/\*!50003 )?ALTER DATABASE )`(?:[^`]|``)*+`(?=[^`])")
_LONGEST_ALTER_DATABASE = 1024
_CHARACTER_SET = re.compile(
    NAME_BYTES + rb"|" + TEXT_BYTES + rb"| CHARACTER SET (\w++)(?: COLLATE (\w++))?", re.S
)
_SEQUENCE_DEFAULT = re.compile(rb"\b(nextval|lastval)\(`(?:[^`]|``)*+`\.(?=`)")
_NORMALISED = frozenset({Kind.TABLE, Kind.TRIGGER, Kind.VIEW, Kind.EVENT})
_OF_A_DEFINER = frozenset({Kind.TRIGGER, Kind.VIEW, Kind.EVENT})
# As the servers write it, of an account or a role of MariaDB's, in the quotes that the sql_mode wants.
_DEFINES = b"CREATE DEFINER="
_QUOTED = rb"(?:`(?:[^`]|``)*+`|\"(?:[^\"]|\"\")*+\")"
_WRAPPING = rb"\s|\*/|/\*M?!\d{5,6}"
_DEFINED_BY = re.compile(
    rb"(?P<creates>\bCREATE(?:" + _WRAPPING + rb"|\bALGORITHM=\w++)++)"
    rb"(?P<definer>DEFINER=" + _QUOTED + rb"(?:@" + _QUOTED + rb")?(?=[^`\"@])"
    rb"(?P<security>(?:" + _WRAPPING + rb"|\bSQL SECURITY \w++)*+))?"
    rb"|" + NAME_BYTES + rb"|" + TEXT_BYTES + rb"|" + DOUBLE_BYTES,
    re.S,
)
# Names of 80 and 255 characters of four bytes, each of which may be a doubled quote.
_LONGEST_DEFINER = 4096
# What is read whole where it is loaded, so that no backup may hold one that is too long for that.
_DEFINITIONS = frozenset({*_NORMALISED, Kind.PLACEHOLDER, Kind.SEQUENCE, Kind.LIBRARY, *ROUTINES})
# Of all of them together, which are kept until they are whole. A hundred thousand tables have half as much.
_MOST_DEFINED = 1 << 30
# A definition tells its name sooner.
_LONGEST_HEAD = 64 << 10
# A hundred thousand tables have not half as many.
_MOST_SECTIONS = 1_000_000
_LONGEST_MANIFEST = 256 << 20
# As SHOW CREATE EVENT has it.
_EVENT_STATE = re.compile(
    rb"(\bEVENT `(?:[^`]|``)*+` ON SCHEDULE (?:[^'`]|'[^']*+')*? ON COMPLETION (?:NOT )?PRESERVE )"
    rb"(?:ENABLE|DISABLE(?: ON (?:SLAVE|REPLICA))?)(?= )"
)
# MySQL keeps it where a body of one statement was sent together with others, and no client keeps it.
_LAST_SEMICOLON = re.compile(rb";(?= ?(?:\*/ ?)?;;\n(?:DELIMITER ;\n|/\*!\d+ SET |\Z))")
# Behind the last one.
_EVENTS_END = re.compile(rb"DELIMITER ;\n/\*!\d+ SET TIME_ZONE= @save_time_zone \*/ ;\n\Z")
# As MySQL tells the libraries that a routine in another language uses: always with their database's name.
_USING = b"    USING ("
_LIBRARYS_DATABASE = re.compile(rb"(`(?:[^`]|``)*+`)(\.)?")
# Dump programs put the parts of a statement into version comments and lines of their own.
_UNWRAPPED = re.compile(rb"/\*M?!\d{5,6}|\*/|\s+")
# The first name of a statement; none while it goes on in the next line.
_IDENTIFIER = re.compile(rb"\A[^`]*+(`(?:[^`]|``)*+`)")
_CLIENT = re.compile(rb"SET character_set_client\s*=\s*(?:(\w+)|@)")
_SQL_MODE = re.compile(rb"SET sql_mode\s*=\s*(?:'([^']*)'|@)")
_INSERTS = (b"INSERT INTO ", b"INSERT  IGNORE INTO ", b"REPLACE INTO ")
_INSERT_INTO = re.compile(rb"[A-Z ]++`(?:[^`]|``)*+`(?=[^`])")
# 64 characters of four bytes, each of which may be a doubled backtick, and the words before.
_LONGEST_INSERT_INTO = 1024
# A name comes sooner; a statement that goes on without one is not looked at line by line.
_LONGEST_NAMING = 2048
# Ends of row data: mysqldump escapes newlines in values, so a real one stands between rows only.
_ROWS_END = b";\n"
_SEMICOLONS = 100
# What has no newline for so long is no dump; it is passed on rather than gathered in memory.
_LONGEST_LINE = 64 << 20

# Each line of it is looked at again with the next.
_MOST_LINES_OF_HEAD = 300
_MOST_LOOKS_AT_HEAD = 1 << 20
_QUOTES = (b"'", b'"', b"`")
# As MySQL writes bodies in other languages: on a line of its own, up to the same mark.
_OTHER_LANGUAGE = re.compile(rb"AS (\$\w*\$)")


@cache
def _normal_token(wide: bytes | None) -> re.Pattern[bytes]:
    """What opens a text, a name or a comment; of a client with `wide` letters, such a letter as well."""
    letter = wide + rb"|" if wide else b""
    return re.compile(letter + rb"['\"`]|/\*M?!|/\*|--(?=[\s]|$)|#", re.S)


@cache
def _string_token(quote: bytes, escapes: bool, wide: bytes | None) -> re.Pattern[bytes]:
    """What counts between two of a quote."""
    letter = wide + rb"|" if wide else b""
    escaped = rb"\\.|" if escapes and quote != b"`" else b""
    return re.compile(letter + escaped + quote + quote + rb"|" + quote, re.S)


class Splitter:
    """Cuts a dump into sections while it streams by.

    Follows quotes, comments and DELIMITER as the client would, so that a routine's body may hold
    lines that look like mysqldump's own.
    """

    def __init__(self) -> None:
        self.sections: list[Section] = [Section(Kind.HEADER)]
        self.is_complete = False
        # What waits for the end of its line, and how much that is.
        self._waiting: list[bytes] = []
        self._waits = 0
        self._in_rows = False
        self._in_statement = False
        self._open_quote = b""
        self._backslash_escapes = True
        self._charset = "utf8mb4"
        # The beginning of a definition whose head is in another character set than its body.
        self._head: bytes | None = None
        # How much of it was looked at, again and again.
        self._looked_at = 0
        self._delimiter = b";"
        self._body_seen = False
        self._swallowed = False
        # The line above a part, empty when it is about to come, None elsewhere.
        self._heading: bytes | None = None
        # What was seen of the statement that names the section, None when it has its name.
        self._naming: bytearray | None = None
        # How much of it is wanted before it is looked at again.
        self._naming_wanted = 0

    @property
    def section(self) -> Section:
        """The section that the stream is in."""
        return self.sections[-1]

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Cut the next bytes of the stream."""
        if self._is_of_line(data):
            self._waiting.append(data)
            self._waits += len(data)
            yield from self._pass_on_endless()
            return
        data = self._taken_up(data)
        view = memoryview(data)
        at = 0
        while at < len(data):
            if self._in_rows:
                end = self._end_of_rows(data, at)
            elif self._begins_rows(data, at):
                self.is_complete = False
                end = _end_of_insert_into(data, at)
                self._in_rows = end > at
                if self._in_rows and self.section.kind == Kind.TABLE:
                    # By other hands than those of the dump programs, which say that rows come.
                    self._open(Kind.ROWS, table=self.section.table)
                    self._name_comes()
                if self._in_rows and self._naming is not None:
                    self._name_section(data[at:end], is_whole=True)
            else:
                alters = not self._in_statement and data.startswith(_ALTER_DATABASE_BEGINS, at)
                # The name may hold newlines, but the statement is wanted whole.
                name_end = _end_of_alter_database(data, at) if alters else at
                end = data.find(b"\n", name_end) + 1 if name_end >= 0 else 0
                if end:
                    yield self._alter_database(data[at:end]) if alters else self._line(data[at:end])
                    at = end
                    continue
                break
            if end == at:
                break
            yield Piece(self.section, view[at:end], is_comment=False)
            at = end
        if at < len(data):
            self._waiting, self._waits = [data[at:]], len(data) - at
            yield from self._pass_on_endless()

    def close(self) -> Iterator[Piece]:
        """Give out what stands after the last newline."""
        if rest := self._taken_up(b""):
            yield Piece(self.section, rest, False) if self._in_rows else self._line(rest)

    def _is_of_line(self, data: bytes) -> bool:
        """Whether `data` only makes a line longer of which the beginning was looked at already."""
        return self._waits > _LONGEST_ALTER_DATABASE and not self._in_rows and b"\n" not in data

    def _taken_up(self, data: bytes) -> bytes:
        """What waits for its end, with what follows it."""
        if self._waiting:
            data = b"".join([*self._waiting, data])
            self._waiting, self._waits = [], 0
        return data

    def _pass_on_endless(self) -> Iterator[Piece]:
        if self._waits > LONGEST_DEFINITION and self.section.kind in _DEFINITIONS:
            if self._naming is not None:
                self._name_section(self._taken_up(b"")[:_LONGEST_HEAD], is_whole=True)
            raise too_long(self.section)
        if self._waits > _LONGEST_LINE:
            self._in_statement = True
            yield Piece(self.section, self._taken_up(b""), is_comment=False)

    def _begins_rows(self, data: bytes, at: int) -> bool:
        return not self._in_statement and self._delimiter == b";" and data.startswith(_INSERTS, at)

    def _end_of_rows(self, data: bytes, at: int) -> int:
        """Where the row data in `data` ends, or how far it surely goes."""
        end = _find_rows_end(data, at)
        if end >= 0:
            self._in_rows = False
            return end + len(_ROWS_END)
        # A last ";" may be the first half of the end.
        return len(data) - 1 if data.endswith(b";") else len(data)

    def _line(self, line: bytes) -> Piece:
        if self._in_statement or not self._is_between(line):
            ends_swallowed = self._swallowed and line == b"DELIMITER ;\n"
            if ends_swallowed:
                self._in_statement = False
            self._heading = None
            # What comes behind a dump's end is another dump, of which the end is still to come.
            self.is_complete = False
            self._statement_line(line)
            return Piece(self.section, line, is_comment=False, ends_swallowed=ends_swallowed)
        self._comment_line(line)
        return Piece(self.section, line, is_comment=True)

    def _alter_database(self, statement: bytes) -> Piece:
        """Before and after a trigger it belongs to it, though no comment line says so."""
        section = self.section
        follows_trigger = section.kind == Kind.TRIGGER and self._body_seen and section.alters != 1
        if self._delimiter == b";" and (section.kind in (Kind.TABLE, Kind.ROWS) or follows_trigger):
            self._open(Kind.TRIGGER, table=section.table)
            self._name_comes()
        self.section.alters += 1
        return Piece(self.section, statement, is_comment=False, alters_database=True)

    @staticmethod
    def _is_between(line: bytes) -> bool:
        """Whether a line between statements is a comment or empty."""
        text = line.strip()
        return not text or text == b"--" or line.startswith((b"-- ", b"#", _SANDBOX))

    def _comment_line(self, line: bytes) -> None:
        """A mark is the first line between two of "--"; the others continue a name with newlines."""
        if line == b"--\n":
            self._heading = b"" if self._heading is None else None
        elif not line.strip():
            self._heading = None
        elif self._heading is None:
            self.is_complete = self.is_complete or line.startswith(b"-- Dump completed")
        elif not self._heading:
            self._heading = line
            self._announced(line)

    def _announced(self, line: bytes) -> None:
        for mark, kind in _MARKS:
            if line.startswith(mark):
                self._open(kind)
                if kind not in _UNNAMED:
                    self._name_comes()

    def _statement_line(self, line: bytes) -> None:
        if not self._in_statement:
            if line[:10].upper() == b"DELIMITER ":
                self._delimiter = line[10:].strip() or b";"
                self._body_seen = self._delimiter == b";"
                return
            self._statement_begins(line)
        ends_in_comment = self._follow_quotes(line)
        ends = not self._open_quote and line.rstrip().endswith(self._delimiter)
        self._in_statement = not ends or ends_in_comment
        if self._naming is not None:
            self._name_section(line, is_whole=not self._in_statement)
        self._swallowed = ends and ends_in_comment

    def _statement_begins(self, line: bytes) -> None:
        """Sections that no comment line announces, and the name as the statement has it."""
        if line.startswith(_FOOTER):
            self._open(Kind.FOOTER)
        elif line.startswith((b"USE `", b"CREATE DATABASE ")):
            self._open(Kind.DATABASE)
        elif drop := _DROP_ROUTINE.match(line):
            self._drop_announces((drop[1] or drop[2]).decode().lower())
        elif self._delimiter == b";" and _SAVED_CLIENT.match(line) and self._is_trigger_place():
            self._open(Kind.TRIGGER, table=self.section.table)
            self._name_comes()
        elif _SAVED_SQL_MODE.match(line) and self._is_routine_place():
            self._open(Kind.ROUTINE)
        elif self._naming:
            self._name_comes()  # the statement before held no name
        self._head = b"" if mixed.is_wide(self._charset) else None
        self._looked_at = 0
        if client := _CLIENT.search(line):
            self._charset = (client[1] or b"utf8mb4").decode()
        if mode := _SQL_MODE.search(line):
            self._backslash_escapes = b"NO_BACKSLASH_ESCAPES" not in (mode[1] or b"")

    def _drop_announces(self, kind: str) -> None:
        if self.section.kind == Kind.ROUTINE:
            self.section.kind = kind
        else:
            self._open(kind)
        self._name_comes()

    def _is_trigger_place(self) -> bool:
        if self.section.kind == Kind.TRIGGER:
            return self._body_seen
        return self.section.kind in (Kind.TABLE, Kind.ROWS)

    def _is_routine_place(self) -> bool:
        """MariaDB sets the mode before it drops a routine, MySQL after."""
        if self.section.kind in ROUTINES:
            return self._body_seen
        return self.section.kind == Kind.ROUTINES

    def _name_section(self, line: bytes, *, is_whole: bool) -> None:
        """Take the name from the statement, which may break in the middle of it.

        Not from the comment line above, where newlines in names are replaced.
        """
        assert self._naming is not None  # noqa: S101
        self._naming += line[: _LONGEST_HEAD + 1 - len(self._naming)]
        if not is_whole and len(self._naming) < self._naming_wanted:
            return
        if len(self._naming) > _LONGEST_NAMING:
            # What is kept of it is looked at once.
            is_all = len(self._naming) > _LONGEST_HEAD
            self._naming_wanted = sys.maxsize if is_all else min(len(self._naming) * 2, _LONGEST_HEAD + 1)
        section = self.section
        pattern = _TRIGGER_NAME if section.kind == Kind.TRIGGER else _IDENTIFIER
        found = pattern.search(self._naming)
        if found is None:
            if len(self._naming) > _LONGEST_HEAD and section.kind in _DEFINITIONS:
                raise TooLarge(
                    f"A {section.kind}{_of_table(section)} has no name in the first {_LONGEST_HEAD >> 10} kB "
                    "of its definition.",
                    do=_SEE_IT,
                )
            return
        self._naming = None
        section.name = _unquoted(bytes(found[1]))
        if section.kind in (Kind.TABLE, Kind.ROWS):
            section.table = section.name

    def _name_comes(self) -> None:
        self._naming, self._naming_wanted = bytearray(), 0

    def _open(self, kind: str, table: str = "") -> None:
        self._naming = None
        self._body_seen = False
        if len(self.sections) > _MOST_SECTIONS:
            raise TooLarge(
                f"The dump has more than {_MOST_SECTIONS:,} parts, the last of them {_told(self.section)}.",
                do=_SEE_IT,
            )
        self.sections.append(Section(kind, table=table))

    def _follow_quotes(self, line: bytes) -> bool:
        """Track which quote or comment is open; answers whether the line ends in a -- comment."""
        if self._head is not None:
            line = self._behind_head(self._head + line)
        wide = WIDE.get(self._charset)
        at = 0
        if not self._open_quote and self._delimiter != b";" and (mark := _OTHER_LANGUAGE.match(line)):
            self._open_quote, at = mark[1], mark.end()
        while at < len(line):
            if not self._open_quote:
                token = _normal_token(wide).search(line, at)
                if token is None:
                    return False
                at = token.end()
                if token[0] in (b"--", b"#"):
                    return True
                if token[0] in _QUOTES or token[0] == b"/*":
                    self._open_quote = token[0]
            elif self._open_quote not in _QUOTES:
                end = b"*/" if self._open_quote == b"/*" else self._open_quote
                if (closes := line.find(end, at)) < 0:
                    return False
                at = closes + len(end)
                self._open_quote = b""
            else:
                at = self._end_of_string(line, at)
        return False

    def _behind_head(self, text: bytes) -> bytes:
        """What of a definition follows its head, none while that is not all there."""
        mode = "" if self._backslash_escapes else "NO_BACKSLASH_ESCAPES"
        try:
            self._looked_at += len(text)
            many = text.count(b"\n") > _MOST_LINES_OF_HEAD or self._looked_at > _MOST_LOOKS_AT_HEAD
            head = mixed.read_head(text, 0, self._charset, mode, is_whole=many)
        except mixed.Incomplete:
            self._head = text
            return b""
        self._head = None
        return text[head.end :] if head else text

    def _end_of_string(self, line: bytes, at: int) -> int:
        wide = WIDE.get(self._charset)
        pattern = _string_token(self._open_quote, self._backslash_escapes, wide)
        for token in pattern.finditer(line, at):
            if token[0] == self._open_quote:
                self._open_quote = b""
                return token.end()
        return len(line)


class TooLarge(Problem):
    """What would have to be kept in memory is longer than anybody's of its kind."""


_SEE_IT = "See what wrote that; drop it or make it shorter, then try again."


def too_long(section: Section) -> TooLarge:
    """What to say of a section with a definition that is too long."""
    return TooLarge(
        f"The definition of {_told(section)} is longer than {LONGEST_DEFINITION >> 20} MB, and none is read "
        "beyond that.",
        do=_SEE_IT,
    )


def _told(section: Section) -> str:
    return f"{section.kind} {section.name or 'without a name'}{_of_table(section)}"


def _of_table(section: Section) -> str:
    return f" of table {section.table}" if section.table and section.kind != Kind.TABLE else ""


def _find_rows_end(data: bytes, at: int) -> int:
    """Where the first ";" before a newline stands, -1 where there is none.

    A search for one byte is ten times as fast as one for two, except in rows that are full of it.
    """
    for _ in range(_SEMICOLONS):
        at = data.find(b";", at)
        if at < 0 or data.startswith(b"\n", at + 1):
            return at
        at += 1
    return data.find(_ROWS_END, at)


def _end_of_insert_into(data: bytes, at: int) -> int:
    """Where the table's name ends, which may hold what looks like the end of rows; `at` if unseen."""
    if found := _INSERT_INTO.match(data, at, at + _LONGEST_INSERT_INTO):
        return found.end()
    return at if len(data) - at < _LONGEST_INSERT_INTO else len(data)


def _end_of_alter_database(data: bytes, at: int) -> int:
    """Where the name in an ALTER DATABASE ends; -1 if that is not there yet."""
    if found := _ALTER_DATABASE.match(data, at, at + _LONGEST_ALTER_DATABASE):
        return found.end()
    return -1 if len(data) - at < _LONGEST_ALTER_DATABASE else at


def with_database(line: bytes, name: str) -> bytes:
    """An ALTER DATABASE of the dump, which sets the collation for a body, for another database."""
    return _ALTER_DATABASE.sub(lambda found: found[1] + _quoted(name), line, count=1)


def normalised_table(definition: bytes, collations: Mapping[str, str]) -> bytes:
    """A CREATE TABLE in one spelling.

    MySQL remembers whether a column's collation was written down, and SHOW CREATE TABLE writes
    `CHARACTER SET x COLLATE y` after a restore where it wrote `COLLATE y` before: every column
    gets its collation alone. `collations` has each character set's default (empty for MariaDB,
    which has one spelling). MariaDB's sequences in a default come with the database's name.
    """

    def collation_alone(found: re.Match[bytes]) -> bytes:
        if found[1] is None:
            return found[0]
        collation = found[2] or collations.get(found[1].decode(), "").encode()
        return b" COLLATE " + collation if collation else found[0]

    if collations:
        definition = _CHARACTER_SET.sub(collation_alone, definition)
    return _SEQUENCE_DEFAULT.sub(rb"\1(", definition)


def with_sequences(line: bytes, source: str, target: str) -> bytes:
    """A line of MariaDB's CREATE TABLE whose defaults take from `target`'s sequences, not `source`'s."""
    old, new = ("`" + name.replace("`", "``") + "`." for name in (source, target))
    pattern = TEXT_BYTES + rb"|\b((?:nextval|lastval)\()" + re.escape(old.encode())
    return re.sub(pattern, lambda found: found[1] + new.encode() if found[1] else found[0], line)


def without_qualifiers(trigger: bytes) -> bytes:
    """A trigger's statement without the database's name before its own and its table's.

    MariaDB dumps it as its author typed it, `create trigger a.t before insert on a.x`: loaded
    into another database that would reach into the first.
    """
    for found in _QUALIFIED_TRIGGER.finditer(trigger):
        if found["head"]:
            named = found["head"] + found["own"] + found["table"]
            return trigger[: found.start()] + named + trigger[found.end() :]
    return trigger


def without_own_libraries(line: bytes, database: str) -> bytes:
    """A line of a routine's definition without its own database's name before libraries that it uses."""
    if not line.startswith(_USING):
        return line
    own = _quoted(database)
    return _LIBRARYS_DATABASE.sub(lambda found: b"" if found[2] and found[1] == own else found[0], line)


def databases_of_libraries(line: bytes) -> set[str]:
    """The databases of the libraries that a routine uses, by a line of its definition."""
    if not line.startswith(_USING):
        return set()
    return {_unquoted(found[1]) for found in _LIBRARYS_DATABASE.finditer(line) if found[2]}


def without_definer(definition: bytes) -> bytes:
    """The statement that makes a view, trigger, routine or event, as whoever runs it is its definer.

    The first CREATE outside of quotes is the one, and what is no DEFINER of it is left as it is. Dump
    programs put an account into a comment of its own, and a role not: its head is without such.
    """
    for found in _DEFINED_BY.finditer(definition):
        if found["creates"] is not None:
            if found["definer"] is None:
                return definition
            head = found["creates"] + b" DEFINER=CURRENT_USER " + found["security"]
            words = b" ".join(_UNWRAPPED.sub(b" ", head).split())
            return definition[: found.start()] + words + b" " + definition[found.end() :]
    return definition


def without_state(event: bytes) -> bytes:
    """An event's statement without its state, which the server itself changes when its time is over."""
    return _EVENT_STATE.sub(rb"\1", event)


def _quoted(name: str) -> bytes:
    return b"`" + name.replace("`", "``").encode(errors="surrogateescape") + b"`"


def _unquoted(name: bytes) -> str:
    """A name as dumps hold it, UTF-8 and in backticks, double quotes (ANSI_QUOTES) or bare."""
    text = name.decode(errors="surrogateescape")
    quote = text[:1]
    return text[1:-1].replace(2 * quote, quote) if quote in ("`", '"') else text


class Digester:
    """Splits and digests a dump, and finds the manifest at its end. `database` is what it is a dump of."""

    def __init__(self, database: str = "") -> None:
        self._database = database
        self.splitter = Splitter()
        self._sections: list[Section] = [self.splitter.section]
        self._manifest = _ManifestReader()
        self._defined = 0

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Digest the next bytes, giving out the pieces."""
        return self.digested(self.splitter.feed(data))

    def close(self) -> Iterator[Piece]:
        """Digest what stands after the last newline."""
        return self.digested(self.splitter.close())

    @property
    def section(self) -> Section:
        """The section that the stream is in."""
        return self._sections[-1]

    @property
    def tables_begun(self) -> int:
        """How many tables have passed, or begun to."""
        return sum(section.kind == Kind.TABLE for section in self._sections)

    @property
    def is_complete(self) -> bool:
        """Whether the dump's closing line was seen."""
        return self.splitter.is_complete

    def manifest(self) -> dict[str, Any] | None:
        """The manifest that the stream carried. Raises ManifestDamaged."""
        return self._manifest.result()

    def sections(
        self, collations: Mapping[str, str], *, whatever_state: bool = False, whoever_defines: bool = False
    ) -> list[dict[str, Any]]:
        """All sections that hold statements; arguments as those of `Section.as_json`."""
        return [
            section.as_json(collations, whatever_state=whatever_state, whoever_defines=whoever_defines)
            for section in self._sections
            if not section.is_empty
        ]

    def definitions_kept(self) -> dict[tuple[str, str], Section]:
        """The definitions that are there as they came by, by kind and name: views, triggers, events."""
        return {
            (s.kind, s.name): s for s in self._sections if s.kind in (Kind.VIEW, Kind.TRIGGER, Kind.EVENT)
        }

    def views_of_others(self) -> list[str]:
        """Views that read tables by their database's name, and go on reading them elsewhere.

        MariaDB stores the database's own name too in a view that joins two databases.
        """
        return [s.name for s in self._sections if s.foreign and s.kind == Kind.VIEW]

    def routines_of_others(self) -> list[str]:
        """Routines that use libraries of other databases, and go on using them elsewhere."""
        return [s.name for s in self._sections if s.foreign and s.kind in ROUTINES]

    def digested(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Digest pieces, of this stream's splitter or of others', giving them out."""
        for piece in pieces:
            if piece.is_comment:
                self._manifest.line(bytes(piece.data))
            else:
                if piece.section is not self._sections[-1]:
                    self._sections.append(piece.section)
                named = piece.alters_database
                data = with_database(bytes(piece.data), "") if named else piece.data
                piece.section.add(data, self._database)
                self._count_definitions(piece.section, len(data))
            yield piece

    def _count_definitions(self, section: Section, length: int) -> None:
        if section.kind not in _DEFINITIONS:
            return
        self._defined += length
        if self._defined > _MOST_DEFINED:
            raise TooLarge(
                f"With {_told(section)}, the definitions of the dump are longer than "
                f"{_MOST_DEFINED >> 20} MB in all.",
                do=_SEE_IT,
            )


class ManifestDamaged(Exception):
    """The manifest in a dump is not what was written."""


class _ManifestReader:
    def __init__(self) -> None:
        self._lines: list[bytes] | None = None
        self._length = 0
        self._end = ""

    def line(self, line: bytes) -> None:
        if line == _MANIFEST_BEGIN:
            self._lines = []
        elif self._lines is not None and not self._end:
            if line.startswith(_MANIFEST_END):
                self._end = line[len(_MANIFEST_END) :].strip().decode(errors="replace")
            elif (length := self._length + len(line)) <= _LONGEST_MANIFEST:
                # One that goes on longer is not what its end's digest is of.
                self._lines.append(line)
                self._length = length

    def result(self) -> dict[str, Any] | None:
        if self._lines is None:
            return None
        body = b"".join(self._lines)
        if hashlib.sha256(body).hexdigest() != self._end:
            raise ManifestDamaged
        try:
            head, *sections = (json.loads(line.removeprefix(b"-- ")) for line in self._lines)
            manifest = {**head, "sections": sections}
        except (ValueError, TypeError, RecursionError) as error:
            raise ManifestDamaged from error
        if not manifests.is_whole(manifest):
            raise ManifestDamaged
        return manifest


def overall_digest(sections: Iterable[dict[str, Any]]) -> str:
    """One digest for a whole dump: SHA-256 over a line of kind, name, bytes and digest a section."""
    whole = hashlib.sha256()
    for section in sections:
        fields = [section["kind"], section["name"], section["bytes"], section["sha256"]]
        whole.update(json.dumps(fields).encode() + b"\n")
    return whole.hexdigest()


def manifest_of(sections: list[dict[str, Any]], **facts: Any) -> dict[str, Any]:
    """The manifest of a dump: `facts` about its server, the overall digest, the sections."""
    return {
        "version": MANIFEST_VERSION,
        "sha256": overall_digest(sections),
        "bytes": sum(section["bytes"] for section in sections),
        **facts,
        "sections": sections,
    }


def manifest_text(manifest: dict[str, Any]) -> bytes:
    """The manifest as SQL comment lines, closed by a digest of its own."""
    head = {name: value for name, value in manifest.items() if name != "sections"}
    lines = [b"-- %s\n" % json.dumps(item).encode() for item in (head, *manifest["sections"])]
    body = b"".join(lines)
    digest = hashlib.sha256(body).hexdigest().encode()
    return b"\n" + _MANIFEST_BEGIN + body + _MANIFEST_END + digest + b"\n"


def objects_in(sections: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
    """The objects that a dump holds, by kind, sorted, as `mysql.inventory` lists a database's.

    Triggers by their table: the text of a trigger is dumped as its author typed it.
    """
    found: dict[str, list[str]] = {}
    for section in sections:
        kind = section["kind"]
        if kind in _INVENTORIED:
            name = section["table"] if kind == Kind.TRIGGER else section["name"]
            found.setdefault(kind, []).append(name)
    return {kind: sorted(names) for kind, names in found.items()}


_INVENTORIED = frozenset(
    {Kind.TABLE, Kind.VIEW, Kind.SEQUENCE, Kind.TRIGGER, Kind.EVENT, Kind.LIBRARY, *ROUTINES}
)
