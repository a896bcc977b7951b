"""Which statements of a log are of one database, and how they are written for another.

`judged` says of a statement one of these:

- `Ours`: it changes the database and nothing else; `text` is the statement for another database. These are
  let out: CREATE, ALTER, DROP, RENAME, TRUNCATE of tables, sequences, indexes, views, triggers, routines,
  packages, libraries and events, and ALTER DATABASE.
- `AnothersForSure`: it cannot have changed the database.
- `Control`: it begins, ends or divides a transaction.
- `Barrier`: whatever else may be ours. What is not understood is never passed over, and never sent.

A statement is let out only if each table, view or routine that it names is the database's. Bodies of
routines, triggers and events are left as they are written: they do not run while they are defined.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from backups.binlog.barriers import Barrier, Code, Stops
from backups.binlog.changed_rows import changes_ours_alone
from backups.binlog.logged import Logged, Wanted, is_in_two_charsets, quoted_name
from backups.binlog.settings_untold import OLD_MODE, UTF8_IS_OPEN, names_utf8
from backups.binlog.statement_verbs import Told, read_control, read_statement
from backups.binlog.statement_words import Named, Reading, Role, Words
from backups.dumpfile.encodings import UNLIKE_ASCII, is_known
from backups.dumpfile.lexer import Unexpected
from backups.errors import Problem
from backups.text.sentences import phrase


@dataclass(frozen=True)
class AnothersForSure:
    """It did not change the database. `why`: "another" one's, the "server"'s, or "nothing" is changed."""

    why: str = "another"


@dataclass(frozen=True)
class Control:
    """BEGIN, COMMIT, ROLLBACK, SAVEPOINT, ROLLBACK TO, RELEASE SAVEPOINT, XA. `name` is a savepoint's."""

    verb: str
    name: str = ""


@dataclass(frozen=True)
class Ours:
    """It changes the database and nothing else.

    `verb` and `kind` as in "CREATE", "table". `changed` are the names of what it makes, changes or drops, of
    a trigger its name; `tables` the tables that are concerned, a trigger's and an index's too; `parents` what
    its foreign keys point to; `reads` what it only reads. An event (`is_event`) is to be kept back; as `text`
    gives it, it is disabled, and `event_state` is what it would be, None where that does not change.
    `starts_transaction`: rows follow that belong to it (MySQL's CREATE TABLE … START TRANSACTION).
    `lacks_engine`: it makes a table, and the log does not tell which engine that got. `needs_key`: it may
    number rows, and in no order but that of the table's primary key. `names_utf8`: what that means is a
    setting of MariaDB's sessions.
    """

    verb: str
    kind: str
    changed: tuple[str, ...]
    tables: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    event_state: str | None = None
    starts_transaction: bool = False
    lacks_engine: bool = False
    needs_key: bool = False
    names_utf8: bool = False
    _text: Callable[[str], bytes] = field(default=lambda _: b"", repr=False, compare=False)

    @property
    def is_event(self) -> bool:
        """Whether it defines, changes or drops an event."""
        return self.kind == "event"

    def text(self, target: str) -> bytes:
        """The statement for another database, which must be the session's default database.

        In the client's character set, to be run under the same sql_mode. Raises Problem.
        """
        return self._text(target)


Judged = Ours | AnothersForSure | Control | Barrier


def judged(logged: Logged, database: str, *, folds_case: bool, is_reached: bool = False) -> Judged:
    """What a statement is to a database; `folds_case` where the server's lower_case_table_names is not 0.

    `is_reached` says that something of another database may change this one, for instance a trigger.
    """
    wanted = Wanted(database, folds_case)
    try:
        if (control := _control(logged)) is not None:
            return control
    except Unexpected:
        pass  # it is judged below
    found = _judged(logged, wanted)
    if wanted.may_be_in(logged):
        if isinstance(found, Barrier) and not _is_ours_alone(logged, wanted):
            return replace(found, is_neighbours=True)
        return found
    if isinstance(found, Barrier) and _may_reach_it(found, logged, is_reached=is_reached):
        return replace(found, is_neighbours=True)
    return AnothersForSure()


