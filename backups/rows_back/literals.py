"""Values: read as a dump writes them, and written for the script, to be stored and to be compared. Pure.

A dump's literals are taken apart into bytes: those of a text in UTF-8, of a number its digits, of the rest
what is stored. What the script holds is written anew from these, so nothing of a dump gets into it as SQL.
"""

from __future__ import annotations

import hashlib
import re

from backups.dumpfile.values import QUOTED
from backups.rows_back.tables import Column, Of

Value = bytes | None

_TEXT = re.compile(rb"\s*(?:_\w+\s*)?(" + QUOTED + rb")\s*", re.S)
_HEX = re.compile(rb"\s*(?:0x([0-9A-Fa-f]*)|[xX]'([0-9A-Fa-f]*)')\s*")
# Of \% and \_ both letters stay. https://dev.mysql.com/doc/refman/8.4/en/string-literals.html
_MEANING = {
    b"%": b"\\%",
    b"_": b"\\_",
    b"0": b"\0",
    b"b": b"\b",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"Z": b"\x1a",
}
_ESCAPED = re.compile(r"[\0\n\r\t\x1a'\\]")
_ESCAPES = {"\0": "\\0", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\x1a": "\\Z", "'": "''", "\\": "\\\\"}
# What a terminal or an editor shows as something else than it is stays out of the script as such; but these
# join letters, and blanks of other widths.
_HARMLESS = re.compile("[\0\n\r\t\x1a\u00a0\u00ad\u200c\u200d\u202f\u3000]")
# To a client that takes the script for sjis or gbk, the backslash would be half of a letter.
_HALF_A_LETTER = re.compile(r"[^\x00-\x7f][\\\0\n\r\t\x1a]")
_INTEGER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?")
_FLOAT = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LONGEST_NUMBER = 60
# Of longer ones their digest is compared: a person reads no megabyte, and a statement has a longest length.
LONGEST_COMPARED = 1024


def value_of(literal: bytes) -> Value:
    """What a value in a dump says, None for NULL."""
    if found := _TEXT.fullmatch(literal):
        text = found[1]
        quote = text[:1]
        # One after the other, or a doubled quote behind a backslash would be taken for two.
        return _unescaped(text[1:-1], quote)
    if found := _HEX.fullmatch(literal):
        digits = found[1] or found[2] or b""
        return bytes.fromhex((b"0" * (len(digits) % 2) + digits).decode())
    plain = literal.strip()
    return None if plain.upper() == b"NULL" else plain


def _unescaped(text: bytes, quote: bytes) -> bytes:
    if b"\\" not in text and quote not in text:
        return text
    pattern = re.compile(rb"\\(.)|" + quote + quote, re.S)
    return pattern.sub(lambda found: _MEANING.get(found[1], found[1]) if found[1] else quote, text)


def name_of(column: bytes) -> bytes:
    """A name in backticks."""
    return b"`" + column.replace(b"`", b"``") + b"`"


def stored(value: Value, column: Column) -> bytes:
    """A value to be put into a column."""
    if value is None:
        return b"NULL"
    if column.of == Of.BYTES:
        return _as_bytes(value)
    if column.of == Of.SHAPE:
        return b"0x" + value.hex().upper().encode()
    if column.of == Of.BITS:
        return b"b'%b'" % format(int.from_bytes(value), "b").encode()
    if column.of == Of.NUMBER and _INTEGER.fullmatch(value):
        return value
    if column.of == Of.FLOAT and _FLOAT.fullmatch(value) and len(value) <= _LONGEST_NUMBER:
        # -0 alone would be an integer, which has no such value.
        return b"'-0'" if value == b"-0" else value
    return as_text(value)


def is_same(value: Value, column: Column) -> bytes:
    """A condition that holds where a column has exactly this value, whatever others are equal to it."""
    name = name_of(column.name)
    if value is None:
        return name + b" IS NULL"
    if column.of == Of.NUMBER and _INTEGER.fullmatch(value):
        return name + b" = " + value
    if column.of == Of.BITS:
        return b"CAST(%b AS UNSIGNED) = %d" % (name, int.from_bytes(value))
    if column.of == Of.SHAPE:
        as_is, wanted = b"HEX(" + name + b")", value.hex().upper().encode()
        literal = b"'" + wanted + b"'"
    elif column.of == Of.BYTES:
        as_is, wanted, literal = name, value, _as_bytes(value)
    else:
        as_is, wanted = b"CAST(CONVERT(" + name + b" USING utf8mb4) AS BINARY)", value
        literal = _as_bytes(value)
    if len(wanted) > LONGEST_COMPARED:
        return b"SHA2(%b, 256) = '%b'" % (as_is, hashlib.sha256(wanted).hexdigest().encode())
    return as_is + b" = " + literal


def is_found(value: Value, column: Column) -> bytes:
    """A condition by which an index finds it, where `is_same` is none; it may hold for others as well."""
    if value is None or column.of in (Of.NUMBER, Of.FLOAT, Of.SHAPE):
        return b""
    if column.of == Of.BYTES and len(value) <= LONGEST_COMPARED:
        return b""
    # To the server a 0 is the year 2000 where it compares.
    if column.word == b"year" or (column.of == Of.TEXT and not value):
        return b""
    return name_of(column.name) + b" = " + stored(value, column)


def as_text(value: bytes) -> bytes:
    """A literal of a text in UTF-8."""
    text = _shown(value)
    if text is None:
        return b"_utf8mb4 0x" + value.hex().upper().encode()
    return b"'" + text + b"'"


def _as_bytes(value: bytes) -> bytes:
    text = _shown(value)
    return b"0x" + value.hex().upper().encode() if text is None else b"_binary '" + text + b"'"


def _shown(value: bytes) -> bytes | None:
    """A text as it is written between quotes; None where it is better told by its bytes."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    if not _HARMLESS.sub("", text).isprintable() or _HALF_A_LETTER.search(text):
        return None
    return _ESCAPED.sub(lambda found: _ESCAPES[found[0]], text).encode()
