"""The form of a restore: where a snapshot should go, what of it, and what is typed out before it begins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from backups.admin.snapshots import tables
from backups.choices import OVERWRITING_MODES, TO_DOWNLOAD, DefinerPolicy, RestoreMode
from backups.models import Database, Snapshot
from backups.moments.until import Until
from backups.requests import RestoreRequest
from backups.text.sentences import phrase
from backups.validators import target_name

# A way of REPLACE that has a choice of its own: it wants tables named.
TABLES_BACK = "tables"
_OVERWRITING = frozenset({TABLES_BACK, *OVERWRITING_MODES})
_MODES = [
    (RestoreMode.NEW, phrase("Into a new database: nothing that exists is touched")),
    (
        TABLES_BACK,
        phrase("Put only the tables chosen below back into the live database: all others stay as they are"),
    ),
    (
        RestoreMode.REPLACE,
        (
            phrase(
                "Replace the live database: loaded and checked beside it, then swapped in at once; "
                "the present tables are kept, so that it can be undone"
            )
        ),
    ),
    (
        RestoreMode.IN_PLACE,
        (
            phrase(
                "Straight into the live database: for servers where no database can be created; the way "
                "back is the backup made before"
            )
        ),
    ),
    (RestoreMode.FILE, phrase("Download the SQL to this computer")),
]

_FILE_OF_MOMENT = phrase(
    "An SQL file: it is made where test restores are made, and can be downloaded for a day once it is there"
)

_FILE_NOT_BESIDE_LIVE = phrase(
    "An SQL file: not before another server is named for test restores, where it is made (VERIFY_MYSQL_HOST, "
    "or the form of the database)"
)


def _only_with(*modes: str) -> dict[str, str]:
    """Has a field shown only with these modes; without JavaScript it stays, and counts with them only."""
    return {"data-only-with": " ".join(["mode", *sorted(modes)])}


@dataclass(frozen=True)
class TableChoice:
    """A table that can be chosen, with its size in the dump in bytes where the snapshot tells it."""

    name: str
    size: int | None
    is_chosen: bool


class RestoreForm(forms.Form):
    """Where a snapshot should go, and what of it."""

    mode = forms.ChoiceField(
        label=_("Where to"), choices=_MODES, initial=RestoreMode.NEW, widget=UnfoldAdminRadioSelectWidget
    )
    target = forms.CharField(
        label=_("Name of the new database"), required=False, max_length=64, validators=[target_name],
        widget=UnfoldAdminTextInputWidget(attrs=_only_with(RestoreMode.NEW)),
    )  # fmt: skip
    tables = forms.MultipleChoiceField(
        label=_("Only these tables"), required=False, widget=forms.CheckboxSelectMultiple,
        help_text=_("None chosen is all of them."),
    )  # fmt: skip
    definers = forms.ChoiceField(
        label=_("Users that views, triggers and routines run as"), choices=DefinerPolicy.choices,
        initial=DefinerPolicy.KEEP,
        widget=UnfoldAdminSelectWidget(attrs=_only_with(RestoreMode.NEW, *_OVERWRITING)),
    )  # fmt: skip
    without_safety = forms.BooleanField(
        label=_("There is nothing left to save: make no backup before"), required=False,
        widget=UnfoldBooleanSwitchWidget(attrs=_only_with(*_OVERWRITING)),
    )  # fmt: skip
    known_bad = forms.BooleanField(
        label=_("Restore it although it is known to be bad"), required=False,
        widget=UnfoldBooleanSwitchWidget,
    )  # fmt: skip
    reason = forms.CharField(
        label=_("Why"), max_length=300, widget=UnfoldAdminTextInputWidget,
        help_text=_("Kept with the restore and in the admin log."),
    )  # fmt: skip
    confirm = forms.CharField(required=False, widget=UnfoldAdminTextInputWidget)
    shown = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(
        self,
        *args: Any,
        snapshot: Snapshot,
        database: Database,
        until: Until | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.database = database
        self.snapshot = snapshot
        self.until = until
        if until is not None:
            of_file = _FILE_NOT_BESIDE_LIVE if database.replays_beside_live else _FILE_OF_MOMENT
            # Nothing is replayed straight into what is in use.
            modes = [
                (mode, of_file if mode == RestoreMode.FILE else words)
                for mode, words in _MODES
                if mode != RestoreMode.IN_PLACE
            ]
            self.fields["mode"].choices = modes  # type: ignore[attr-defined]
        if not snapshot.is_known_bad:
            del self.fields["known_bad"]
        self.held = sorted((snapshot.manifest or {}).get("inventory", {}).get("table", []))
        self.fields["tables"].choices = [(name, name) for name in self.held]  # type: ignore[attr-defined]
        self.fields["target"].initial = f"{database.database[:50]}_restored"
        self.to_type = self._to_type(self.data.get("mode", ""))
        self.fields["confirm"].label = phrase("Type {to_type} to go on", to_type=self.to_type)

    def table_choices(self) -> Iterable[TableChoice]:
        """The snapshot's tables by name, with their sizes and whether they are chosen."""
        sizes = {row.name: row.size for row in tables(self.snapshot.manifest, None)}
        chosen = set(self["tables"].value() or ())
        for name in self.held:
            yield TableChoice(name, sizes.get(name), name in chosen)

    def _to_type(self, mode: str) -> str:
        """What has to be typed out before it begins; empty where nothing has to."""
        if mode in _OVERWRITING:
            one = self.snapshot.source == self.database.database
            across = phrase(
                "{source} over {database}", source=self.snapshot.source, database=self.database.database
            )
            # What is compared is what whoever reads is shown.
            return self.database.database if one else str(across)
        is_doubtful = self.snapshot.is_known_bad or not self.snapshot.made_here
        return self.snapshot.short_id if is_doubtful else ""

    def clean(self) -> dict[str, Any]:
        """A new database needs a name, and one that is not the live one's."""
        cleaned = super().clean() or {}
        if cleaned.get("known_bad") is False:
            raise ValidationError(
                {"known_bad": phrase("Switch this on to go on, or choose another snapshot.")}
            )
        if cleaned.get("mode") == TABLES_BACK and not cleaned.get("tables") and "tables" not in self.errors:
            raise ValidationError({"tables": phrase("Choose the tables that are to be put back.")})
        if cleaned.get("mode") == RestoreMode.NEW:
            if "target" in self.errors:
                return cleaned  # what is wrong with the name is said
            if not cleaned.get("target"):
                raise ValidationError({"target": phrase("Give the new database a name.")})
            if cleaned["target"] == self.database.database:
                raise ValidationError({"target": phrase("That is the live database: choose another name.")})
        return cleaned

    @property
    def chosen_mode(self) -> RestoreMode:
        """The mode."""
        mode = self.cleaned_data["mode"]
        return RestoreMode.REPLACE if mode == TABLES_BACK else RestoreMode(mode)

    @property
    def chosen_target(self) -> str:
        """The database that will be written to, or a word for the download."""
        if self.chosen_mode == RestoreMode.FILE:
            return TO_DOWNLOAD
        if self.chosen_mode == RestoreMode.NEW:
            return str(self.cleaned_data["target"])
        return self.database.database

    @property
    def wanted(self) -> RestoreRequest:
        """What is asked for."""
        both = (self.snapshot.source, self.database.database)
        return RestoreRequest(
            self.database,
            self.snapshot,
            self.chosen_mode,
            self.chosen_target,
            tables=tuple(self.cleaned_data["tables"]),
            definers=DefinerPolicy(self.cleaned_data["definers"]),
            without_safety=self.cleaned_data["without_safety"] and self.overwrites,
            known_bad=self.cleaned_data.get("known_bad", False),
            reason=self.cleaned_data["reason"],
            # Whoever puts another database's snapshot in this one's place has typed both.
            across=both if self.overwrites and both[0] != both[1] else None,
            until=self.until,
        )

    @property
    def overwrites(self) -> bool:
        """Whether what is there now will be gone from its place."""
        return self.chosen_mode in OVERWRITING_MODES

    def was_shown(self, fingerprints: Sequence[str]) -> bool:
        """Whether it is one of these that the page showed, when it was told to start."""
        if any(constant_time_compare(self.cleaned_data["shown"], each) for each in fingerprints):
            return True
        self.add_error(
            None,
            phrase(
                "Nothing was started, because this is not what was shown before. Below is what will "
                "happen now: look at it, then start."
            ),
        )
        return False

    def remember(self, fingerprint: str) -> None:
        """Have the page know what it shows."""
        assert isinstance(self.data, QueryDict)  # noqa: S101  as the request brought it
        data = self.data.copy()
        data["shown"] = fingerprint
        self.data = data

    def is_confirmed(self) -> bool:
        """Whether the live database's name was typed out where it has to be."""
        if self.cleaned_data["confirm"] == self.to_type or not self.to_type:
            return True
        what = (
            phrase("the database's name")
            if self.to_type == self.database.database
            else phrase("what is to be typed")
        )
        self.add_error("confirm", phrase("This is not {what}. Nothing was started.", what=what))
        return False


def form_again(wanted: RestoreRequest) -> RestoreForm:
    """The form as it was filled in, but for what is typed to go on."""
    data = QueryDict(mutable=True)
    data.update({"mode": wanted.mode, "definers": wanted.definers, "reason": wanted.reason})
    data.setlist("tables", list(wanted.tables))
    chosen = {"without_safety": wanted.without_safety, "known_bad": wanted.known_bad}
    data.update({name: "on" for name, is_on in chosen.items() if is_on})
    if wanted.mode == RestoreMode.NEW:
        data["target"] = wanted.target
    form = RestoreForm(data, snapshot=wanted.snapshot, database=wanted.database, until=wanted.until)
    form.is_valid()
    return form
