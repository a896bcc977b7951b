"""A script that gives rows back, written and proved on a copy. The live database is only read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from django.utils import timezone

from backups import mysql
from backups.actions.steps import kept_files, rows_copy, rows_live
from backups.actions.steps.findings import Scratch
from backups.actions.steps.rows_chosen import Chosen, chosen, made_whole
from backups.actions.steps.rows_found import Finder, halves_together, lost_columns, with_others_columns
from backups.actions.steps.rows_moment import Live, Moment, moment
from backups.actions.steps.scratch import scratch_database
from backups.differences import keeping
from backups.differences.kept_rows import AGAIN, AGAIN_CHOSEN, ALREADY, AS_SEEN, Change, KeptTable
from backups.errors import Problem
from backups.models import Run, Snapshot
from backups.requests import RowsBackRequest, read_as
from backups.requests.rows_back import rounded_words
from backups.requests.undo_transactions import transactions_of
from backups.requests.undone import undone_by
from backups.rows_back import script as scripts
from backups.rows_back.tables import Table, table_of, why_not
from backups.runs import notes
from backups.runs.outcome import Outcome
from backups.runs.progress import Progress
from backups.text.sentences import joined, phrase, plural


@dataclass(frozen=True)
class _Story:
    """What all steps of one proof need."""

    run: Run
    request: RowsBackRequest
    snapshot: Snapshot
    chosen: Chosen
    live: Live
    progress: Progress


def run(run: Run, progress: Progress) -> Outcome:
    """Write the script that the run asks for and prove it. Raises Problem, Cancelled."""
    request = read_as(run, RowsBackRequest)
    request.refuse_unfit()
    progress.phase("preflight")
    snapshot = request.source.snapshot
    assert snapshot is not None  # noqa: S101  refuse_unfit has looked
    picked = chosen(request)
    live = rows_live.live_of(request.database, picked.tables, progress)
    story = _Story(run, request, snapshot, picked, live, progress)
    progress.phase("live dump", expected=snapshot.total_bytes_processed)
    finder = Finder(picked.tables, picked.rows, dict((snapshot.manifest or {}).get("collations", {})))
    with moment(live, finder, progress) as now:
        defined = rows_live.defined(live)
        judged = finder.judged(picked.rows, with_changed_again=request.with_changed_again)
        if transactions_of(request.source):
            judged = with_others_columns(judged)
        if transactions_of(request.source) or request.is_undo:
            judged, apart = halves_together(picked.tables, judged)
            _tell_apart(apart, request, progress)
        if any(each.columns for each in request.choices):
            judged = made_whole(judged)
        made = [each for each in judged if each.state in (AS_SEEN, AGAIN_CHOSEN)]
        told = {**_told(run, request, judged, made), "defined": defined, "looked_at": sorted(picked.tables)}
        if made:
            told |= _proved(story, now, made)
    rows_sha256 = keeping.write_chosen(kept_files.rows_of(run.pk), _tables_of(story, now), judged)
    notes.run_update(
        run.pk, result={"rows_back": {**told, "rows_sha256": rows_sha256, "until": kept_files.until()}}
    )
    progress.log(_in_short(told))
    return Outcome()


def _told(
    run: Run, request: RowsBackRequest, judged: Sequence[Change], made: Sequence[Change]
) -> dict[str, Any]:
    """What the run's row says of the choice: counts and names, and no value."""
    undone = undone_by(run)
    states = Counter((each.table, each.state) for each in judged)
    return {
        "source": request.source.pk,
        "is_undo": request.is_undo,
        "transactions": list(undone.transactions),
        "transactions_done_again": undone.is_done_again,
        "rows": len(made),
        "tables": rows_copy.rows_by_kind(made),
        "only_columns": [
            {"table": each.table, "columns": list(each.columns)} for each in request.choices if each.columns
        ],
        "proved": False,
        "left_out": [
            {"table": table, "rows": count}
            for (table, state), count in sorted(states.items())
            if state == AGAIN
        ],
        "changed_again": sum(count for (_, state), count in states.items() if state == AGAIN_CHOSEN),
        "already": sum(count for (_, state), count in states.items() if state == ALREADY),
        "triggers": [],
    }


