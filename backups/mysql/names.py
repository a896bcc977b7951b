"""Names and texts inside statements."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from backups.text.sentences import joined

_LONGEST_NAME = 64
_LONGEST_FILE_NAME = 255


def quote(name: str) -> str:
    """A name as an identifier in SQL."""
    return "`" + name.replace("`", "``") + "`"


def derived_name(database: str, purpose: str, run_id: int) -> str:
    """The name of a run's own database beside another one.

    Within MySQL's 64 characters, and within the 255 bytes of a file's name, in which servers write
    a character that is no letter, digit or underscore of ASCII as up to five bytes:
    https://dev.mysql.com/doc/refman/8.4/en/identifier-mapping.html
    """
    suffix = f"__{purpose}_{run_id}"
    room = _LONGEST_FILE_NAME - len(suffix)
    kept = ""
    for character in database[: _LONGEST_NAME - len(suffix)]:
        room -= 1 if re.match(r"\w", character, re.ASCII) else 5
        if room < 0:
            break
        kept += character
    return kept + suffix


def is_derived(name: str, purposes: Iterable[str], run_id: int) -> bool:
    """Whether a name is one that `derived_name` gives a run for one of these purposes."""
    return name.endswith(tuple(f"__{purpose}_{run_id}" for purpose in purposes))


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


def loosely(name: str) -> str:
    """A name as the most careless collation has it, by which the dump programs know what to leave out."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def named(names: Sequence[str], most: int = 5) -> str:
    """Names for a sentence, the first of many."""
    return joined(names[:most], ", ") + (" …" if len(names) > most else "")
