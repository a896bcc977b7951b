"""The heads of what a dump defines besides tables: what it is, its name, and where its body begins.

A body may say what it likes: it runs when somebody calls it, never while it is loaded.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from backups.dumpfile.lexer import Cursor, Name, Unexpected
from backups.dumpfile.lexer import Kind as Of
from backups.dumpfile.scope import Scope

ROUTINES = (b"PROCEDURE", b"FUNCTION", b"PACKAGE")
_MAY_USE_LIBRARIES = (b"PROCEDURE", b"FUNCTION")
_USING = re.compile(rb"\bLANGUAGE\s+\w+\s+USING\s*\(", re.I)


class Head(NamedTuple):
    """A view, trigger, routine or event. `table` is a trigger's, `state` what an event was before."""

    kind: str
    name: str
    table: str = ""
    definer: bytes = b""
    state: bytes = b""


def read_head(cursor: Cursor, scope: Scope, *, current_user_defines: bool) -> Head:
    """Read on after CREATE, up to the body. Raises Unexpected for what dumps do not define."""
    definer = _modifiers(cursor, current_user_defines=current_user_defines)
    kind = cursor.take().text.upper()
    if kind == b"VIEW":
        return Head("view", _view(cursor, scope), definer=definer)
    if kind == b"JSON":
        # https://dev.mysql.com/doc/refman/9.4/en/create-json-duality-view.html
        cursor.accept(b"RELATIONAL")
        cursor.expect(b"DUALITY", b"VIEW")
        return Head("view", _view(cursor, scope), definer=definer)
    if kind == b"TRIGGER":
        name, table = _trigger(cursor, scope)
        return Head("trigger", name, table, definer=definer)
    if kind in (*ROUTINES, b"LIBRARY"):
        kind, name = _routine(kind, cursor, scope)
        return Head(kind.decode().lower(), name, definer=definer)
    if kind == b"EVENT":
        name, state = _event(cursor, scope)
        return Head("event", name, definer=definer, state=state)
    raise Unexpected


def role_of(definer: bytes) -> bytes:
    """The name of the role that defines something, empty where an account does."""
    found = _ROLE.fullmatch(definer)
    return found[1].replace(b"``", b"`") if found else b""


_ROLE = re.compile(rb"`((?:[^`]|``)+)`")


def _modifiers(cursor: Cursor, *, current_user_defines: bool) -> bytes:
    """What may stand between CREATE and what is made; answers who defines it."""
    definer = b""
    while True:
        if cursor.accept(b"DEFINER"):
            cursor.expect(b"=")
            definer = _definer(cursor, current_user_defines=current_user_defines)
        elif cursor.accept(b"ALGORITHM"):
            cursor.expect(b"=")
            cursor.take()
        elif cursor.accept(b"SQL", b"SECURITY"):
            cursor.take()
        elif not cursor.accept(b"AGGREGATE"):
            return definer


def _definer(cursor: Cursor, *, current_user_defines: bool) -> bytes:
    """A user, with or without a host, or a role; CURRENT_USER where that is wished for."""
    first = cursor.take()
    start, end = first.start, first.end
    if first.kind == Of.SIGN:
        raise Unexpected
    if cursor.accept(b"(", b")"):
        end = cursor.reached
    elif cursor.accept(b"@"):
        end = cursor.take().end
    if current_user_defines:
        cursor.cut(start, end, b"CURRENT_USER")
        return b"CURRENT_USER"
    return cursor.text[start:end]


def _view(cursor: Cursor, scope: Scope) -> str:
    cursor.accept(b"IF", b"NOT", b"EXISTS")
    name = scope.own(cursor, cursor.name())
    if cursor.accept(b"("):
        _pass_names(cursor)
    cursor.expect(b"AS")
    return name


