"""Which database the statements of a dump are about."""

from __future__ import annotations

from backups.dumpfile.lexer import Cursor, Name, Unexpected
from backups.text.sentences import phrase


class Scope:
    """Follows USE. `source` is the name of the database that is wanted, however its letters are written.

    `chosen` is the one that USE has chosen, none before the first.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self.chosen: str | None = None
        # How USE wrote the wanted one: if just as it is written, another of the same letters is another's.
        self._spelling = ""

    @property
    def is_ours(self) -> bool:
        """Whether the statements that come now are of the wanted database."""
        return self.chosen is None or self.is_own(self.chosen)

    def is_own(self, database: str) -> bool:
        """Whether a database's name means the wanted one."""
        if self._source in (self._spelling, database):
            return database == self._source
        return database.casefold() == self._source.casefold()

    def use(self, cursor: Cursor) -> None:
        """Understand a USE. Raises Unexpected."""
        cursor.take()
        name = cursor.name()
        cursor.the_end()
        if name.qualifier is not None:
            raise Unexpected
        self.chosen = name.name
        if self.is_ours:
            if self._spelling not in ("", name.name):
                raise Unexpected(
                    phrase(
                        "it holds both {spelling} and {name}, and only one is wanted",
                        spelling=self._spelling,
                        name=name.name,
                    )
                )
            self._spelling = name.name

    def own(self, cursor: Cursor, name: Name) -> str:
        """A name alone, without its database's, which must be the wanted one's. Raises Unexpected."""
        if name.qualifier is not None:
            if not self.is_own(name.qualifier):
                raise Unexpected(phrase("it is about the database {qualifier}", qualifier=name.qualifier))
            cursor.cut(name.start, name.own)
        return name.name
