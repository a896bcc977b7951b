"""A restore as one story: what came back, where to, who and why, what it cost, and the way back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.html import format_html

from backups.admin import live, restore_moment
from backups.admin.base import page_url
from backups.choices import ACTIVE, OVERWRITING_MODES, STATUS_COLOURS, RestoreMode, Status, Trigger
from backups.errors import Problem
from backups.models import Restore, Run
from backups.restoring import kept_states
from backups.snapshots.retention import SAFETY_KEPT
from backups.text import formatting
from backups.text.sentences import joined, phrase, plural

_SWAPPING = frozenset({RestoreMode.REPLACE, RestoreMode.UNDO})
# No table has more rows than its server can count; a row of ours may say anything.
_NUMBER_BITS = 63
_TABLES_NAMED, _NAMED_IN_SENTENCES = 12, 3


@dataclass(frozen=True)
class TableRows:
    """How many rows a table had and has: None where they were not counted, False where it was not there."""

    table: str
    before: int | bool | None
    after: int | bool | None

    @property
    def change(self) -> int | None:
        """How many more rows it has than before, where both are known."""
        if _is_number(self.before) and _is_number(self.after):
            return int(self.after or 0) - int(self.before or 0)
        return None

    @property
    def words(self) -> str:
        """What became of it, where that is no number of rows."""
        if self.before is False:
            return phrase("new")
        if self.after is False:
            return phrase("gone")
        return formatting.EMPTY if self.change is None else phrase("same number")

    @property
    def colour(self) -> str:
        """What stands out."""
        if self.before is False:
            return "info"
        return "warning" if self.after is False or (self.change or 0) < 0 else "plain"


@dataclass(frozen=True)
class Step:
    """Something that was done, is being done or is to come, in the order in which it happens."""

    colour: str
    words: str
    more: Any = ""
    at: datetime | None = None


def page_context(restore: Restore) -> dict[str, Any]:
    """What the changing part of a restore's page shows."""
    run, now = restore.run, timezone.now()
    usual = live.typical(live.earlier(run)) if not run.is_over else live.Typical(None, {})
    rows = rows_of(run)
    return {
        "restore": restore,
        "run": run,
        "heading": heading(restore),
        "colour": STATUS_COLOURS[Status(run.status)],
        "is_active": run.status in ACTIVE,
        "is_running": run.status == Status.RUNNING,
        "is_over": run.is_over,
        "waits_because": live.waits_because(run, now),
        "progress": live.progress(run, usual, now),
        "took": run.duration(now),
        "what": _what(restore),
        "where": restore_moment.where(restore),
        "of_log": restore_moment.facts_of(restore),
        "listed_url": restore_moment.listed_url(restore),
        "tables": tables_words(restore),
        "asked_by": asked_by(run),
        "lost": lost_words(restore, now),
        "steps": list(_steps(restore)),
        "rows": rows,
        "rows_had": any(row.before is not False for row in rows),
        "rows_left_out": _number(_result(run).get("rows_left_out")) or 0,
        "rows_uncounted": any(None in (row.before, row.after) for row in rows),
        "kept_bytes": _number(_result(run).get("kept_bytes")),
        "keeps_tables": restore.keeps_tables,
        "kept_told": kept_words(restore) if restore.kept_in else "",
        "not_yet": why_not_dropped(restore),
        "not_undone": _why_not_undone(restore),
        "undos": list(restore.undos.select_related("run").defer(*kept_states.LARGE).order_by("pk")),
        "ways_back": kept_states.listed(restore.database, restore.target),
    }


# ---------------------------------------------------------------- What, where, who


def heading(restore: Restore) -> str:
    """Where it goes and how much of it, in one line."""
    target = restore.target
    match restore.mode:
        case RestoreMode.NEW:
            return phrase("Into the new database {target}", target=target)
        case RestoreMode.FILE if restore_moment.is_to_download(restore):
            return phrase("To an SQL file that can be downloaded")
        case RestoreMode.FILE:
            return phrase("To a file in {target}", target=target)
        case RestoreMode.UNDO:
            return phrase("{target} back to what it was before", target=target)
    if restore.tables:
        return plural(
            "{n} table back into the live database {target}",
            "{n} tables back into the live database {target}",
            n=len(restore.tables),
            target=target,
        )
    if restore.mode == RestoreMode.IN_PLACE:
        return phrase("Straight into the live database {target}", target=target)
    return phrase("In the place of the live database {target}", target=target)


def _what(restore: Restore) -> Any:
    """What comes back, with where to read more of it."""
    if restore.mode == RestoreMode.UNDO:
        undone = restore.undo_of
        if undone is None:
            return phrase("The tables that a restore kept")
        words = phrase("The tables that restore {number} kept", number=undone.run_id)
        return formatting.link(page_url(undone), words)
    snapshot = restore.snapshot
    of = formatting.link(page_url(snapshot), phrase("Snapshot {snapshot}", snapshot=snapshot.short_id))
    # By its file: the manifest, which tells it as well, may be large, and this is asked once a second.
    source = snapshot.file_stem.replace("%2F", "/")
    return format_html("{}, {}, {}", of, source, formatting.time_with_age(snapshot.time))