def _may_reach_it(found: Barrier, logged: Logged, *, is_reached: bool) -> bool:
    """Whether a statement that does not name the database may change it, by foreign keys, triggers, functions
    and views of another one. MySQL tells which databases, unless it does not know them all.

    MariaDB never tells. There a session that logs statements in another database is taken at its word as long
    as nothing is known there that names this one, else it would end the archives of all databases of its
    server.
    """
    if logged.dialect.is_mariadb:
        return is_reached and found.code in _OF_ANYTHING
    return found.code == Code.STATEMENT_ROWS and not logged.updated


def _is_ours_alone(logged: Logged, wanted: Wanted) -> bool:
    """Whether a statement that is not let out surely changes no other database, so that it says no values of
    another one's. MySQL tells it; else its session must be in ours, and name none but ours."""
    try:
        if logged.updated:
            return all(wanted.is_named(name) for name in logged.updated)
        reading = Reading(logged, wanted)
        is_short = len(logged.text) <= _LONGEST_READ
        if not (reading.has_default and is_short):
            return False
        return not reading.may_name_another() or changes_ours_alone(Reading(logged, wanted))
    except Unexpected:
        return False


# In bytes. Word by word takes its time, and a search shows the beginning of a longer one alone.
_LONGEST_READ = 1 << 16
# What a statement may do whose rows are not logged.
_OF_ANYTHING = frozenset({Code.STATEMENT_ROWS, Code.NOT_UNDERSTOOD, Code.TEMPORARY})
_LEADING = re.compile(
    rb"\b(?:CREATE|ALTER)\b.*\b(?:TRIGGER|PROCEDURE|FUNCTION|EVENT|VIEW|PACKAGE)\b", re.I | re.S
)


def may_lead_to(logged: Logged, database: str, *, folds_case: bool) -> bool:
    """Whether a statement about another database may define what changes this one from there."""
    return _LEADING.search(logged.text) is not None and Wanted(database, folds_case).may_be_in(logged)


def _control(logged: Logged) -> Control | AnothersForSure | None:
    words = Words(logged)
    if words.token is None:
        return AnothersForSure("nothing")
    found = read_control(words)
    return Control(*found) if found else None


def _judged(logged: Logged, wanted: Wanted) -> Judged:
    is_plain = logged.text.isascii() and logged.charset not in UNLIKE_ASCII
    if not is_known(logged.charset) and not is_plain:
        return Barrier(Code.CHARSET, {"charset": logged.charset})
    told = Told()
    reading: Reading | None = None
    try:
        reading = Reading(logged, wanted)
        read_statement(reading, told)
    except Stops as stops:
        return _barrier(stops.why, told, reading, stops.setting)
    except Unexpected:
        return _barrier(Code.NOT_UNDERSTOOD, told, reading)
    return _weighed(reading, told)


def _weighed(reading: Reading, told: Told) -> Judged:
    """What was read is all of it: whose is it?"""
    logged, wanted = reading.logged, reading.wanted
    if told.harmless:
        return AnothersForSure(told.harmless)
    changed = [each for each in reading.named if each.role == Role.CHANGED]
    if not changed:
        return _barrier(Code.NOT_UNDERSTOOD, told, reading)
    if not any(each.is_ours for each in changed):
        return AnothersForSure()
    if not all(each.is_ours for each in changed):
        is_move = told.verb == "RENAME" or (told.verb == "ALTER" and told.kind in ("table", "event"))
        return _barrier(Code.MOVED if is_move else Code.OTHER_DATABASE, told, reading)
    if not all(each.is_ours for each in reading.named):
        return _barrier(Code.OTHER_DATABASE, told, reading)
    # A temporary table's; DROP and CREATE TABLE and views are flagged for other reasons as well.
    is_of_table = told.kind == "index" or (told.kind == "table" and told.verb not in ("CREATE", "DROP"))
    if logged.is_of_session and is_of_table:
        return _barrier(Code.TEMPORARY, told, reading)
    if (
        is_in_two_charsets(logged)
        or _is_put_together(logged, told, changed)
        or quoted_name(wanted.database, logged.charset) is None
    ):
        return Barrier(Code.CHARSET, {"charset": logged.charset})
    ours = _ours(reading, told)
    if ours.names_utf8 and told.kind in _KEPT_WITH_CHARACTER_SETS:
        return _barrier(Code.SETTING, told, reading, OLD_MODE)
    return replace(ours, _text=lambda target: _text(reading, told, ours, target))


