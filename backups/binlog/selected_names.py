"""What a SELECT, or a change of rows, names: tables, columns and functions by the databases before them.

`a.b` is a table of a database in a FROM, and a column of a table anywhere else. So it is followed where a
FROM begins and where it ends, in each pair of parentheses. What is not understood raises Unexpected.
"""

from __future__ import annotations

from enum import Enum, auto

from backups.binlog.barriers import Code, Stops
from backups.binlog.statement_words import Qualifier, Reading, Role
from backups.dumpfile.lexer import Kind, Token, Unexpected

# Behind the tables of a FROM. All are reserved: an alias may be called by any other word.
_ENDS_FROM = frozenset(
    b"WHERE GROUP HAVING ORDER LIMIT UNION EXCEPT INTERSECT INTO FOR WITH SET VALUES".split()
)
_JOINS = (b"JOIN", b"STRAIGHT_JOIN")
_BEFORE_COLUMNS = (b"ALL", b"DISTINCT", b"DISTINCTROW")
_HINTS = (b"USE", b"IGNORE", b"FORCE")
_SEQUENCES = (b"NEXTVAL", b"LASTVAL", b"SETVAL")
_SIGNS = frozenset(b",()=<>!+-*/%|&^~.:?")
# Called by their names alone these are the server's own, whatever a database has besides.
_SERVERS_OWN = frozenset(
    b"AS IN AND OR NOT ON USING VALUES EXISTS ANY ALL SOME OVER SELECT FROM WHERE COUNT SUM MIN MAX".split()
    + b"AVG IF IFNULL NULLIF COALESCE CONCAT CASE WHEN THEN ELSE DISTINCT BETWEEN LIKE JOIN BY".split()
    + b"HAVING UNION".split()
)


class _In(Enum):
    EXPRESSION = auto()
    # A table comes next.
    TABLES = auto()
    # Behind a table.
    ALIAS = auto()
    # Behind ON, up to the next table.
    CONDITION = auto()


class _Level:
    """What stands between two parentheses."""

    def __init__(self, state: _In) -> None:
        self.state = state
        # Whether a FROM would be that of a SELECT, and not one in EXTRACT or TRIM.
        self.selects = False
        # Of the column that is selected: how often we were named before it, its words, whether it has a name.
        self.places_before = 0
        self.words = 0
        self.has_name = True


