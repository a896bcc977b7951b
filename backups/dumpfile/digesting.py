"""A dump's sections, digested while it passes by, and the manifest that it carries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from backups.dumpfile.manifests import ManifestReader
from backups.dumpfile.rewriting import with_database
from backups.dumpfile.sections import DEFINITIONS, ROUTINES, SEE_IT, Kind, Piece, Section, TooLarge, in_words
from backups.dumpfile.splitter import Splitter
from backups.dumpfile.table_text import is_keyless
from backups.text.sentences import phrase

# Of all of them together, which are kept until they are whole. A hundred thousand tables have half as much.
_MOST_DEFINED = 1 << 30


class Digester:
    """Splits and digests a dump, and finds the manifest at its end. `database` is what it is a dump of.

    With `sums_rows`, rows that nothing orders are summed up, too, for `told`.
    """

    def __init__(self, database: str = "", *, sums_rows: bool = False) -> None:
        self._database, self._sums_rows = database, sums_rows
        self.splitter = Splitter()
        self._sections: list[Section] = [self.splitter.section]
        self._manifest = ManifestReader()
        self._defined = 0

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Digest the next bytes, giving out the pieces."""
        return self.digested(self.splitter.feed(data))

    def close(self) -> Iterator[Piece]:
        """Digest what stands after the last newline."""
        return self.digested(self.splitter.close())

    @property
    def section(self) -> Section:
        """The section that the stream is in."""
        return self._sections[-1]

    @property
    def tables_begun(self) -> int:
        """How many tables have passed, or begun to."""
        return sum(section.kind == Kind.TABLE for section in self._sections)

    @property
    def is_complete(self) -> bool:
        """Whether the dump's closing line was seen."""
        return self.splitter.is_complete

    def manifest(self) -> dict[str, Any] | None:
        """The manifest that the stream carried. Raises ManifestDamaged."""
        return self._manifest.result()

    def sections(
        self, collations: Mapping[str, str], *, whatever_state: bool = False, whoever_defines: bool = False
    ) -> list[dict[str, Any]]:
        """All sections that hold statements; arguments as those of `Section.as_json`."""
        return [
            section.as_json(collations, whatever_state=whatever_state, whoever_defines=whoever_defines)
            for section in self._sections
            if not section.is_empty
        ]

    def told(self, collations: Mapping[str, str]) -> list[dict[str, Any]]:
        """All sections that hold statements, as the manifest of this dump tells them."""
        return [section.told(collations) for section in self._sections if not section.is_empty]

    def row_sums(self) -> dict[str, dict[str, Any]]:
        """Of each table whose rows were summed up, what `Section.row_sum` says."""
        return {each.table: rows for each in self._sections if (rows := each.row_sum) is not None}

    def definitions_kept(self) -> dict[tuple[str, str], Section]:
        """The definitions that are there as they came by, by kind and name: views, triggers, events."""
        return {
            (s.kind, s.name): s for s in self._sections if s.kind in (Kind.VIEW, Kind.TRIGGER, Kind.EVENT)
        }

    def tables_and_events(self) -> Iterator[Section]:
        """Of the definitions that came by, those that say more of themselves than their digest."""
        return (section for section in self._sections if section.kind in (Kind.TABLE, Kind.EVENT))

    def rows_of(self, table: str) -> Section | None:
        """The rows of a table, of those that came by of late; None where there are none."""
        is_rows = (each for each in reversed(self._sections) if each.kind == Kind.ROWS)
        return next((each for each in is_rows if each.table == table), None)

    def views_of_others(self) -> list[str]:
        """Views that read tables by their database's name, and go on reading them elsewhere.

        MariaDB stores the database's own name too in a view that joins two databases.
        """
        return [s.name for s in self._sections if s.foreign and s.kind == Kind.VIEW]

    def routines_of_others(self) -> list[str]:
        """Routines that use libraries of other databases, and go on using them elsewhere."""
        return [s.name for s in self._sections if s.foreign and s.kind in ROUTINES]

    def digested(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Digest pieces, of this stream's splitter or of others', giving them out."""
        for piece in pieces:
            if piece.is_comment:
                self._manifest.line(bytes(piece.data))
            else:
                if piece.section is not self._sections[-1]:
                    self._begin(piece.section)
                named = piece.alters_database
                data = with_database(bytes(piece.data), "") if named else piece.data
                piece.section.add(data, self._database)
                self._count_definitions(piece.section, len(data))
            yield piece

    def _begin(self, section: Section) -> None:
        before = self._sections[-1]
        if (
            self._sums_rows
            and section.kind == Kind.ROWS
            and before.kind == Kind.TABLE
            and is_keyless(before.definition)
        ):
            section.sum_rows()
        self._sections.append(section)

    def _count_definitions(self, section: Section, length: int) -> None:
        if section.kind not in DEFINITIONS:
            return
        self._defined += length
        if self._defined > _MOST_DEFINED:
            raise TooLarge(
                phrase(
                    "With {words}, the definitions of the dump are longer than {most_defined} MB in all.",
                    words=in_words(section),
                    most_defined=_MOST_DEFINED >> 20,
                ),
                do=SEE_IT,
            )
