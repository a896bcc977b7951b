"""What changed from a snapshot to a later one, or to now: both are dumps, and nothing is loaded anywhere.

But for moments of the stored log: these are brought back where test restores go, and dumped from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from django.conf import settings

from backups import mysql, restic
from backups.actions.steps import kept_files
from backups.actions.steps.compared_by_server import compare_by_server
from backups.actions.steps.compared_sides import Side, Story, held_of, read_both
from backups.actions.steps.moment_side import brought_back
from backups.actions.steps.opening import OpenedSnapshot, opened
from backups.differences import keeping, shown
from backups.differences.comparison import comparison
from backups.differences.held import libraries_unknown
from backups.differences.result import Differences
from backups.differences.told import in_short
from backups.errors import Problem
from backups.models import Run, Snapshot
from backups.moments.until import Until
from backups.requests import DiffRequest, read_as
from backups.runs import notes
from backups.runs.outcome import Outcome
from backups.runs.progress import Progress
from backups.text.sentences import capitalized, phrase


def run(run: Run, progress: Progress) -> Outcome:
    """Compare what the run asks for. Raises Problem, Cancelled."""
    request = read_as(run, DiffRequest)
    request.refuse_unfit()
    progress.phase("preflight")
    run.repository = request.snapshot.repository
    access = opened(run, progress)
    with ExitStack() as held:
        before = held.enter_context(_side(run, request, access, (request.snapshot, request.since), progress))
        until = None
        if request.until is not None:
            until = held.enter_context(_side(run, request, access, (request.until, request.upto), progress))
            _refuse_turned_round(before, until)
        _compare(run, request, access, (before, until), progress)
    return Outcome()


@contextmanager
def _side(
    run: Run,
    request: DiffRequest,
    access: restic.Access,
    which: tuple[Snapshot, Until | None],
    progress: Progress,
) -> Iterator[Side]:
    """A side that is a snapshot, or a moment that is brought back from one. Raises Problem, Cancelled."""
    snapshot, moment = which
    if moment is None:
        yield Side(held_of(request, snapshot.manifest or {}), snapshot.time, snapshot)
        return
    with brought_back(run, request, OpenedSnapshot(snapshot, access), moment, progress) as side:
        yield side


def _refuse_turned_round(before: Side, after: Side) -> None:
    """Raise Problem where the later side is the earlier one: of a transaction that shows once it is found."""
    if after.at >= before.at:
        return
    raise Problem(
        phrase("{after} is earlier than {before}.", after=capitalized(after.called), before=before.called),
        code="diff.turned_round",
        safe=phrase("Nothing was changed."),
        do=phrase("Name the earlier one first."),
    )


def _compare(
    run: Run,
    request: DiffRequest,
    access: restic.Access,
    sides: tuple[Side, Side | None],
    progress: Progress,
) -> None:
    before, until = sides
    assert before.snapshot is not None  # noqa: S101  only the later one is the database itself
    stored = OpenedSnapshot(before.snapshot, access, before.file)
    with comparison(settings.DUMP_SPOOL_DIR, settings.DUMP_SPOOL_MB * 1_000_000) as both:
        story = Story(request, stored, before, both, progress)
        asked = shown.rows_asked()
        both.is_asked = asked is not None or request.keep_rows
        if request.keep_rows:
            both.most_picked = settings.ROWS_BACK_LIMIT
        after = read_both(story, until)
        _refuse_unknown(story, after)
        progress.phase("compare")
        found = both.found(before.held, after.held, progress.tick)
        if asked is not None and both.picked:
            _show(story, after, asked)
        kept = _keep(run, story, after, found) if request.keep_rows else None
        server = compare_by_server(run, story, after, found)
    _conclude(run, story, after, found, server)
    if kept is not None:
        notes.run_update(run.pk, result={"kept": kept})


def _refuse_unknown(story: Story, after: Side) -> None:
    """Raise Problem for a chosen table that neither side has."""
    unknown = sorted(set(story.request.tables) - story.before.held.tables - after.held.tables)
    if unknown:
        raise Problem(
            phrase("There is no table {name} on either side.", name=mysql.named(unknown)),
            code="diff.no_such_table",
            do=phrase("See how its name is written: letters count."),
        )


def _show(story: Story, after: Side, asked: shown.RowsAsked) -> None:
    """Hand rows that differ to whoever asked for them in this process."""
    both, progress = story.both, story.progress
    progress.phase("rows", expected=story.expected(None))
    then, now = (
        shown.Picker(both.picked, both.after.layouts, side.shapes, both.digests)
        for side in (both.before, both.after)
    )
    story.take_picked(story.before, both.before, then)
    story.take_picked(after, both.after, now)
    asked.rows = shown.side_by_side(both.picked, then, now)
    progress.log(phrase("Values of rows that differ were shown on the terminal of {by}.", by=asked.by))


def _keep(run: Run, story: Story, after: Side, found: Differences) -> Mapping[str, Any]:
    """Keep the rows that differ where the worker runs; answers what of it the run's row tells."""
    both, progress = story.both, story.progress
    progress.phase("rows", expected=story.expected(None))
    path = kept_files.rows_of(run.pk)
    with keeping.stored(path, both.picked) as store:
        for number, side, recorded in (
            (keeping.THEN, story.before, both.before),
            (keeping.NOW, after, both.after),
        ):
            compared = keeping.Compared(both.after.layouts, recorded.shapes, both.digests)
            story.take_picked(side, recorded, keeping.Keeper(store, number, compared))
        differing = {
            each.table: sum((each.gone or 0, each.new or 0, each.changed or 0)) for each in found.tables
        }
        digest = store.finish(
            {
                table: keeping.Aside(
                    differing[table],
                    both.after.layouts[table],
                    (story.definitions_before[table], after.definitions[table]),
                )
                for table in both.picked
            }
        )
    return kept_files.told(path, digest)


# ---------------------------------------------------------------- What is told


def _conclude(
    run: Run, story: Story, after: Side, found: Differences, server: Mapping[str, Any] | None
) -> None:
    told = {
        "before": story.before.told(),
        "after": after.told(),
        "chosen": list(story.request.tables),
        **found.as_json(),
        "libraries_unknown": libraries_unknown(story.before.held, after.held),
        "events_not_compared": story.request.is_of_moments,
        "server": server,
    }
    notes.run_update(run.pk, result={"difference": told})
    story.progress.log(in_short(found))
