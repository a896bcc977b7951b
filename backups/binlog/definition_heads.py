"""The heads of views, triggers, routines, packages, libraries and events in a log.

A body stays as it is written: it runs when somebody calls it, never while it is defined.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from backups.binlog.selected_names import Selected
from backups.binlog.statement_words import Named, Qualifier, Reading, Role
from backups.dumpfile.lexer import Kind, Token, Unexpected

KINDS = (b"VIEW", b"TRIGGER", b"PROCEDURE", b"FUNCTION", b"PACKAGE", b"LIBRARY", b"EVENT")
_USING = re.compile(rb"\bUSING\b", re.I)
# What a routine's body begins with, behind its characteristics; another language's stands behind AS.
_BODIES = frozenset(
    b"AS IS BEGIN RETURN SELECT INSERT UPDATE DELETE REPLACE SET CALL IF CASE LOOP WHILE REPEAT WITH".split()
    + b"CREATE ALTER DROP TRUNCATE DO TABLE VALUES".split()
)
_BEFORE_SET = (b"CHARACTER", b"CHAR", b"RETURNS")
_UDF_TYPES = (b"STRING", b"INTEGER", b"INT", b"REAL", b"DECIMAL")
# In a schedule these tell the time. What else is called may be a function of anybody's.
_CLOCKS = frozenset(
    b"NOW CURRENT_TIMESTAMP CURRENT_DATE CURDATE CURRENT_TIME CURTIME SYSDATE LOCALTIME".split()
    + b"LOCALTIMESTAMP UTC_TIMESTAMP UTC_DATE TIMESTAMP DATE DATE_ADD DATE_SUB ADDDATE SUBDATE".split()
    + b"ADDTIME STR_TO_DATE TIMESTAMPADD FROM_UNIXTIME UNIX_TIMESTAMP LAST_DAY DATE_FORMAT CONCAT".split()
)
_SCHEDULE_SIGNS = (b"+", b"-", b".", b",", b"(", b")", b"*", b"/", b"=", b"!", b"<", b">")


@dataclass
class Head:
    """What was defined. `has_body` says that what follows the head was not read."""

    kind: str
    named: Named
    has_body: bool = False
    # A trigger's.
    table: str = ""
    # What an event would be, None where that does not change.
    event_state: str | None = None
    # A program of the server's machine, which belongs to no database.
    is_of_server: bool = False


def read_modifiers(reading: Reading) -> None:
    """Pass over what may stand between the verb and the kind. Raises Unexpected."""
    words = reading.words
    while True:
        if words.accept(b"DEFINER"):
            words.expect(b"=")
            _pass_definer(reading)
        elif words.accept(b"ALGORITHM"):
            words.expect(b"=")
            words.take()
        elif words.accept(b"SQL", b"SECURITY"):
            words.take()
        elif not words.accept(b"AGGREGATE"):
            return


def _pass_definer(reading: Reading) -> None:
    words = reading.words
    if words.take().kind == Kind.SIGN:
        raise Unexpected
    if words.accept(b"("):
        words.expect(b")")
    elif words.accept(b"@"):
        host = words.take()
        # Without quotes as in root@10.0.0.1.
        while host.kind == Kind.WORD and _is_next_to(words.token, host, b"."):
            words.take()
            host = words.take()


def _is_next_to(token: Token | None, before: Token, sign: bytes) -> bool:
    return token is not None and token.start == before.end and token.says(sign)


def read_definition(reading: Reading, *, alters: bool) -> Head:
    """Read on after CREATE or ALTER and the modifiers. Raises Unexpected."""
    words = reading.words
    kind = words.take().text.upper()
    if kind == b"JSON":
        # https://dev.mysql.com/doc/refman/9.4/en/create-json-duality-view.html
        words.accept(b"RELATIONAL")
        words.expect(b"DUALITY", b"VIEW")
        return _view(reading, are_named=True)
    if kind == b"VIEW":
        return _view(reading, are_named=False)
    if kind == b"EVENT":
        return _changed_event(reading) if alters else _event(reading)
    if kind == b"TRIGGER" and not alters:
        return _trigger(reading)
    if kind in KINDS:
        return _changed_routine(kind, reading) if alters else _routine(kind, reading)
    raise Unexpected


def _view(reading: Reading, *, are_named: bool) -> Head:
    words = reading.words
    words.accept(b"IF", b"NOT", b"EXISTS")
    named = reading.object()
    if words.sees(b"("):
        are_named = True
        reading.pass_in_parentheses()
    words.expect(b"AS")
    Selected(reading, are_named=are_named).read()
    return Head("view", named)


def _trigger(reading: Reading) -> Head:
    words = reading.words
    words.accept(b"IF", b"NOT", b"EXISTS")
    # MariaDB keeps a trigger as it is typed, and would show the copy's name for ever.
    named = reading.object(becomes=Qualifier.CUT)
    if not (words.accept(b"BEFORE") or words.accept(b"AFTER")):
        raise Unexpected
    while not words.sees(b"ON"):
        token = words.take()
        if token.kind not in (Kind.WORD, Kind.NAME) and not token.says(b","):
            raise Unexpected
    words.take()
    table = reading.object(becomes=Qualifier.CUT)
    words.expect(b"FOR", b"EACH", b"ROW")
    return Head("trigger", named, has_body=True, table=table.name)


def _routine(kind: bytes, reading: Reading) -> Head:
    words = reading.words
    if kind == b"PACKAGE" and words.accept(b"BODY"):
        kind = b"PACKAGE BODY"
    words.accept(b"IF", b"NOT", b"EXISTS")
    named = reading.object()
    head = Head(kind.decode().lower(), named, has_body=True)
    # Behind a comment the server may read on where we do not.
    behind = words.text[words.reached :].lstrip()
    if behind.startswith((b"/*", b"--", b"#")):
        raise Unexpected
    if kind == b"FUNCTION" and words.sees(b"RETURNS"):
        head.is_of_server = True
        _pass_program(reading, named)
    elif (
        kind in (b"FUNCTION", b"PROCEDURE") and words.sees(b"(") and _USING.search(words.text, words.reached)
    ):
        _libraries(reading)
    return head


def _pass_program(reading: Reading, named: Named) -> None:
    """RETURNS … SONAME …, to the end."""
    words = reading.words
    words.take()
    if named.is_qualified or not any(words.accept(each) for each in _UDF_TYPES):
        raise Unexpected
    words.expect(b"SONAME")
    if words.take().kind != Kind.TEXT:
        raise Unexpected
    reading.end()


def _libraries(reading: Reading) -> None:
    """The libraries of a routine in another language than SQL, among its characteristics in any order."""
    words = reading.words
    reading.pass_in_parentheses()
    before = b""
    while (token := words.token) is not None:
        word = token.text.upper() if token.kind == Kind.WORD else b""
        if word in _BODIES and not (word == b"SET" and before in _BEFORE_SET):
            return
        if word == b"USING":
            _use_libraries(reading)
        else:
            words.take()
        before = word


def _use_libraries(reading: Reading) -> None:
    words = reading.words
    words.expect(b"USING", b"(")
    while True:
        reading.object(Role.READ)
        if words.accept(b"AS"):
            words.take()
        if not words.accept(b","):
            break
    words.expect(b")")


def _changed_routine(kind: bytes, reading: Reading) -> Head:
    """ALTER of a routine, which has characteristics and no body."""
    words = reading.words
    named = reading.object()
    while (token := words.token) is not None:
        if token.says(b"USING"):
            _use_libraries(reading)
            continue
        words.take()
        if token.kind not in (Kind.WORD, Kind.TEXT) and not token.says(b";"):
            raise Unexpected
    return Head(kind.decode().lower(), named)


# ---------------------------------------------------------------- Events


def _event(reading: Reading) -> Head:
    words = reading.words
    words.accept(b"IF", b"NOT", b"EXISTS")
    named = reading.object()
    words.expect(b"ON", b"SCHEDULE")
    clauses = _EventClauses(reading)
    clauses.read_to_body()
    if not words.accept(b"DO"):
        raise Unexpected
    clauses.disable()
    return Head("event", named, has_body=True, event_state=clauses.state or "ENABLE")


def _changed_event(reading: Reading) -> Head:
    words = reading.words
    named = reading.object()
    clauses = _EventClauses(reading)
    clauses.read_to_body()
    has_body = words.accept(b"DO")
    if not has_body:
        reading.end()
    return Head("event", named, has_body=has_body, event_state=clauses.state)


class _EventClauses:
    """What stands between an event's name and its body. An event comes in disabled, whatever it was."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self.state: str | None = None
        self._disabled_at = -1

    def read_to_body(self) -> None:
        words = self._reading.words
        self._disabled_at = words.reached
        while (token := words.token) is not None and not token.says(b"DO") and not token.says(b";"):
            if token.says(b"COMMENT"):
                words.take()
                if words.take().kind != Kind.TEXT:
                    raise Unexpected
                continue
            words.take()
            if token.says(b"ENABLE") or token.says(b"DISABLE"):
                self._state(token)
            elif token.says(b"RENAME"):
                words.expect(b"TO")
                self._reading.object()
            else:
                self._in_schedule(token)
            if self.state is None:
                self._disabled_at = words.reached

    def disable(self) -> None:
        """Say that it is disabled, where it says nothing."""
        if self.state is None:
            self._reading.words.cut(self._disabled_at, self._disabled_at, b" DISABLE ")

    def _state(self, token: Token) -> None:
        if self.state is not None:
            raise Unexpected
        words = self._reading.words
        self.state = token.text.upper().decode()
        if words.accept(b"ON"):
            self.state = "DISABLE ON " + words.take().text.upper().decode()
        words.cut(token.start, words.reached, b"DISABLE")

    def _in_schedule(self, token: Token) -> None:
        """A part of a schedule, which is worked out while the event is defined."""
        reading, words = self._reading, self._reading.words
        if token.kind == Kind.SIGN:
            if token.says(b"."):
                reading.pass_number(token)
            elif token.text not in _SCHEDULE_SIGNS:
                raise Unexpected
        elif token.kind == Kind.WORD and reading.is_number(token):
            reading.pass_number(token)
        elif token.kind == Kind.NAME or words.sees(b"."):
            raise Unexpected
        elif token.kind == Kind.WORD:
            is_call = words.sees(b"(")
            if is_call and token.text.upper() not in _CLOCKS | {b"INTERVAL", b"AT", b"EVERY"}:
                raise Unexpected
            if token.says(b"SELECT"):
                raise Unexpected
