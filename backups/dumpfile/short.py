"""Statements of a dump that are short and have no body, read to their end: what they are, and about what.

Each reader goes on where the cursor stands, and raises Unexpected for what no dump program writes.
"""

from __future__ import annotations

from backups.dumpfile.heads import ROUTINES
from backups.dumpfile.lexer import Cursor, Unexpected
from backups.dumpfile.lexer import Kind as Of
from backups.dumpfile.scope import Scope
from backups.dumpfile.tables import is_at_home

_NEVER_SENT = (
    (b"CHANGE", b"MASTER"),
    (b"CHANGE", b"REPLICATION"),
    (b"START", b"SLAVE"),
    (b"START", b"REPLICA"),
    (b"START", b"ALL"),
    (b"STOP", b"SLAVE"),
    (b"STOP", b"REPLICA"),
    (b"STOP", b"ALL"),
    (b"START", b"TRANSACTION"),
    (b"LOCK", b"TABLES"),
    (b"LOCK", b"TABLE"),
    (b"UNLOCK", b"TABLES"),
    (b"UNLOCK", b"TABLE"),
    (b"FLUSH",),
)
_DROPPED = (b"TABLE", b"VIEW", b"SEQUENCE", b"TRIGGER", b"EVENT", b"PACKAGE BODY", b"LIBRARY", *ROUTINES)
_DATABASES = (b"DATABASE", b"SCHEMA")
_OF_THE_SERVER = (b"TABLESPACE", b"LOGFILE", b"UNDO")


def is_never_sent(cursor: Cursor) -> bool:
    """Whether it is what dump programs write for the session or the server, such as locks and replication."""
    first = cursor.take()
    second = cursor.token
    return any(
        first.says(words[0]) and (len(words) == 1 or (second is not None and second.says(words[1])))
        for words in _NEVER_SENT
    )


def is_of_database(cursor: Cursor) -> bool:
    """Whether it is about a whole database, or a tablespace."""
    cursor.take()
    _or_replace(cursor)
    return cursor.sees(*_DATABASES, *_OF_THE_SERVER)


def read_change_of_database(cursor: Cursor, scope: Scope) -> bytes:
    """The character set and collation that an ALTER DATABASE gives the wanted one; empty for all else.

    With it a dump gives a body the collation that it was made under.
    """
    verb = cursor.take()
    _or_replace(cursor)
    what = cursor.take()
    if not any(what.says(word) for word in _DATABASES):
        return b""  # a tablespace, which is the server's
    if verb.says(b"CREATE") or verb.says(b"DROP"):
        return b""
    if not verb.says(b"ALTER"):
        raise Unexpected
    if not cursor.sees(b"CHARACTER", b"COLLATE", b"DEFAULT"):
        name = cursor.name()
        if name.qualifier is not None or not scope.is_own(name.name):
            return b""
    return _character_set(cursor) if scope.is_ours else b""


def _character_set(cursor: Cursor) -> bytes:
    clause = b""
    while cursor.token is not None:
        cursor.accept(b"DEFAULT")
        if cursor.accept(b"CHARACTER", b"SET") or cursor.accept(b"CHARSET"):
            clause += b" CHARACTER SET "
        elif cursor.accept(b"COLLATE"):
            clause += b" COLLATE "
        else:
            return b""  # of another kind, which is no business of a load
        cursor.accept(b"=")
        word = cursor.plain(cursor.take())
        if not word.replace("_", "").isalnum() or not word.isascii():
            raise Unexpected
        clause += word.encode()
    return clause


def _or_replace(cursor: Cursor) -> None:
    if cursor.accept(b"OR"):
        cursor.accept(b"REPLACE")


def read_drop(cursor: Cursor, scope: Scope) -> tuple[str, list[str]]:
    """What kind of object a DROP is of, and the names."""
    cursor.take()
    kind = cursor.take().text.upper()
    if kind == b"PACKAGE" and cursor.accept(b"BODY"):
        kind = b"PACKAGE BODY"
    if kind not in _DROPPED:
        raise Unexpected
    cursor.accept(b"IF", b"EXISTS")
    names = [scope.own(cursor, cursor.name())]
    while cursor.accept(b","):
        names.append(scope.own(cursor, cursor.name()))
    cursor.accept(b"CASCADE")
    cursor.accept(b"RESTRICT")
    cursor.the_end()
    return kind.decode().lower(), names


def read_emptying(cursor: Cursor, scope: Scope) -> str:
    """Of which table a DELETE or TRUNCATE takes all rows."""
    if cursor.take().says(b"DELETE"):
        cursor.expect(b"FROM")
    else:
        cursor.accept(b"TABLE")
    table = scope.own(cursor, cursor.name())
    cursor.the_end()
    return table


def read_histogram(cursor: Cursor, scope: Scope) -> str:
    """Of which table a histogram is made, as MySQL's `--column-statistics` has it."""
    cursor.take()
    cursor.expect(b"TABLE")
    table = scope.own(cursor, cursor.name())
    cursor.expect(b"UPDATE", b"HISTOGRAM", b"ON")
    for token in cursor.rest():
        if token.kind not in (Of.WORD, Of.NAME, Of.TEXT) and not token.says(b","):
            raise Unexpected
    return table


def read_sequence(cursor: Cursor, scope: Scope) -> str:
    """The name of a sequence that is made, of nothing but numbers and words; begins behind CREATE."""
    cursor.expect(b"SEQUENCE")
    cut_if_not_exists(cursor)
    name = scope.own(cursor, cursor.name())
    for token in cursor.rest():
        is_word = token.kind == Of.WORD or token.says(b"-") or token.says(b"=")
        if not is_word or token.says(b"SELECT"):
            raise Unexpected
        if token.says(b"ENGINE"):
            cursor.accept(b"=")
            if not is_at_home(cursor.plain(cursor.take())):
                raise Unexpected
    return name


def read_number(cursor: Cursor, scope: Scope) -> str:
    """Which sequence `DO SETVAL(…)` sets, also with SELECT, as older dumps have it."""
    cursor.take()
    cursor.expect(b"SETVAL", b"(")
    name = scope.own(cursor, cursor.name())
    for token in cursor.rest():
        if token.says(b")"):
            break
        if token.kind != Of.WORD and not (token.says(b",") or token.says(b"-")):
            raise Unexpected
    cursor.the_end()
    return name


def cut_if_not_exists(cursor: Cursor) -> None:
    """What stands there already is not the dump's: its rows, its triggers, who refers to it."""
    token = cursor.token
    if token is not None and cursor.accept(b"IF", b"NOT", b"EXISTS"):
        cursor.cut(token.start, cursor.reached)
