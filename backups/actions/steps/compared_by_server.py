"""Tables that both sides define otherwise: loaded into two scratch databases, whose server compares them.

The dumps alone can be compared by the columns that both write alike. A server can also tell whether values of
two types are the same. Where none can be had, what the dumps tell stands; of stored dumps that is read then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from backups import mysql
from backups.actions.steps.compared_pairs import Pair
from backups.actions.steps.compared_sides import Side, Story
from backups.actions.steps.compared_streams import snapshot_read
from backups.actions.steps.findings import Scratch
from backups.actions.steps.load_connections import chosen_for
from backups.actions.steps.loading import load_snapshot
from backups.actions.steps.opening import OpenedSnapshot
from backups.actions.steps.refusing import refuse_other_engine
from backups.actions.steps.rows_moment import StoredDump
from backups.actions.steps.scratch import scratch_database
from backups.actions.steps.whole import refuse_unless_complete
from backups.differences.result import Differences, TableDifference
from backups.dumpfile.digesting import Digester
from backups.dumpfile.quoted import unquoted
from backups.dumpfile.ready import LoadOptions
from backups.errors import Problem
from backups.loading.loader import Destination, DumpStream, ended_by_number, load
from backups.loading.progress import Loading
from backups.models import Run
from backups.runs import notes
from backups.runs.progress import Progress
from backups.text.sentences import phrase, plural


def compare_by_server(run: Run, story: Story, after: Side, found: Differences) -> Mapping[str, Any] | None:
    """Have tables of other definitions compared by a server, which puts its counts into what was `found`.

    Answers where that was, or why it was not; None where no table is one for it. Raises Cancelled.
    """
    pairs = {each.table: pair for each in found.tables if (pair := _pair(story, each)) is not None}
    if not pairs:
        return None
    try:
        if after.snapshot is None and (story.spool is None or not story.spool.is_whole):
            raise _no_room()
        place, counts = _counted(run, story, after, pairs)
    except Problem as problem:
        story.progress.warn(
            phrase(
                "Tables that are defined otherwise on both sides were compared by their dumps alone, without "
                "a server: {why}",
                why=problem.what,
            )
        )
        _by_dumps(story, after, found)
        return {"why_not": str(problem.what)}
    for at, each in enumerate(found.tables):
        if each.table in counts:
            found.tables[at] = _as_counted(each, pairs[each.table], counts[each.table])
            _tell_not_kept(story, each, found.tables[at])
    return {"address": place.server.address, "server": str(place.info), "tables": len(counts)}


def _by_dumps(story: Story, after: Side, found: Differences) -> None:
    """Compare what was left to a server by both dumps alone, which are read once more. Raises Problem."""
    both, progress = story.both, story.progress
    left = both.before.left & both.after.left
    if not left:
        return
    readers = both.readers_of_left(story.before.held)
    for side, reader in zip((story.before, after), readers, strict=True):
        assert side.snapshot is not None  # noqa: S101  of what is live nothing is left
        progress.phase("dumps once more", expected=story.expected(side.snapshot))
        stored = OpenedSnapshot(side.snapshot, story.stored.access, side.file)
        read = story.wish(left, reader, side).read
        snapshot_read(stored, read, progress, Loading(Digester(side.snapshot.source)))
    progress.phase("compare")
    again = both.found(story.before.held, after.held, progress.tick)
    found.tables, found.same_tables = again.tables, again.same_tables


def _tell_not_kept(story: Story, before: TableDifference, after: TableDifference) -> None:
    """Say of how many rows none is kept: the dumps alone did not tell that they differ."""
    more = _rows(after) - _rows(before)
    if story.request.keep_rows and more > 0:
        story.progress.warn(
            plural(
                "{n} row of {table} differs only in columns of another type, and is not kept: no script "
                "gives such values back.",
                "{n} rows of {table} differ only in columns of another type, and are not kept: no script "
                "gives such values back.",
                n=more,
                table=after.table,
            )
        )


def _rows(table: TableDifference) -> int:
    return sum((table.gone or 0, table.new or 0, table.changed or 0))


def _pair(story: Story, table: TableDifference) -> Pair | None:
    """A table that both sides have and write otherwise, or of which rows could not be told apart."""
    then, now = (side.shapes.get(table.table) for side in (story.both.before, story.both.after))
    if table.change or then is None or now is None:
        return None
    pair = Pair.of(then, now)
    is_wanted = table.gone is None or not pair.layout.is_alike
    return pair if is_wanted and pair.is_fit else None


def _no_room() -> Problem:
    return Problem(
        phrase("There is no room to keep the live tables until they are loaded."), code="diff.no_room"
    )


def _counted(
    run: Run, story: Story, after: Side, pairs: Mapping[str, Pair]
) -> tuple[Scratch, Mapping[str, mysql.RowCounts]]:
    """Load both sides and count. Raises Problem, Cancelled."""
    progress, snapshot = story.progress, story.stored.snapshot
    tables = sorted(pairs)
    if after.snapshot is None and story.spool is not None:
        tables = sorted(story.spool.tables & pairs.keys())
    counts: dict[str, mysql.RowCounts] = {}
    with scratch_database(run, snapshot, progress, tables=tables) as then:
        progress.phase("load earlier side", expected=story.expected(None))
        _load_stored(story.stored, then, tables, story)
        with scratch_database(
            run, after.snapshot or snapshot, progress, noted_as=notes.SCRATCH_BESIDE, tables=tables
        ) as now:
            progress.phase("load later side", expected=story.expected(after.snapshot))
            if after.snapshot is not None:
                _load_stored(
                    OpenedSnapshot(after.snapshot, story.stored.access, after.file), now, tables, story
                )
            else:
                _load_kept(story, now, tables)
            progress.phase("compare")
            for table in tables:
                progress.detail(table)
                counts[table] = _compared(then, now, table, pairs[table], story)
    return then, counts


def _load_stored(stored: OpenedSnapshot, scratch: Scratch, tables: Sequence[str], story: Story) -> None:
    """Load these tables of a snapshot, or of a moment, whose dump lies in a file."""
    snapshot, loading = stored.snapshot, Loading(Digester(stored.snapshot.source))
    destination = _destination(scratch, snapshot.source, tables, snapshot.total_bytes_processed or 0)
    if stored.file is None:
        load_snapshot(
            stored,
            destination,
            loading,
            story.progress,
            refuse=lambda loading: refuse_unless_complete(snapshot, loading),
        )
    else:
        # By way of the kernel's name for it, this reader has a place of its own in the file.
        with Path(f"/proc/self/fd/{stored.file}").open("rb") as file:
            _load_file(file, destination, loading, story.progress)
    refuse_other_engine(scratch, loading)


def _load_kept(story: Story, scratch: Scratch, tables: Sequence[str]) -> None:
    """Load these tables of the live database, as they were kept when it was read."""
    spool = story.spool
    assert spool is not None  # noqa: S101  compare_by_server has looked
    source = story.request.database.database
    loading = Loading(Digester(source))
    _load_file(spool.file, _destination(scratch, source, tables, spool.size), loading, story.progress)
    refuse_other_engine(scratch, loading)


def _load_file(file: IO[bytes], destination: Destination, loading: Loading, progress: Progress) -> None:
    """Load a dump that lies in a file."""

    def tick() -> None:
        progress.bytes_done(loading.bytes_read)
        progress.detail(loading.detail)
        progress.tick()

    load(DumpStream(StoredDump(file), gzip=False), destination, loading, tick=tick, say=progress.warn)


def _destination(scratch: Scratch, source: str, tables: Sequence[str], size: int) -> Destination:
    options = LoadOptions(
        scratch.database,
        source,
        frozenset(tables),
        current_user_defines=True,
        without_what_is_denied=True,
        to_be_read_once=True,
    )
    connections, _ = chosen_for(size, scratch.server)
    return Destination(scratch.server, scratch.info, options, connections)


def _compared(then: Scratch, now: Scratch, table: str, pair: Pair, story: Story) -> mysql.RowCounts:
    tables = mysql.TwoTables(then.database, now.database, table, pair.key, pair.compared())
    found: list[mysql.RowCounts] = []

    def work(connected: Any) -> None:
        found.append(mysql.rows_compared(now.server, tables, connected=connected))

    ended_by_number(now.server, story.progress.tick, work)
    return found[0]


def _as_counted(table: TableDifference, pair: Pair, counts: mysql.RowCounts) -> TableDifference:
    layout = pair.layout
    told = {column.name for column in pair.compared()}
    return replace(
        table,
        gone=counts.gone,
        new=counts.new,
        changed=counts.changed,
        rows_before=counts.then,
        rows_after=counts.now,
        key=[unquoted(name) for name in layout.key],
        is_key_new=layout.is_key_new,
        columns_came=layout.came,
        columns_gone=layout.gone,
        columns_retyped=[name for name in layout.retyped if name not in told],
        columns_computed=sorted(map(unquoted, layout.computed)),
        columns_rounded=layout.rounded,
        why_not="",
        by_server=True,
        columns_converted=[name for name in layout.retyped if name in told],
    )
