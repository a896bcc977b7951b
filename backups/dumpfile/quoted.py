"""Patterns for what is in quotes, to search through text that somebody else wrote.

What does not end goes on to the end of the text, so that nothing is looked at twice: were it no match,
each quote within it would be tried as a beginning.
"""

from __future__ import annotations

NAME = r"`[^`]*+(?:``[^`]*+)*+(?:`|\Z)"
TEXT = r"'[^'\\]*+(?:(?:(?s:\\.)|'')[^'\\]*+)*+(?:'|\\?\Z)"
DOUBLE = r"\"[^\"\\]*+(?:(?:(?s:\\.)|\"\")[^\"\\]*+)*+(?:\"|\\?\Z)"
NAME_BYTES, TEXT_BYTES, DOUBLE_BYTES = NAME.encode(), TEXT.encode(), DOUBLE.encode()


def once_or_more(way: bytes) -> bytes:
    """A pattern for some of it, one after the other, never tried again with fewer.

    Its last way is nothing, so that the repeat never fails: until 3.11.5, Python went on from wherever a
    failed attempt had got to (https://github.com/python/cpython/issues/106052). `(?>(?:…)+)` would take
    memory for each of them.
    """
    return rb"(?:" + way + rb")(?:" + way + rb"|)*+"


def unquoted(name: bytes) -> str:
    """A name as dumps hold it, UTF-8 and in backticks, double quotes (ANSI_QUOTES) or bare."""
    return without_quotes(name.decode(errors="surrogateescape"))


def without_quotes(name: str) -> str:
    """The same of a name that is text already."""
    quote = name[:1]
    return name[1:-1].replace(2 * quote, quote) if quote in ("`", '"') else name
