"""A statement as a binary log has it, and whether a name in it is that of the database that is wanted."""

from __future__ import annotations

import re
from dataclasses import dataclass

from backups.binlog.queries import Query
from backups.dumpfile.dialect import Dialect
from backups.dumpfile.encodings import bytes_of, text_of
from backups.dumpfile.lexer import Unexpected

# https://mariadb.com/kb/en/server-system-variables/#sql_mode, sql/sql_class.h
_ANSI_QUOTES, _NO_BACKSLASH_ESCAPES = 1 << 2, 1 << 20
# A name that begins so is that of a folder or file as it is on disk, whatever else it is called by.
# https://dev.mysql.com/doc/refman/8.0/en/identifier-mapping.html
_AS_ON_DISK = "#mysql50#"
_QUOTES = '`"'
# Letters that the servers fold as Python does (utf8mb3_general_ci), but for one with a dot. Of others some
# are capitals to Python and none to them.
_FOLDED_ALIKE = re.compile("[\0-\u021f\u0386-\u03ce\u0400-\u0481]*")
_DOTTED_I = "\u0130"


@dataclass(frozen=True)
class Logged:
    """A statement, and what of its session decides how it is read.

    `charset` is the client's, by name. `dialect` is of the server that wrote the log. `updated` are the
    databases that MySQL says it changes, None where it does not say. `is_of_session` where a temporary table
    may be meant. `is_atomic` where MySQL tells that tables it made are InnoDB's.
    """

    text: bytes
    default_database: str
    charset: str
    dialect: Dialect
    ansi_quotes: bool = False
    no_backslash_escapes: bool = False
    updated: frozenset[str] | None = None
    is_of_session: bool = False
    is_atomic: bool = False

    @classmethod
    def of(cls, query: Query, charset: str, dialect: Dialect) -> Logged:
        """A Query event's. `charset` is the name of its client's, `dialect` the log's server's."""
        modes = query.sql_mode or 0
        return cls(
            query.text,
            _in_utf8(query.database),
            charset,
            dialect,
            ansi_quotes=bool(modes & _ANSI_QUOTES),
            no_backslash_escapes=bool(modes & _NO_BACKSLASH_ESCAPES),
            updated=None if query.updated is None else frozenset(map(_in_utf8, query.updated)),
            is_of_session=query.is_of_session,
            is_atomic=query.is_atomic,
        )

    @property
    def quoting_mode(self) -> str:
        """What of the sql_mode decides about quotes. ORACLE alone does not: it brings ANSI_QUOTES."""
        modes = {"ANSI_QUOTES": self.ansi_quotes, "NO_BACKSLASH_ESCAPES": self.no_backslash_escapes}
        return ",".join(mode for mode, is_on in modes.items() if is_on)


def _in_utf8(name: bytes) -> str:
    return name.decode(errors="surrogateescape")


@dataclass(frozen=True)
class Wanted:
    """The database whose statements are wanted. `folds_case` says that the server does not tell case apart
    in names of databases and tables (lower_case_table_names is not 0)."""

    database: str
    folds_case: bool

    def is_named(self, name: str, raw: bytes = b"") -> bool:
        """Whether a database's name means it; `raw` is the name as bytes, where these may be in either UTF-8
        or the client's character set. Raises Unexpected where nobody can tell."""
        if name.casefold().startswith(_AS_ON_DISK):
            raise Unexpected
        if name == self.database:
            return True
        is_alike = self.folds_case and self._folded(name) == self._folded(self.database)
        if is_alike and _FOLDED_ALIKE.fullmatch(name + self.database):
            return True
        # What servers add to a statement is in UTF-8, whatever the client speaks.
        others = {name, raw.decode(errors="replace")} if raw else {name}
        if any(self._looks_like(other) for other in others):
            raise Unexpected
        return False

    def _looks_like(self, name: str) -> bool:
        return self._folded(name) == self._folded(self.database)

    def may_be_in(self, logged: Logged) -> bool:
        """Whether a statement may have to do with it: by its default database, by what MySQL says it changes,
        or since the name is somewhere in the text. Never False for one that has."""
        databases = {logged.default_database, *(logged.updated or ())}
        if any(self._folded(name) == self._folded(self.database) for name in databases):
            return True
        text = text_of(logged.text, logged.charset)
        if text is None and not self.database.isascii():
            return True
        as_utf8 = logged.text.decode(errors="replace")
        texts = {self._folded(each) for each in (text or as_utf8, as_utf8)}
        spellings = {self._folded(self.database)}
        spellings |= {self._folded(self.database.replace(quote, 2 * quote)) for quote in _QUOTES}
        return any(
            _AS_ON_DISK in each.casefold() or any(name in each for name in spellings) for each in texts
        )

    def _folded(self, text: str) -> str:
        return text.replace(_DOTTED_I, "i").casefold() if self.folds_case else text


def quoted_name(name: str, charset: str) -> bytes | None:
    """A name in backticks, as a client of a character set sends it; None where that has not all letters."""
    return bytes_of("`" + name.replace("`", "``") + "`", charset)


def is_in_two_charsets(logged: Logged) -> bool:
    """Whether a text may be in UTF-8 though its client speaks something else: servers put together some
    statements themselves, in UTF-8 (CREATE TABLE … LIKE a temporary table)."""
    if logged.text.isascii() or logged.charset.startswith("utf8") or logged.charset == "binary":
        return False
    try:
        logged.text.decode()
    except UnicodeDecodeError:
        return False
    return True
