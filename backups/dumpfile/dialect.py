"""How a server reads SQL: its version comments, its quotes, its character sets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from backups.dumpfile.encodings import WIDE

_VERSION_COMMENT = re.compile(rb"/\*(M?)!(\d{5,6})?")
# MySQL takes a sixth digit for one of the version where a blank follows, and else for what is commented.
_MYSQLS_VERSION_COMMENT = re.compile(rb"/\*(M?)!(\d{6}(?=\s)|\d{5})?")
# MariaDB passes over what only MySQL from 5.7 on knows.
# https://mariadb.com/kb/en/comment-syntax/#executable-comment-syntax
_MYSQLS_OWN = range(50700, 100000)


@dataclass(frozen=True)
class Dialect:
    """What is to be known of a server to read a statement as it does.

    `version` as in version comments: 101119 is 10.11.19. `sql_mode` is what a session begins with.
    `folds_names` says that names of tables become lower case (lower_case_table_names=1).
    """

    is_mariadb: bool
    version: int
    sql_mode: str = ""
    folds_names: bool = False

    @classmethod
    def of(
        cls, *, is_mariadb: bool, number: tuple[int, ...], sql_mode: str = "", folds_names: bool = False
    ) -> Dialect:
        """From a version's numbers, as in (10, 11, 19)."""
        major, minor, patch = (*number, 0, 0, 0)[:3]
        return cls(is_mariadb, major * 10000 + minor * 100 + patch, sql_mode, folds_names)

    def spelled(self, table: str) -> str:
        """The name of a table or view as the server will have it."""
        return table.lower() if self.folds_names else table

    def version_comment(self, text: bytes, at: int) -> tuple[int, bool] | None:
        """Where the content of a version comment at `at` begins, and whether the server reads it."""
        found = (_VERSION_COMMENT if self.is_mariadb else _MYSQLS_VERSION_COMMENT).match(text, at)
        if found is None or (found[1] and not self.is_mariadb):
            return None
        if found[2] is None:
            return found.end(), True
        wanted = int(found[2])
        is_ours = wanted <= self.version
        if self.is_mariadb and not found[1] and wanted in _MYSQLS_OWN:
            is_ours = False
        return found.end(), is_ours


@dataclass(frozen=True)
class Quoting:
    """What of a session's state decides where a text ends: patterns for what is quoted, whole."""

    text: bytes
    double: bytes
    name: bytes
    double_is_name: bool


# A dump may have as many modes as it likes, of any length.
@lru_cache(maxsize=100)
def quoting(charset: str, sql_mode: str) -> Quoting:
    """How quotes are read under a client character set and a sql_mode."""
    wide = WIDE.get(charset)
    modes = set(sql_mode.upper().replace(" ", "").split(","))
    escapes = "NO_BACKSLASH_ESCAPES" not in modes
    ansi = bool(modes & {"ANSI_QUOTES", "ANSI", "ORACLE", "MSSQL", "DB2", "MAXDB", "POSTGRESQL"})
    return Quoting(
        text=_quoted(b"'", escapes=escapes, wide=wide),
        double=_quoted(b'"', escapes=escapes and not ansi, wide=wide),
        name=_quoted(b"`", escapes=False, wide=wide),
        double_is_name=ansi,
    )


def _quoted(quote: bytes, *, escapes: bool, wide: bytes | None) -> bytes:
    """A pattern for a text between two of a quote, which may hold it doubled. Linear, whatever comes."""
    others = quote + (rb"\\" if escapes else b"")
    steps = [quote + quote]
    if escapes:
        steps.append(rb"\\.")
    if wide:
        others += rb"\x81-\xfe"
        # Where no whole character begins, the server takes the byte for itself.
        steps += [wide, rb"[\x81-\xfe]"]
    plain = rb"[^" + others + rb"]*+"
    return quote + plain + rb"(?:(?:" + b"|".join(steps) + rb")" + plain + rb")*+" + quote
