"""Definitions that a dump program writes in two character sets at once, put into one.

A body is dumped as its author's client sent it, under that client's character set. What the server
itself puts before it is in UTF-8 all the same: the name of a routine, an event or (MySQL from 8 on)
a trigger, who defines it, a comment, the type that a function gives back. Sent as it is written,
`prüfe` made by a latin1 client becomes `prÃ¼fe`. So the server's parts are translated first.

What a server says of a comment is escaped with backslashes even where the definition's own sql_mode
knows none: left so, each restore would double them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from backups.dumpfile.encodings import bytes_of, text_of
from backups.dumpfile.mixed_heads import QUOTES, Head, Part, read_head
from backups.dumpfile.quoted import without_quotes
from backups.dumpfile.settings import Settings
from backups.text.sentences import phrase

_OF_TYPE = re.compile(r"\bCHARSET (\w+)")
_UNESCAPED = {b"\\n": b"\n", b"\\r": b"\r", b"\\0": b"\0", b"\\\\": b"\\", b"''": b"'"}
_PLAIN_TEXT = re.compile(rb"'(?:[^']|'')*+'", re.S)
_ESCAPE = re.compile(rb"\\[nr0\\]|''")
_INTRODUCED = re.compile(rb"\b(_[a-z0-9]++)\s*+'([^'\\]*+)'", re.I)


def may_be_mixed(settings: Settings) -> bool:
    """Whether a definition under these settings is to be looked at."""
    return not settings.charset.startswith("utf8") or not _escapes(settings.sql_mode)


@dataclass(frozen=True)
class Known:
    """What tells in which character set a name is: the dump's server, its tables, what it drops before."""

    by_mariadb: bool
    is_table: Callable[[str], bool] = lambda _: False
    is_dropped: Callable[[str, str], bool] = lambda _kind, _name: False


class Plain(NamedTuple):
    """A definition in one character set: its statement, its settings, and what is to follow it.

    `why` says what will not be as it was, where that cannot be helped.
    """

    text: bytes
    settings: Settings
    following: bytes = b""
    why: str = ""


def in_one_charset(text: bytes, settings: Settings, known: Known) -> Plain:
    """A definition of a dump with what the server wrote of it in the character set of the rest."""
    head = read_head(text, 0, settings.charset, settings.sql_mode, is_whole=True)
    if head is None:
        return Plain(text, settings)
    said = [(part, _said(text, head, part, settings, known)) for part in head.parts]
    charset = settings.charset
    lacking = [part for part, words in said if words is not None and bytes_of(words, charset) is None]
    if not lacking:
        return Plain(_put(text, said, charset), settings)
    comments = [part for part in head.parts if part.role == "comment"]
    title = _title(text, head, said)
    if lacking == comments and len(comments) == 1 and title and head.kind in ("procedure", "function"):
        return _comment_later(text, settings, f"{head.kind.upper()} {title}", said)
    return _in_utf8(text, settings, said)


def _title(text: bytes, head: Head, said: list[tuple[Part, str | None]]) -> str:
    """What a definition is called, quoted as it stands; empty where that is not to be told."""
    name = head.part("name")
    words = next((words for part, words in said if part is name), None)
    if words is None and name is not None and (data := text[name.start : name.end]).isascii():
        return data.decode()
    return words or ""


def name_of(text: bytes, charset: str, sql_mode: str, known: Known) -> str | None:
    """What a definition is called; None where that is not to be told from it."""
    head = read_head(text, 0, charset, sql_mode, is_whole=True)
    part = head.part("name") if head is not None else None
    if head is None or part is None:
        return None
    quoted = _chosen(text[part.start : part.end], head, part, charset, known)
    return None if quoted is None else without_quotes(quoted)


