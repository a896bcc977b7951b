"""The dump as a stream, cut into its sections. Pure, no I/O.

A dump by mysqldump or mariadb-dump is a sequence of statements under comment lines that say what
follows. The splitter cuts it into sections (a table's structure, its rows, a trigger …) while it
passes by in chunks of any size, holding no more than a line of it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache

from backups import at_first_use
from backups.dumpfile.encodings import WIDE, is_wide
from backups.dumpfile.ends import (
    LONGEST_ALTER_DATABASE,
    ROWS_END,
    end_of_alter_database,
    end_of_insert_into,
    find_rows_end,
)
from backups.dumpfile.limits import LONGEST_DEFINITION
from backups.dumpfile.marks import (
    DROP_ROUTINE,
    FOOTER,
    IDENTIFIER,
    MARKS,
    SANDBOX,
    SAVED_CLIENT,
    SAVED_SQL_MODE,
    TRIGGER_NAME,
    UNNAMED,
)
from backups.dumpfile.quoted import unquoted
from backups.dumpfile.sections import (
    DEFINITIONS,
    ROUTINES,
    SEE_IT,
    Kind,
    Piece,
    Section,
    TooLarge,
    of_table,
    too_long,
    too_many,
)
from backups.text.kinds import kind_word
from backups.text.sentences import phrase

_ALTER_DATABASE_BEGINS = (b"ALTER DATABASE `", b"/*!50003 ALTER DATABASE `")
# A definition tells its name sooner.
_LONGEST_HEAD = 64 << 10
# A hundred thousand tables have not half as many.
_MOST_SECTIONS = 1_000_000
_CLIENT = re.compile(rb"SET character_set_client\s*=\s*(?:(\w+)|@)")
_SQL_MODE = re.compile(rb"SET sql_mode\s*=\s*(?:'([^']*)'|@)")
INSERTS = (b"INSERT INTO ", b"INSERT  IGNORE INTO ", b"REPLACE INTO ")
# A name comes sooner; a statement that goes on without one is not looked at line by line.
_LONGEST_NAMING = 2048
# What has no newline for so long is no dump; it is passed on rather than gathered in memory.
_LONGEST_LINE = 64 << 20

# Each line of it is looked at again with the next.
_MOST_LINES_OF_HEAD = 300
_MOST_LOOKS_AT_HEAD = 1 << 20
_QUOTES = (b"'", b'"', b"`")
# As MySQL writes bodies in other languages: on a line of its own, up to the same mark.
_OTHER_LANGUAGE = at_first_use.pattern(rb"AS (\$\w*\$)")


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
                end = end_of_insert_into(data, at)
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
                name_end = end_of_alter_database(data, at) if alters else at
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
        return self._waits > LONGEST_ALTER_DATABASE and not self._in_rows and b"\n" not in data

    def _taken_up(self, data: bytes) -> bytes:
        """What waits for its end, with what follows it."""
        if self._waiting:
            data = b"".join([*self._waiting, data])
            self._waiting, self._waits = [], 0
        return data

    def _pass_on_endless(self) -> Iterator[Piece]:
        if self._waits > LONGEST_DEFINITION and self.section.kind in DEFINITIONS:
            if self._naming is not None:
                self._name_section(self._taken_up(b"")[:_LONGEST_HEAD], is_whole=True)
            raise too_long(self.section)
        if self._waits > _LONGEST_LINE:
            self._in_statement = True
            yield Piece(self.section, self._taken_up(b""), is_comment=False)

    def _begins_rows(self, data: bytes, at: int) -> bool:
        return not self._in_statement and self._delimiter == b";" and data.startswith(INSERTS, at)

    def _end_of_rows(self, data: bytes, at: int) -> int:
        """Where the row data in `data` ends, or how far it surely goes."""
        end = find_rows_end(data, at)
        if end >= 0:
            self._in_rows = False
            return end + len(ROWS_END)
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
        return not text or text == b"--" or line.startswith((b"-- ", b"#", SANDBOX))

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
        for mark, kind in MARKS:
            if line.startswith(mark):
                self._open(kind)
                if kind not in UNNAMED:
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
        if line.startswith(FOOTER):
            self._open(Kind.FOOTER)
        elif line.startswith((b"USE `", b"CREATE DATABASE ")):
            self._open(Kind.DATABASE)
        elif drop := DROP_ROUTINE.match(line):
            self._drop_announces((drop[1] or drop[2]).decode().lower())
        elif self._delimiter == b";" and SAVED_CLIENT.match(line) and self._is_trigger_place():
            self._open(Kind.TRIGGER, table=self.section.table)
            self._name_comes()
        elif SAVED_SQL_MODE.match(line) and self._is_routine_place():
            self._open(Kind.ROUTINE)
        elif self._naming:
            self._name_comes()  # the statement before held no name
        self._head = b"" if is_wide(self._charset) else None
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
        pattern = TRIGGER_NAME if section.kind == Kind.TRIGGER else IDENTIFIER
        found = pattern.search(self._naming)
        if found is None:
            if len(self._naming) > _LONGEST_HEAD and section.kind in DEFINITIONS:
                raise TooLarge(
                    phrase(
                        "A {kind}{of_table} has no name in the first {longest_head} kB of its definition.",
                        kind=kind_word(section.kind),
                        of_table=of_table(section),
                        longest_head=_LONGEST_HEAD >> 10,
                    ),
                    do=SEE_IT,
                )
            return
        self._naming = None
        section.name = unquoted(bytes(found[1]))
        if section.kind in (Kind.TABLE, Kind.ROWS):
            section.table = section.name

    def _name_comes(self) -> None:
        self._naming, self._naming_wanted = bytearray(), 0

    def _open(self, kind: str, table: str = "") -> None:
        self._naming = None
        self._body_seen = False
        if len(self.sections) > _MOST_SECTIONS:
            raise too_many(_MOST_SECTIONS, self.section)
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
        # Of clients in few languages.
        from backups.dumpfile import mixed_heads

        mode = "" if self._backslash_escapes else "NO_BACKSLASH_ESCAPES"
        try:
            self._looked_at += len(text)
            many = text.count(b"\n") > _MOST_LINES_OF_HEAD or self._looked_at > _MOST_LOOKS_AT_HEAD
            head = mixed_heads.read_head(text, 0, self._charset, mode, is_whole=many)
        except mixed_heads.Incomplete:
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
