"""Rows given back as one story: what was chosen, the proof, the application, and the way back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from backups.admin import live
from backups.admin.base import page_url, run_url
from backups.admin.listed_transactions import transaction_url
from backups.admin.restore_story import Step, asked_by
from backups.admin.row_choice import KINDS
from backups.choices import ACTIVE, STATUS_COLOURS, Action, Level, Status, Trigger
from backups.models import Run, Snapshot
from backups.requests.rows_back import (
    UNSEEN_KEYS,
    attempts,
    columns_words,
    rounded_words,
    told_of,
    unseen_words,
)
from backups.requests.undone import undone_by
from backups.text import formatting
from backups.text.sentences import phrase, plural
from backups.text.terminal import escape_control_characters

# Application of a script that succeeded, or was found to have been done.
_DONE = frozenset({"applied", "already"})
_WARNINGS = 5


@dataclass(frozen=True)
class TableOf:
    """How many rows of a table a script gives back: by kind, and how many it leaves out."""

    name: str
    counts: Mapping[str, int]
    left_out: int


@dataclass(frozen=True)
class Story:
    """A script's run with what it tells, the tries to apply it, the newest first, and what takes it back."""

    run: Run
    told: Mapping[str, Any]
    tries: Sequence[Run]
    undos: Sequence[Run]

    @property
    def is_undo(self) -> bool:
        """Whether it takes an application back."""
        return self.told.get("is_undo") is True or self.source_action == Action.ROWS_BACK

    @cached_property
    def source(self) -> Run | None:
        """The comparison whose rows it gives back, or the application that it takes back."""
        asked = self.run.request if isinstance(self.run.request, dict) else {}
        number = asked.get("source")
        return Run.objects.filter(pk=number).first() if isinstance(number, int) else None

    @property
    def source_action(self) -> str:
        """What that was."""
        return self.source.action if self.source else ""

    @property
    def is_proved(self) -> bool:
        """Whether its script may be applied."""
        return self.run.status == Status.SUCCEEDED and self.told.get("proved") is True

    @property
    def applied(self) -> Run | None:
        """The run that has applied it, however that ended once the rows were given back."""
        return next((each for each in self.tries if _has_applied(each)), None)

    @property
    def going_on(self) -> Run | None:
        """Which of its runs is under way."""
        return next((each for each in [self.run, *self.tries] if each.status in ACTIVE), None)

    @property
    def newest(self) -> Run:
        """The run that says how it stands."""
        return self.tries[0] if self.tries else self.run

    @property
    def kept_until(self) -> datetime | None:
        """Until when the script, and what undoes it, can be had."""
        try:
            return timezone.localtime(datetime.fromisoformat(self.told["until"]))
        except (KeyError, TypeError, ValueError):
            return None

    @property
    def is_kept(self) -> bool:
        """Whether they can still be had: those that were applied stay a day from then."""
        until = self.kept_until
        ended = self.applied.finished_at if self.applied else None
        if until is not None and ended is not None and self.run.finished_at is not None:
            until += ended - self.run.finished_at
        return until is not None and until > timezone.now()

    @property
    def may_apply(self) -> bool:
        """Whether there is a proved script that nobody has applied, or is applying."""
        return self.is_proved and self.is_kept and self.applied is None and self.going_on is None

    @property
    def may_undo(self) -> bool:
        """Whether it was applied, and what takes it back is there and not under way or done."""
        undone = any(each.status in ACTIVE for each in self.undos) or self.undone_by is not None
        return self.applied is not None and self.is_kept and not undone

    @cached_property
    def undone_by(self) -> Run | None:
        """The application of its undo."""
        return next((found for each in self.undos if (found := story_of(each).applied)), None)


def story_of(run: Run) -> Story:
    """All that belongs to the run that wrote a script."""
    tries = list(attempts(run).select_related("database", "requested_by"))
    done = [each.pk for each in tries if _has_applied(each)]
    undos = Run.objects.filter(action=Action.ROWS_BACK, request__source__in=done)
    return Story(run, told_of(run), tries, list(undos.order_by("pk")) if done else [])


def _has_applied(run: Run) -> bool:
    return run.status not in ACTIVE and told_of(run).get("state") in _DONE


