"""What pages say of a restore to a moment: which is asked for, from where, and what of the log is in it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from backups.admin.listed_transactions import transaction_url
from backups.choices import TO_DOWNLOAD, RestoreMode
from backups.errors import Problem
from backups.models import Database, Restore
from backups.moments.rows import draft_of
from backups.moments.until import Until, at_moment, before_transaction, local
from backups.requests import questions
from backups.restoring.plan import Plan
from backups.text import formatting
from backups.text.sentences import phrase, plural

_LONGEST = 200
# What a row or an answer raises that says what no version of ours does.
_STRANGE = (AttributeError, KeyError, OverflowError, Problem, TypeError, ValueError)


class MomentForm(forms.Form):
    """A moment to the second, or a transaction: one of both."""

    moment = forms.CharField(
        label=_("To the moment"), required=False, max_length=_LONGEST,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=_("As in 2026-11-28 14:31:59, or with an offset: 2026-11-28T14:31:59+01:00."),
    )  # fmt: skip
    before = forms.CharField(
        label=_("Or just before a transaction"), required=False, max_length=_LONGEST,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=_("Its file and position (binlog.000042:1337) or its GTID, as the list has them."),
    )  # fmt: skip


def is_asked(request: HttpRequest) -> bool:
    """Whether an address names a moment or a transaction."""
    return any(request.GET.get(name, "").strip() for name in ("moment", "before"))


def until_in(request: HttpRequest) -> Until | None:
    """Which one an address names; None where none. A transaction is exact, and goes first. Raises Problem."""
    if before := request.GET.get("before", "").strip():
        return before_transaction(before[:_LONGEST])
    if moment := request.GET.get("moment", "").strip():
        return at_moment(moment[:_LONGEST])
    return None


def lead_on(database: Database, until: Until) -> HttpResponse:
    """To the restore of the backup that it begins with. Raises Problem."""
    base = draft_of(database, until).base.key
    return HttpResponseRedirect(f"{reverse('snapshot-restore', args=[base])}?{query(until)}")


def query(until: Until) -> str:
    """The same in an address."""
    if until.moment is not None:
        return urlencode({"moment": timezone.localtime(until.moment).isoformat()})
    return urlencode({"before": until.before})


def choose_url(database: Database) -> str:
    """Where another one is chosen."""
    return reverse("database-restore", args=[database.pk])


def facts(plan: Plan) -> list[tuple[str, Any]]:
    """What of the log is in it and what is not. Raises Problem for what another version told."""
    told = plan.moment
    if told is None:
        return []
    try:
        return [
            (phrase("Begins with"), phrase("snapshot {snapshot}", snapshot=plan.snapshot.short_id)),
            *_of_cut(told),
            (
                phrase("Replayed"),
                phrase(
                    "{pieces} of the log, {size}",
                    pieces=plural("{n} piece", "{n} pieces", n=int(told["pieces"])),
                    size=formatting.size(int(told["log_bytes"])),
                ),
            ),
            (phrase("Not in it"), _lost(int(told["lost_transactions"]))),
        ]
    except _STRANGE as error:
        raise questions.unknown_answer() from error


def _of_cut(told: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Where the log was cut, and the transactions on both sides. Raises what `facts` catches."""
    return [
        (phrase("Last transaction in it"), _transaction(told["last"]) or phrase("none of the log")),
        (
            phrase("First one left out"),
            _transaction(told["left_out"]) or phrase("none: there is no later one in what is stored"),
        ),
        (phrase("The log ends at"), f"{told['file']}:{int(told['position'])}"),
    ]


def up_to(restore: Restore) -> str:
    """Up to when a restore has the log, for a line: by its last transaction once that is known.

    Empty where it is to no moment, or its row says what was never stored.
    """
    told = restore.until
    try:
        if told and told.get("last"):
            moment = local(datetime.fromisoformat(str(told["last"]["moment"])))
            return phrase("up to {moment} (transaction {place})", moment=moment, place=_place(told["last"]))
        until = Until.from_row(told)
    except _STRANGE:
        return ""
    if until is None:
        return ""
    return phrase("up to {until}", until=until.told) if until.moment is not None else until.told