def _tell_apart(tables: Sequence[str], request: RowsBackRequest, progress: Progress) -> None:
    do = phrase("To have some back all the same, choose just those.")
    if request.is_undo:
        do = phrase("To have them back all the same, take those that were changed again too.")
    for table in tables:
        progress.warn(
            phrase(
                "{table}: rows were taken away and others made, which may be the same ones moved. Some of "
                "these were changed since, so all that may belong together are left out: no row is there "
                "twice, and none gets lost. {do}",
                table=table,
                do=do,
            )
        )


def _tables_of(story: _Story, now: Moment) -> list[KeptTable]:
    """The tables of the chosen rows, defined as they are now."""
    return [
        replace(table, beyond=0, definition_now=now.definitions.get(name, table.definition_now))
        for name, table in story.chosen.tables.items()
    ]


# ---------------------------------------------------------------- The script and its proof


def _proved(story: _Story, now: Moment, made: Sequence[Change]) -> Mapping[str, Any]:
    """Write the script, run it on a copy, and store it once it has given just the chosen rows."""
    progress = story.progress
    tables = _script_tables(story, now)
    changes = [Change(each.table, each.number, each.then, each.found, each.equal_now) for each in made]
    head = _head(story, now)
    script = scripts.write(changes, tables, head)
    triggers = rows_live.triggers_that_run(story.request.database, story.live, script.made)
    triggers += rows_live.unseen(story.live, made, now.definitions)
    rounded = _rounded(changes, tables)
    rounding = [str(rounded_words(**each)) for each in rounded]
    with mysql.script_connection(story.live.server, story.live.database) as connection:
        connection.refuse_too_long([max(script.statements(), key=len)])
    undo = scripts.inverse(changes, tables, replace(head, is_undo=not head.is_undo))
    server, undo_words = _run_on_copy(story, now, made, (script, undo))
    at = timezone.now()
    sentence = phrase(
        "Proved on a copy of {moment} on {server}: it gives just the chosen rows, and changes nothing "
        "else in this database.",
        moment=f"{timezone.localtime(now.at):%Y-%m-%d %H:%M:%S}",
        server=server,
    )
    lost = _lost_columns(made, progress)
    told = " ".join(map(str, [sentence, *lost]))
    proved = replace(head, proved=told, triggers=_words_of(triggers), rounded=rounding)
    undo_head = replace(proved, proved=str(undo_words.text), is_undo=not head.is_undo)
    undo_text = undo.with_head(undo_head).text
    stored = kept_files.store_script(
        story.run.pk, script.with_head(proved).text, undo_text, script.statements()
    )
    for line in (sentence, *rounding):
        progress.log(line)
    (progress.log if undo_words.is_proved else progress.warn)(undo_words.text)
    return {
        "proved": True,
        "proved_at": at.isoformat(),
        "moment": now.at.isoformat(),
        "undo_proved": undo_words.is_proved,
        "triggers": triggers,
        "rounded": rounded,
        **stored,
    }


def _run_on_copy(
    story: _Story, now: Moment, made: Sequence[Change], scripts_of_it: tuple[scripts.Script, scripts.Script]
) -> tuple[str, _UndoWords]:
    """Prove a script on a copy, and after it its undo; answers on which server. Raises Problem."""
    (script, undo), progress = scripts_of_it, story.progress
    with scratch_database(story.run, story.snapshot, progress) as scratch:
        rows_copy.load_copy(now, story.snapshot, scratch, progress)
        rows_copy.run_on_copy(list(script.statements(scratch.database)), scratch, progress)
        path = kept_files.rows_of(story.run.pk).with_suffix(".proof")
        rows_copy.compare_copy(now, made, scratch, path, progress)
        return str(scratch.info), _undo_words(undo, now, scratch, progress)


class _UndoWords(NamedTuple):
    """What is said of the undo that is handed out beside a script."""

    is_proved: bool
    text: str


def _undo_words(undo: scripts.Script, now: Moment, scratch: Scratch, progress: Progress) -> _UndoWords:
    """Run the undo on the copy on which the script has just run: then that has to be as it was before.

    Without this proof the script is one all the same: somebody waits for the rows.
    """
    try:
        rows_copy.run_on_copy(list(undo.statements(scratch.database)), scratch, progress)
        rows_copy.compare_undone(now, scratch, progress)
    except Problem as problem:
        why = problem.what
        return _UndoWords(False, phrase("The undo beside this script is not proved: {why}", why=why))
    return _UndoWords(
        True,
        phrase(
            "The undo is proved too: run on the same copy right after the script, it made all rows as they "
            "were before."
        ),
    )


