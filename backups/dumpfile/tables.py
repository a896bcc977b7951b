"""CREATE TABLE and ALTER TABLE of a dump: what of them is made, and what would reach out of the database.

A table that lies elsewhere (on another server, in files of the server's machine, over other
databases' tables) is not made, since making it would already reach there; its rows are in no dump
either. What only names another place is cut, or put off until the table stands where it belongs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from backups.dumpfile.dialect import Dialect
from backups.dumpfile.lexer import Cursor, Kind, Token, Unexpected
from backups.text.sentences import phrase

# Engines that keep all of a table in the server's own data folder.
# https://mariadb.com/kb/en/storage-engines/ https://dev.mysql.com/doc/refman/8.4/en/storage-engines.html
_AT_HOME = frozenset(
    {b"INNODB", b"MYISAM", b"ARIA", b"MEMORY", b"HEAP", b"CSV", b"ARCHIVE", b"BLACKHOLE", b"ROCKSDB", b"NDB",
     b"TOKUDB", b"COLUMNSTORE", b"NDBCLUSTER", b"ISAM", b"XTRADB", b"DUCKDB", b"SECONDARY"}
)  # fmt: skip
_MERGE = frozenset({b"MERGE", b"MRG_MYISAM"})
# Of actions of an ALTER TABLE that only add to a table what belongs to it.
_ADDS = (b"PRIMARY", b"UNIQUE", b"FULLTEXT", b"SPATIAL", b"KEY", b"INDEX", b"FOREIGN", b"CHECK", b"VECTOR")
# Sequences move by these; in a default they are known by their brackets alone.
_DRAWING = (b"NEXTVAL", b"LASTVAL", b"CURRVAL", b"SETVAL")
_OPTIONS = (b"DIRECTORY", b"CONNECTION", b"ENGINE", b"TYPE", b"UNION", b"PARTITION", b"TABLESPACE")
# What a table's own file is called where a tablespace is named.
_OWN_FILE = "innodb_file_per_table"
_NEVER = (b"SELECT", b"TABLE", b"@", b";", b"LIKE", b"RENAME", b"EXCHANGE", b"DISCARD", b"IMPORT", b"INTO")


@dataclass
class Made:
    """A CREATE TABLE as it is to be sent, or why it is not, or not all of it.

    `waiting` are the reasons for `outward`, which is what it gets when it stands in its place: keys to
    other databases and defaults from there, as actions of an ALTER TABLE.
    """

    text: bytes = b""
    is_made: bool = True
    left_out: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    outward: list[bytes] = field(default_factory=list)
    # The sequences of its own database from which its columns draw.
    draws_from: list[str] = field(default_factory=list)


@dataclass
class _State:
    """How far a CREATE TABLE is read, and what is made of it."""

    table: str
    made: Made = field(default_factory=Made)
    depth: int = 0
    groups: int = 0
    # Where the separator before the present item of the first group stands, and what the item is.
    separator: int = -1
    item_begins: int = -1
    is_outward: bool = False
    outward: list[str] = field(default_factory=list)
    far: str = ""
    # Where the last DEFAULT stands and ends, and the first word of the present item.
    default: tuple[int, int] = (-1, -1)
    column: bytes = b""


class TableReader:
    """Reads the table definitions of one dump for the database `target`.

    `is_own` tells of a database's name whether it is the one that is dumped, `tablespace_of` in which
    tablespace the live table of a name lies, empty where there is none or it has a file of its own.
    """

    def __init__(
        self, target: str, is_own: Callable[[str], bool], tablespace_of: Callable[[str], str]
    ) -> None:
        self._target = target
        self._is_own = is_own
        self._tablespace_of = tablespace_of
        self._left_out: set[str] = set()

    def is_left_out(self, table: str) -> bool:
        """Whether a table came by that was not made."""
        return table in self._left_out

    def read(self, table: str, cursor: Cursor) -> Made:
        """Read on after the table's name. Raises Unexpected."""
        state = _State(table)
        made = state.made
        if not cursor.sees(b"("):
            raise Unexpected
        while cursor.token is not None:
            self._step(cursor, cursor.take(), state)
        if state.depth:
            raise Unexpected
        if state.far:
            self._left_out.add(table)
            return Made(is_made=False, left_out=[phrase("it is not made: {far}", far=state.far)])
        self._left_out.discard(table)
        made.text = cursor.rewritten()
        return made

    def _step(self, cursor: Cursor, token: Token, state: _State) -> None:
        if token.says(b"("):
            self._open(token, state)
        elif token.says(b")"):
            self._close(cursor, token, state)
        elif token.says(b","):
            if state.depth == 1 and state.groups == 1:
                self._item_ends(cursor, token.start, state)
                state.separator, state.item_begins, state.column = token.start, token.end, b""
        elif token.kind == Kind.WORD:
            self._note_column(token, state)
            self._word(cursor, token, state)
        elif any(token.says(sign) for sign in _NEVER):
            raise Unexpected
        else:
            self._note_column(token, state)

    @staticmethod
    def _note_column(token: Token, state: _State) -> None:
        if state.depth == 1 and state.groups == 1 and not state.column:
            state.column = token.text

    def _open(self, token: Token, state: _State) -> None:
        state.depth += 1
        if state.depth == 1:
            state.groups += 1
            if state.groups == 1:
                state.separator, state.item_begins, state.column = -1, token.end, b""

    def _close(self, cursor: Cursor, token: Token, state: _State) -> None:
        if state.depth == 1 and state.groups == 1:
            self._item_ends(cursor, token.start, state)
        state.depth -= 1
        if state.depth < 0:
            raise Unexpected

    def _item_ends(self, cursor: Cursor, end: int, state: _State) -> None:
        """A foreign key to another database waits until the table stands in its place."""
        if not state.is_outward:
            return
        item = cursor.text[state.item_begins : end].strip()
        if state.separator < 0 or not item.upper().startswith((b"CONSTRAINT", b"FOREIGN")):
            raise Unexpected(phrase("a column refers to another database"))
        # Up to its last word: the line's end is the bracket's.
        cursor.cut(state.separator, state.item_begins + len(cursor.text[state.item_begins : end].rstrip()))
        state.made.outward.append(b"ADD " + item)
        state.made.waiting.append(
            phrase(
                "its foreign key to {outward}, in another database, is not made", outward=state.outward[-1]
            )
        )
        state.is_outward = False

    def _word(self, cursor: Cursor, token: Token, state: _State) -> None:
        word = token.text.upper()
        # A bare word in brackets of its own is a column's name, as in PARTITION BY KEY (type).
        if state.groups > 1 and cursor.sees(b")", b","):
            return
        if word in _NEVER and not (word == b"LIKE" and state.depth > 1):
            raise Unexpected
        if word == b"AS" and not state.depth:
            raise Unexpected
        if word == b"VALUES" and not cursor.sees(b"LESS", b"IN"):
            raise Unexpected
        if word == b"DEFAULT":
            state.default = (token.start, token.end)
        elif word in _DRAWING:
            if word not in (b"NEXTVAL", b"LASTVAL") or not cursor.accept(b"("):
                raise Unexpected(phrase("a default moves a sequence"))
            self._sequence(cursor, token, state)
            cursor.expect(b")")
        elif word in (b"NEXT", b"PREVIOUS") and cursor.accept(b"VALUE"):
            cursor.expect(b"FOR")
            self._sequence(cursor, token, state)
        elif word == b"REFERENCES":
            self._reference(cursor, state)
        elif word in (b"DATA", b"INDEX") and cursor.sees(b"DIRECTORY"):
            self._directory(cursor, token, state.made)
        elif not state.depth or state.groups > 1:
            self._option(cursor, token, state)

    def _sequence(self, cursor: Cursor, token: Token, state: _State) -> None:
        """A sequence in a default; one of another database would be moved by a row without a value."""
        name = cursor.name()
        if name.qualifier is None or self._is_own(name.qualifier):
            state.made.draws_from.append(name.name)
        if name.qualifier is None:
            return
        if self._is_own(name.qualifier):
            # The target's name is in UTF-8, and another character set would read something else.
            if not (self._target.isascii() or cursor.charset.startswith("utf8")):
                raise Unexpected
            cursor.cut(name.start, name.own, _quoted(self._target) + b".")
            return
        start, end = state.default
        if not token.says(b"NEXTVAL") or cursor.text[end : token.start].strip() or not cursor.sees(b")"):
            raise Unexpected(phrase("it draws from the database {qualifier}", qualifier=name.qualifier))
        stop = cursor.token.end if cursor.token else end
        cursor.cut(start, stop)
        action = b"ALTER COLUMN " + state.column + b" SET " + cursor.text[start:stop]
        state.made.outward.append(action)
        state.made.waiting.append(
            phrase(
                "its default from {qualifier}.{name}, in another database, is not made",
                qualifier=name.qualifier,
                name=name.name,
            )
        )

    def _reference(self, cursor: Cursor, state: _State) -> None:
        name = cursor.name()
        if name.qualifier is None:
            return
        if self._is_own(name.qualifier):
            cursor.cut(name.start, name.own)
        else:
            state.is_outward = True
            state.outward.append(f"{name.qualifier}.{name.name}")

    def _directory(self, cursor: Cursor, token: Token, made: Made) -> None:
        """Files lie where the server keeps its own, whatever place a dump names."""
        cursor.expect(b"DIRECTORY")
        cursor.accept(b"=")
        if cursor.take().kind != Kind.TEXT:
            raise Unexpected
        cursor.cut_as_if_unsaid(token.start, cursor.reached)
        what = phrase("its folder for indexes") if token.says(b"INDEX") else phrase("its folder")
        if what + " is the server's own" not in made.left_out:
            made.left_out.append(what + phrase(" is the server's own"))

    def _option(self, cursor: Cursor, token: Token, state: _State) -> None:
        """Of the table itself, or of a partition."""
        word = token.text.upper()
        if word in (b"ENGINE", b"TYPE"):
            cursor.accept(b"=")
            engine = cursor.plain(cursor.take())
            if engine.upper().encode() not in _AT_HOME | _MERGE:
                state.far = phrase(
                    "its engine, {engine}, keeps rows elsewhere, and no dump holds them", engine=engine
                )
        elif word == b"CONNECTION":
            state.far = state.far or phrase("its rows lie on another server, and no dump holds them")
        elif word == b"UNION":
            cursor.accept(b"=")
            cursor.expect(b"(")
            while not cursor.accept(b")"):
                name = cursor.name()
                if name.qualifier is not None and not self._is_own(name.qualifier):
                    state.far = phrase(
                        "it is made of {qualifier}.{name}, in another database",
                        qualifier=name.qualifier,
                        name=name.name,
                    )
                elif name.qualifier is not None:
                    cursor.cut(name.start, name.own)
                cursor.accept(b",")
        elif word == b"TABLESPACE":
            self._tablespace(cursor, token, state)
        elif word == b"START" and not state.depth:
            raise Unexpected  # TRANSACTION, which keeps out all that follows

    def _tablespace(self, cursor: Cursor, token: Token, state: _State) -> None:
        """A file that tables share is no dump's to choose: it is the one that the live table lies in."""
        cursor.accept(b"=")
        if cursor.token is None or cursor.token.kind not in (Kind.WORD, Kind.NAME):
            return  # a column's name
        named = cursor.take()
        tablespace = cursor.plain(named)
        # Partitions share no file.
        shared = "" if state.depth else self._tablespace_of(state.table)
        if tablespace not in (shared or _OWN_FILE, _OWN_FILE):
            cursor.cut_as_if_unsaid(token.start, named.end)
            state.made.left_out.append(
                phrase(
                    "it is made outside of the tablespace {tablespace}, in which no live table of this "
                    "name lies",
                    tablespace=tablespace,
                )
            )

    # ------------------------------------------------------------ ALTER TABLE

    def read_alter(self, table: str, cursor: Cursor) -> bytes:
        """Read on after the table's name: keys that are added, columns that count up. Raises Unexpected."""
        while True:
            self._action(cursor)
            depth = 0
            while cursor.token is not None and not (depth == 0 and cursor.sees(b",")):
                depth += self._within_action(cursor)
            if not cursor.accept(b","):
                return cursor.rewritten()

    def _action(self, cursor: Cursor) -> None:
        if cursor.accept(b"ADD"):
            if cursor.accept(b"CONSTRAINT") and not cursor.sees(*_ADDS):
                cursor.name()
            if cursor.accept(b"VECTOR"):  # a column may be called so
                if not cursor.sees(b"KEY", b"INDEX"):
                    raise Unexpected
            elif not cursor.sees(*_ADDS):
                raise Unexpected
        elif cursor.accept(b"MODIFY"):
            cursor.accept(b"COLUMN")
            cursor.name()
        else:
            cursor.expect(b"AUTO_INCREMENT")
            cursor.accept(b"=")
            if not cursor.take().text.isdigit() or not (cursor.token is None or cursor.sees(b",")):
                raise Unexpected

    def _within_action(self, cursor: Cursor) -> int:
        """Take a token of an action; answers how much deeper in brackets it leads."""
        token = cursor.take()
        if any(token.says(word) for word in _NEVER) and not token.says(b"LIKE"):
            raise Unexpected
        if token.says(b"REFERENCES"):
            name = cursor.name()
            if name.qualifier is not None:
                if not self._is_own(name.qualifier):
                    raise Unexpected(
                        phrase("it refers to the database {qualifier}", qualifier=name.qualifier)
                    )
                cursor.cut(name.start, name.own)
        elif any(token.says(word) for word in (*_DRAWING, *_OPTIONS)) or (
            any(token.says(word) for word in (b"NEXT", b"PREVIOUS")) and cursor.sees(b"VALUE")
        ):
            raise Unexpected
        return 1 if token.says(b"(") else -1 if token.says(b")") else 0


def tablespace_of(definition: bytes, dialect: Dialect) -> str:
    """The shared tablespace in which a table lies by its CREATE TABLE, empty where it has its own file."""
    cursor = Cursor(definition, dialect, "utf8mb4", "")
    depth = 0
    with suppress(Unexpected):
        for token in cursor.rest():
            depth += token.says(b"(") - token.says(b")")
            if not depth and token.says(b"TABLESPACE"):
                return cursor.plain(cursor.take())
    return ""


def is_at_home(engine: str) -> bool:
    """Whether an engine keeps all of a table in the server's own data folder."""
    return engine.upper().encode() in _AT_HOME


def _quoted(name: str) -> bytes:
    return b"`" + name.replace("`", "``").encode(errors="surrogateescape") + b"`"
