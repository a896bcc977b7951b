"""What changed from a snapshot to a later one, or to now: both are dumps, and nothing is loaded anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from backups.actions.steps import kept_files
from backups.actions.steps.compared_sides import Side, Story, read_both, refuse_unknown
from backups.actions.steps.opening import OpenedSnapshot, opened
from backups.differences import keeping, shown
from backups.differences.comparison import comparison
from backups.differences.held import Held, libraries_unknown
from backups.differences.result import Differences
from backups.differences.told import in_short
from backups.models import Run
from backups.requests import DiffRequest, read_as
from backups.runs import notes
from backups.runs.outcome import Outcome
from backups.runs.progress import Progress
from backups.text.sentences import phrase


def run(run: Run, progress: Progress) -> Outcome:
    """Compare what the run asks for. Raises Problem, Cancelled."""
    request = read_as(run, DiffRequest)
    request.refuse_unfit()
    progress.phase("preflight")
    run.repository = request.snapshot.repository
    stored = OpenedSnapshot(request.snapshot, opened(run, progress))
    before = Side(
        Held(request.snapshot.manifest or {}, request.tables), request.snapshot.time, request.snapshot
    )
    with comparison(settings.DUMP_SPOOL_DIR, settings.DUMP_SPOOL_MB * 1_000_000) as both:
        story = Story(request, stored, before, both, progress)
        asked = shown.rows_asked()
        both.is_asked = asked is not None or request.keep_rows
        if request.keep_rows:
            both.most_picked = settings.ROWS_BACK_LIMIT
        after = read_both(story)
        refuse_unknown(story, after)
        progress.phase("compare")
        found = both.found(before.held, after.held, progress.tick)
        if asked is not None and both.picked:
            _show(story, after, asked)
        kept = _keep(run, story, after, found) if request.keep_rows else None
    _conclude(run, story, after, found)
    if kept is not None:
        notes.run_update(run.pk, result={"kept": kept})
    return Outcome()


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


def _conclude(run: Run, story: Story, after: Side, found: Differences) -> None:
    told = {
        "before": story.before.told(),
        "after": after.told(),
        "chosen": list(story.request.tables),
        **found.as_json(),
        "libraries_unknown": libraries_unknown(story.before.held, after.held),
    }
    notes.run_update(run.pk, result={"difference": told})
    story.progress.log(in_short(found))