def _said(text: bytes, head: Head, part: Part, settings: Settings, known: Known) -> str | None:
    """What a part says; None where it is to be left as it stands."""
    data = text[part.start : part.end]
    if part.role in ("comment", "type"):
        if not _escapes(settings.sql_mode):
            data = _without_escapes(data)
            # As no server writes it: it would end elsewhere than it seems to.
            if part.role == "comment" and not _PLAIN_TEXT.fullmatch(data):
                return None
        return text_of(data, "utf8mb4")
    # What stands in no quotes is as its author typed it.
    if data.isascii() or data[:1] not in QUOTES:
        return None
    return _chosen(data, head, part, settings.charset, known)


def _chosen(data: bytes, head: Head, part: Part, charset: str, known: Known) -> str | None:
    """A name in the character set that it most likely is in; None where it is in neither."""
    readings = [text_of(data, "utf8mb4"), text_of(data, charset)]
    if not _is_written_by_server(data, head, part, known):
        readings.reverse()
    readable = [reading for reading in readings if reading is not None]
    certain = [reading for reading in readable if _is_known(without_quotes(reading), head, part, known)]
    return next(iter(certain or readable), None)


def _is_written_by_server(data: bytes, head: Head, part: Part, known: Known) -> bool:
    """MariaDB translates what it says of routines, and keeps a trigger as its author typed it."""
    if head.kind == "event" or (part.role in ("definer", "host") and head.kind == "trigger"):
        return True
    return not known.by_mariadb and data[:1] in QUOTES


def _is_known(name: str, head: Head, part: Part, known: Known) -> bool:
    if part.role == "table":
        return known.is_table(name)
    return part.role == "name" and known.is_dropped(head.kind, name)


def _put(text: bytes, said: list[tuple[Part, str | None]], charset: str) -> bytes:
    """The statement with these parts in a character set that has them all."""
    pieces, at = [], 0
    for part, words in said:
        written = None if words is None else bytes_of(words, _taken_as(part, words, charset))
        pieces += [text[at : part.start], text[part.start : part.end] if written is None else written]
        at = part.end
    return b"".join([*pieces, text[at:]])


def _taken_as(part: Part, words: str, charset: str) -> str:
    """In which character set the server takes a part that comes from a client of `charset`."""
    if part.role == "type" and charset == "binary" and (own := _OF_TYPE.search(words)):
        return own[1]
    return charset


def _comment_later(text: bytes, settings: Settings, title: str, said: list[tuple[Part, str | None]]) -> Plain:
    """A comment that was altered by a client of another character set can be given in that way again."""
    comment = next(words for part, words in said if part.role == "comment")
    without = [(part, "''" if part.role == "comment" else words) for part, words in said]
    following = f"ALTER {title} COMMENT {comment}".encode()
    return Plain(_put(text, without, settings.charset), settings, following)


def _in_utf8(text: bytes, settings: Settings, said: list[tuple[Part, str | None]]) -> Plain:
    """The whole in UTF-8, since its own character set has not all of it."""
    why = phrase(
        "its character set {charset} lacks what it is now called by or refers to, so it is made ",
        charset=settings.charset,
    )
    pieces, at = [], 0
    for part, words in said:
        as_it_stands = text_of(text[part.start : part.end], settings.charset)
        pieces += [_read(text[at : part.start], settings.charset), as_it_stands if words is None else words]
        at = part.end
    pieces.append(_read(text[at:], settings.charset))
    if None in pieces:
        return Plain(text, settings, why=phrase("{why}under another name", why=why))
    whole = "".join(piece for piece in pieces if piece is not None)
    return Plain(whole.encode(), settings.in_utf8, why=phrase("{why}as by a client of utf8mb4", why=why))


def _read(body: bytes, charset: str) -> str | None:
    """What a body says. A text with its own character set before it keeps its bytes, written in digits."""
    return text_of(
        _INTRODUCED.sub(
            lambda found: (
                found[0] if found[2].isascii() else b"%s x'%s'" % (found[1], found[2].hex().encode())
            ),
            body,
        ),
        charset,
    )


def _escapes(sql_mode: str) -> bool:
    return "NO_BACKSLASH_ESCAPES" not in sql_mode.upper()


def _without_escapes(data: bytes) -> bytes:
    return _ESCAPE.sub(lambda found: found[0] if found[0] == b"''" else _UNESCAPED[found[0]], data)