class Selected:
    """Reads a SELECT to the end of the statement; `are_named` where its columns are named before it.

    With `tables_first` it is the rest of a statement that changes rows, and tables come next.
    """

    def __init__(self, reading: Reading, *, are_named: bool, tables_first: bool = False) -> None:
        self._are_named = are_named
        # Of an INSERT, whose columns follow its table in parentheses; behind others there are none.
        self._is_first_table = tables_first
        self._reading = reading
        self._words = reading.words
        self._levels = [_Level(_In.TABLES if tables_first else _In.EXPRESSION)]
        # What may be a table's name or alias, and what has to be one, since a column is named with it.
        self._alone: set[str] = set()
        self._of_columns: set[str] = set()

    def read(self) -> None:
        """Take it all. Raises Unexpected, and Stops for a column that would be called otherwise elsewhere."""
        while (token := self._words.token) is not None:
            self._words.take()
            if token.kind == Kind.SIGN:
                self._sign(token)
            elif token.kind == Kind.TEXT:
                self._level_goes_on()
            elif self._reading.is_number(token):
                self._level.words += 1
                self._reading.pass_number(token)
            else:
                self._name_or_word(token)
        self._end_item()
        if len(self._levels) != 1 or self._of_columns - self._alone:
            raise Unexpected

    def _begin_item(self) -> None:
        level = self._level
        level.places_before, level.words, level.has_name = len(self._reading.places), 0, False

    def _end_item(self) -> None:
        """A column that is given no name is called by its text, with the database's name in it."""
        level = self._level
        names_ours = len(self._reading.places) > level.places_before
        has_name = level.has_name or (self._are_named and len(self._levels) == 1)
        if not has_name and level.words != 1 and names_ours:
            raise Stops(Code.NOT_REPEATABLE)
        level.has_name = True

    @property
    def _level(self) -> _Level:
        return self._levels[-1]

    def _level_goes_on(self) -> None:
        if self._level.state == _In.TABLES:
            raise Unexpected
        self._level.words += 1

    def _sign(self, token: Token) -> None:
        level = self._level
        # What is in parentheses is more than one word.
        level.words += 2 * (token.text not in (b",", b")", b";"))
        if token.says(b"("):
            inner = _In.TABLES if level.state == _In.TABLES else _In.EXPRESSION
            if inner == _In.TABLES:
                level.state = _In.ALIAS
            self._levels.append(_Level(inner))
        elif token.says(b")"):
            self._end_item()
            self._levels.pop()
            if not self._levels:
                raise Unexpected
        elif token.says(b","):
            if level.state in (_In.ALIAS, _In.CONDITION):
                level.state = _In.TABLES
            elif level.selects:
                self._end_item()
                self._begin_item()
        elif token.says(b";"):
            self._words.the_end()
        elif token.says(b"."):
            self._reading.pass_number(token)
        elif token.text not in {bytes([sign]) for sign in _SIGNS} or level.state == _In.TABLES:
            raise Unexpected

    def _name_or_word(self, token: Token) -> None:
        parts = self._reading.chain(token)
        if len(parts) == 1:
            self._alone.add(self._words.plain(token).casefold())
        if len(parts) == 1 and token.kind == Kind.WORD and self._keyword(token.text.upper()):
            return
        self._level.words += 1
        if self._level.state == _In.TABLES:
            self._table(parts)
        else:
            self._in_expression(parts)

    def _keyword(self, word: bytes) -> bool:
        """What a keyword means for where names stand; False for what may be a name."""
        level = self._level
        if word == b"SELECT":
            self._end_item()
            level.state, level.selects = _In.EXPRESSION, True
            self._begin_item()
        elif word == b"FROM" and level.selects and level.state == _In.EXPRESSION:
            self._end_item()
            level.state, level.selects = _In.TABLES, False
        elif word in _BEFORE_COLUMNS and level.selects and not level.words:
            pass
        elif word == b"AS" and level.selects:
            level.has_name = True
        elif word == b"TABLE" or (word in _JOINS and level.state != _In.EXPRESSION):
            level.state = _In.TABLES
        elif word in (b"VALUES", b"WITH") and level.state == _In.TABLES:
            level.state = _In.EXPRESSION
        elif word == b"LATERAL" and level.state == _In.TABLES and self._words.sees(b"(", b"JSON_TABLE"):
            pass
        elif word == b"VALUE" and self._reading.logged.dialect.is_mariadb and self._words.accept(b"FOR"):
            self._reading.object(Role.READ, Qualifier.REPLACED)
        elif level.state in (_In.ALIAS, _In.CONDITION):
            return self._behind_table(word)
        else:
            return False
        return True

    def _behind_table(self, word: bytes) -> bool:
        level = self._level
        if word == b"ON":
            # Of an INSERT … SELECT what follows is an expression.
            is_duplicate = self._words.glance().accept(b"DUPLICATE", b"KEY")
            level.state = _In.EXPRESSION if is_duplicate else _In.CONDITION
        elif word == b"USING" and not self._words.sees(b"("):
            # DELETE FROM … USING tables
            level.state = _In.TABLES
        elif word in _HINTS and level.state == _In.ALIAS and self._words.sees(b"INDEX", b"KEY"):
            self._index_hint()
        elif word == b"FOR" and self._words.accept(b"SYSTEM_TIME"):
            level.state = _In.CONDITION
        elif word in _ENDS_FROM:
            level.state = _In.EXPRESSION
        else:
            return False
        return True

    def _index_hint(self) -> None:
        self._words.take()
        if self._words.accept(b"FOR") and not self._words.accept(b"JOIN"):
            if not self._words.sees(b"ORDER", b"GROUP"):
                raise Unexpected
            self._words.take()
            self._words.expect(b"BY")
        self._reading.pass_in_parentheses()

    def _table(self, parts: list[Token]) -> None:
        level = self._level
        level.state = _In.ALIAS
        first = parts[0]
        if len(parts) == 1 and first.kind == Kind.WORD:
            if first.says(b"DUAL"):
                return
            if first.says(b"JSON_TABLE") and self._words.sees(b"("):
                return
        if self._words.sees(b"(") and not self._is_first_table:
            raise Unexpected
        self._is_first_table = False
        named = self._reading.resolve(parts, Role.READ, Qualifier.REPLACED)
        self._alone.add(named.name.casefold())

    def _in_expression(self, parts: list[Token]) -> None:
        is_call = self._words.sees(b"(")
        if len(parts) == 3:
            self._reading.column_of_table(parts)
        elif len(parts) == 2 and is_call:
            self._reading.resolve(parts, Role.READ, Qualifier.REPLACED)
        elif len(parts) == 2:
            self._of_columns.add(self._words.plain(parts[0]).casefold())
        elif is_call:
            self._call(parts[0])

    def _call(self, name: Token) -> None:
        reading = self._reading
        if reading.logged.dialect.is_mariadb and any(name.says(word) for word in _SEQUENCES):
            self._words.take()
            reading.object(Role.READ, Qualifier.REPLACED)
            self._levels.append(_Level(_In.EXPRESSION))
            return
        default = reading.logged.default_database
        if default and not reading.has_default and name.text.upper() not in _SERVERS_OWN:
            # A function of the default database, which is not ours.
            raise Unexpected
