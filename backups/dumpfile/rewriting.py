"""Statements of a dump, rewritten into one spelling or for another database."""

from __future__ import annotations

import re
from collections.abc import Mapping

from backups import at_first_use
from backups.dumpfile.quoted import DOUBLE_BYTES, NAME_BYTES, TEXT_BYTES, once_or_more, unquoted

_COMMENT = rb"/\*(?!M?!)(?>(?s:.*?)(?:\*/|\Z))|(?:#|--\s)[^\n]*+(?:\n|\Z)"
_ANY_BLANK = rb"(?:\s|" + _COMMENT + rb"|)*+"
_BLANK = once_or_more(rb"\s|" + _COMMENT)
_BARE = once_or_more(rb"[^\s`.,;()'\"/#-]|-(?!-)")
_NAME = rb"(?:`(?:[^`]|``)++`|\"(?:[^\"]|\"\")++\"|" + _BARE + rb")"
_QUALIFIER = rb"(?:" + _NAME + _ANY_BLANK + rb"\." + _ANY_BLANK + rb")?"
# Comments and what is in quotes are passed over whole, so that nothing is looked at more than twice.
_QUALIFIED_TRIGGER = at_first_use.pattern(
    rb"(?P<head>\bTRIGGER" + _BLANK +
    rb"(?:IF" + _BLANK + rb"NOT" + _BLANK + rb"EXISTS" + _BLANK + rb")?)"
    + _QUALIFIER
    + rb"(?P<own>" + _NAME + _BLANK + rb"(?:BEFORE|AFTER)" + _BLANK + rb"(?:INSERT|UPDATE|DELETE)"
    + _BLANK + rb"ON" + _BLANK + rb")"
    + _QUALIFIER
    + rb"(?P<table>" + _NAME + rb")"
    rb"|" + _COMMENT + rb"|" + NAME_BYTES + rb"|" + TEXT_BYTES + rb"|" + DOUBLE_BYTES,
    re.I | re.S,
)  # fmt: skip
ALTER_DATABASE = at_first_use.pattern(rb"((?:/\*!50003 )?ALTER DATABASE )`(?:[^`]|``)*+`(?=[^`])")
_CHARACTER_SET = at_first_use.pattern(
    NAME_BYTES + rb"|" + TEXT_BYTES + rb"| CHARACTER SET (\w++)(?: COLLATE (\w++))?", re.S
)
_SEQUENCE_DEFAULT = re.compile(rb"\b(nextval|lastval)\(`(?:[^`]|``)*+`\.(?=`)")
# As the servers write it, of an account or a role of MariaDB's, in the quotes that the sql_mode wants.
DEFINES = b"CREATE DEFINER="
_QUOTED = rb"(?:`(?:[^`]|``)*+`|\"(?:[^\"]|\"\")*+\")"
_WRAPPING = rb"\s|\*/|/\*M?!\d{5,6}"
DEFINED_BY = at_first_use.pattern(
    rb"(?P<creates>\bCREATE" + once_or_more(_WRAPPING + rb"|\bALGORITHM=\w++") + rb")"
    rb"(?P<definer>DEFINER=" + _QUOTED + rb"(?:@" + _QUOTED + rb")?(?=[^`\"@])"
    rb"(?P<security>(?:" + _WRAPPING + rb"|\bSQL SECURITY \w++|)*+))?"
    rb"|" + NAME_BYTES + rb"|" + TEXT_BYTES + rb"|" + DOUBLE_BYTES,
    re.S,
)
# Names of 80 and 255 characters of four bytes, each of which may be a doubled quote.
LONGEST_DEFINER = 4096
# As SHOW CREATE EVENT has it.
_EVENT_STATE = at_first_use.pattern(
    rb"(\bEVENT `(?:[^`]|``)*+` ON SCHEDULE (?:[^'`]|'[^']*+')*? ON COMPLETION (?:NOT )?PRESERVE )"
    rb"(?:ENABLE|DISABLE(?: ON (?:SLAVE|REPLICA))?)(?= )"
)
# As MySQL tells the libraries that a routine in another language uses: always with their database's name.
_USING = b"    USING ("
_LIBRARYS_DATABASE = at_first_use.pattern(rb"(`(?:[^`]|``)*+`)(\.)?")
# Dump programs put the parts of a statement into version comments and lines of their own.
UNWRAPPED = at_first_use.pattern(rb"/\*M?!\d{5,6}|\*/|\s+")


def with_database(line: bytes, name: str) -> bytes:
    """An ALTER DATABASE of the dump, which sets the collation for a body, for another database."""
    return ALTER_DATABASE.sub(lambda found: found[1] + _quoted(name), line, count=1)


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
    return {unquoted(found[1]) for found in _LIBRARYS_DATABASE.finditer(line) if found[2]}


def without_definer(definition: bytes) -> bytes:
    """The statement that makes a view, trigger, routine or event, as whoever runs it is its definer.

    The first CREATE outside of quotes is the one, and what is no DEFINER of it is left as it is. Dump
    programs put an account into a comment of its own, and a role not: its head is without such.
    """
    for found in DEFINED_BY.finditer(definition):
        if found["creates"] is not None:
            if found["definer"] is None:
                return definition
            head = found["creates"] + b" DEFINER=CURRENT_USER " + found["security"]
            words = b" ".join(UNWRAPPED.sub(b" ", head).split())
            return definition[: found.start()] + words + b" " + definition[found.end() :]
    return definition


def without_state(event: bytes) -> bytes:
    """An event's statement without its state, which the server itself changes when its time is over."""
    return _EVENT_STATE.sub(rb"\1", event)


def _quoted(name: str) -> bytes:
    return b"`" + name.replace("`", "``").encode(errors="surrogateescape") + b"`"