# As what they are named by, and not as they are typed.
_KEPT_WITH_CHARACTER_SETS = frozenset({"database", "view", "function", "package", "package body"})


def _is_put_together(logged: Logged, told: Told, changed: Iterable[Named]) -> bool:
    """Whether a server has put what it names, in UTF-8, before what the client said, in its character set.

    MySQL does so with views and their columns, and both servers with routines.
    """
    if logged.charset.startswith("utf8") or logged.charset == "binary":
        return False
    head, _, _ = logged.text.partition(b" AS ")
    is_view = told.kind == "view" and not logged.dialect.is_mariadb and not head.isascii()
    return is_view or (
        told.kind in ("procedure", "function") and not all(each.name.isascii() for each in changed)
    )


def _ours(reading: Reading, told: Told) -> Ours:
    changed, parents, reads = (
        tuple(each.name for each in reading.named if each.role == role and each.name)
        for role in (Role.CHANGED, Role.PARENT, Role.READ)
    )
    tables = changed if told.kind in ("table", "view", "sequence") else ()
    if told.table:
        # Of a trigger, which is named first, and of an index, which has no database's name.
        tables, changed = (told.table,), changed[:-1]
    return Ours(
        told.verb,
        told.kind,
        changed,
        tables=tables,
        parents=parents,
        reads=reads,
        event_state=told.event_state,
        starts_transaction=told.starts_transaction,
        # MySQL writes START TRANSACTION for InnoDB alone, too.
        lacks_engine=told.lacks_engine and not (reading.logged.is_atomic or told.starts_transaction),
        needs_key=told.needs_key,
        names_utf8=_names_utf8(reading.logged),
    )


def _names_utf8(logged: Logged) -> bool:
    dialect = logged.dialect
    return dialect.is_mariadb and dialect.version >= UTF8_IS_OPEN and names_utf8(logged.text)


def _barrier(code: Code, told: Told, reading: Reading | None, setting: str = "") -> Barrier:
    named = reading.named if reading else []
    params = {
        "verb": told.verb,
        "kind": told.kind,
        "name": next((each.name for each in named if each.is_ours), ""),
        "other": next((each.database for each in named if not each.is_ours), ""),
        "setting": setting,
    }
    return Barrier(code, {key: value for key, value in params.items() if value})


def _text(reading: Reading, told: Told, ours: Ours, target: str) -> bytes:
    logged = reading.logged
    qualifier = quoted_name(target, logged.charset)
    if qualifier is None:
        raise Problem(
            phrase(
                "A statement of the log is in the character set {charset}, which cannot write {database}.",
                charset=logged.charset,
                database=target,
            ),
            code="log.target_not_in_charset",
            do=phrase("Choose a name in plain letters."),
        )
    text = reading.written(qualifier, with_body=told.has_body)
    again = judged(
        replace(logged, text=text, default_database=target, updated=None),
        target,
        folds_case=reading.wanted.folds_case,
    )
    # What goes out is read once more as a statement of the other database, which it must be and nothing else.
    if not isinstance(again, Ours) or replace(again, event_state=ours.event_state) != ours:
        raise Problem(
            phrase("A statement of the log cannot be written for {database}.", database=target),
            code="log.not_rewritten",
        )
    return text
