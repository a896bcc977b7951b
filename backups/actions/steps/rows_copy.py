"""The proof of a script: it runs on a copy of the tables, which then differs in the chosen rows alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from django.conf import settings

from backups import mysql
from backups.actions.steps.compared_streams import EveryTable, Wish, live_dumped
from backups.actions.steps.findings import Scratch
from backups.actions.steps.load_connections import chosen_for
from backups.actions.steps.refusing import refuse_other_engine, refuse_other_spelling
from backups.actions.steps.rows_moment import Live, Moment
from backups.actions.steps.script_run import run_script
from backups.differences import keeping, shown
from backups.differences.comparison import Comparison, comparison
from backups.differences.held import Held
from backups.differences.kept_rows import Change, Values, kept_rows
from backups.differences.result import Differences
from backups.dumpfile.digesting import Digester
from backups.dumpfile.ready import LoadOptions
from backups.errors import Problem
from backups.loading.loader import Destination, DumpStream, load
from backups.loading.progress import Loading
from backups.models import Snapshot
from backups.runs.progress import Progress
from backups.text.sentences import phrase, plural

# A row as it was and as it is, whatever the order of its columns.
_Seen = tuple[str, frozenset[tuple[bytes, bytes]] | None, frozenset[tuple[bytes, bytes]] | None]
_OF_TABLE = re.compile(rb"\s*(?:INSERT INTO|UPDATE|DELETE FROM) `((?:[^`]|``)+)`")
# By the server's errors; the guard's own comes first.
_IS_REFERRED_TO, _REFERS_TO_NOTHING, _THERE_TWICE = (1690, 1217, 1451), (1216, 1452), (1062, 1586)


def load_copy(now: Moment, snapshot: Snapshot, scratch: Scratch, progress: Progress) -> None:
    """Load the dump of this moment into the scratch database, without triggers. Raises Problem."""
    size = int(now.manifest.get("bytes", 0))
    progress.phase("copy", expected=size)
    loading = Loading(Digester(now.live.database))
    options = LoadOptions(
        scratch.database, source=now.live.database, current_user_defines=True, without_what_is_denied=True
    )
    connections, _ = chosen_for(size, scratch.server)

    def tick() -> None:
        progress.bytes_done(loading.bytes_read)
        progress.detail(loading.doing)
        progress.tick()

    destination = Destination(scratch.server, scratch.info, options, connections)
    load(DumpStream(now.program(), gzip=False), destination, loading, tick=tick, say=progress.warn)
    refuse_other_spelling(snapshot, scratch, sorted(loading.found.respelled.values()))
    refuse_other_engine(scratch, loading)
    with mysql.connect(scratch.server) as connection:
        mysql.drop_triggers(connection, scratch.database)


def run_on_copy(statements: Sequence[bytes], scratch: Scratch, progress: Progress) -> None:
    """Run the script on the copy. Raises Problem where the server refuses a statement of it."""
    progress.phase("proof", expected=len(statements))
    try:
        run_script(scratch.server, scratch.database, statements, progress)
    except mysql.StatementFailed as failed:
        # Behind each statement that moves a row stands one that looks whether it did.
        at = failed.at - (2 if failed.is_guard else 1)
        raise _does_not_run(failed, statements[at]) from None


def _does_not_run(failed: mysql.StatementFailed, statement: bytes) -> Problem:
    named = _OF_TABLE.match(statement)
    table = named[1].replace(b"``", b"`").decode(errors="replace") if named else ""
    if failed.is_guard:
        return Problem(
            phrase("On a copy, a row of {table} cannot be given back alone.", table=table or "?"),
            code="rows.not_proved",
            safe=_UNTOUCHED,
            do=_what_to_do(failed.number),
        )
    what = phrase("The script does not run on a copy of the tables: {error}", error=failed)
    if table:
        what = phrase(
            "The script does not run on a copy of the tables, at a row of {table}: {error}",
            table=table,
            error=failed,
        )
    return Problem(what, code="rows.does_not_run", safe=_UNTOUCHED, do=_what_to_do(failed.number))


def _what_to_do(number: int) -> str:
    if number in _IS_REFERRED_TO:
        return phrase("Rows that are there now refer to a chosen one. Choose those too, or leave it out.")
    if number in _REFERS_TO_NOTHING:
        return phrase("A chosen row refers to one that is not there. Choose that too, from its own table.")
    if number in _THERE_TWICE:
        return phrase(
            "Another row has taken a unique value of a chosen one. Choose that too, or leave it out."
        )
    return phrase("Choose fewer rows, or restore the table.")


_UNTOUCHED = phrase("The live database was not touched.")


def compare_copy(
    now: Moment, made: Sequence[Change], scratch: Scratch, path: Path, progress: Progress
) -> None:
    """Dump the copy again and compare it with the moment. Raises Problem unless just the chosen rows differ.

    `path` is where rows that differ lie meanwhile.
    """
    progress.phase("proof", expected=int(now.manifest.get("bytes", 0)))
    try:
        with comparison(settings.DUMP_SPOOL_DIR, settings.DUMP_SPOOL_MB * 1_000_000) as both:
            # One more of each table shows that something else changed.
            both.is_asked, both.most_picked, both.most_of_all = True, len(made) + 1, 2 * len(made) + 1
            found = dumped_again(now, both, scratch, progress)
            refuse_uncompared(found)
            seen = _seen(now, both, path, progress)
        _refuse_other(_without_what_came(seen, made), _wanted(made), found, made)
    finally:
        path.unlink(missing_ok=True)


def compare_undone(now: Moment, scratch: Scratch, progress: Progress) -> None:
    """Dump the copy once more, after the undo. Raises Problem unless its rows are those of the moment."""
    progress.phase("proof", expected=int(now.manifest.get("bytes", 0)))
    with comparison(settings.DUMP_SPOOL_DIR, settings.DUMP_SPOOL_MB * 1_000_000) as both:
        found = dumped_again(now, both, scratch, progress)
    refuse_uncompared(found)
    differing = {each.table: each.rows for each in found.tables}
    if any(differing.values()):
        raise Problem(
            plural(
                "On the copy, {n} row of {tables} is otherwise after it than before.",
                "On the copy, {n} rows of {tables} are otherwise after it than before.",
                n=sum(differing.values()),
                tables=mysql.named(sorted(differing)),
            ),
            code="rows.undo_not_proved",
            safe=_UNTOUCHED,
        )


def dumped_again(now: Moment, both: Comparison, scratch: Scratch, progress: Progress) -> Differences:
    """Dump the same tables of the copy and compare them with the moment. Raises Problem, Cancelled."""
    before = now.held
    if both.is_asked:
        both.after.kept = shown.Kept(settings.DUMP_SPOOL_DIR)
    loading = Loading(Digester(scratch.database))
    recorder = both.reader_of_after(before, loading.digester)
    copy = Live(scratch.server, scratch.info, scratch.database, now.live.tables)
    wish = Wish(EveryTable(), recorder, scratch.info, scratch.database, both.unread, phrase("the copy"))
    after = Held(live_dumped(copy.order(), wish.read, progress, loading))
    wanted = both.wanted_of_before(before, after)
    if wanted:
        now.read(wanted, both.reader_of_before(before), progress)
    return both.found(before, after, progress.tick)


def refuse_uncompared(found: Differences) -> None:
    """Raise Problem where the rows of a table cannot be told apart."""
    for table in found.tables:
        if table.gone is None or table.change:
            raise Problem(
                phrase("The rows of {table} on the copy cannot be compared.", table=table.table),
                code="rows.not_proved",
                safe=_UNTOUCHED,
                do=phrase("Restore the table, or report it as a bug."),
            )


def _seen(now: Moment, both: Comparison, path: Path, progress: Progress) -> Counter[_Seen]:
    """The rows in which the copy differs from the moment."""
    if not both.picked:
        return Counter()
    with keeping.stored(path, both.picked, most_bytes=2 * keeping.MOST_BYTES) as store:
        keep_both(now, both, store, progress)
        store.finish(
            {table: keeping.Aside(0, both.after.layouts[table], (b"", b"")) for table in both.picked}
        )
    with kept_rows(path) as rows:
        return Counter(
            (table.name, _items(each.then), _items(each.now))
            for table in rows.tables()
            for each in rows.changes(table.name)
        )


def keep_both(now: Moment, both: Comparison, store: keeping.Store, progress: Progress) -> None:
    """Have the rows kept in which the copy, as it was dumped last, differs from the moment."""
    then, after = (
        keeping.Keeper(store, side, keeping.Compared(both.after.layouts, of.shapes, both.digests))
        for side, of in ((keeping.THEN, both.before), (keeping.NOW, both.after))
    )
    now.read(set(both.picked), then, progress)
    for ready in both.kept_of_picked(both.after, progress.tick):
        after.take(ready)


def _without_what_came(seen: Counter[_Seen], made: Iterable[Change]) -> Counter[_Seen]:
    """Of rows that were put back only the columns that they had: what came since has its default."""
    columns = {each.table: frozenset(each.then) for each in made if each.then is not None}
    found: Counter[_Seen] = Counter()
    for (table, before, after), count in seen.items():
        if before is None and after is not None and table in columns:
            after = frozenset(item for item in after if item[0] in columns[table])
        found[table, before, after] += count
    return found


def _wanted(made: Iterable[Change]) -> Counter[_Seen]:
    return Counter((each.table, _items(each.found), _items(_as_wanted(each))) for each in made)


def _as_wanted(change: Change) -> Values | None:
    """The row after the script: columns that were not there then stay as they are."""
    if change.then is None or change.found is None:
        return change.then
    return {**change.found, **{name: value for name, value in change.then.items() if name in change.found}}


def _items(values: Values | None) -> frozenset[tuple[bytes, bytes]] | None:
    return None if values is None else frozenset(values.items())


def _refuse_other(
    seen: Counter[_Seen], wanted: Counter[_Seen], found: Differences, made: Sequence[Change]
) -> None:
    """Raise Problem where the copy differs otherwise than was chosen; names tables, and no value."""
    differing = sum(each.rows for each in found.tables)
    if seen == wanted and differing == len(made):
        return
    chosen = {each.table for each in made}
    others = sorted({each.table for each in found.tables} - chosen)
    if others:
        raise Problem(
            phrase(
                "The script would change rows of other tables too, by foreign keys that delete or update "
                "them: {tables}.",
                tables=mysql.named(others),
            ),
            code="rows.not_proved",
            safe=_UNTOUCHED,
            do=phrase("Choose the rows of these tables as well, or leave out what they refer to."),
        )
    wrong = (seen - wanted).total() + (wanted - seen).total()
    raise Problem(
        plural(
            "On a copy, the script does not give just the chosen rows: {n} is otherwise.",
            "On a copy, the script does not give just the chosen rows: {n} are otherwise.",
            n=max(wrong, 1),
        ),
        code="rows.not_proved",
        safe=_UNTOUCHED,
        do=phrase("Choose other rows, or restore the table. If it stays so, report it as a bug."),
    )


def rows_by_kind(changes: Iterable[Change]) -> list[Mapping[str, object]]:
    """How many rows of each table are gone, new and changed, by name."""
    counted: dict[str, Counter[str]] = {}
    for each in changes:
        counted.setdefault(each.table, Counter())[each.kind] += 1
    return [
        {"table": table, **{kind: counts[kind] for kind in ("gone", "new", "changed")}}
        for table, counts in sorted(counted.items())
    ]