def page_context(story: Story) -> dict[str, Any]:
    """What the changing part of the page shows."""
    now, newest = timezone.now(), story.newest
    shown = story.going_on or newest
    usual = live.typical(live.earlier(shown)) if not shown.is_over else live.Typical(None, {})
    return {
        "story": story,
        "run": shown,
        "heading": heading(story),
        "state": state_words(story),
        "colour": _colour(story),
        "warnings": _warnings(story.applied),
        "is_active": shown.status in ACTIVE,
        "is_running": shown.status == Status.RUNNING,
        "is_over": story.going_on is None,
        "waits_because": live.waits_because(shown, now),
        "progress": live.progress(shown, usual, now),
        "took": shown.duration(now),
        "asked_by": asked_by(story.run),
        "reason": _reason(newest) if story.tries else "",
        "tables": tables_of(story),
        "rows": _count(story.told.get("rows")) or 0,
        "again": _count(story.told.get("changed_again")) or 0,
        "left_out": sum(each.left_out for each in tables_of(story)),
        "already": _count(story.told.get("already")) or 0,
        "triggers": triggers_of(story.told),
        "triggers_ran": any(each.get("event") != UNSEEN_KEYS for each in _list(story.told.get("triggers"))),
        "proof": proof_words(story),
        "rounded": rounded_of(story.told),
        "undo_proof": undo_words(story),
        "digests": [
            (words, str(story.told[name]))
            for name, words in (("script_sha256", phrase("The script")), ("undo_sha256", phrase("Its undo")))
            if story.told.get(name)
        ],
        "source": story.source,
        "source_url": _source_url(story.source),
        "snapshot": story.run.snapshot,
        **_undone(story.run),
        "steps": list(_steps(story)),
        "safety": _safety_of(story.applied),
        "undos": [(each, reverse("rows-back", args=[each.pk]), story_of(each)) for each in story.undos],
    }  # fmt: skip


def state_words(story: Story) -> str:
    """How it stands. That a script was proved is no success yet: nothing was given back."""
    if story.going_on is None and story.applied is not None:
        return phrase("Taken back") if story.undone_by else phrase("Given back")
    if story.going_on is None and story.is_proved and not story.tries:
        return phrase("Proved, and not given back yet")
    if _gives_nothing(story):
        return phrase("Nothing to give back")
    return (story.going_on or story.newest).get_status_display()


def _colour(story: Story) -> str:
    if story.going_on is None and story.applied is not None:
        return "info" if story.undone_by else "success"
    if story.going_on is None and story.is_proved and not story.tries:
        return "info"
    if _gives_nothing(story):
        return "warning"
    return STATUS_COLOURS[Status((story.going_on or story.newest).status)]


def _gives_nothing(story: Story) -> bool:
    return story.run.status == Status.SUCCEEDED and not story.is_proved


def _warnings(applied: Run | None) -> list[str]:
    """What was said of the rows after they were given back."""
    if applied is None:
        return []
    lines = applied.lines.filter(level=Level.WARNING).order_by("pk")[:_WARNINGS]
    return [line.text for line in lines]


def heading(story: Story) -> str:
    """How much goes where, in one line."""
    database = story.run.database
    if story.is_undo:
        return phrase("Rows of {database} as they were before they were given back", database=database)
    rows = _count(story.told.get("rows"))
    if rows is None:
        return phrase("Rows back into {database}", database=database)
    if story.applied is None:
        return plural(
            "{n} row to be given back to {database}",
            "{n} rows to be given back to {database}",
            n=rows,
            database=database,
        )
    return plural("{n} row back in {database}", "{n} rows back in {database}", n=rows, database=database)


def tables_of(story: Story) -> list[TableOf]:
    """What it gives back of each table; what no run of ours wrote is left out."""
    counts: dict[str, dict[str, int]] = {}
    out: dict[str, int] = {}
    for each in _list(story.told.get("tables")):
        counts[str(each.get("table"))] = {kind: _count(each.get(kind)) or 0 for kind in KINDS}
    for each in _list(story.told.get("left_out")):
        out[str(each.get("table"))] = _count(each.get("rows")) or 0
    none = dict.fromkeys(KINDS, 0)
    return [TableOf(name, counts.get(name, none), out.get(name, 0)) for name in sorted({*counts, *out})]


def triggers_of(told: Mapping[str, Any]) -> list[str]:
    """What the live database has and the copy has not, in a sentence each."""
    return [_not_proved(each) for each in _list(told.get("triggers"))]


def _not_proved(each: Mapping[str, Any]) -> str:
    rows, table = _count(each.get("rows")) or 0, str(each.get("table"))
    if each.get("event") == UNSEEN_KEYS:
        return unseen_words(each)
    return plural(
        "Trigger {trigger} of {table} will also run, for {n} row.",
        "Trigger {trigger} of {table} will also run, for {n} rows.",
        n=rows,
        trigger=str(each.get("trigger")),
        table=table,
    )


