"""Which statements of a dump are sent, and how: a list of what is allowed, and nothing else.

A dump comes from a repository, and whoever may write there decides what it holds. So a statement is
known by what it is, word by word, and sent only where it can do no more than make the contents of
the one database that is being loaded. What dump programs write besides is left out, anything else
ends the load.

The list was put together from what mariadb-dump 10.3 to 12 and mysqldump 4.1 to 9.7 write with each
of their options, and from what HeidiSQL, phpMyAdmin, Adminer and mysqlpump write:
https://mariadb.com/kb/en/mariadb-dump/ https://dev.mysql.com/doc/refman/8.4/en/mysqldump.html

- sent: CREATE and DROP of TABLE, SEQUENCE, VIEW, TRIGGER, PROCEDURE, FUNCTION, PACKAGE, LIBRARY, EVENT;
  INSERT and REPLACE of plain values into a table that the dump itself has made; SETVAL of a sequence;
  ALTER TABLE that adds keys or makes a column count up; DELETE and TRUNCATE of a whole table that the
  dump has made; ANALYZE TABLE of histograms; ALTER DATABASE for the collation of what is being loaded.
- understood and kept to, never sent: SET (see `settings`), USE, DELIMITER.
- left out: CREATE and DROP DATABASE, LOCK and UNLOCK TABLES, transactions, replication, tablespaces,
  FLUSH; settings of the whole server.

Each name is that of one table, sequence or view: one that is made a second time is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from backups.dumpfile.definitions import Definitions, cursor_of
from backups.dumpfile.dialect import Dialect
from backups.dumpfile.encodings import decoded
from backups.dumpfile.lexer import Cursor, Unexpected
from backups.dumpfile.lexer import Kind as Of
from backups.dumpfile.made import Made
from backups.dumpfile.ready import Does, Found, LeftOut, LoadOptions, Ready, in_utf8, quoted
from backups.dumpfile.rows import Rows, are_values, spelled_out
from backups.dumpfile.scope import Scope
from backups.dumpfile.settings import Session, Settings
from backups.dumpfile.short import (
    cut_if_not_exists,
    is_never_sent,
    is_of_database,
    read_drop,
    read_emptying,
    read_histogram,
    read_number,
    read_sequence,
)
from backups.dumpfile.statements import NoStatement, Statement
from backups.dumpfile.tables import TableReader
from backups.text.sentences import phrase


class NotAllowed(Exception):
    """A statement that no dump program writes: where it stands, how it begins, and why if that is known."""

    def __init__(self, line: int, text: bytes, why: str = "") -> None:
        self.line, self.why = line, why
        decoded = _SANDBOX.sub(b"", text[:4096]).decode(errors="replace")
        self.beginning = " ".join(decoded.split())[:80]
        super().__init__(self.beginning)


_TRANSACTION = (b"BEGIN", b"COMMIT")
# What MariaDB's dumps begin with. https://mariadb.com/kb/en/mariadb-dump/#notes
_SANDBOX = re.compile(rb"\A(?:/\*M?!999999[^*]*+\*/|--[^\n]*+\n|\s|)*+")
# Of what brings no rows, and is kept for the most part. A hundred thousand tables have half as much.
_MOST_DEFINED = 1 << 30


class Allowed:
    """Goes through the statements of one dump and gives out what is to be sent, in the order to be sent in.

    `standing` are tables of the database that are there already, `tablespace_of` as in TableReader.
    """

    def __init__(
        self,
        dialect: Dialect,
        options: LoadOptions,
        *,
        standing: Iterable[str] = (),
        tablespace_of: Callable[[str], str] = lambda _: "",
    ) -> None:
        self.found = Found()
        self.session = Session(dialect.sql_mode)
        # By the very last statement, with which phpMyAdmin ends a dump.
        self.is_committed = False
        self._dialect = dialect
        self._options = options
        # Under which statements of our own run that need none of the dump's.
        self._plain = Settings(initial_mode=dialect.sql_mode)
        self._scope = Scope(options.source)
        self._tables = TableReader(options.database, self._scope.is_own, tablespace_of)
        self._made = Made(dialect, self.found, standing)
        self.definitions = Definitions(dialect, options, self._scope, self._tables, self._made)
        # Of what may stand there already, each sent just before what takes its place.
        self._drops: dict[str, Ready] = {}
        # Sequences that are not wished for: made if a table that is draws from them.
        self._sequences: dict[str, list[Ready]] = {}
        self._later: list[Ready] = []
        self._defined = 0

    @property
    def settings(self) -> Settings:
        """Under which what follows is to be read."""
        return self.session.settings

    def taken(self, statement: Statement) -> Iterator[Ready]:
        """What of a statement is to be sent now. Raises NotAllowed."""
        try:
            yield from self._taken(statement)
        except Unexpected as error:
            raise NotAllowed(statement.line, statement.text, str(error)) from None
        except NoStatement as error:
            raise NotAllowed(statement.line, error.text, error.why) from None

    def rest(self) -> Iterator[Ready]:
        """What had to wait for all rows: keys, then triggers, views, routines and events."""
        yield from self._drops.values()
        yield from self._later
        yield from self.definitions.waiting

    # ------------------------------------------------------------ What it is

    def _taken(self, statement: Statement) -> Iterator[Ready]:
        if statement.rows is not None:
            self.is_committed = False
            yield from self._rows(statement, statement.rows)
            return
        self._defined += len(statement.text)
        if self._defined > _MOST_DEFINED:
            raise Unexpected(
                phrase(
                    "with it, what brings no rows is longer than {most_defined} MB in all",
                    most_defined=_MOST_DEFINED >> 20,
                )
            )
        cursor = cursor_of(statement, self._dialect)
        first = cursor.token
        if first is None:
            return  # nothing but what another server reads
        if first.kind != Of.WORD:
            raise Unexpected
        word = first.text.upper()
        self.is_committed = self.is_committed and word == b"SET"
        if word == b"SET":
            cursor.take()
            self.session.set(cursor)
        elif word == b"USE":
            self._scope.use(cursor)
        elif word in (b"INSERT", b"REPLACE"):
            yield from self._rows(statement, spelled_out(cursor))
        elif word in _TRANSACTION:
            cursor.take()
            cursor.accept(b"WORK")
            cursor.the_end()
            self.is_committed = word == b"COMMIT"
        elif is_never_sent(cursor_of(statement, self._dialect)):
            pass
        elif is_of_database(cursor_of(statement, self._dialect)):
            self.definitions.change_database(cursor)
        elif not self._scope.is_ours:
            self.found.others[self._scope.chosen or ""] += 1
        else:
            yield from self._of_object(word, statement, cursor)

    def _of_object(self, word: bytes, statement: Statement, cursor: Cursor) -> Iterator[Ready]:
        takers = {
            b"CREATE": self._create,
            b"DROP": self._drop,
            b"ALTER": self._alter,
            b"DELETE": self._empty,
            b"TRUNCATE": self._empty,
            b"ANALYZE": self._analyze,
            b"SELECT": self._number,
            b"DO": self._number,
        }
        take = takers.get(word)
        if take is None:
            raise Unexpected
        self.found.own_statements += 1
        yield from take(statement, cursor)

    # ------------------------------------------------------------ Tables and their rows

    def _is_wished(self, table: str) -> bool:
        return not self._options.tables or table in self._options.tables

    def _rows(self, statement: Statement, rows: Rows) -> Iterator[Ready]:
        if not self._scope.is_ours:
            self.found.others[self._scope.chosen or ""] += 1
            return
        self.found.own_statements += 1
        charset = statement.settings.charset
        table = self._dialect.spelled(_plain(rows.table, charset))
        if rows.qualifier is not None and not self._scope.is_own(_plain(rows.qualifier, charset)):
            raise Unexpected(
                phrase("it is about the database {plain}", plain=_plain(rows.qualifier, charset))
            )
        text = statement.text
        # A version comment in the head would be sent as it is, and read as the server likes.
        if b"/*" in text[: rows.at] or (
            statement.rows is None and not are_values(text, rows, self._dialect, statement.settings)
        ):
            raise Unexpected(phrase("what it inserts is not plain values"))
        if not self._is_wished(table):
            return
        if self._tables.is_left_out(table):
            return
        if self.found.made.get(("table", table)) is None:
            raise Unexpected(phrase("the dump has made no table {table}", table=table))
        self.found.with_rows.add(table)
        if rows.qualifier is not None:
            text = text[: rows.at] + text[rows.own :]
        yield Ready(Does.ROWS, text, statement.settings, table)

    def _create(self, statement: Statement, cursor: Cursor) -> Iterator[Ready]:
        cursor.take()
        cursor.accept(b"OR", b"REPLACE")
        if cursor.sees(b"TABLE"):
            yield from self._create_table(statement, cursor)
        elif cursor.sees(b"SEQUENCE"):
            yield from self._create_sequence(statement, cursor)
        else:
            self.definitions.define(statement)

    def _create_table(self, statement: Statement, cursor: Cursor) -> Iterator[Ready]:
        cursor.take()
        cut_if_not_exists(cursor)
        written = self._scope.own(cursor, cursor.name())
        table = self._made.made_as(written)
        made = self._tables.read(table, cursor)
        if not self._is_wished(table):
            self._drops.pop(table, None)
            return
        drop = self._drops.pop(table, None)
        self.found.left_out += [LeftOut("table", table, why, waits=True) for why in made.waiting]
        self.found.left_out += [LeftOut("table", table, why) for why in made.left_out]
        if not made.is_made:
            return
        self._made.take_name("table", table, written)
        for name in made.draws_from:
            yield from self._sequence_for(self._dialect.spelled(name))
        if drop is not None:
            yield drop
        self.found.made["table", table] = table
        self.found.definitions[table] = made.text
        plain = statement.settings.in_utf8
        self.found.outward += [
            Ready(Does.LATER, b"ALTER TABLE " + quoted(table) + b" " + action, plain, table)
            for action in (in_utf8(each, statement.settings) for each in made.outward)
        ]
        yield Ready(Does.TABLE, made.text, statement.settings, table)

    def _create_sequence(self, statement: Statement, cursor: Cursor) -> Iterator[Ready]:
        word = cursor.token
        written = read_sequence(cursor, self._scope)
        name = self._made.made_as(written)
        if not self._is_wished(name):
            assert word is not None  # noqa: S101  SEQUENCE stands there
            cursor.cut(word.end, word.end, b" IF NOT EXISTS")
            self._sequences[name] = [Ready(Does.SEQUENCE, cursor.rewritten(), statement.settings, name)]
            return
        self._made.take_name("sequence", name, written)
        if drop := self._drops.pop(name, None):
            yield drop
        self.found.made["sequence", name] = name
        yield Ready(Does.SEQUENCE, cursor.rewritten(), statement.settings, name)

    def _sequence_for(self, name: str) -> Iterator[Ready]:
        """A sequence without which a table could not be made, unless it was made already."""
        if held := self._sequences.pop(name, None):
            self.found.made["sequence", name] = name
            yield from held

    def _number(self, statement: Statement, cursor: Cursor) -> Iterator[Ready]:
        name = self._dialect.spelled(read_number(cursor, self._scope))
        if ("sequence", name) in self.found.made:
            yield Ready(Does.NUMBER, cursor.rewritten(), statement.settings, name)
        elif name in self._sequences:
            # Of one that is there already it does no more than raise the number.
            self._sequences[name][1:] = [Ready(Does.NUMBER, cursor.rewritten(), statement.settings, name)]
        elif not self._options.tables:
            raise Unexpected(phrase("the dump has made no sequence {name}", name=name))

    def _alter(self, statement: Statement, cursor: Cursor) -> Iterator[Ready]:
        cursor.take()
        cursor.accept(b"IGNORE")
        cursor.expect(b"TABLE")
        table = self._dialect.spelled(self._scope.own(cursor, cursor.name()))
        if cursor.sees(b"DISABLE", b"ENABLE"):
            cursor.take()
            cursor.expect(b"KEYS")
            does, text = Does.KEYS, cursor.rewritten()
        else:
            does, text = Does.LATER, self._tables.read_alter(table, cursor)
        if not self._is_wished(table) or self._tables.is_left_out(table):
            return
        self._made.refuse_unless_there(table)
        ready = Ready(does, text, statement.settings, table)
        if does == Does.LATER:
            self._later.append(ready)
        else:
            yield ready

    def _empty(self, statement: Statement, cursor: Cursor) -> Iterator[Ready]:
        table = self._dialect.spelled(read_emptying(cursor, self._scope))
        if not self._is_wished(table) or self._tables.is_left_out(table):
            return
        self._made.refuse_unless_there(table)
        yield Ready(Does.ROWS, cursor.rewritten(), statement.settings, table)

    def _analyze(self, statement: Statement, cursor: Cursor) -> Iterator[Ready]:
        table = self._dialect.spelled(read_histogram(cursor, self._scope))
        if self._is_wished(table) and ("table", table) in self.found.made:
            self._later.append(Ready(Does.LATER, cursor.rewritten(), statement.settings, table))
        yield from ()

    def _drop(self, statement: Statement, cursor: Cursor) -> Iterator[Ready]:
        kind, names = read_drop(cursor, self._scope)
        for name in names:
            spelled = self._dialect.spelled(name) if kind in ("table", "view", "sequence") else name
            self.definitions.dropped_before.add((kind, name))
            self._dropped(kind, spelled, statement.settings)
        yield from ()

    def _dropped(self, kind: str, name: str, settings: Settings) -> None:
        """A table goes when the one that takes its place comes; a definition with the other definitions."""
        text = b"DROP " + kind.upper().encode() + b" IF EXISTS " + quoted(name)
        # Dropping a table that the dump itself has made is how old dumps end a view's placeholder.
        was_made = self.found.made.pop((kind, name), None) is not None
        if kind in ("table", "sequence"):
            ready = Ready(Does.DROP, text, self._plain, name)
            if was_made:
                # Where it stands among the definitions: a view may read the placeholder of a later one.
                self.definitions.waiting.append(ready)
                self.found.definitions.pop(name, None)
            elif self._is_wished(name):
                self._drops[name] = ready
        elif not self._options.tables:
            # MariaDB before 11 knows packages in Oracle's mode alone.
            self.definitions.waiting.append(
                Ready(Does.DEFINITION, text, settings.in_utf8, kind=kind, name=name)
            )


def _plain(name: bytes, charset: str) -> str:
    quote = name[:1]
    if quote in (b"`", b'"'):
        name = name[1:-1].replace(2 * quote, quote)
    return decoded(name, charset)
