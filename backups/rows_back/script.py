"""The script that gives rows back, for a person to read and for any client to run. Pure."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from backups.errors import Problem
from backups.rows_back.following import as_met
from backups.rows_back.literals import as_text, value_of
from backups.rows_back.moves import Move, Row
from backups.rows_back.ordering import in_order
from backups.rows_back.statements import TOO_LARGE, Guarded, guarded
from backups.rows_back.tables import Table, why_not
from backups.text.sentences import phrase


class RowChange(Protocol):
    """A row that differs, its values as the dumps write them, by the names of its columns."""

    @property
    def table(self) -> str:
        """The table's name."""

    @property
    def number(self) -> int:
        """Which row it is."""

    @property
    def then(self) -> Mapping[bytes, bytes] | None:
        """As it was; None for a new row."""

    @property
    def now(self) -> Mapping[bytes, bytes] | None:
        """As it is; None for a row that is gone."""

    @property
    def equal_now(self) -> int:
        """In a table without a key, how many rows just like it there are now."""


@dataclass(frozen=True)
class Counts:
    """How many rows of a table a script inserts, updates and deletes."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0


@dataclass(frozen=True)
class Head:
    """What a script says of itself in comments, in English: nothing of any row.

    `then` is the moment of the snapshot, `now` the one at which the rows were seen. `was` says as of when
    rows come back, where that is not the snapshot itself. `proved` is the sentence of the proof, empty before
    it, and `digests` what it was made of, by what they are of. `triggers` are told one to a line, and so are
    tables of which values come back `rounded`.
    """

    database: str
    server: str
    snapshot: str
    then: str
    now: str
    proved: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    triggers: Collection[str] = ()
    is_undo: bool = False
    rounded: Collection[str] = ()
    was: str = ""


# What a value in a dump needs to be read as it was written: invalid dates were let in by somebody.
_MODE = b"STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION"
# Which of its statements commits all, where all hit their rows.
COMMITS = b"EXECUTE vedetta_end"
# By what of the session a script depends on, its own; all are put back at the end.
_SESSION = {
    b"sql_mode": b"'" + _MODE + b"'",
    b"time_zone": b"'+00:00'",
    b"foreign_key_checks": b"1",
    b"unique_checks": b"1",
    b"sql_safe_updates": b"0",
    b"completion_type": b"0",
}
_CHARSETS = (b"character_set_client", b"character_set_results", b"collation_connection")


@dataclass(frozen=True)
class Script:
    """A script: its rows' statements in order, and how many rows of each table it moves.

    `made` counts its statements. A row that another one waits for is moved by two, and triggers run for both.
    """

    head: Head
    rows: Sequence[Guarded]
    counts: Mapping[str, Counts]
    made: Mapping[str, Counts]

    def with_head(self, head: Head) -> Script:
        """The same under another head: it does the same."""
        return replace(self, head=head)

    def statements(self, database: str = "") -> Iterator[bytes]:
        """What one connection is sent, in this order and without a delimiter. All is committed or nothing.

        It runs in no other database than the head's, or in this copy of it. The last statement answers
        whether all was committed, as `outcome`: 1 or 0.
        """
        yield from self._before(database or self.head.database)
        for each in self.rows:
            yield from each
        yield from self._after()

    @property
    def text(self) -> bytes:
        """The whole as a file, for a client and for a person."""
        parts = [_told(self.head, self.counts)]
        parts += [statement + b";\n" for statement in self._before(self.head.database)]
        for each in self.rows:
            parts.append(b"\n" + b"".join(part + b";\n" for part in each))
        parts.append(b"\n")
        parts += [statement + b";\n" for statement in self._after()]
        parts.append(b"-- This is the end of the script: it is complete.\n")
        return b"".join(parts)

    @property
    def sha256(self) -> str:
        """Of its text."""
        return hashlib.sha256(self.text).hexdigest()

    @property
    def longest(self) -> int:
        """Bytes of its longest statement: max_allowed_packet must be larger."""
        return max(len(statement) for statement in self.statements())

    @staticmethod
    def _before(database: str) -> Iterator[bytes]:
        names = (*_CHARSETS, *_SESSION)
        yield b"SET " + b", ".join(b"@vedetta_%b = @@SESSION.%b" % (name, name) for name in names)
        yield b"SET NAMES utf8mb4"
        yield b"SET " + b", ".join(b"SESSION %b = %b" % each for each in _SESSION.items())
        # Else what is counted before a row is deleted may be of before another session's commit.
        yield b"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"
        yield b"START TRANSACTION"
        # Another database may have the same tables. Of NULL no statement's turn comes, whoever goes on. Some
        # servers write the name in small letters, whatever it was made with.
        names = b"DATABASE()", as_text(database.encode(errors="surrogateescape"))
        is_here = b" <=> ".join(b"CAST(LOWER(%b) AS BINARY)" % name for name in names)
        yield b"SET @vedetta_row = IF(%b, 0, NULL), @vedetta_done = 0" % is_here
        yield b"SET @vedetta_check = %b + (@vedetta_row IS NULL)" % TOO_LARGE

    def _after(self) -> Iterator[bytes]:
        all_hit = b"@vedetta_row <=> %d" % len(self.rows)
        yield b"SET @vedetta_end = IF(%b, 'COMMIT', 'DO 0')" % all_hit
        yield b"PREPARE vedetta_end FROM @vedetta_end"
        yield COMMITS
        is_wrong = b"ROW_COUNT() <> 0 OR NOT " + all_hit
        yield b"SET @vedetta_check = %b + (%b), @vedetta_done = 1" % (TOO_LARGE, is_wrong)
        yield b"ROLLBACK"
        yield b"DEALLOCATE PREPARE vedetta_end"
        names = (*_CHARSETS, *_SESSION)
        yield b"SET " + b", ".join(b"SESSION %b = @vedetta_%b" % (name, name) for name in names)
        yield (
            b"SELECT IF(@vedetta_done <=> 1, 'All rows were given back.', 'Nothing was changed.') AS result, "
            b"@vedetta_done <=> 1 AS outcome"
        )


def write(changes: Iterable[RowChange], tables: Mapping[str, Table], head: Head) -> Script:
    """The script that makes these rows as they were. `tables` are all that foreign keys connect with theirs.

    Raises Problem where there is none.
    """
    return _written([_back(change, tables) for change in changes], tables, head)


def inverse(changes: Iterable[RowChange], tables: Mapping[str, Table], head: Head) -> Script:
    """The script that makes them as they are now again, once `write`'s has run. Raises Problem."""
    there = [_back(change, tables) for change in changes]
    same = Counter(map(_value, there))
    moves = [
        replace(
            move,
            before=move.after,
            after=move.before,
            alike=None if move.alike is None else move.alike + same[_value(move)] * _by_one(move),
        )
        for move in there
    ]
    return _written(moves, tables, head)