def _words_of(triggers: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        str(
            phrase(
                "{trigger} of {table} ({rows} times)",
                **{name: each[name] for name in ("trigger", "table", "rows")},
            )
        )
        for each in triggers
    ]


def _lost_columns(made: Sequence[Change], progress: Progress) -> list[str]:
    """A sentence for each table on columns that no script can give back, which is a warning too."""
    lost = [
        phrase(
            "{table} has these columns no more, and what they held does not come back: {names}.",
            table=table,
            names=", ".join(names),
        )
        for table, names in lost_columns(made).items()
    ]
    for line in lost:
        progress.warn(line)
    return lost


def _script_tables(story: _Story, now: Moment) -> dict[str, Table]:
    """What a script needs to know of all tables of the copy. Raises Problem for one that is unfit."""
    tables: dict[str, Table] = {}
    for name, definition in now.definitions.items():
        kept = story.chosen.tables.get(name)
        table = table_of(name, definition, kept.definition_then if kept else b"")
        if table is not None:
            tables[name] = table
    for name in story.chosen.tables:
        why = why_not(tables[name]) if name in tables else phrase("Its definition cannot be read.")
        if not why and tables[name].retyped and _comes_back(story, name):
            names = b", ".join(sorted(tables[name].retyped)).decode(errors="replace")
            why = phrase("Since the snapshot, these columns became of another type: {names}.", names=names)
        if why:
            raise Problem(
                phrase("No rows of {table} can be given back: {why}", table=name, why=why),
                code="rows.unfit_table",
                safe=phrase("The live database was not touched."),
                do=phrase("Restore the table, or leave it out."),
            )
    return tables


def _rounded(changes: Sequence[Change], tables: Mapping[str, Table]) -> list[dict[str, Any]]:
    """The FLOAT columns of tables of which a script, or its undo, writes values: dumps round these."""
    found: dict[str, set[bytes]] = {}
    for each in changes:
        floats = {name for name, column in tables[each.table].columns.items() if column.word == b"float"}
        if each.then is not None and each.now is not None:
            now = each.now
            written = {name for name in floats & each.then.keys() if each.then[name] != now.get(name)}
        else:
            written = {name for name, value in (each.then or each.now or {}).items() if value != b"NULL"}
        if written & floats:
            found.setdefault(each.table, set()).update(written & floats)
    return [
        {"table": table, "columns": [name.decode(errors="replace") for name in sorted(names)]}
        for table, names in sorted(found.items())
    ]


def _comes_back(story: _Story, table: str) -> bool:
    """Whether any chosen row of a table is to have values of then."""
    return any(each.then is not None for each in story.chosen.rows if each.table == table)


def _head(story: _Story, now: Moment) -> scripts.Head:
    then = story.snapshot.local_time
    return scripts.Head(
        database=story.live.database,
        server=str(story.live.info),
        snapshot=story.snapshot.short_id,
        then=f"{then:%Y-%m-%d %H:%M:%S}",
        now=f"{timezone.localtime(now.at):%Y-%m-%d %H:%M:%S}",
        digests={"SHA-256 of the dump of that moment": str(now.manifest.get("sha256", ""))},
        is_undo=story.request.is_undo,
        was=_was(story),
    )


def _was(story: _Story) -> str:
    """As of when rows come back, in English, where transactions are undone."""
    named = transactions_of(story.request.source)
    return f"just before transaction {', '.join(named)} of the binary log" if named else ""


def _in_short(told: Mapping[str, Any]) -> str:
    if not told["rows"]:
        return phrase("There is nothing to give back: all chosen rows are as they were, or changed again.")
    rows = plural("The script gives {n} row back.", "The script gives {n} rows back.", n=told["rows"])
    out = sum(each["rows"] for each in told["left_out"])
    if not out:
        return rows
    left = plural(
        "{n} is left out: it changed again meanwhile.",
        "{n} are left out: they changed again meanwhile.",
        n=out,
    )
    return joined([rows, left])