def rounded_of(told: Mapping[str, Any]) -> list[str]:
    """Of which tables values come back rounded, or some columns alone, each in a sentence."""
    return [
        words(str(each.get("table")), map(str, columns))
        for name, words in (("only_columns", columns_words), ("rounded", rounded_words))
        for each in _list(told.get(name))
        if isinstance(columns := each.get("columns"), list)
    ]


def proof_words(story: Story) -> str:
    """The sentence of the proof; empty without one."""
    if story.told.get("proved") is not True:
        return ""
    try:
        moment = formatting.exact(datetime.fromisoformat(story.told["moment"]))
    except (KeyError, TypeError, ValueError):
        return ""
    return phrase(
        "Proved on a copy of {moment}: there the script gave just these rows, and changed nothing else in "
        "the tables of the copy.",
        moment=moment,
    )


def undo_words(story: Story) -> str:
    """What is proved of the undo that can be downloaded; nothing of a version that did not try it."""
    proved = story.told.get("undo_proved")
    if proved is True:
        return phrase(
            "Its undo was run on the same copy right after it, and made all rows as they were before."
        )
    if proved is False:
        return phrase("Its undo could not be proved on the same copy: the log says why. Read it before use.")
    return ""


def _source_url(source: Run | None) -> str:
    if source is None:
        return ""
    if source.action == Action.ROWS_BACK:
        asked = source.request if isinstance(source.request, dict) else {}
        number = asked.get("proved")
        return reverse("rows-back", args=[number]) if isinstance(number, int) else run_url(source)
    return run_url(source)


def _undone(run: Run) -> dict[str, Any]:
    """The transactions that it undoes or has done again, each with where it is listed."""
    undone, database = undone_by(run), run.database
    named = [
        (escape_control_characters(each), transaction_url(database, each) if database else "")
        for each in undone.transactions
    ]
    return {"transactions": named, "transactions_done_again": undone.is_done_again}


def _reason(run: Run) -> str:
    asked = run.request if isinstance(run.request, dict) else {}
    return str(asked.get("reason", ""))


def _safety_of(applied: Run | None) -> Snapshot | None:
    """The backup that was made before it was applied."""
    if applied is None or not isinstance(applied.result, dict):
        return None
    known = applied.result.get("safety_snapshot")
    rows = Snapshot.objects.filter(snapshot_id=known, database=applied.database_id) if known else None
    return rows.defer("manifest").first() if rows is not None else None


def _count(told: object) -> int | None:
    return told if type(told) is int and 0 <= told < 1 << 63 else None


def _list(told: object) -> list[Mapping[str, Any]]:
    return [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []


# ---------------------------------------------------------------- What happened


def _steps(story: Story) -> Iterator[Step]:
    """The steps in their order, those to come as well."""
    run, told = story.run, story.told
    yield Step("success", phrase("Chosen"), phrase("by {person}", person=asked_by(run)), run.queued_at)
    if run.status in ACTIVE:
        yield Step("primary", phrase("Write the script and prove it on a copy"))
    elif told.get("proved") is True:
        yield Step("success", phrase("Written, and proved on a copy"), at=run.finished_at)
    else:
        colour = STATUS_COLOURS[Status(run.status)]
        yield Step(colour, phrase("Not proved, so there is no script"), at=run.finished_at)
        return
    for each in reversed(story.tries):
        yield _of_try(each)
    if story.applied is None and story.going_on is None:
        yield Step("plain", phrase("Give the rows back, in one transaction"))
    if (undone := story.undone_by) is not None:
        yield Step("info", phrase("Taken back"), formatting.link(run_url(undone), undone), undone.finished_at)


def _of_try(run: Run) -> Step:
    colour = STATUS_COLOURS[Status(run.status)]
    link = formatting.link(run_url(run), run)
    if run.status in ACTIVE:
        return Step("primary", phrase("Backup before, then give the rows back"), link)
    if not _has_applied(run):
        return Step(colour, phrase("Not given back"), link, run.finished_at)
    saved = run.children.filter(trigger=Trigger.RESTORE, status=Status.SUCCEEDED).first()
    more = link
    if saved is not None and saved.snapshot is not None:
        words = phrase("backup before: {snapshot}", snapshot=saved.snapshot.short_id)
        more = format_html("{}, {}", link, formatting.link(page_url(saved.snapshot), words))
    done = phrase("Given back, in one transaction")
    if told_of(run).get("state") == "already":
        done = phrase("Had been given back by an earlier try; nothing more was done")
    return Step("success", done, more, run.finished_at)
