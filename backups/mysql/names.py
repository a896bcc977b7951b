"""Names and texts inside statements."""

from __future__ import annotations

import re

_LONGEST_NAME = 64


def quote(name: str) -> str:
    """A name as an identifier in SQL."""
    return "`" + name.replace("`", "``") + "`"


def name_pattern(name: str, *, literal: bool = False) -> str:
    """A database's name in a GRANT, its wild characters escaped unless they are `literal` anyway."""
    return quote(name if literal else re.sub(r"([_%\\])", r"\\\1", name))


def prefix_pattern(prefix: str) -> str:
    """All databases whose names begin so, in a GRANT, where a pattern has room for 64 characters.

    Where there is no room to escape the prefix, its wild characters stand for themselves and more.
    """
    escaped = re.sub(r"([_%\\])", r"\\\1", prefix)
    return quote((escaped if len(escaped) < _LONGEST_NAME else prefix) + "%")


def quote_text(text: str) -> str:
    """A text as a literal in SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