def tables_words(restore: Restore) -> str:
    """Which tables, the first of many."""
    if not restore.tables:
        return phrase("All")
    more = len(restore.tables) - _TABLES_NAMED
    named = joined(restore.tables[:_TABLES_NAMED], ", ")
    if more <= 0:
        return named
    return plural("{named} and {n} more", "{named} and {n} more", n=more, named=named)


def asked_by(run: Run) -> str:
    """Who asked, and by which way."""
    way = run.get_trigger_display()
    return f"{run.requested_by} ({way})" if run.requested_by else way


# ---------------------------------------------------------------- What it costs


def lost_words(restore: Restore, now: datetime) -> str:
    """What is in the target no more, or will not be, since when, and where it is; empty where nothing is."""
    if restore.mode not in _SWAPPING | OVERWRITING_MODES:
        return ""
    since = restore_moment.data_of(restore)
    if restore.mode == RestoreMode.UNDO:
        if restore.undo_of is None or restore.undo_of.swapped_at is None:
            return ""
        since = restore.undo_of.swapped_at
    if not restore.run.is_over and not restore.overwrote:
        return will_be_lost(_of_target(restore), since, now)
    if not restore.overwrote:
        return ""
    until = restore.swapped_at or restore.run.finished_at or now
    if until <= since:
        return ""  # told by clocks that differ
    return joined([
        phrase(
            "What was written to {what} between {since} and {until} ({duration}) is not there any more.",
            what=_of_target(restore),
            since=formatting.clock(since),
            until=formatting.clock(until),
            duration=formatting.approximate_duration(until - since),
        ),
        where_it_is(
            kept_in=restore.kept_in if restore.keeps_tables else "",
            snapshot=restore.safety_snapshot.short_id if restore.safety_snapshot else "",
        ),
    ])  # fmt: skip


def will_be_lost(what: str, since: datetime, now: datetime) -> str:
    """What a restore that is to come will take away, and of how long a time."""
    return phrase(
        "What was written to {what} since {since} ({duration}) will not be there any more.",
        what=what,
        since=formatting.clock(since),
        duration=formatting.approximate_duration(now - since),
    )


def _of_target(restore: Restore) -> str:
    if not restore.tables:
        return restore.target
    return of_database(restore.tables, restore.target)


def of_database(tables: Sequence[str], database: str) -> str:
    """Some tables of a database for a sentence: by their names, or of many how many they are."""
    if len(tables) > _NAMED_IN_SENTENCES:
        return plural("{n} table of {target}", "{n} tables of {target}", n=len(tables), target=database)
    return phrase("{tables} of {target}", tables=joined(tables, ", "), target=database)


def where_it_is(*, kept_in: str, snapshot: str) -> str:
    """Where what was overwritten still is."""
    if kept_in and snapshot:
        return phrase(
            "It is in the kept tables ({kept_in}) and in safety snapshot {snapshot}.",
            kept_in=kept_in,
            snapshot=snapshot,
        )
    if kept_in:
        return phrase("It is in the kept tables ({kept_in}).", kept_in=kept_in)
    if snapshot:
        return phrase("It is in safety snapshot {snapshot}.", snapshot=snapshot)
    return phrase("Nothing holds it any more, unless a later backup does.")


def rows_of(run: Run) -> list[TableRows]:
    """The rows that the worker counted, what changed most first; what no run of ours wrote is left out."""
    told = _result(run).get("rows")
    rows = [
        TableRows(each["table"], _count(each, "before"), _count(each, "after"))
        for each in (told if isinstance(told, list) else ())
        if isinstance(each, dict) and isinstance(each.get("table"), str)
    ]
    return sorted(rows, key=lambda row: (-abs(row.change or 0), row.table))


def _count(told: dict[str, Any], name: str) -> int | bool | None:
    return _number(told[name]) if name in told else False


def _number(told: object) -> int | None:
    return told if type(told) is int and told >= 0 and told.bit_length() <= _NUMBER_BITS else None


def _is_number(told: int | bool | None) -> bool:
    return type(told) is int


def _result(run: Run) -> dict[str, Any]:
    return run.result if isinstance(run.result, dict) else {}


# ---------------------------------------------------------------- What happened


def _steps(restore: Restore) -> Iterator[Step]:
    """The steps of a restore in their order, those to come as well as long as it may take them."""
    if restore.mode in OVERWRITING_MODES:
        yield _safety_step(restore)
    if restore.mode == RestoreMode.UNDO:
        yield Step("plain", phrase("No backup before: the present tables are kept in their turn"))
    elif restore.restore_seconds is not None:
        took = formatting.duration(restore.restore_seconds)
        yield Step("success", phrase("Loaded in {duration}", duration=took))
    else:
        yield from _to_come(restore, "load", phrase("Load the snapshot"))
    if restore.mode not in _SWAPPING:
        return
    if restore.swapped_at is not None:
        yield Step("success", phrase("In the place of the live tables"), at=restore.swapped_at)
    else:
        yield from _to_come(restore, "swap", phrase("Swap it in, in one step"))
    if restore.undone_at is not None:
        yield Step("info", phrase("Undone: the tables of before are back"), at=restore.undone_at)
    if restore.dropped_at is not None:
        yield Step("info", phrase("Kept tables dropped"), at=restore.dropped_at)


