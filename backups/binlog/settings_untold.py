"""Settings of a session by which a statement gives something else, and which no log tells.

The log has a session's sql_mode, character sets, time zone, locale, time, numbering and checks. Of what else
both servers have among the settings of sessions, these decide what is in a table after a statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_DIVISION, _WEEK, _CIPHER = "div_precision_increment", "default_week_format", "block_encryption_mode"
_PATTERNS, _PASSWORDS = "default_regex_flags", "old_passwords"
# MariaDB's: with ZERO_DATE_TIME_CAST a time becomes another date and time, and without UTF8_IS_UTF8MB3 the
# name utf8 means utf8mb4. https://mariadb.com/kb/en/old-mode/
OLD_MODE = "old_mode"
DATES = frozenset({b"DATE", b"DATETIME", b"TIMESTAMP"})
# Since when that is a setting.
UTF8_IS_OPEN = 100601
# But for a database's name, which a point follows.
_UTF8 = re.compile(rb"(?<![0-9A-Za-z$_])_?utf8(?>_\w++|)(?![0-9A-Za-z$]|`?\s*+\.)", re.IGNORECASE)

# A cast to a date, in a column's expression as the server tells it.
_QUOTED = re.compile(r"`[^`]*+`|(\\?')[^'\\]*+\1")
_PARTS = re.compile(r"(\w++)\s*+\(|\b(WEEK(?=\s++FROM)|REGEXP|RLIKE)\b")
_DATED = re.compile(r"\bas\s+(?:date|datetime|timestamp)\b", re.IGNORECASE)
_CALLED = {
    # https://dev.mysql.com/doc/refman/8.4/en/date-and-time-functions.html#function_week
    b"WEEK": _WEEK,
    # https://dev.mysql.com/doc/refman/8.4/en/encryption-functions.html#function_aes-encrypt
    b"AES_ENCRYPT": _CIPHER,
    b"AES_DECRYPT": _CIPHER,
}
# https://mariadb.com/kb/en/server-system-variables/#default_regex_flags and #old_passwords
_CALLED_BY_MARIADB = {
    b"REGEXP": _PATTERNS,
    b"RLIKE": _PATTERNS,
    b"REGEXP_INSTR": _PATTERNS,
    b"REGEXP_REPLACE": _PATTERNS,
    b"REGEXP_SUBSTR": _PATTERNS,
    b"PASSWORD": _PASSWORDS,
    b"CONVERT": OLD_MODE,
}
# Between what they compare; WEEK before FROM, in EXTRACT.
_OPERATORS = frozenset({b"REGEXP", b"RLIKE", b"WEEK"})


def setting_of_function(name: bytes, *, is_mariadb: bool) -> str:
    """The setting by which a function computes; empty where there is none. The name is in capitals."""
    return _CALLED.get(name, "") or (_CALLED_BY_MARIADB.get(name, "") if is_mariadb else "")


def setting_of_operator(word: bytes, *, is_mariadb: bool) -> str:
    """The same of an operator in letters, as in `a REGEXP b`."""
    return setting_of_function(word, is_mariadb=is_mariadb) if word in _OPERATORS else ""


def setting_of_sign(sign: bytes) -> str:
    """The same of an operator in signs."""
    return _DIVISION if sign == b"/" else ""


def setting_of_expressions(expressions: Iterable[str], *, is_mariadb: bool) -> str:
    """The setting by which a table's stored columns are computed anew where the table is copied.

    As information_schema tells them, where MySQL's quotes have a backslash before them.
    """
    for expression in expressions:
        bare = _QUOTED.sub(" ", expression)
        if "'" in bare or "\\" in bare:
            bare = expression
        for called, word in _PARTS.findall(bare.upper()):
            if setting := setting_of_function((called or word).encode(), is_mariadb=is_mariadb):
                return setting
        if "/" in bare:
            return _DIVISION
        if is_mariadb and _DATED.search(bare):
            return OLD_MODE
    return ""


def names_utf8(text: bytes) -> bool:
    """Whether a statement names the character set that old_mode decides about, or a collation of it."""
    return _UTF8.search(text) is not None
