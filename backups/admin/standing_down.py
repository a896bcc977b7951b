"""The buttons that pause, mute and retire a database and end that, and who may press them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from backups.admin.base import SetUpAdmin, get_or_none, page_url, redirect, refused
from backups.admin.dialogs import FactsForm, dialog
from backups.choices import StandDownKind
from backups.errors import Problem
from backups.keeping import pins, stand_downs
from backups.models import Database, StandDown
from backups.reports import closing
from backups.scheduling import schedules
from backups.text import formatting
from backups.text.sentences import phrase, plural

ACTIONS = ("pause", "resume", "mute", "unmute", "retire", "take_back")
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
            (phrase("The gate"), gate_words(database)),
        ]


_NOT_SCHEDULED = phrase("not scheduled")


class MuteForm(_TimedForm):
    """For how long, with a word that nothing else changes."""

    def facts(self, object_id: str) -> list[tuple[str, Any]]:
        """What is still told."""
        _database(object_id)
        return [
            (phrase("Held back"), phrase("messages about this database")),
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
            (phrase("The gate"), _gate_without(database)),
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


def gate_words(database: Database) -> str:
    """When it closes if nothing more is made of a database."""
    if not database.gates_app:
        return phrase("It does not look at this database.")
    at = closing.closes_at(database)
    if at is None:
        return phrase("There is no good backup yet by which it could go.")
    if at <= timezone.now():
        return phrase("This database keeps it closed already, since {at}.", at=formatting.clock(at))
    return phrase(
        "It goes by the age of the backups as always: it closes {at} ({age}), unless somebody backs the "
        "database up. Who wants it open for longer overrides it on the page Gate.",
        at=formatting.clock(at),
        age=formatting.age(at),
    )


def _gate_without(database: Database) -> str:
    if not database.gates_app:
        return phrase("It does not look at this database.")
    if Database.objects.in_service().filter(gates_app=True).exclude(pk=database.pk).exists():
        return phrase("It does not look at this database any more.")
    return phrase(
        "This is the last database that it looks at. It stays as it is and closes when the newest backup is "
        "too old. Let another database gate before, or take the gate out of your web server."
    )


class StandingDownAdmin(SetUpAdmin):
    """Pages of databases with these buttons."""

    def _may_change(self, request: HttpRequest, object_id: Any, *, is_retired: bool = False) -> Any:
        """The database, where this person may change it and it is in service, or retired."""
        if not request.user.has_perm("backups.change_database"):
            return None
        database = get_or_none(Database.objects.all(), object_id)
        return database if database and stand_downs.is_retired(database) == is_retired else None

    def _stands(self, request: HttpRequest, object_id: Any, kind: StandDownKind) -> bool:
        database = self._may_change(request, object_id)
        return database is not None and kind in stand_downs.standing(database)

    def has_pause_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether this person may set its schedule, and it is not paused."""
        database = self._may_change(request, object_id)
        return database is not None and StandDownKind.PAUSE not in stand_downs.standing(database)

    def has_resume_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """The same, and it is."""
        return self._stands(request, object_id, StandDownKind.PAUSE)

    def has_mute_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether this person may change it, and it is not muted."""
        database = self._may_change(request, object_id)
        return database is not None and StandDownKind.MUTE not in stand_downs.standing(database)

    def has_unmute_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """The same, and it is."""
        return self._stands(request, object_id, StandDownKind.MUTE)

    def has_retire_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether this person may change it, and open the gate where it looks at this database."""
        database = self._may_change(request, object_id)
        if database is None:
            return False
        return not database.gates_app or request.user.has_perm("backups.override_gate")

    def has_take_back_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether this person may change it, and it is retired."""
        return self._may_change(request, object_id, is_retired=True) is not None

    @action(
        description=_("Pause"), icon="pause", permissions=["pause"],
        dialog=dialog(
            phrase("Pause this database?"),
            phrase("No backup and no verification starts by its schedule meanwhile, and none is made up for "
"later. Who presses Back up now gets a backup all the same."),
            phrase("Pause"), form_class=PauseForm,
        ),
    )  # fmt: skip
    def pause(self, request: HttpRequest, form: PauseForm, object_id: str) -> HttpResponse:
        """Have its schedules stand still."""
        return self._begun(request, object_id, StandDownKind.PAUSE, form.cleaned_data["reason"], form.until)

    @action(
        description=_("Resume"), icon="play_arrow", permissions=["resume"],
        dialog=dialog(
            phrase("Resume this database?"),
            phrase("From now on its schedule starts backups and verifications again."),
            phrase("Resume"), form_class=ResumeForm,
        ),
    )  # fmt: skip
    def resume(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """End its pause."""
        return self._ended(request, object_id, StandDownKind.PAUSE)

    @action(
        description=_("Mute"), icon="notifications_off", permissions=["mute"],
        dialog=dialog(
            phrase("Mute this database?"),
            phrase("Messages about it are held back until then. The portal shows them all the same, and what "
"is still wrong afterwards is told then."),
            phrase("Mute"), form_class=MuteForm,
        ),
    )  # fmt: skip
    def mute(self, request: HttpRequest, form: MuteForm, object_id: str) -> HttpResponse:
        """Have messages about it held back."""
        return self._begun(request, object_id, StandDownKind.MUTE, form.cleaned_data["reason"], form.until)

    @action(
        description=_("Unmute"), icon="notifications", permissions=["unmute"],
        dialog=dialog(
            phrase("Unmute this database?"),
            phrase("What is wrong with it and was held back is told within a minute."),
            phrase("Unmute"), form_class=UnmuteForm,
        ),
    )  # fmt: skip
    def unmute(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """End its mute."""
        return self._ended(request, object_id, StandDownKind.MUTE)

    @action(
        description=_("Retire"), icon="inventory_2", permissions=["retire"],
        dialog=dialog(
            phrase("Retire this database?"),
            phrase("It is backed up no more, does not gate, and leaves the first page. None of its snapshots "
"is forgotten by the rules. It can be taken back into service."),
            phrase("Retire"), form_class=RetireForm, danger=True,
        ),
    )  # fmt: skip
    def retire(self, request: HttpRequest, form: RetireForm, object_id: str) -> HttpResponse:
        """Have it backed up no more."""
        return self._begun(request, object_id, StandDownKind.RETIREMENT, form.cleaned_data["reason"])

    @action(
        description=_("Take back into service"), icon="undo", permissions=["take_back"],
        dialog=dialog(
            phrase("Take this database back into service?"),
            phrase("It is backed up by its schedule again, and gates if it did. Its newest backup may be "
"old, so back it up at once."),
            phrase("Take it back"), form_class=TakeBackForm,
        ),
    )  # fmt: skip
    def take_back(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Have it backed up again."""
        return self._ended(request, object_id, StandDownKind.RETIREMENT)

    def _begun(
        self,
        request: HttpRequest,
        object_id: str,
        kind: StandDownKind,
        reason: str,
        until: datetime | None = None,
    ) -> HttpResponse:
        database: Database = self.found(request, object_id)
        wish = stand_downs.Wish(reason, request.user.get_username(), until)
        try:
            made = stand_downs.begin(database, kind, wish)
        except Problem as problem:
            return refused(request, database, problem)
        self.log_change(request, database, _audited(made))
        self.apply(request)
        messages.success(
            request,
            phrase("{kind}: {how}", kind=made.get_kind_display(), how=stand_downs.told(made)),
        )
        return redirect(request, page_url(database))

    def _ended(self, request: HttpRequest, object_id: str, kind: StandDownKind) -> HttpResponse:
        database: Database = self.found(request, object_id)
        if stand_downs.end(database, kind, by=request.user.get_username()):
            self.log_change(request, database, _ENDED[kind])
            self.apply(request)
        messages.success(request, _ENDED[kind])
        return redirect(request, page_url(database))


_ENDED = {
    StandDownKind.PAUSE: phrase("Resumed."),
    StandDownKind.MUTE: phrase("Unmuted."),
    StandDownKind.RETIREMENT: phrase("Taken back into service."),
}


def _audited(made: StandDown) -> str:
    if made.until is None:
        return phrase("{kind}: {reason}", kind=made.get_kind_display(), reason=made.reason)
    return phrase(
        "{kind} until {until}: {reason}",
        kind=made.get_kind_display(),
        until=formatting.exact(made.until),
        reason=made.reason,
    )