def _to_come(restore: Restore, phase: str, words: str) -> Iterator[Step]:
    run = restore.run
    if run.status in ACTIVE:
        yield Step("primary" if run.phase == phase else "plain", words)
    else:
        yield Step("plain", phrase("Not done: {step}", step=words))


def _safety_step(restore: Restore) -> Step:
    """The backup before: made, being made, to come, or waived."""
    if restore.without_safety:
        return Step("warning", phrase("No backup before: there was nothing left to save"))
    safety, run = restore.safety_snapshot, restore.run
    if safety is not None:
        link = formatting.link(page_url(safety), phrase("Snapshot {snapshot}", snapshot=safety.short_id))
        more = format_html("{}{}", link, _safety_until(restore))
        return Step("success", phrase("Backed up as it was before"), more, safety.time)
    child = run.children.filter(trigger=Trigger.RESTORE).first()
    if child is not None:
        colour = STATUS_COLOURS[Status(child.status)]
        state = formatting.label(child.get_status_display(), colour)
        link = formatting.link(page_url(child), child)
        return Step(colour, phrase("Backup before"), format_html("{} {}", link, state))
    if run.is_over and restore.overwrote:
        return Step("plain", phrase("No backup before is on record"))
    return next(_to_come(restore, "safety backup", phrase("Back up the database as it is now")))


def _safety_until(restore: Restore) -> str:
    if restore.safety_snapshot and restore.safety_snapshot.forgotten_at is not None:
        return phrase(", which was forgotten since")
    ended = restore.run.finished_at
    return (
        phrase(", kept at least until {ended}", ended=formatting.exact(ended + SAFETY_KEPT)) if ended else ""
    )


# ---------------------------------------------------------------- The way back


def kept_words(restore: Restore) -> str:
    """Where the tables of before are, or what became of them."""
    if not restore.kept_in:
        return formatting.EMPTY
    if not restore.is_settled:
        return phrase("The swap is under way: tables may be in {kept_in} already.", kept_in=restore.kept_in)
    if restore.dropped_at is not None:
        return phrase("Dropped: only snapshots hold what was there before.")
    if restore.undone_at is not None:
        return phrase("Back in {target}: this was undone.", target=restore.target)
    if restore.swapped_at is None:
        over = phrase("{target} was not swapped, so nothing of it is kept apart.", target=restore.target)
        return over if restore.run.is_over else phrase("None yet: nothing is swapped so far.")
    return phrase(
        "In {kept_in}, until somebody drops them; nothing drops them by itself.", kept_in=restore.kept_in
    )


def why_not_dropped(restore: Restore) -> str:
    """Why the kept tables cannot be dropped yet; empty where they can."""
    try:
        kept_states.refuse_early_drop(restore)
    except Problem as problem:
        return joined([problem.what, problem.do])
    return ""


def _why_not_undone(restore: Restore) -> str:
    if not restore.keeps_tables:
        return ""
    try:
        kept_states.refuse_out_of_order(restore)
    except Problem as problem:
        return joined([problem.what, problem.do])
    if not restore.can_be_undone:
        return phrase(
            "Another swap of {target} is under way, so it cannot be undone just now.", target=restore.target
        )
    return ""


def kept_in_short(restore: Restore) -> str:
    """Whether the tables of before are kept, and the space that they took then, for a line of the list."""
    if restore.keeps_tables:
        space = _number(_result(restore.run).get("kept_bytes"))
        if space is None:
            return phrase("kept")
        return phrase("kept, {size}", size=formatting.size(space))
    if restore.undone_at is not None:
        return phrase("undone")
    return phrase("dropped") if restore.dropped_at is not None else formatting.EMPTY


def kept_in_all() -> str:
    """How much space all kept tables take, as far as their runs counted it; empty where none are kept."""
    keeping = Restore.objects.filter(swapped_at__isnull=False, undone_at=None, dropped_at=None)
    runs = [each.run for each in keeping.exclude(kept_in="").only("run__result").select_related("run")]
    if not runs:
        return ""
    known = [space for run in runs if (space := _number(_result(run).get("kept_bytes"))) is not None]
    restores = plural("{n} restore keeps tables", "{n} restores keep tables", n=len(runs))
    if not known:
        return phrase("{restores} of before, until somebody drops them.", restores=restores)
    return phrase(
        "{restores} of before, until somebody drops them: about {size} in all.",
        restores=restores,
        size=formatting.size(sum(known)),
    )
