"""What is asked before a database is paused, muted or retired, and what is said of it before that."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.http import Http404
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from backups.admin.base import get_or_none
from backups.admin.dialogs import FactsForm
from backups.choices import StandDownKind
from backups.keeping import pins, stand_downs
from backups.models import Database
from backups.reports import closing
from backups.scheduling import schedules
from backups.text import formatting
from backups.text.sentences import phrase, plural

_WITHOUT_END, _OWN = "never", "own"
_HOURS = (
    *((str(n), plural("{n} hour", "{n} hours", n=n)) for n in (1, 4)),
    *((str(24 * n), plural("{n} day", "{n} days", n=n)) for n in (1, 3, 7, 30)),
)


class _ReasonForm(FactsForm):
    reason = forms.CharField(
        label=_("Why?"),
        min_length=pins.REASON_LEAST,
        max_length=pins.REASON_MOST,
        help_text=_("Everybody who signs in reads it, and it stays in the record."),
        widget=UnfoldAdminTextInputWidget,
    )


class _TimedForm(_ReasonForm):
    """For how long, of some choices or up to a moment of one's own."""

    length = forms.ChoiceField(
        label=_("For how long"),
        initial="4",
        choices=[*_HOURS, (_OWN, phrase("Up to the moment below"))],
        widget=UnfoldAdminSelectWidget,
    )
    moment = forms.DateTimeField(
        label=_("Until"),
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "datetime-local"}),
    )

    field_order = ("length", "moment", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["moment"].help_text = phrase(
            "Only with “Up to the moment below”. By the clock of {zone}.", zone=settings.TIME_ZONE
        )

    def clean(self) -> dict[str, Any] | None:
        """A moment of one's own is there, and yet to come."""
        cleaned = super().clean()
        if self.cleaned_data.get("length") == _OWN and "moment" not in self.errors:
            moment = self.cleaned_data.get("moment")
            if moment is None:
                self.add_error("moment", phrase("Say until when."))
            elif moment <= timezone.now():
                self.add_error("moment", phrase("That moment is over."))
        return cleaned

    @property
    def until(self) -> datetime | None:
        """When it ends by itself, to the second; None is when somebody ends it."""
        length = self.cleaned_data["length"]
        if length == _WITHOUT_END:
            return None
        if length == _OWN:
            chosen: datetime = self.cleaned_data["moment"]
            return chosen
        return timezone.now().replace(microsecond=0) + timedelta(hours=int(length))


class PauseForm(_TimedForm):
    """For how long, with what the gate will do meanwhile."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        length = self.fields["length"]
        assert isinstance(length, forms.ChoiceField)  # noqa: S101
        length.choices = [
            *_HOURS,
            (_OWN, phrase("Up to the moment below")),
            (_WITHOUT_END, phrase("Until somebody resumes it")),
        ]

    def facts(self, object_id: str) -> list[tuple[str, Any]]:
        """What would have come next, and when the gate closes."""
        database = _database(object_id)
        cron = schedules.usable(database.backup_cron)
        coming = formatting.time_with_age(schedules.next_times(cron, 1)[0]) if cron else _NOT_SCHEDULED
        return [
            (phrase("Next backup"), coming),
            (phrase("The gate"), closing.gate_words(database)),
        ]


_NOT_SCHEDULED = phrase("not scheduled")


class MuteForm(_TimedForm):
    """For how long, with a word that nothing else changes."""

    def facts(self, object_id: str) -> list[tuple[str, Any]]:
        """What is still told."""
        _database(object_id)
        return [
            (phrase("Not sent"), phrase("messages about this database")),
            (
                phrase("Still told"),
                phrase("that the gate is closed, that the worker is silent, and what is of its repository"),
            ),
        ]


class RetireForm(_ReasonForm):
    """Why it goes, with what becomes of its snapshots and of the gate."""

    def facts(self, object_id: str) -> list[tuple[str, Any]]:
        """What stays, and what the gate goes by from then on."""
        database = _database(object_id)
        held = database.snapshots.present().count()
        return [
            (
                phrase("Its snapshots"),
                plural("{n} stays and can be restored", "{n} stay and can be restored", n=held),
            ),
            (phrase("The gate"), closing.gate_words_without(database)),
        ]


class EndForm(FactsForm):
    """What is about to end: who said so, why and until when."""

    kind = StandDownKind.PAUSE

    def facts(self, object_id: str) -> list[tuple[str, Any]]:
        """As it was said."""
        stands = stand_downs.standing(_database(object_id)).get(self.kind)
        return [(stands.get_kind_display(), stand_downs.told(stands))] if stands else []


class ResumeForm(EndForm):
    """That of a pause."""


class UnmuteForm(EndForm):
    """That of a mute."""

    kind = StandDownKind.MUTE


class TakeBackForm(EndForm):
    """That of a retirement."""

    kind = StandDownKind.RETIREMENT


def _database(object_id: str) -> Database:
    found = get_or_none(Database.objects.select_related("server", "repository"), object_id)
    if found is None:
        raise Http404
    return found
