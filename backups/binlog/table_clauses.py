"""What CREATE TABLE and ALTER TABLE name besides their table, and what they do outside of the database."""

from __future__ import annotations

from functools import cached_property

from backups.binlog.barriers import Code, Stops
from backups.binlog.settings_untold import (
    DATES,
    OLD_MODE,
    setting_of_function,
    setting_of_operator,
    setting_of_sign,
)
from backups.binlog.statement_words import Named, Qualifier, Reading, Role
from backups.dumpfile.lexer import Kind, Token, Unexpected

_SIGNS = frozenset(b",()=<>!+-*/%|&^~.:?")
_SEQUENCES = (b"NEXTVAL", b"LASTVAL", b"SETVAL")
# Tables of these engines are in the database and nowhere else.
_ENGINES = frozenset(b"INNODB MYISAM ARIA MEMORY HEAP ARCHIVE CSV BLACKHOLE ROCKSDB".split())
# Which each server has; another one may be replaced by the session's default.
_ALWAYS_THERE = {
    True: frozenset(b"INNODB MYISAM ARIA MEMORY HEAP CSV".split()),
    False: frozenset(b"INNODB MYISAM MEMORY HEAP CSV ARCHIVE BLACKHOLE".split()),
}
# And of these at other places, or made of other tables.
_ELSEWHERE = frozenset(
    b"FEDERATED FEDERATEDX CONNECT SPIDER MERGE MRG_MYISAM S3 OQGRAPH SPHINX NDB NDBCLUSTER".split()
    + b"COLUMNSTORE MROONGA CASSANDRA XPAND CLUSTRIX".split()
)
# Tablespaces that are no more than the table's own, or the server's for all.
_OWN_TABLESPACES = frozenset(b"INNODB_FILE_PER_TABLE INNODB_SYSTEM".split())
# What an ALTER would give each row anew: no second run gives the same.
_NEVER_TWICE = frozenset(
    b"UUID UUID_SHORT UUID_V4 UUID_V7 SYS_GUID RAND RANDOM_BYTES SYSDATE CONNECTION_ID DATABASE".split()
    + b"SCHEMA CURRENT_USER USER SESSION_USER SYSTEM_USER CURRENT_ROLE VERSION LAST_INSERT_ID".split()
    + b"LOAD_FILE FOUND_ROWS ROW_COUNT IS_USED_LOCK IS_FREE_LOCK GET_LOCK RELEASE_LOCK ENCRYPT".split()
    + b"DES_ENCRYPT".split()
)
# Of them, those that need no parentheses.
_WITHOUT_PARENTHESES = frozenset(b"CURRENT_USER CURRENT_ROLE".split())
# What stands before an index's name, which may be one of these words, and then its columns in parentheses.
_OF_INDEXES = frozenset(b"KEY INDEX UNIQUE FULLTEXT SPATIAL EXISTS".split())
# With one of these an ALTER does more than give a column another definition.
_CHANGING_KEYS = frozenset(b"ADD DROP PRIMARY UNIQUE KEY INDEX".split())
# What an index of vectors is made by, and which setting of a session decides about it where it is not said.
# https://mariadb.com/docs/server/reference/sql-structure/vectors/vector-system-variables
_OF_VECTORS = {b"M": "mhnsw_default_m", b"DISTANCE": "mhnsw_default_distance"}
# Since when MariaDB has them, and takes the word for nothing else but a type.
_VECTORS_SINCE = 110700
# Where an index may begin; a column's type stands behind its name.
_BEFORE_INDEXES = (b"(", b",", b"ADD")
# Behind these a column is named, which may be called as a type is.
_BEFORE_COLUMNS = frozenset(b"ADD COLUMN MODIFY CHANGE DROP AFTER EXISTS ( ,".split())


