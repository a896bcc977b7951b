"""The page of the rows that a comparison kept: look at them, tick those that are to be given back.

Values are asked from the worker for each page and shown to who may restore. They go by POST, as what is
searched does, so that no log of addresses has them. The portal keeps none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backups.admin import asked
from backups.admin.base import page_url, run_url
from backups.admin.restoring import MAY_RESTORE, note
from backups.admin.row_choice import KINDS, Chosen, Kept, Looked, Ticks, in_ranges, kept_by
from backups.choices import Action, Trigger
from backups.downloads.rows import RowsPage, RowsWanted, ShownCell, ShownRow, ranges_found, rows_page
from backups.errors import Problem
from backups.models import Database, Run
from backups.requests import Asker, RowsBackRequest
from backups.requests.undo_transactions import transactions_of
from backups.text.sentences import phrase
from backups.text.terminal import escape_control_characters

PER_PAGE = 50
# Of a row that is gone or new, so many of its columns are seen at once.
_AT_ONCE = 4
# Who turns pages looks at one table's rows once.
_LOOKS_ON = timedelta(hours=1)
KIND_WORDS = {"gone": _("Gone"), "changed": _("Changed"), "new": _("New")}
KIND_COLOURS = {"gone": "danger", "changed": "warning", "new": "info"}
_STATES = {
    "again": _("changed again, left out"),
    "again_chosen": _("changed again"),
    "already": _("as it was already"),
}
GIVEN_BACK = {
    "gone": _("comes back"), "changed": _("gets its old values"), "new": _("is deleted"),
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A row as the page has it: what tells it apart, what is seen at once, and all of its columns."""

    shown: ShownRow
    key: Sequence[ShownCell]
    first: Sequence[ShownCell]
    is_ticked: bool = False
    is_ticked_as_one_of_all: bool = False

    @property
    def word(self) -> str:
        """What became of it."""
        return str(KIND_WORDS.get(self.shown.kind, self.shown.kind))

    @property
    def colour(self) -> str:
        """What stands out."""
        return KIND_COLOURS.get(self.shown.kind, "plain")

    @property
    def state(self) -> str:
        """What became of it after the comparison."""
        if self.changed_again and not self.shown.is_there_now:
            return phrase("deleted since")
        return str(_STATES.get(self.shown.state, ""))

    @property
    def changed_again(self) -> bool:
        """Whether it was, so that there is a third value."""
        return self.shown.state in {"again", "again_chosen"}

    @property
    def has_more(self) -> bool:
        """Whether some of its columns are not seen at once."""
        return len(self.shown.cells) > len(self.key) + len(self.first)


@dataclass
class Page:
    """What the page does with what was sent."""

    request: HttpRequest
    run: Run
    kept: Kept
    chosen: Chosen
    problem: str = ""

    def act(self) -> HttpResponse | None:
        """Do what the pressed button says; lead on where a run was started."""
        pressed, _, value = self.request.POST.get("do", "").partition("-")
        looked, chosen = self.chosen.looked, self.chosen
        number = int(value) if value.isascii() and value.isdigit() and len(value) < 9 else 0
        if pressed == "prove":
            return self._prove()
        if pressed == "see":
            chosen.looked = Looked(number) if number < len(chosen.ticks) else None
        elif looked is not None and pressed == "to":
            looked.offset = number
        elif looked is not None and pressed in {"search", "found", "none"}:
            looked.offset = 0
            if pressed != "search":
                self._tick_found(chosen.ticks[looked.table], looked, is_ticked=pressed == "found")
        return None

    def _tick_found(self, ticks: Ticks, looked: Looked, *, is_ticked: bool) -> None:
        try:
            found = ranges_found(asked.person_of(self.request), self.run, self._wanted(looked))
        except Problem as problem:
            self.problem = problem.sentence()
            return
        numbers = {number for first, last in found for number in range(first, last + 1)}
        ticks.numbers = ticks.numbers | numbers if is_ticked else ticks.numbers - numbers

    def _prove(self) -> HttpResponse | None:
        """Have the script written and proved, which changes nothing yet."""
        database = self.run.database
        if not self.chosen.choices or database is None:
            self.problem = phrase("Nothing was started: no row is ticked.")
            return None
        wanted = RowsBackRequest(database, self.run, self.chosen.choices)
        try:
            started = wanted.submit(Asker(Trigger.ADMIN, asked.person_of(self.request)))
        except Problem as problem:
            self.problem = problem.sentence()
            return None
        names = ", ".join(each.table for each in self.chosen.choices)
        note(self.request, self.run, f"Asked for the script that gives rows of {names} back: {started}")
        return HttpResponseRedirect(reverse("rows-back", args=[started.pk]))

    def _wanted(self, looked: Looked) -> RowsWanted:
        ticks = self.chosen.ticks[looked.table]
        return RowsWanted(
            ticks.table.name, looked.offset, PER_PAGE, looked.kinds, looked.search, where=looked.where
        )

    def rows(self) -> dict[str, Any]:
        """The rows that are looked at, or why there are none."""
        looked = self.chosen.looked
        if looked is None:
            return {}
        ticks = self.chosen.ticks[looked.table]
        try:
            found = rows_page(asked.person_of(self.request), self.run, self._wanted(looked))
        except Problem as problem:
            self.problem = self.problem or problem.sentence()
            return {"table": ticks.table}
        note_look(self.request, self.run, f"rows of {ticks.table.name}")
        shown = [_row(each, found, ticks) for each in found.rows]
        return {
            "table": ticks.table,
            "ticks": ticks,
            "rows": shown,
            "total": found.total,
            "first": looked.offset + 1,
            "last": looked.offset + len(shown),
            "before": max(looked.offset - PER_PAGE, 0) if looked.offset else None,
            "after": looked.offset + PER_PAGE if looked.offset + len(shown) < found.total else None,
            "seen": in_ranges(
                row.shown.number for row in shown if not row.is_ticked_as_one_of_all
            ),
        }  # fmt: skip


