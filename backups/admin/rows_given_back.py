"""Rows that were given back, beside the list of restores: who, when, why, what. They are no restores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from backups.admin.restore_story import asked_by
from backups.choices import APPLY_ROWS, STATUS_COLOURS, Action, Status
from backups.errors import shortened
from backups.models import Run
from backups.requests.rows_back import told_of
from backups.text.sentences import phrase, plural

_MOST = 10
# So much of the tables' names, and of a reason, stands in a line.
_NAMES, _LINE = 60, 90


@dataclass(frozen=True)
class GivenBack:
    """One application of a script, as a line tells it. `url` is empty for who may not see rows."""

    run: Run
    what: str
    who: str
    why: str
    url: str

    @property
    def at(self) -> datetime:
        """When it was asked for."""
        return self.run.queued_at

    @property
    def colour(self) -> str:
        """What its state stands out as."""
        return STATUS_COLOURS[Status(self.run.status)]


def given_back(request: HttpRequest) -> dict[str, Any]:
    """What the list of restores shows of rows: the newest applications, and where all of them are."""
    runs = (
        Run.objects.filter(action=Action.ROWS_BACK, request__form=APPLY_ROWS)
        .select_related("database", "requested_by")
        .order_by("-pk")[: _MOST + 1]
    )
    may_see = request.user.has_perm("backups.run_restore")
    found: Sequence[Run] = list(runs)
    return {
        "given_back": [_line(run, may_see=may_see) for run in found[:_MOST]],
        "given_back_more": _all_of_them() if len(found) > _MOST else "",
    }


def _all_of_them() -> str:
    return f"{reverse('admin:backups_run_changelist')}?action__exact={Action.ROWS_BACK}"


def _line(run: Run, *, may_see: bool) -> GivenBack:
    asked = run.request if isinstance(run.request, dict) else {}
    proved = asked.get("proved")
    url = reverse("rows-back", args=[proved]) if may_see and isinstance(proved, int) else ""
    return GivenBack(
        run, _what(run), asked_by(run), shortened(str(asked.get("reason", "")), _LINE), url
    )  # fmt: skip


def _what(run: Run) -> str:
    told = told_of(run)
    rows, tables = told.get("rows"), told.get("tables")
    if type(rows) is not int or not isinstance(tables, list):
        return phrase("Rows back into {database}", database=run.database)
    names = ", ".join(str(each.get("table")) for each in tables if isinstance(each, dict))
    names = shortened(names, _NAMES)
    if told.get("is_undo") is True:
        return plural(
            "Taken back: {n} row of {names} in {database}",
            "Taken back: {n} rows of {names} in {database}",
            n=rows, names=names, database=run.database,
        )  # fmt: skip
    return plural(
        "{n} row of {names} in {database}", "{n} rows of {names} in {database}",
        n=rows, names=names, database=run.database,
    )  # fmt: skip
