"""A proved script applied to the live database: one transaction, all or nothing, with a backup before."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from backups import mysql
from backups.actions.steps import kept_files, rows_live
from backups.actions.steps.rows_chosen import refuse_altered
from backups.actions.steps.rows_found import Finder, Looked, as_left, bears
from backups.actions.steps.rows_moment import Live, moment
from backups.actions.steps.safety_copy import backed_up
from backups.actions.steps.script_run import run_script
from backups.choices import Status
from backups.differences import keeping
from backups.differences.kept_rows import (
    AGAIN_CHOSEN,
    ALREADY,
    AS_SEEN,
    Change,
    KeptTable,
    kept_rows,
    unpacked,
)
from backups.endpoints import restoring_server
from backups.errors import Problem
from backups.models import Run
from backups.requests import ApplyRowsRequest, read_as
from backups.requests.rows_back import UNSEEN_KEYS, attempts, told_of
from backups.requests.undone import undone_by
from backups.restoring.obstacles import refuse_read_only
from backups.rows_back.script import COMMITS
from backups.runs import consequences, notes, refusals, waiting
from backups.runs.outcome import Outcome
from backups.runs.progress import Progress
from backups.text.sentences import phrase, plural

_UNTOUCHED = phrase("Nothing was changed: all of it was rolled back.")
_UNTOUCHED_BUT_BY_TRIGGERS = phrase(
    "Its rows were not changed: they were rolled back. So is what triggers wrote, but for tables of engines "
    "without transactions (MyISAM, Aria)."
)
# Ways to fail of which is known that nothing was committed.
_ROLLED_BACK = ("rows.changed_again", "rows.not_taken", "rows.defined_otherwise")


def run(run: Run, progress: Progress) -> Outcome:
    """Apply the script that the run names. Raises Problem, Cancelled."""
    request = read_as(run, ApplyRowsRequest)
    request.refuse_unfit()
    # What undoes it, too: the day of the proof may end while the backup is made.
    kept_files.keep_on(request.proved.pk)
    progress.phase("preflight")
    proved = told_of(request.proved)
    statements = _statements(request.proved, proved)
    server = restoring_server(request.database)
    progress.mask_secrets([server.password])
    with mysql.connect(server) as connection:
        refuse_read_only(connection, request.database.database, target=request.database.database)
    told = {name: proved[name] for name in ("tables", "rows", "is_undo", "triggers")}
    told["proved"] = request.proved.pk
    told["transactions"], told["transactions_done_again"] = undone_by(run)
    _note(run, told, state="")
    if _was_interrupted(request.proved, run) and (looked := _done(request, progress)):
        _note(run, told, state="already")
        kept_files.keep_on(request.proved.pk)
        progress.log(phrase("It was applied before, by a try that was broken off. Nothing was done now."))
        # Since then, others had time to write: only rows that have triggers of their own are taken for its.
        _keep_as_left(run, looked, {**told, "state": "already"}, progress, by_triggers=_with_triggers(told))
        return Outcome()
    _save_before(run, request, progress)
    live = rows_live.live_of(request.database, proved["looked_at"], progress)
    _refuse_defined_otherwise(live, proved)
    _refuse_equal_rows_otherwise(request, progress)
    _refuse_beside(run, request)
    progress.phase(consequences.APPLIES_ROWS, expected=len(statements))
    progress.disable_cancel()
    with _told_what_is_safe(statements, triggers=bool(proved["triggers"])):
        # Who has made a trigger since it was looked at last: now nobody can any more.
        again = partial(_refuse_defined_otherwise, live, proved, safe=_UNTOUCHED)
        run_script(server, request.database.database, statements, progress, again)
    _note(run, told, state="applied")
    kept_files.keep_on(request.proved.pk)
    progress.log(_in_short(run, told))
    _look_afterwards(run, request, {**told, "state": "applied"}, progress)
    return Outcome()


def _note(run: Run, told: Mapping[str, Any], **more: Any) -> None:
    notes.run_update(run.pk, result={"rows_back": {**told, **more}})


def _statements(proved: Run, told: Mapping[str, Any]) -> Sequence[bytes]:
    """The script that was proved. Raises Problem where one byte of what is stored of it is another one."""
    for path, digest in (
        (kept_files.script_of(proved.pk), told["script_sha256"]),
        (kept_files.statements_of(proved.pk), told["statements_sha256"]),
        (kept_files.rows_of(proved.pk), told["rows_sha256"]),
    ):
        refuse_altered(path, digest)
    return unpacked(kept_files.statements_of(proved.pk).read_bytes())


def _was_interrupted(proved: Run, but: Run) -> bool:
    """Whether an earlier try ended while it ran, so that nobody knows how."""
    ended = attempts(proved).exclude(pk=but.pk).filter(status__in=[Status.LOST, Status.FAILED])
    return ended.filter(phase=consequences.APPLIES_ROWS).exclude(error_code__in=_ROLLED_BACK).exists()


# ---------------------------------------------------------------- Looks


def _look(request: ApplyRowsRequest, progress: Progress) -> Looked:
    """The rows of the script as they are found now, by a dump of their tables alone."""
    with kept_rows(kept_files.rows_of(request.proved.pk)) as rows:
        tables: dict[str, KeptTable] = {table.name: table for table in rows.tables()}
        made = [
            Change(each.table, each.number, each.then, each.found, each.equal_now)
            for name in tables
            for each in rows.changes(name)
            if each.state in (AS_SEEN, AGAIN_CHOSEN)
        ]
    there = rows_live.live_of(request.database, tables, progress)
    alone = Live(there.server, there.info, there.database, sorted(tables))
    finder = Finder(tables, made, {})
    with moment(alone, finder, progress):
        return Looked(tables, made, finder.judged(made, with_changed_again=False))


def _done(request: ApplyRowsRequest, progress: Progress) -> Looked | None:
    """The rows where an earlier try has run the script. Raises Problem where nobody can tell."""
    progress.phase("live dump", expected=0)
    looked = _look(request, progress)
    before, after = sum(each.state == AS_SEEN for each in looked.found), sum(map(bears, looked.found))
    if before and after:
        raise _both_ways(before, after)
    if before:
        return None  # it was all or nothing, and the script looks at each row
    if after:
        return looked  # what is otherwise was changed since, by a trigger or by who writes
    raise Problem(
        phrase(
            "An earlier try was broken off, and all of these rows are otherwise by now than before and after "
            "it. Nobody can tell how it ended."
        ),
        code="rows.changed_again",
        safe=phrase("Nothing was changed by this one."),
        do=phrase("Compare again, and choose anew."),
    )


def _both_ways(before: int, after: int) -> Problem:
    """Where somebody set rows back since, or gave some back by hand: it was one transaction."""
    return Problem(
        phrase(
            "An earlier try was broken off. By now {before} as before it, and {after} as after it, so "
            "somebody has changed rows since. Nobody can tell how it ended.",
            before=plural("{n} row is", "{n} rows are", n=before),
            after=plural("{n} is", "{n} are", n=after),
        ),
        code="rows.unheard_of",
        safe=phrase("Nothing was changed by this one."),
        do=phrase("Compare again: it shows which rows are still otherwise. Choose among these."),
    )


def _look_afterwards(
    run: Run, request: ApplyRowsRequest, told: Mapping[str, Any], progress: Progress
) -> None:
    """Keep the rows as they are right after the COMMIT. No failure of it undoes that they were given back."""
    progress.phase(consequences.LOOKS_AFTERWARDS, expected=0)
    try:
        looked = _look(request, progress)
        # A trigger may write to any table.
        may_be = looked.tables if _with_triggers(told) else ()
        _keep_as_left(run, looked, told, progress, by_triggers=may_be)
    except Problem as problem:
        # Its own words of what is safe are of a run that has changed nothing.
        progress.warn(
            phrase(
                "All rows were given back. They could not be looked at afterwards: {why}", why=problem.what
            )
        )


def _with_triggers(told: Mapping[str, Any]) -> set[str]:
    return {each["table"] for each in told["triggers"] if each["event"] != UNSEEN_KEYS}


def _keep_as_left(
    run: Run, looked: Looked, told: Mapping[str, Any], progress: Progress, *, by_triggers: Collection[str]
) -> None:
    """Keep the rows as they really are for the undo, and warn of those that are otherwise than was meant."""
    left = as_left(looked, by_triggers)
    digest = keeping.write_chosen(kept_files.rows_of(run.pk), looked.tables.values(), left)
    _note(run, told, rows_sha256=digest)
    other = sum(each.state != ALREADY for each in looked.found)
    if other:
        progress.warn(
            plural(
                "{n} of the rows is not any more as the script made it: a trigger changed it, or "
                "somebody writes there.",
                "{n} of the rows are not any more as the script made them: a trigger changed them, or "
                "somebody writes there.",
                n=other,
            )
        )


def _refuse_defined_otherwise(
    live: Live, proved: Mapping[str, Any], safe: str = phrase("Nothing was changed.")
) -> None:
    if rows_live.defined(live) != proved["defined"]:
        raise Problem(
            phrase("Tables or triggers are not defined any more as they were when the script was proved."),
            code="rows.defined_otherwise",
            safe=safe,
            do=phrase("Have the script proved again."),
        )


def _refuse_equal_rows_otherwise(request: ApplyRowsRequest, progress: Progress) -> None:
    """Raise Problem where a table without a key has other rows than at the proof: how many are alike counts.

    Of a row with a key the script itself sees that it is another one.
    """
    with kept_rows(kept_files.rows_of(request.proved.pk)) as rows:
        if all(table.key for table in rows.tables()):
            return
    progress.phase("live dump", expected=0)
    if any(each.state != AS_SEEN for each in _look(request, progress).found):
        raise Problem(
            phrase("A row is not any more as it was when the script was proved."),
            code="rows.changed_again",
            safe=phrase("Nothing was changed."),
            do=phrase("Have the script written again: rows that were changed again are left out there."),
        )


def _refuse_beside(run: Run, request: ApplyRowsRequest) -> None:
    """Raise Problem where its script was applied meanwhile, or the database is being restored.

    None of both may begin while this run is under way; but it may have been taken for dead.
    """
    request.refuse_unfit()
    refusals.refuse_unsettled(request.database, request.database.database)
    if (other := waiting.beside_rows(run)) is not None:
        raise refusals.held(run, other)


# ---------------------------------------------------------------- The change


def _save_before(run: Run, request: ApplyRowsRequest, progress: Progress) -> None:
    """A backup of the database as it is now; without it nothing is changed."""
    if request.without_safety:
        progress.warn(phrase("No backup is made first, because you said that there is nothing left to save."))
        return
    saved = backed_up(request.database, progress, _not_saved)
    notes.run_update(run.pk, result={"safety_snapshot": saved.snapshot_id})
    progress.log(
        phrase(
            "{database} as it is now is in snapshot {snapshot}.",
            database=request.database.database,
            snapshot=saved.short_id,
        )
    )


def _not_saved(error: str) -> Problem:
    return Problem(
        phrase("The backup before it failed, so no row was given back: {error}", error=error),
        code="restore.no_safety_backup",
        safe=phrase("The live database was not touched."),
        do=phrase(
            "Mend the reason, then try again. The undo takes the rows back too: if you need no backup, "
            "say --without-safety-backup (on the page: There is nothing left to save)."
        ),
    )


@contextmanager
def _told_what_is_safe(statements: Sequence[bytes], *, triggers: bool) -> Iterator[None]:
    """Have what stops a script say what is left of it: of triggers perhaps what they wrote elsewhere."""
    try:
        try:
            yield
        except mysql.StatementFailed as failed:
            raise _failed(failed, statements) from None
    except Problem as problem:
        if triggers and problem.safe == _UNTOUCHED:
            problem.safe = _UNTOUCHED_BUT_BY_TRIGGERS
        raise


def _failed(failed: mysql.StatementFailed, statements: Sequence[bytes]) -> Problem:
    if failed.at > statements.index(COMMITS):
        return Problem(
            phrase("The script was broken off as it was committed: {error}", error=failed),
            code="rows.cut_off",
            safe=consequences.ALL_OR_NONE,
        )
    if failed.is_guard:
        return Problem(
            phrase("A row is not any more as it was when the script was proved."),
            code="rows.changed_again",
            safe=_UNTOUCHED,
            do=phrase("Have the script written again: rows that were changed again are left out there."),
        )
    do = phrase("Try again. If it stays so, have the script proved again: something else has changed.")
    if mysql.is_denied(failed.number):
        do = phrase("Give the user that restores the rights of a restore: see [restore] in deploy/mysql.")
    return Problem(
        phrase("The live database did not take the script: {error}", error=failed),
        code="rows.not_taken",
        safe=_UNTOUCHED,
        do=do,
    )


def _in_short(run: Run, told: Mapping[str, Any]) -> str:
    return phrase(
        "{rows} given back, all in one transaction. To take this back within a day: manage.py rows_back "
        "--undo {run} --apply.",
        rows=plural("{n} row was", "{n} rows were", n=told["rows"]),
        run=run.pk,
    )
