"""By which names a dump has made tables, sequences and views so far: each once, as the server spells it."""

from __future__ import annotations

from collections.abc import Iterable

from backups.dumpfile.dialect import Dialect
from backups.dumpfile.lexer import Unexpected
from backups.dumpfile.ready import Found
from backups.text.kinds import kind_word
from backups.text.sentences import phrase


class Made:
    """What is there of the dump that is being loaded, and what stood there before.

    It notes in `found` what it learns. `standing` are tables of the database that are there already, for
    definitions that come without theirs.
    """

    def __init__(self, dialect: Dialect, found: Found, standing: Iterable[str]) -> None:
        self._dialect = dialect
        self.found = found
        self._standing = frozenset(standing)
        # Tables, sequences and views that were made so far, dropped again or not: they share their names.
        self._taken_names: dict[str, str] = {}
        # How the dump spells what it makes, by the server's names.
        self._spellings: dict[str, str] = {}

    def made_as(self, written: str) -> str:
        """What the server will call a table, view or sequence that is made: it may take two for one."""
        name = self._dialect.spelled(written)
        before = self._spellings.setdefault(name, written)
        if before != written:
            self.found.clashing += [before, written]
        if name != written:
            self.found.respelled[name] = written
        return name

    def is_there(self, table: str) -> bool:
        """Whether the dump has made a table, or it stood there before."""
        return ("table", table) in self.found.made or table in self._standing

    def take_name(self, kind: str, name: str, written: str) -> None:
        """A second one is of a second dump in the file, or would be put in the place of the first.

        But for two that are one to this server alone, which `found.clashing` tells.
        """
        if (first := self._taken_names.get(name)) and self._spellings[name] == written:
            raise Unexpected(_made_before(first, name))
        self._taken_names[name] = kind

    def take_name_of_view(self, name: str, written: str, *, replaces: bool) -> None:
        """Views have placeholders, which are dropped before: tables in old dumps, views in later ones."""
        for kind in ("table", "sequence", *(() if replaces else ("view",))):
            if (kind, name) in self.found.made and self._spellings[name] == written:
                raise Unexpected(_made_before(kind, name))
        self._taken_names[name] = "view"

    def refuse_unless_there(self, table: str) -> None:
        """Raise Unexpected for a table that is not there."""
        if not self.is_there(table):
            raise Unexpected(phrase("the dump has made no table {table}", table=table))


def _made_before(kind: str, name: str) -> str:
    return phrase("the dump has made the {kind} {name} before", kind=kind_word(kind), name=name)
