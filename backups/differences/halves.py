"""Rows that may be halves of one that was moved: to another key, or to other values where no key tells. Pure.

What moves a row takes one away and makes another. Whoever takes that back does it with both or with none of
them: else the row is there twice, or is lost.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from backups.differences.kept_rows import GONE, NEW, Change, KeptTable, Values
from backups.dumpfile.quoted import unquoted
from backups.dumpfile.table_text import COLUMN, body_of, is_generated, outside_quotes

_Content = frozenset[tuple[bytes, bytes]]


def families(table: KeptTable, rows: Sequence[Change]) -> list[list[Change]]:
    """Which of the rows that one transaction changed of a table may be those of one, or of some, moved on.

    A row that is gone and one that is new belong together where all but the key is the same in both; also by
    way of changed ones, as where each row moved to the next one's key. Of those that are left, where some are
    gone and some are new, nobody can tell: all of them are one family, and all rows without a key are. What
    is in no family was not moved.
    """
    if not _is_mixed(rows):
        return []
    if not table.key:
        return [list(rows)]
    own = {name.encode() for name in table.key} | _follow_by_themselves(table.definition_now)
    contents = [(_content(each.then, own), _content(each.now, own)) for each in rows]
    moved = {then for then, _ in contents if then} & {now for _, now in contents if now}
    found: dict[_Content, list[Change]] = {}
    roots = _Roots()
    for sides in contents:
        roots.join([side for side in sides if side in moved])
    left = []
    for each, sides in zip(rows, contents, strict=True):
        known = next((side for side in sides if side is not None and side in moved), None)
        if known is None:
            left.append(each)
        else:
            found.setdefault(roots.of(known), []).append(each)
    whole = [family for family in found.values() if _is_mixed(family)]
    left += [each for family in found.values() if not _is_mixed(family) for each in family]
    return [*whole, left] if _is_mixed(left) else whole


def _is_mixed(rows: Sequence[Change]) -> bool:
    """Whether some of these are gone, and some are new."""
    return {GONE, NEW} <= {each.kind for each in rows}


def _content(row: Values | None, own: Collection[bytes]) -> _Content | None:
    """What would go along with a row to another key; nothing where no row is."""
    if row is None:
        return None
    return frozenset(item for item in row.items() if item[0] not in own)


def _follow_by_themselves(definition: bytes) -> set[bytes]:
    """The columns that the server sets anew in a row that is moved: what it computes, and the time."""
    body = body_of(definition)
    return {
        unquoted(column["name"]).encode(errors="surrogateescape")
        for line in (body.lines if body is not None else ())
        if (column := COLUMN.match(line))
        and (is_generated(line) or b" ON UPDATE " in outside_quotes(line[column.end() :]))
    }


class _Roots:
    """Which contents belong together, as joined so far."""

    def __init__(self) -> None:
        self._above: dict[_Content, _Content] = {}

    def of(self, content: _Content) -> _Content:
        """The one that stands for all of its own."""
        while (above := self._above.get(content, content)) != content:
            self._above[content] = content = self._above.get(above, above)
        return content

    def join(self, contents: Sequence[_Content | None]) -> None:
        """Make these one."""
        known = [self.of(each) for each in contents if each is not None]
        for each in known[1:]:
            self._above[each] = known[0]