class TableClauses:
    """Reads what follows the table's name, to the end of the statement."""

    def __init__(self, reading: Reading, table: Named, *, alters: bool) -> None:
        self._reading = reading
        self._words = reading.words
        self._table = table
        self._alters = alters
        self._depth = 0
        self._before = b""
        # What an ALTER does first, or behind the last comma.
        self._clause = b""
        # Whether a column is numbered that is not new, and whether more than that column is changed.
        self._numbers = False
        self._changes_keys = False
        # Whether checksums of its pages, which are a part of its definition, are as the server has them.
        self._is_arias = False
        # Settings that decide about an index of vectors, as far as nothing is said of it.
        self._of_vectors: set[str] = set()
        self._said_of_vectors: set[str] = set()
        self.starts_transaction = False
        self.has_engine = False

    def read(self) -> None:
        """Take it all. Raises Unexpected, and Stops for what cannot be repeated in another database."""
        if not self._alters and self._likeness():
            return
        while (token := self._words.token) is not None:
            self._words.take()
            if token.kind == Kind.SIGN:
                self._sign(token)
            elif token.kind == Kind.TEXT:
                continue
            elif self._reading.is_number(token):
                self._reading.pass_number(token)
            else:
                self._name_or_word(token)
            self._before = token.text.upper()
        if self._depth:
            raise Unexpected
        if self._numbers and self._changes_keys:
            raise Stops(Code.ROW_ORDER)
        if self._is_arias:
            raise Stops(Code.SETTING, "aria_page_checksum")
        if unsaid := self._of_vectors - self._said_of_vectors:
            raise Stops(Code.SETTING, min(unsaid))

    def makes_vectors(self) -> None:
        """Take to account that an index of vectors is made."""
        if self._reading.logged.dialect.version >= _VECTORS_SINCE and self._table.is_ours:
            self._of_vectors.update(_OF_VECTORS.values())

    @property
    def needs_key(self) -> bool:
        """Whether rows may be numbered in the order in which they lie, unless the table has a primary key."""
        return self._numbers

    def _likeness(self) -> bool:
        """CREATE TABLE … LIKE, in parentheses or not."""
        ahead = self._words.glance()
        is_within = ahead.accept(b"(")
        if not ahead.accept(b"LIKE"):
            return False
        if is_within:
            self._words.take()
        self._words.take()
        self._reading.object(Role.READ)
        if is_within:
            self._words.expect(b")")
        self._reading.end()
        # That of the other table.
        self.has_engine = True
        return True

    def _sign(self, token: Token) -> None:
        if token.says(b"("):
            self._depth += 1
        elif token.says(b")"):
            self._depth -= 1
            if self._depth < 0:
                raise Unexpected
        elif token.says(b";"):
            self._words.the_end()
        elif token.says(b"."):
            self._reading.pass_number(token)
        elif token.text[0] not in _SIGNS:
            raise Unexpected
        elif self._computes and (setting := setting_of_sign(token.text)):
            raise Stops(Code.SETTING, setting)

    @property
    def _is_mariadbs(self) -> bool:
        return self._reading.logged.dialect.is_mariadb

    @cached_property
    def _tells_checksum(self) -> bool:
        """Once for all engines that are named, however many there are."""
        return b"PAGE_CHECKSUM" in self._words.text.upper()

    @property
    def _computes(self) -> bool:
        """Whether the statement may compute rows that are there."""
        return self._alters and self._table.is_ours

    def _name_or_word(self, token: Token) -> None:
        parts = self._reading.chain(token)
        if len(parts) == 1:
            name = self._words.plain(token).upper().encode(errors="replace")
            self._computed(name, token.kind)
            # Within a column's parentheses it is the column of that name.
            if name in _OF_VECTORS and self._depth <= 1 and self._words.sees(b"="):
                self._said_of_vectors.add(_OF_VECTORS[name])
            if token.kind == Kind.WORD:
                self._word(token.text.upper())
            elif self._is_never_twice(self._words.plain(token).upper().encode()):
                raise Stops(Code.NOT_REPEATABLE)
        elif len(parts) == 3:
            self._reading.column_of_table(parts)
        elif self._words.sees(b"(") or not self._is_own(parts[0]):
            # No other `a.b` but a column of the table stands in a definition.
            raise Unexpected

    def _computed(self, name: bytes, kind: Kind) -> None:
        """What gives rows that are there values which the log does not tell."""
        words = self._words
        if not self._computes:
            return
        is_called = words.sees(b"(") and self._before not in _OF_INDEXES
        setting = ""
        if is_called:
            setting = setting_of_function(name, is_mariadb=self._is_mariadbs)
        elif kind == Kind.WORD and (name != b"WEEK" or words.sees(b"FROM")):
            setting = setting_of_operator(name, is_mariadb=self._is_mariadbs)
        if setting:
            raise Stops(Code.SETTING, setting)
        if kind == Kind.WORD:
            self._defined(name)

    def _defined(self, name: bytes) -> None:
        """What another definition of a column, or of a key, does to rows that are there."""
        token = self._words.token
        if not self._depth and self._before in (b"", b","):
            self._clause = name
        # Of a column that held times of day, if it held those.
        is_another_type = self._clause in (b"MODIFY", b"CHANGE") if not self._depth else self._before == b"AS"
        if is_another_type and name in DATES and self._is_mariadbs:
            raise Stops(Code.SETTING, OLD_MODE)
        is_option = token is not None and (token.says(b"=") or self._reading.is_number(token))
        is_serial = name == b"SERIAL" and self._before not in _BEFORE_COLUMNS
        self._numbers |= is_serial or (name == b"AUTO_INCREMENT" and not is_option)
        self._changes_keys |= is_serial or (not self._depth and name in _CHANGING_KEYS)

    def _is_own(self, table: Token) -> bool:
        mine, named = self._table.name, self._words.plain(table)
        if self._reading.wanted.folds_case:
            return mine.lower() == named.lower()
        return mine == named

    def _word(self, word: bytes) -> None:
        reading, words = self._reading, self._words
        if word == b"REFERENCES":
            reading.object(Role.PARENT)
        elif word == b"RENAME" and self._alters:
            self._rename()
        elif word == b"TABLE":
            # WITH TABLE, TO TABLE, CONVERT TABLE; or CREATE TABLE … TABLE, which copies rows.
            if not self._alters:
                raise Stops(Code.STATEMENT_ROWS)
            reading.object()
        elif word == b"START" and words.accept(b"TRANSACTION"):
            self.starts_transaction = True
        elif word == b"SELECT" or (word == b"VALUES" and not words.sees(b"LESS", b"IN")):
            raise Stops(Code.STATEMENT_ROWS)
        elif word == b"VECTOR" and (self._before in _BEFORE_INDEXES or words.sees(b"KEY", b"INDEX")):
            self.makes_vectors()
        elif self._is_mariadbs and word in _SEQUENCES and words.accept(b"("):
            self._depth += 1
            self._sequence()
        elif self._is_mariadbs and word == b"VALUE" and words.accept(b"FOR"):
            self._sequence()
        elif self._is_never_twice(word) or (self._alters and word in _WITHOUT_PARENTHESES):
            raise Stops(Code.NOT_REPEATABLE)
        else:
            self._outside(word)

    def _is_never_twice(self, name: bytes) -> bool:
        """Whether a function is called here, in quotes or without, of which no two runs tell the same."""
        is_called = self._words.sees(b"(") and self._before not in _OF_INDEXES
        return self._alters and is_called and name in _NEVER_TWICE

    def _sequence(self) -> None:
        """What gives a column its values. An ALTER draws one for each row; the log has it drawn already."""
        self._reading.object(Role.READ)
        if self._alters and self._table.is_ours:
            raise Stops(Code.NOT_REPEATABLE)

    def _rename(self) -> None:
        """A new name for the table, or for a column or index of it."""
        words = self._words
        if words.sees(b"COLUMN", b"INDEX", b"KEY", b"CONSTRAINT", b"PARTITION"):
            words.take()
            words.accept(b"IF", b"EXISTS")
            self._plain_name()
            words.expect(b"TO")
            self._plain_name()
            return
        for before in (b"TO", b"AS", b"="):
            if words.accept(before):
                break
        self._reading.object()

    def _plain_name(self) -> None:
        if len(self._reading.chain()) != 1:
            raise Unexpected

    def _outside(self, word: bytes) -> None:
        """What makes the table depend on something outside of the database."""
        words = self._words
        if word == b"UNION":
            raise Stops(Code.OUTSIDE)
        if word in (b"CONNECTION", b"DIRECTORY") and self._is_set():
            raise Stops(Code.OUTSIDE)
        if word in (b"ENGINE", b"TYPE"):
            self._engine(word)
        if word == b"TABLESPACE":
            self._tablespace()
        if word in (b"DISCARD", b"IMPORT") and words.sees(b"TABLESPACE", b"PARTITION"):
            raise Stops(Code.OUTSIDE)

    def _is_set(self) -> bool:
        token = self._words.token
        return token is not None and (token.says(b"=") or token.kind == Kind.TEXT)

    def _engine(self, word: bytes) -> None:
        words = self._words.glance()
        is_set = words.accept(b"=")
        token = words.token
        if token is None or token.kind == Kind.SIGN:
            return
        # A text is no column's type, and beside a new table's columns there is no other thing of that name.
        is_set = is_set or token.kind == Kind.TEXT or (not self._alters and not self._depth)
        named = words.plain(token).upper().encode(errors="replace")
        if is_set and not self._depth:
            self.has_engine = named in _ALWAYS_THERE[self._is_mariadbs]
            is_arias = named == b"ARIA" and self._is_mariadbs and self._table.is_ours
            self._is_arias |= is_arias and not self._tells_checksum
        if named in _ELSEWHERE or (is_set and word == b"ENGINE" and named not in _ENGINES):
            raise Stops(Code.OUTSIDE)

    def _tablespace(self) -> None:
        words = self._words.glance()
        words.accept(b"=")
        token = words.token
        if token is None or words.plain(token).upper().encode(errors="replace") not in _OWN_TABLESPACES:
            raise Stops(Code.OUTSIDE)


def read_index(reading: Reading, *, of_vectors: bool = False) -> Named:
    """The table of CREATE INDEX or DROP INDEX, read on after INDEX. Raises Unexpected, Stops."""
    words = reading.words
    while not words.sees(b"ON"):
        token = words.take()
        if token.kind == Kind.SIGN:
            raise Unexpected
    words.take()
    table = reading.object(Role.CHANGED, Qualifier.PUT)
    clauses = TableClauses(reading, table, alters=True)
    if of_vectors:
        clauses.makes_vectors()
    clauses.read()
    return table