def _back(change: RowChange, tables: Mapping[str, Table]) -> Move:
    table = tables.get(change.table)
    if table is None:
        raise Problem(
            phrase("The table {table} is not there any more.", table=change.table),
            code="rows_back.no_table",
            do=phrase("Restore the table."),
        )
    now, then = _row(change.now), _row(change.then)
    if now is None and then is not None:
        _refuse_other_columns(then, table)
    if now is not None and then is not None:
        then = {name: then[name] if name in then and name not in table.retyped else now[name] for name in now}
    return Move(change.number, table, now, then, None if table.keys else change.equal_now)


def _row(values: Mapping[bytes, bytes] | None) -> Row | None:
    if values is None:
        return None
    return {name: value_of(literal) for name, literal in values.items()}


def _refuse_other_columns(then: Row, table: Table) -> None:
    """A row cannot be put back whole into a table that has no such column any more."""
    gone = [name for name in then if name not in table.columns]
    # No row is kept with what was computed then, and may be anything now.
    plain = (name for name in table.retyped if not table.columns[name].is_generated)
    other = sorted({*plain, *(name for name in then if name in table.retyped)})
    if not gone and not other:
        return
    names = ", ".join(name.decode(errors="replace") for name in (gone or other))
    what = phrase(
        "Rows of the table {table} cannot be given back as they were: the type of {names} is another now.",
        table=table.name,
        names=names,
    )
    if gone:
        what = phrase(
            "Rows of the table {table} cannot be given back as they were: it has no column {names} any more.",
            table=table.name,
            names=names,
        )
    raise Problem(
        what,
        code="rows_back.other_columns",
        safe=phrase("Nothing was changed."),
        do=phrase("Restore the table under another name and take the values from there."),
    )


