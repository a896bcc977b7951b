"""What a statement does, by its first words: the verb, the kind of thing, and the names of these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from backups.binlog.barriers import Code, Stops
from backups.binlog.definition_heads import KINDS, read_definition, read_modifiers
from backups.binlog.statement_words import Qualifier, Reading, Role, Words
from backups.binlog.table_clauses import TableClauses, read_index
from backups.dumpfile.lexer import Kind, Unexpected

# Of the server, whatever the default database is.
_SERVERS = (b"USER", b"ROLE", b"SERVER", b"TABLESPACE", b"UNDO", b"LOGFILE", b"RESOURCE", b"INSTANCE")
_DATABASE = (b"DATABASE", b"SCHEMA")
_ROWS = frozenset(
    b"INSERT UPDATE DELETE REPLACE LOAD CALL DO SELECT WITH HANDLER VALUES TABLE IMPORT".split()
)
# Accounts and the like; statements that change no content.
_HARMLESS = {b"GRANT": "server", b"REVOKE": "server", b"FLUSH": "server"}
_TENDING = (b"ANALYZE", b"OPTIMIZE", b"REPAIR", b"CHECK")
_DROPPED = {
    b"TABLE": "table",
    b"TABLES": "table",
    b"VIEW": "view",
    b"SEQUENCE": "sequence",
    b"TRIGGER": "trigger",
    b"PROCEDURE": "procedure",
    b"FUNCTION": "function",
    b"LIBRARY": "library",
    b"EVENT": "event",
    b"PACKAGE": "package",
}
_INDEXES = (b"UNIQUE", b"FULLTEXT", b"SPATIAL", b"VECTOR")


@dataclass
class Told:
    """What a statement says of itself, as far as it was read."""

    verb: str = ""
    kind: str = ""
    # A trigger's or an index's.
    table: str = ""
    # Why it cannot have changed a database's content: "server" or "nothing".
    harmless: str = ""
    has_body: bool = False
    event_state: str | None = None
    starts_transaction: bool = False
    # A table is made, and its engine is the session's default.
    lacks_engine: bool = False
    # Rows get numbers in the order in which they lie, unless the table has a primary key.
    needs_key: bool = False


def read_control(words: Words) -> tuple[str, str] | None:
    """What a statement does with a transaction, and with which savepoint; None for any other statement.

    Raises Unexpected.
    """
    if words.sees(b"XA"):
        return "XA", ""
    if words.accept(b"START"):
        if not words.accept(b"TRANSACTION"):
            return None
        return "BEGIN", ""
    for verb in (b"BEGIN", b"COMMIT", b"ROLLBACK"):
        if words.accept(verb):
            words.accept(b"WORK")
            if verb == b"ROLLBACK" and words.accept(b"TO"):
                words.accept(b"SAVEPOINT")
                return "ROLLBACK TO", _savepoint(words)
            words.accept(b";")
            words.the_end()
            return verb.decode(), ""
    if words.accept(b"SAVEPOINT"):
        return "SAVEPOINT", _savepoint(words)
    if words.accept(b"RELEASE", b"SAVEPOINT"):
        return "RELEASE SAVEPOINT", _savepoint(words)
    return None


def _savepoint(words: Words) -> str:
    token = words.take()
    if token.kind not in (Kind.WORD, Kind.NAME):
        raise Unexpected
    words.accept(b";")
    words.the_end()
    return words.plain(token)


def read_statement(reading: Reading, told: Told) -> None:
    """Read all of a statement but a body. Raises Unexpected, and Stops where it is no use to read on."""
    words = reading.words
    verb = words.take()
    if verb.says(b"("):
        raise Stops(Code.STATEMENT_ROWS)  # a SELECT, which is logged for what its functions do
    if verb.kind != Kind.WORD:
        raise Unexpected
    word = verb.text.upper()
    told.verb = word.decode(errors="replace")[:20]
    readers: dict[bytes, Callable[[Reading, Told], None]] = {
        b"CREATE": _create,
        b"ALTER": _alter,
        b"DROP": _drop,
        b"RENAME": _rename,
        b"TRUNCATE": _truncate,
        b"SET": _set,
    }
    if word in readers:
        readers[word](reading, told)
    elif word in _HARMLESS:
        told.harmless = _HARMLESS[word]
    elif word in _TENDING:
        _tend(reading, told)
    elif word in _ROWS:
        _rows(reading, told)
    else:
        raise Unexpected


def _set(reading: Reading, told: Told) -> None:
    """Passwords and roles. SET STATEMENT … FOR may be anything, and other settings are in no log."""
    if reading.words.accept(b"STATEMENT"):
        while not reading.words.accept(b"FOR"):
            reading.words.take()
        raise Stops(Code.STATEMENT_ROWS) if reading.words.sees(*_ROWS) else Unexpected
    if not any(reading.words.accept(word) for word in (b"PASSWORD", b"ROLE")):
        reading.words.expect(b"DEFAULT", b"ROLE")
    told.harmless = "server"


def _tend(reading: Reading, told: Told) -> None:
    """ANALYZE TABLE and the like. MariaDB's ANALYZE of a statement runs it."""
    words = reading.words
    for word in (b"NO_WRITE_TO_BINLOG", b"LOCAL"):
        words.accept(word)
    if not words.sees(b"TABLE", b"TABLES", b"VIEW"):
        raise Stops(Code.STATEMENT_ROWS)
    told.harmless = "nothing"


