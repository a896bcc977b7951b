"""The buttons that pause, mute and retire a database and end that, and who may press them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.forms import BaseDialogForm

from backups.admin.base import SetUpAdmin, get_or_none, page_url, redirect, refused
from backups.admin.dialogs import dialog
from backups.admin.stand_down_forms import (
    MuteForm,
    PauseForm,
    ResumeForm,
    RetireForm,
    TakeBackForm,
    UnmuteForm,
)
from backups.choices import StandDownKind
from backups.errors import Problem
from backups.keeping import stand_downs
from backups.models import Database, StandDown
from backups.text import formatting
from backups.text.sentences import phrase

ACTIONS = ("pause", "resume", "mute", "unmute", "retire", "take_back")


@dataclass(frozen=True)
class _StandsDown:
    """A database, and what holds for it by kind."""

    database: Database
    kinds: Mapping[str, StandDown]

    @property
    def is_retired(self) -> bool:
        """Whether it is backed up no more."""
        return StandDownKind.RETIREMENT in self.kinds


class StandingDownAdmin(SetUpAdmin):
    """Pages of databases with these buttons."""

    def stands_down(self, request: HttpRequest, object_id: Any) -> _StandsDown | None:
        """The database of an address with what holds for it, read once a request."""
        known: dict[str, _StandsDown | None] = request.__dict__.setdefault("_vedetta_stands_down", {})
        key = str(object_id)
        if key not in known:
            database = get_or_none(Database.objects.all(), object_id)
            known[key] = _StandsDown(database, stand_downs.standing(database)) if database else None
        return known[key]

    def _may(self, request: HttpRequest, object_id: Any, *, retired: bool = False) -> _StandsDown | None:
        """The same where this person may change it, and it is in service, or retired."""
        if not request.user.has_perm("backups.change_database"):
            return None
        found = self.stands_down(request, object_id)
        return found if found and found.is_retired == retired else None

    def has_back_up_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether this person may start backups, and it is in service."""
        if not self.has_run_backup_permission(request):
            return False
        found = self.stands_down(request, object_id)
        return found is None or not found.is_retired

    def has_pause_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether this person may set its schedule, and it is not paused."""
        found = self._may(request, object_id)
        return found is not None and StandDownKind.PAUSE not in found.kinds

    def has_resume_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """The same, and it is."""
        found = self._may(request, object_id)
        return found is not None and StandDownKind.PAUSE in found.kinds

    def has_mute_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether this person may change it, and it is not muted."""
        found = self._may(request, object_id)
        return found is not None and StandDownKind.MUTE not in found.kinds

    def has_unmute_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """The same, and it is."""
        found = self._may(request, object_id)
        return found is not None and StandDownKind.MUTE in found.kinds

    def has_retire_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether this person may change it, and open the gate where it looks at this database."""
        found = self._may(request, object_id)
        if found is None:
            return False
        return not found.database.gates_app or request.user.has_perm("backups.override_gate")

    def has_take_back_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether this person may change it, and it is retired."""
        return self._may(request, object_id, retired=True) is not None

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
            phrase("Messages about it are not sent until then. The portal shows them all the same, and what "
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
            phrase("What is wrong with it and was not sent is told within a minute."),
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
            self.log_change(request, database, stand_downs.ENDED[kind])
            self.apply(request)
        messages.success(request, stand_downs.ENDED[kind])
        return redirect(request, page_url(database))


def _audited(made: StandDown) -> str:
    if made.until is None:
        return phrase("{kind}: {reason}", kind=made.get_kind_display(), reason=made.reason)
    return phrase(
        "{kind} until {until}: {reason}",
        kind=made.get_kind_display(),
        until=formatting.exact(made.until),
        reason=made.reason,
    )