def _trigger(cursor: Cursor, scope: Scope) -> tuple[str, str]:
    cursor.accept(b"IF", b"NOT", b"EXISTS")
    name = scope.own(cursor, cursor.name())
    if not (cursor.accept(b"BEFORE") or cursor.accept(b"AFTER")):
        raise Unexpected
    while not cursor.sees(b"ON"):
        token = cursor.take()
        if token.kind not in (Of.WORD, Of.NAME) and not token.says(b","):
            raise Unexpected
    cursor.take()
    table = scope.own(cursor, cursor.name())
    cursor.expect(b"FOR", b"EACH", b"ROW")
    return name, table


def _routine(kind: bytes, cursor: Cursor, scope: Scope) -> tuple[bytes, str]:
    if kind == b"PACKAGE" and cursor.accept(b"BODY"):
        kind = b"PACKAGE BODY"
    cursor.accept(b"IF", b"NOT", b"EXISTS")
    name = scope.own(cursor, cursor.name())
    # With RETURNS at once it is a program of the server's machine, for all databases; and what a
    # version comment holds there would be read as the server likes.
    behind = cursor.text[cursor.reached :].lstrip()
    if behind.startswith((b"/*", b"--", b"#")) or cursor.sees(b"RETURNS", b"SONAME"):
        raise Unexpected
    if kind in _MAY_USE_LIBRARIES:
        _take_libraries(cursor, scope)
    return kind, name


def _take_libraries(cursor: Cursor, scope: Scope) -> None:
    """Leave the database's own name out before libraries that a routine uses: it is told with each.

    Of another database's the name stays.
    """
    if not _USING.search(cursor.text, cursor.reached):
        return
    qualified = [name for name in _libraries(cursor.ahead()) if name.qualifier is not None]
    if not qualified:
        return
    for name in _libraries(cursor):
        if name.qualifier is not None and scope.is_own(name.qualifier):
            cursor.cut(name.start, name.own)


def _libraries(cursor: Cursor) -> list[Name]:
    """The libraries of a routine in another language than SQL, read up to there; none of one in SQL.

    In a body a join may look alike, but its columns stand alone: no server takes these with a qualifier.
    """
    names: list[Name] = []
    try:
        while not (cursor.accept(b"LANGUAGE") and cursor.take() and cursor.accept(b"USING")):
            cursor.take()
        cursor.expect(b"(")
        while not names or cursor.accept(b","):
            names.append(cursor.name())
            if cursor.accept(b"AS"):
                cursor.take()
        cursor.expect(b")")
    except Unexpected:
        return []
    return names


def _event(cursor: Cursor, scope: Scope) -> tuple[str, bytes]:
    """An event comes in disabled, whatever it was; its name and its state."""
    cursor.accept(b"IF", b"NOT", b"EXISTS")
    name = scope.own(cursor, cursor.name())
    cursor.expect(b"ON", b"SCHEDULE")
    return name, _schedule(cursor)


def _schedule(cursor: Cursor) -> bytes:
    """Up to DO; answers the state. A schedule that calculates would run what it calls."""
    state = b"ENABLE"
    settled = False
    while not cursor.sees(b"DO"):
        token = cursor.take()
        if token.says(b"ENABLE") or token.says(b"DISABLE"):
            state = token.text.upper()
            if cursor.accept(b"ON"):
                state = b"DISABLE ON " + cursor.take().text.upper()
            cursor.cut(token.start, cursor.reached, b"DISABLE")
            settled = True
        elif token.says(b"COMMENT"):
            if not settled:
                cursor.cut(token.start, token.start, b"DISABLE ")
                settled = True
            if cursor.take().kind != Of.TEXT:
                raise Unexpected
        elif token.kind == Of.SIGN and token.text not in (b"+", b"-", b"."):
            raise Unexpected
    if not settled:
        cursor.cut(cursor.reached, cursor.reached, b" DISABLE")
    cursor.take()
    return state


def _pass_names(cursor: Cursor) -> None:
    for token in cursor.rest():
        if token.says(b")"):
            return
        if token.kind not in (Of.NAME, Of.WORD) and not token.says(b","):
            raise Unexpected
    raise Unexpected