def _rows(reading: Reading, told: Told) -> None:
    """A statement that changes rows. Only MySQL says of which databases: foreign keys, triggers and functions
    of any database may change rows of ours."""
    updated = reading.logged.updated
    if not updated or any(reading.wanted.is_named(name) for name in updated):
        raise Stops(Code.STATEMENT_ROWS)
    told.harmless = "another"


def _is_of_server(reading: Reading, told: Told) -> bool:
    words = reading.words
    ahead = words.ahead()
    if words.sees(*_SERVERS) or (ahead.accept(b"SPATIAL") and ahead.sees(b"REFERENCE")):
        told.harmless = "server"
        return True
    return False


def _create(reading: Reading, told: Told) -> None:
    words = reading.words
    replaces = words.accept(b"OR", b"REPLACE")
    if _is_of_server(reading, told):
        return
    if words.accept(b"TEMPORARY"):
        told.kind = "table"
        raise Stops(Code.TEMPORARY)
    of_vectors = words.sees(b"VECTOR")
    if words.sees(*_DATABASE):
        words.take()
        _create_database(reading, told, replaces=replaces)
    elif words.accept(b"TABLE"):
        _create_table(reading, told)
    elif words.accept(b"SEQUENCE"):
        told.kind = "sequence"
        words.accept(b"IF", b"NOT", b"EXISTS")
        told.lacks_engine = not _sequence(reading)
    elif _takes_index(words):
        told.kind = "index"
        told.table = read_index(reading, of_vectors=of_vectors).name
    else:
        _definition(reading, told, alters=False)


def _takes_index(words: Words) -> bool:
    ahead = words.ahead()
    for kind in (b"ONLINE", b"OFFLINE", b"IGNORE", *_INDEXES):
        ahead.accept(kind)
    if not ahead.accept(b"INDEX"):
        return False
    while not words.accept(b"INDEX"):
        words.take()
    return True


def _create_database(reading: Reading, told: Told, *, replaces: bool) -> None:
    """Of a database that is there IF NOT EXISTS changes nothing, and it is: its end would be a barrier."""
    words = reading.words
    told.kind = "database"
    is_careful = words.accept(b"IF", b"NOT", b"EXISTS")
    if reading.database() and (replaces or not is_careful):
        raise Stops(Code.DATABASE)
    told.harmless = "nothing"


def _create_table(reading: Reading, told: Told) -> None:
    told.kind = "table"
    reading.words.accept(b"IF", b"NOT", b"EXISTS")
    clauses = TableClauses(reading, reading.object(), alters=False)
    clauses.read()
    told.starts_transaction = clauses.starts_transaction
    told.lacks_engine = not clauses.has_engine


def _sequence(reading: Reading) -> bool:
    """The name of a sequence and its options, among which there is no other name; is one its engine?"""
    words = reading.words
    has_engine = False
    reading.object()
    while (token := words.token) is not None:
        words.take()
        if token.says(b";"):
            words.the_end()
        elif token.kind == Kind.NAME or (token.kind == Kind.SIGN and token.text not in (b"=", b"-", b"+")):
            raise Unexpected
        elif token.says(b"ENGINE"):
            words.accept(b"=")
            if not any(words.accept(engine) for engine in (b"INNODB", b"ARIA", b"MYISAM")):
                raise Stops(Code.OUTSIDE)
            has_engine = True
        elif any(token.says(word) for word in (b"DIRECTORY", b"CONNECTION", b"TABLESPACE")):
            raise Stops(Code.OUTSIDE)
    return has_engine


