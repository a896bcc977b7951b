"""Views, triggers, routines and events of a dump, in the order in which they are to be defined.

They wait for all rows, and for the tables that they read.
"""

from __future__ import annotations

import re

from backups.dumpfile.dialect import Dialect
from backups.dumpfile.heads import read_head, role_of
from backups.dumpfile.lexer import Cursor
from backups.dumpfile.made import Made
from backups.dumpfile.mixed import Known, Plain, in_one_charset, may_be_mixed
from backups.dumpfile.ready import Does, EventState, LeftOut, LoadOptions, Ready, in_utf8, quoted
from backups.dumpfile.scope import Scope
from backups.dumpfile.settings import Settings
from backups.dumpfile.short import read_change_of_database
from backups.dumpfile.statements import Statement
from backups.dumpfile.tables import TableReader
from backups.dumpfile.views import without_own_name

# It ends a view, in a version comment of its own.
_LONGEST_CHECK_OPTION = 128
_CHECK_OPTION = re.compile(rb"\s*\*/\s*/\*!\d{5,6}\s+(WITH\s+(?:LOCAL|CASCADED)\s+CHECK\s+OPTION)\s*\Z", re.I)


def cursor_of(statement: Statement, dialect: Dialect) -> Cursor:
    """A statement, to be read word by word under its settings."""
    return Cursor(statement.text, dialect, statement.settings.charset, statement.settings.sql_mode)


class Definitions:
    """Takes the definitions of one dump. `waiting` are those to be sent when all else is there."""

    def __init__(
        self,
        dialect: Dialect,
        options: LoadOptions,
        scope: Scope,
        tables: TableReader,
        made: Made,
    ) -> None:
        self.waiting: list[Ready] = []
        # Whether MariaDB's program wrote the dump, unless its header says otherwise.
        self.by_mariadb = dialect.is_mariadb
        self.dropped_before: set[tuple[str, str]] = set()
        self._dialect = dialect
        self._options = options
        self._scope = scope
        self._tables = tables
        self._found = made.found
        self._made = made
        # Under which statements of our own run that need none of the dump's.
        self._plain = Settings(initial_mode=dialect.sql_mode)
        # A default collation that is changed for the definition that comes, if that is wished for.
        self._collation: Ready | None = None
        self._after_definition = False

    def change_database(self, cursor: Cursor) -> None:
        """Never sent as it is: a collation is for what is defined next, or put back after what just was."""
        clause = read_change_of_database(cursor, self._scope)
        if not clause:
            return
        ready = Ready(
            Does.DEFINITION, b"ALTER DATABASE " + quoted(self._options.database) + clause, self._plain
        )
        if self._after_definition:
            self.waiting.append(ready)
            self._after_definition = False
        else:
            self._collation = ready

    def define(self, mixed: Statement) -> None:
        """Take what CREATE makes besides tables and sequences. Raises Unexpected."""
        plain = self._in_one_charset(mixed)
        statement = Statement(plain.text, plain.settings, mixed.line)
        cursor = cursor_of(statement, self._dialect)
        cursor.expect(b"CREATE")
        replaces = cursor.accept(b"OR", b"REPLACE")
        head = read_head(cursor, self._scope, current_user_defines=self._options.current_user_defines)
        table, name = self._dialect.spelled(head.table), head.name
        is_left_out = bool(table) and self._tables.is_left_out(table)
        if self._options.tables:
            is_left_out = is_left_out or table not in self._options.tables
        elif table and not is_left_out:
            self._made.refuse_unless_there(table)
        if is_left_out:
            return
        if head.kind == "event":
            self._found.events.append(EventState(head.name, head.definer, head.state, statement.settings))
        if head.kind == "view":
            name = self._made.made_as(head.name)
            self._made.take_name_of_view(name, head.name, replaces=replaces)
        if role := role_of(head.definer):
            named = in_utf8(role, statement.settings).decode(errors="replace")
            self._found.of_roles[head.kind, name] = named
        self._found.made[head.kind, name] = table or name
        if self._collation is not None:
            self.waiting.append(self._collation)
            self._collation = None
            self._after_definition = True
        text = cursor.with_body()
        if head.kind == "view":
            # The end alone is looked at: a pattern that searches all of a long text takes for ever.
            begins, ends = text[:-_LONGEST_CHECK_OPTION], text[-_LONGEST_CHECK_OPTION:]
            text = without_own_name(begins + _CHECK_OPTION.sub(rb" \1", ends))
        self.waiting.append(Ready(Does.DEFINITION, text, statement.settings, table, head.kind, name))
        if plain.following:
            plainly = statement.settings.in_utf8
            following = Ready(Does.DEFINITION, plain.following, plainly, table, head.kind, name)
            self.waiting.append(following)
        if plain.why:
            self._found.reworded.append(LeftOut(head.kind, name, plain.why))

    def _in_one_charset(self, statement: Statement) -> Plain:
        """A definition without what its dump program writes in another character set than the rest."""
        if not may_be_mixed(statement.settings):
            return Plain(statement.text, statement.settings)
        known = Known(
            self.by_mariadb,
            lambda table: self._made.is_there(self._dialect.spelled(table)),
            lambda kind, name: (kind, name) in self.dropped_before,
        )
        return in_one_charset(statement.text, statement.settings, known)