@MAY_RESTORE
def choose_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Look at the rows of a comparison, tick some, have the script written that gives them back."""
    runs = Run.objects.select_related("database__server", "repository", "snapshot")
    run = get_object_or_404(runs, pk=pk, action=Action.DIFF)
    context = {
        **admin.site.each_context(request),
        "title": phrase("Rows of {run}", run=run),
        "run": run,
        "kept": kept_by(run),
        "compare_again": _compare_again(run),
        "transactions": transactions_of(run),
        "crumbs": [
            *([(run.database, page_url(run.database))] if run.database else []),
            (run, run_url(run)),
            (phrase("Rows"), ""),
        ],
    }
    if context["kept"] and not context["kept"].is_over:
        sent = request.POST if request.method == "POST" else request.GET
        page = Page(request, run, context["kept"], Chosen(context["kept"], sent))
        if request.method == "POST" and (led_on := page.act()):
            return led_on
        context |= page.rows()
        context |= {"chosen": page.chosen, "looked": page.chosen.looked, "problem": page.problem}
        context["beyond"] = [each.name for each in context["kept"].tables if each.beyond]
        context["kinds"] = [(kind, KIND_WORDS[kind], GIVEN_BACK[kind]) for kind in KINDS]
    response = TemplateResponse(request, "backups/row_choosing.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _compare_again(run: Run) -> str:
    """The dialog in which rows are kept anew; empty where its snapshot went."""
    if run.snapshot is None or run.snapshot.forgotten_at is not None or transactions_of(run):
        return ""
    return reverse("admin:backups_snapshot_what_changed", args=[run.snapshot_id])


def note_look(request: HttpRequest, row: Run | Database, what: str) -> None:
    """Put into the admin log who saw what of a row, but not each page that they turned."""
    words = f"Looked at {what}."
    about = ContentType.objects.get_for_model(row)
    before = LogEntry.objects.filter(
        user=asked.person_of(request), content_type=about, object_id=str(row.pk),
        action_time__gt=timezone.now() - _LOOKS_ON, change_message=words,
    )  # fmt: skip
    if not before.exists():
        note(request, row, words)


def _row(shown: ShownRow, page: RowsPage, ticks: Ticks) -> Row:
    is_one_of_all = shown.kind in ticks.kinds
    ticked = is_one_of_all or shown.number in ticks.numbers
    return row_of(shown, page.key, is_ticked=ticked, is_one_of_all=is_one_of_all)


def row_of(
    shown: ShownRow, key: Sequence[str], *, is_ticked: bool = False, is_one_of_all: bool = False
) -> Row:
    """A row for a page; what would steer whoever reads it is written out."""
    cells = [
        replace(
            cell,
            column=escape_control_characters(cell.column),
            then=_written_out(cell.then),
            now=_written_out(cell.now),
            third=_written_out(cell.third),
        )
        for cell in shown.cells
    ]
    clean = replace(shown, cells=cells)
    by_key = [cell for cell, own in zip(cells, shown.cells, strict=True) if own.column in key]
    others = [cell for cell in cells if cell not in by_key]
    is_changed = shown.kind == "changed"
    first = [cell for cell in others if cell.differs] if is_changed else others[:_AT_ONCE]
    return Row(clean, by_key, first, is_ticked, is_one_of_all)


def _written_out(value: str | None) -> str | None:
    return None if value is None else escape_control_characters(value)