def _written(moves: Sequence[Move], tables: Mapping[str, Table], head: Head) -> Script:
    if not moves:
        raise Problem(phrase("No row was chosen."), code="rows_back.nothing", do=phrase("Choose some rows."))
    for move in moves:
        if why := why_not(move.table):
            raise Problem(why, code="rows_back.no_script", do=phrase("Restore the table."))
    met = list(_in_turn(as_met(in_order(moves, tables), tables)))
    rows = [guarded(move, place, tables) for place, move in enumerate(met)]
    # What a foreign key has moved already is counted, and runs no trigger.
    return Script(head, rows, _counted(moves), _counted(move for move in met if move.before != move.after))


def _in_turn(moves: Iterable[Move]) -> Iterator[Move]:
    """The moves in their order, each with how many rows like it there are by then."""
    moved: Counter[object] = Counter()
    for move in moves:
        if move.alike is None:
            yield move
            continue
        value = _value(move)
        yield replace(move, alike=move.alike + moved[value] * _by_one(move))
        moved[value] += 1


def _value(move: Move) -> object:
    row = (move.after if move.before is None else move.before) or {}
    return move.table.name, move.phase, frozenset(row.items())


def _by_one(move: Move) -> int:
    """By how much one such move changes how many rows there are."""
    return 1 if move.before is None else -1


def _counted(moves: Iterable[Move]) -> dict[str, Counts]:
    phases = Counter((move.table.name, move.phase) for move in moves)
    names = dict.fromkeys(name for name, _ in phases)
    return {name: Counts(phases[name, 2], phases[name, 1], phases[name, 0]) for name in names}


def _told(head: Head, counts: Mapping[str, Counts]) -> bytes:
    """What stands above the statements. Names in it are somebody else's."""
    does = "undoes that rows were given back to" if head.is_undo else "gives rows back to"
    lines = [
        f"Vedetta: {does} the database {head.database}.",
        f"As the rows were: {head.was or f'snapshot {head.snapshot} of {head.then}'}.",
        f"As they were seen: {head.now} on {head.server}.",
        head.proved or "Not proved yet.",
        *(f"  {name}: {digest}" for name, digest in head.digests.items()),
        *(f"Will also run, and was not proved: {trigger}" for trigger in head.triggers),
        *(["Triggers run in the time zone +00:00 here, as the script does."] if head.triggers else []),
        *head.rounded,
        *(
            f"Table {name}: {each.inserted:,} inserted, {each.updated:,} updated, {each.deleted:,} deleted."
            for name, each in counts.items()
        ),
        "",
        "It is one transaction: all rows, or none. Each statement hits exactly the row that was seen, in the",
        "state in which it was seen, else the script stops and nothing is committed. To run it by hand:",
        "  mysql --default-character-set=utf8mb4 --host=… --user=… -p DATABASE < this-file",
    ]
    return "".join(f"-- {_cleaned(line)}".rstrip() + "\n" for line in lines).encode() + b"\n"


def _cleaned(line: str) -> str:
    """What stands in one line of a comment and shows all that it is."""
    return "".join(each if each.isprintable() else "�" for each in line)
