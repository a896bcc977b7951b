"""The rows of each table before and after a restore, for whoever reads of it: nothing depends on them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import MySQLdb

from backups import mysql
from backups.choices import RestoreMode
from backups.models import Restore
from backups.restoring.renaming import tables_moving
from backups.runs import notes
from backups.runs.progress import Progress
from backups.text.sentences import phrase

# So long whoever waits for the restore may wait for this, before it and after it.
_SECONDS = 20.0
# The largest of them; more would make a row of the portal's database large, and nobody reads them.
_MOST_TABLES = 200

# By table, None where it was not counted; a table that is not there is not among them.
Counts = dict[str, int | None]


def note_swapped_rows(restore: Restore, place: mysql.ProbedServer, progress: Progress) -> None:
    """Count what goes out of the target and what comes in, just before they change places."""
    try:
        with mysql.connect(place.server) as connection:
            outgoing, incoming = tables_moving(connection, restore)
            before = _chosen(mysql.space_by_table(connection, restore.target), outgoing)
            after = _chosen(mysql.space_by_table(connection, restore.incoming), incoming)
    except (MySQLdb.Error, mysql.MySQLProblem):
        return
    names = _largest(before, after)
    went = _counted(place, restore.target, _smallest_first(before, names), progress, may=_may_read(restore))
    came = _counted(
        place, restore.incoming, _smallest_first(after, names), progress, may=_may_read(restore.undo_of)
    )
    _note(restore, went, came, left_out=len({*before, *after}) - len(names), kept_bytes=sum(before.values()))


def rows_of_target(restore: Restore, place: mysql.ProbedServer, progress: Progress) -> Counts:
    """Count what is in the target now, of the tables that the restore is about."""
    try:
        with mysql.connect(place.server) as connection:
            space = _chosen(mysql.space_by_table(connection, restore.target), restore.tables or None)
    except (MySQLdb.Error, mysql.MySQLProblem):
        return {}
    names = _smallest_first(space, _largest(space))
    return _counted(place, restore.target, names, progress, may=_may_read(restore) or _was_loaded(restore))


def note_loaded_rows(
    restore: Restore, place: mysql.ProbedServer, progress: Progress, before: Counts | None = None
) -> None:
    """Count what was loaded into the target; `before` is what was in it until then."""
    after = rows_of_target(restore, place, progress)
    _note(restore, before or {}, after, left_out=0)


def _may_read(restore: Restore | None) -> bool:
    """Whether the tables were just read by a backup: a damaged one may take its server down with it."""
    return restore is None or restore.mode == RestoreMode.UNDO or not restore.without_safety


def _was_loaded(restore: Restore) -> bool:
    return restore.restore_seconds is not None


def _chosen(space: Mapping[str, int], tables: Collection[str] | None) -> dict[str, int]:
    return {name: size for name, size in space.items() if tables is None or name in tables}


def _largest(*spaces: Mapping[str, int]) -> set[str]:
    size = {name: max(space.get(name, 0) for space in spaces) for space in spaces for name in space}
    return set(sorted(size, key=lambda name: (-size[name], name))[:_MOST_TABLES])


def _smallest_first(space: Mapping[str, int], names: Collection[str]) -> list[str]:
    """So that most of them are counted before the time is up."""
    return sorted((name for name in space if name in names), key=lambda name: (space[name], name))


def _counted(
    place: mysql.ProbedServer, database: str, names: list[str], progress: Progress, *, may: bool
) -> Counts:
    if not may or not names:
        return dict.fromkeys(names)
    progress.detail(phrase("counting the rows of {database}", database=database))
    try:
        with mysql.connect(place.server) as connection:
            return mysql.rows_within(connection, database, names, seconds=_SECONDS, tick=progress.tick)
    except (MySQLdb.Error, mysql.MySQLProblem):
        return dict.fromkeys(names)
    finally:
        progress.detail("")


def _note(restore: Restore, before: Counts, after: Counts, *, left_out: int, **facts: Any) -> None:
    names = sorted({*before, *after})[:_MOST_TABLES]
    rows = [
        {
            "table": name,
            **({"before": before[name]} if name in before else {}),
            **({"after": after[name]} if name in after else {}),
        }
        for name in names
    ]
    told = {"rows": rows, "rows_left_out": max(left_out, len({*before, *after}) - len(rows)), **facts}
    notes.run_update(restore.run_id, result=told)