def facts_of(restore: Restore) -> list[tuple[str, Any]]:
    """What a restore's page says of the log in it: what was asked for, and once it is known where that is."""
    try:
        until = Until.from_row(restore.until)
        if until is None:
            return []
        found = _of_cut(restore.until) if "file" in restore.until else []
    except _STRANGE:
        return []
    return [(phrase("Up to"), until.told), *found]


def listed_url(restore: Restore) -> str:
    """Where the transaction is listed just before which a restore stops; empty for any other restore."""
    try:
        until = Until.from_row(restore.until)
        return transaction_url(restore.database, until.before) if until and until.before else ""
    except _STRANGE:
        return ""


def data_of(restore: Restore) -> datetime:
    """Up to when what a restore brings back was written, as `data_until` has it of a plan."""
    since: datetime = restore.snapshot.time
    try:
        until = Until.from_row(restore.until)
        if until is not None and until.moment is not None:
            return until.moment
        if until is not None and restore.until.get("left_out"):
            moment = datetime.fromisoformat(str(restore.until["left_out"]["moment"]))
            return moment if moment.tzinfo else since
    except _STRANGE:
        pass
    return since


def _place(told: Mapping[str, Any]) -> str:
    return f"{told['file']}:{int(told['position'])}"


def _transaction(told: Mapping[str, Any] | None) -> str:
    if told is None:
        return ""
    moment = local(datetime.fromisoformat(str(told["moment"])))
    place = _place(told)
    if gtid := str(told["gtid"]):
        return phrase("{moment}, {place}, GTID {gtid}", moment=moment, place=place, gtid=gtid)
    return phrase("{moment}, {place}", moment=moment, place=place)


def _lost(count: int) -> str:
    if not count:
        return phrase("nothing that is stored: nothing was changed since")
    return plural("{n} later transaction at least", "{n} later transactions at least", n=count)


def data_until(plan: Plan, until: Until | None) -> datetime:
    """Up to when what comes back was written: what came later is not in it."""
    if until is None:
        return plan.data_until
    if until.moment is not None:
        return until.moment
    left_out = (plan.moment or {}).get("left_out")
    try:
        return datetime.fromisoformat(str(left_out["moment"])) if left_out else plan.data_until
    except (KeyError, TypeError, ValueError):
        return plan.data_until


def place_of(plan: Plan) -> list[Any]:
    """Where it ends in the log: what was shown and what starts have to be the same."""
    told = plan.moment or {}
    return [str(told.get("file", "")), str(told.get("position", "")), str(told.get("base", ""))]


def led_on(request: HttpRequest, database: Database, form: MomentForm) -> HttpResponse | None:
    """Lead on from what was chosen; where it cannot be had the form says why, and nothing else is taken."""
    try:
        until = until_in(request)
        return lead_on(database, until) if until is not None else None
    except Problem as problem:
        form.add_error("before" if request.GET.get("before", "").strip() else "moment", problem.sentence())
    return None


def is_to_download(restore: Restore) -> bool:
    """Whether it makes a file for whoever downloads it."""
    return restore.mode == RestoreMode.FILE and restore.target == TO_DOWNLOAD and restore.until is not None


def where(restore: Restore) -> str:
    """Where a restore writes to, and in which way."""
    if is_to_download(restore):
        return phrase("a file on the worker's machine, to be downloaded")
    return f"{restore.target} ({restore.get_mode_display()})"


def command_of(database: Database, until: Until) -> str:
    """What makes an SQL file of that moment on the server."""
    if until.moment is not None:
        option = f'--moment "{timezone.localtime(until.moment).isoformat()}"'
    else:
        option = f"--before-transaction {until.before}"
    return f"`manage.py restore --database {shlex.quote(database.name)} {option} --output DIR`"