def _definition(reading: Reading, told: Told, *, alters: bool) -> None:
    read_modifiers(reading)
    token = reading.words.token
    if token is None or not (any(token.says(kind) for kind in KINDS) or token.says(b"JSON")):
        raise Unexpected
    told.kind = token.text.decode(errors="replace").lower()
    head = read_definition(reading, alters=alters)
    told.kind, told.table = head.kind, head.table
    told.has_body, told.event_state = head.has_body, head.event_state
    if head.is_of_server:
        told.harmless = "server"


def _alter(reading: Reading, told: Told) -> None:
    words = reading.words
    if _is_of_server(reading, told):
        return
    if words.sees(*_DATABASE):
        words.take()
        _alter_database(reading, told)
        return
    if words.accept(b"SEQUENCE"):
        told.kind = "sequence"
        words.accept(b"IF", b"EXISTS")
        _sequence(reading)
        return
    for word in (b"ONLINE", b"OFFLINE"):
        words.accept(word)
    leaves_out = words.accept(b"IGNORE")
    if words.accept(b"TABLE"):
        told.kind = "table"
        words.accept(b"IF", b"EXISTS")
        table = reading.object()
        if leaves_out and table.is_ours:
            raise Stops(Code.ROW_ORDER)  # of rows that are alike the first is kept
        clauses = TableClauses(reading, table, alters=True)
        clauses.read()
        told.needs_key = clauses.needs_key
    else:
        _definition(reading, told, alters=True)


_DATABASE_OPTIONS = (b"DEFAULT", b"CHARACTER", b"COLLATE", b"CHARSET", b"COMMENT", b"ENCRYPTION")


def _alter_database(reading: Reading, told: Told) -> None:
    """Character set, collation, comment. Without a name it is the default database's."""
    words = reading.words
    told.kind = "database"
    if words.sees(b"DEFAULT", b"CHARACTER", b"COLLATE"):
        reading.default_database()
    elif words.sees(b"CHARSET", b"COMMENT", b"ENCRYPTION", b"READ", b"UPGRADE"):
        raise Unexpected  # a name or an option
    else:
        reading.database()
    while (token := words.token) is not None:
        if token.says(b";"):
            reading.end()
            return
        if not any(token.says(option) for option in _DATABASE_OPTIONS):
            raise Unexpected
        words.take()
        if token.says(b"DEFAULT"):
            continue
        if token.says(b"CHARACTER"):
            words.expect(b"SET")
        words.accept(b"=")
        if words.take().kind == Kind.SIGN:
            raise Unexpected


def _drop(reading: Reading, told: Told) -> None:
    words = reading.words
    if _is_of_server(reading, told):
        return
    if words.accept(b"TEMPORARY"):
        # A session's own, which is not there in another one.
        if not words.sees(b"TABLE", b"TABLES", b"SEQUENCE"):
            raise Unexpected
        told.kind, told.harmless = "table", "nothing"
        return
    if words.sees(*_DATABASE):
        words.take()
        told.kind = "database"
        words.accept(b"IF", b"EXISTS")
        if reading.database():
            raise Stops(Code.DATABASE)
        told.harmless = "nothing"
        return
    if _takes_index(words):
        told.kind = "index"
        words.accept(b"IF", b"EXISTS")
        told.table = read_index(reading).name
        return
    kind = words.take().text.upper()
    if kind not in _DROPPED:
        raise Unexpected
    told.kind = _DROPPED[kind]
    if kind == b"PACKAGE" and words.accept(b"BODY"):
        told.kind = "package body"
    words.accept(b"IF", b"EXISTS")
    reading.object()
    while told.kind in ("table", "view", "sequence") and words.accept(b","):
        reading.object()
    for word in (b"RESTRICT", b"CASCADE"):
        words.accept(word)
    _wait(reading)
    reading.end()


def _wait(reading: Reading) -> None:
    """MariaDB's WAIT n and NOWAIT."""
    words = reading.words
    if words.accept(b"WAIT"):
        if not reading.is_number(words.take()):
            raise Unexpected
    else:
        words.accept(b"NOWAIT")


def _rename(reading: Reading, told: Told) -> None:
    words = reading.words
    if words.sees(b"USER"):
        told.harmless = "server"
        return
    told.kind = "table"
    if not words.accept(b"TABLES"):
        words.expect(b"TABLE")
    words.accept(b"IF", b"EXISTS")
    while True:
        reading.object()
        _wait(reading)
        words.expect(b"TO")
        reading.object()
        if not words.accept(b","):
            break
    reading.end()


def _truncate(reading: Reading, told: Told) -> None:
    told.kind = "table"
    reading.words.accept(b"TABLE")
    reading.object(Role.CHANGED, Qualifier.PUT)
    _wait(reading)
    reading.end()
