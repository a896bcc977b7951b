"""The button that asks what changed since a snapshot, and what its run's page tells of the answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from backups.admin.base import ReadOnlyAdmin, get_or_none, page_url, refused
from backups.admin.dialogs import dialog
from backups.admin.listed_transactions import transaction_url
from backups.admin.row_choice import kept_by
from backups.choices import Action
from backups.differences import told
from backups.errors import Problem
from backups.models import Database, LogPiece, Run, Snapshot, SnapshotQuerySet
from backups.moments.until import Until
from backups.requests import DiffRequest, side_named
from backups.text.sentences import phrase
from backups.text.terminal import escape_control_characters

# Later ones that can be chosen; any two can be named on the command line.
_CHOICES = 100
_NOW = ("", phrase("Now: the database is dumped as for a backup, over one connection"))
_LONGEST = 200
Moment = tuple[Snapshot, Until]
_NOT_BESIDE_LIVE = phrase(
    "Neither moment can be brought back before another server is named for test restores (VERIFY_MYSQL_HOST, "
    "or the form of the database): on MariaDB, no log is replayed beside the live database."
)
_GONE = phrase("The later snapshot that you wanted is gone, or cannot be compared with this one.")


class CompareForm(BaseDialogForm):
    """What a snapshot is compared with, and which tables of it."""

    # Looked for when it is sent, and not among the choices: these are only the newest.
    until = forms.CharField(
        label=_("Compare with"), required=False, max_length=20, widget=UnfoldAdminSelectWidget(choices=[_NOW])
    )
    tables = forms.CharField(
        label=_("Only these tables"),
        required=False,
        max_length=2000,
        help_text=_("Names with commas between them. Empty compares all."),
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    keep_rows = forms.BooleanField(
        label=_("Keep the rows that differ for a day"),
        required=False,
        initial=True,
        help_text=_(
            "On the worker's machine, for its user alone. Then they can be looked at here and given back."
        ),
        widget=UnfoldBooleanSwitchWidget,
    )

    since_moment = forms.CharField(
        label=_("From a moment, instead of this snapshot"), required=False, max_length=_LONGEST,
        help_text=_("As in 2026-11-28 14:31:59, or just before a transaction: before:binlog.000042:1337."),
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )  # fmt: skip
    upto_moment = forms.CharField(
        label=_("To a moment"), required=False, max_length=_LONGEST,
        help_text=_(
            "It counts instead of what is chosen above. Each moment is brought back where test restores are "
            "made, and dumped from there."
        ),
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self._has_log():
            del self.fields["since_moment"], self.fields["upto_moment"]
        elif self._is_beside_live():
            self.fields["upto_moment"].help_text = _NOT_BESIDE_LIVE
        until = self.fields["until"]
        assert isinstance(until.widget, forms.Select)  # noqa: S101
        # The page of a later one leads here.
        until.initial = self.request.GET.get("until", "")
        wanted = self.data.get("until") or until.initial
        choices = self._choices(wanted)
        until.widget.choices = [_NOW, *choices]
        if wanted and wanted not in dict(choices) and not self.is_bound:
            # A browser takes now for it.
            until.help_text = _GONE

    def _has_log(self) -> bool:
        snapshot = get_or_none(Snapshot.objects.defer("manifest"), self.object_id)
        return snapshot is not None and LogPiece.objects.filter(database=snapshot.database_id).exists()

    def _is_beside_live(self) -> bool:
        database = Database.objects.select_related("server").filter(snapshots__pk=self.object_id).first()
        return database is not None and database.replays_beside_live

    def clean_since_moment(self) -> Moment | None:
        """The earlier side, None for the snapshot."""
        return self._moment("since_moment")

    def clean_upto_moment(self) -> Moment | None:
        """The later side, None for what is chosen."""
        return self._moment("upto_moment")

    def _moment(self, name: str) -> Moment | None:
        """A moment with the snapshot that it is brought back from. Raises ValidationError."""
        text = self.cleaned_data[name].strip()
        snapshot = get_or_none(Snapshot.objects.defer("manifest"), self.object_id)
        if not text or snapshot is None or snapshot.database is None:
            return None
        try:
            is_named = text.startswith(("before:", "moment:"))
            base, until = side_named(snapshot.database, text if is_named else f"moment:{text}")
        except Problem as problem:
            raise forms.ValidationError(problem.sentence()) from problem
        return (base, until) if until is not None else None

    def clean_until(self) -> Snapshot | None:
        """The later snapshot, None for now. Raises ValidationError where it has gone meanwhile."""
        wanted = self.cleaned_data["until"]
        if not wanted:
            return None
        found = get_or_none(self._later(), wanted)
        if found is None:
            raise forms.ValidationError(_GONE)
        return found

    def _choices(self, wanted: str) -> list[tuple[str, str]]:
        """The newest, and the wanted one however old it is."""
        later = self._later().defer("manifest")
        newest = list(later.newest_first()[:_CHOICES])
        asked_for = get_or_none(later, wanted or None)
        if asked_for is not None and asked_for not in newest:
            newest.append(asked_for)
        return [(str(each.pk), f"{each.local_time:%Y-%m-%d %H:%M:%S} · {each.short_id}") for each in newest]

    def _later(self) -> SnapshotQuerySet:
        snapshot = get_or_none(Snapshot.objects.defer("manifest"), self.object_id)
        if snapshot is None or snapshot.database_id is None:
            return Snapshot.objects.none()
        return Snapshot.objects.present().filter(
            database=snapshot.database_id,
            repository=snapshot.repository_id,
            time__gt=snapshot.time,
            manifest__isnull=False,
        )

    @property
    def chosen_tables(self) -> tuple[str, ...]:
        """The names of the chosen tables, each once."""
        names = (name.strip() for name in self.cleaned_data["tables"].split(","))
        return tuple(dict.fromkeys(filter(None, names)))


class ComparingAdmin(ReadOnlyAdmin):
    """Snapshots, each of which can be compared with a later one and with now."""

    @action(
        description=_("What changed since"), icon="preview", permissions=["run_restore"],
        dialog=dialog(
            phrase("What changed since this snapshot?"),
            phrase("Rows and definitions are compared and counted; nothing is changed. It reads both sides, "
"so it may take as long as two backups."),
            phrase("Compare"), form_class=CompareForm,
        ),
    )  # fmt: skip
    def what_changed(self, request: HttpRequest, form: CompareForm, object_id: str) -> HttpResponse:
        """Start the comparison, whose page then shows what it found."""
        snapshot = self.found(request, object_id)
        if snapshot.database is None:
            return refused(
                request,
                snapshot,
                Problem(
                    phrase("This snapshot cannot be compared: no database is set up for it."),
                    code="snapshot.of_no_database",
                ),
            )
        cleaned = form.cleaned_data
        base, since = cleaned.get("since_moment") or (snapshot, None)
        until, upto = cleaned.get("upto_moment") or (cleaned["until"], None)
        wanted = DiffRequest(
            snapshot.database, base, until, form.chosen_tables, cleaned["keep_rows"], since, upto
        )
        return self.start(request, snapshot, wanted)


def difference_of(request: HttpRequest, run: Run) -> dict[str, Any] | None:
    """What a comparison found, for its page and who may restore; None of other runs, and for others."""
    if run.action != Action.DIFF or not request.user.has_perm("backups.run_restore"):
        return None
    result = run.result if isinstance(run.result, dict) else {}
    try:
        return _shown(run, result["difference"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return None  # it is not over, or is of a row that we did not write


def _shown(run: Run, found: Mapping[str, Any]) -> dict[str, Any]:
    kept = kept_by(run)
    numbers = {each.name: number for number, each in enumerate(kept.tables)} if kept else {}
    return {
        "kept": kept,
        "before": _side(run, found["before"]),
        "after": _side(run, found["after"]),
        "chosen": [str(table) for table in found["chosen"]],
        "transactions": _transactions(run, found),
        "changed_between": sum(map(int, found.get("changed_between", {}).values())),
        "tables": [
            {
                "name": str(each["table"]),
                "words": told.rows_words(each),
                "how": told.how_words(each),
                "before": each["rows_before"],
                "after": each["rows_after"],
                "number": numbers.get(str(each["table"])),
            }
            for each in found["tables"]
        ],
        "tables_beyond": int(found["tables_beyond"]),
        "objects": [told.object_words(each) for each in found["objects"]],
        "objects_beyond": int(found["objects_beyond"]),
        "same_tables": int(found["same_tables"]),
        "doubts": told.doubts(found),
        "ways": told.way_of(found) or [told.way_words(0)],
    }


def _transactions(run: Run, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Where it is not two moments that were compared, the transactions whose rows were looked for."""
    return [
        {
            "name": escape_control_characters(str(each["name"])),
            "url": transaction_url(run.database, str(each["name"])) if run.database else "",
            "at": timezone.localtime(datetime.fromisoformat(each["moment"])),
        }
        for each in found.get("transactions", [])
    ]


def _side(run: Run, side: Mapping[str, Any]) -> dict[str, Any]:
    """When a side was, and its snapshot where it is one that is known, or its place in the log."""
    snapshot = None
    if side["snapshot_id"]:
        rows = Snapshot.objects.filter(snapshot_id=side["snapshot_id"], database=run.database_id)
        snapshot = rows.defer("manifest").first()
    return {
        "at": timezone.localtime(datetime.fromisoformat(side["at"])),
        "is_now": side["snapshot_id"] is None and not side.get("moment"),
        "moment": told.side_words(side) if side.get("moment") else "",
        "short_id": str(side["snapshot_id"] or "")[:8],
        "url": page_url(snapshot) if snapshot else "",
        "server": str(side["server"]),
    }
