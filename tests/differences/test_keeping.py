"""The room for rows that are kept: what does not fit is counted, and takes no room from what does."""

from __future__ import annotations

from pathlib import Path

from backups.differences import keeping
from backups.differences.kept_rows import kept_rows
from backups.differences.shapes import Layout

LAYOUT = Layout(columns=[b"`id`", b"`v`"], key=[b"`id`"], is_whole=True)


def test_a_row_that_has_no_room_leaves_it_to_others(tmp_path: Path) -> None:
    """Of the large one its earlier half fits alone, and goes with the other; then smaller ones fit."""
    picks = {"large": {b"1": (1, 1)}, "small": {b"1": (1, 1), b"2": (1, 0)}}
    asides = {name: keeping.Aside(len(keys), LAYOUT, (b"", b"")) for name, keys in picks.items()}
    path = tmp_path / "kept" / "rows"

    with keeping.stored(path, picks, most_bytes=150) as store:
        for side in (keeping.THEN, keeping.NOW):
            for table, data in (("large", b"x" * 80), ("small", b"y")):
                store.columns(side, table, LAYOUT.columns)
                store.add(side, table, (b"1", b"%d" % side, [b"1", data + b"%d" % side]))
        store.add(keeping.THEN, "small", (b"2", b"0", [b"2", b"z" * 70]))
        store.finish(asides)

    with kept_rows(path) as rows:
        kept = {each.name: (each.changed, each.gone, each.beyond) for each in rows.tables()}
    assert kept == {"large": (0, 0, 1), "small": (1, 1, 0)}


def test_a_row_larger_than_all_room_takes_none(tmp_path: Path) -> None:
    picks = {"t": {b"1": (1, 0), b"2": (1, 0)}}
    path = tmp_path / "kept" / "rows"

    with keeping.stored(path, picks, most_bytes=100) as store:
        store.columns(keeping.THEN, "t", LAYOUT.columns)
        store.add(keeping.THEN, "t", (b"1", b"0", [b"1", b"x" * 200]))
        store.add(keeping.THEN, "t", (b"2", b"0", [b"2", b"y"]))
        store.finish({"t": keeping.Aside(2, LAYOUT, (b"", b""))})

    with kept_rows(path) as rows:
        (table,) = rows.tables()
        assert [dict(each.then or {})[b"id"] for each in rows.changes("t")] == [b"2"]
    assert (table.gone, table.beyond) == (1, 1)
