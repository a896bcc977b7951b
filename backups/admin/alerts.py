"""Alerts: what people were told about, who could not be told, and a message to try it with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.views.main import ChangeList
from django.contrib.contenttypes.models import ContentType
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from backups import verdict
from backups.admin import asked
from backups.admin.base import QuickList, ReadOnlyAdmin, redirect
from backups.admin.dialogs import dialog
from backups.choices import ALERT_COLOURS, AlertState, DeliveryState, StandDownKind
from backups.models import Alert, Delivery, StandDown
from backups.notifications import channels
from backups.reports import standing
from backups.requests.questions import TestMessageQuestion, ask
from backups.text import formatting
from backups.text.sentences import phrase

_AUDIT_REPR = "Notifications"


def badge(request: HttpRequest) -> str:
    """How many alerts and channels do not reach everybody, for the sidebar of every page."""
    if not request.user.has_perm("backups.view_alert"):
        return ""
    # The first page has counted them with what else it keeps.
    known = getattr(request, "vedetta_failing", None)
    return str((channels.failing() if known is None else known) or "")


def note_failing(request: HttpRequest, count: int) -> None:
    """Have `badge` know what was counted."""
    request.vedetta_failing = count  # type: ignore[attr-defined]


class _ToldList(QuickList):
    """With what channels told of each, in one look for all rows."""

    def get_results(self, request: HttpRequest) -> None:
        """The rows, each with what was told of it."""
        super().get_results(request)
        self.result_list = list(self.result_list)
        told = _by_channels(self.result_list)
        for row in self.result_list:
            row.by_channels = told[row.pk]


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """How each subject stands, and who was told."""

    list_display = ("what", "standing", "when", "told", "why")
    list_display_links = ("what",)
    list_filter = (("state", ChoicesDropdownFilter),)
    list_before_template = "backups/alerts.html"
    search_fields = ("subject",)
    search_help_text = _("Subject")
    ordering = ("-since",)
    fields = ("what", "state_label", "when", "title_told", "text_told", "told", "why", "tried")
    readonly_fields = fields
    actions_list = ("send_test",)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, and who is told at all."""
        context = {
            "addresses": len(settings.NOTIFY_URLS),
            "in_portal": len(channels.watching()),
            "may_add": request.user.has_perm("backups.add_channel"),
            "pings": bool(settings.PING_URL),
            "silent": verdict.of_channels(standing.read().overall),
        }
        return super().changelist_view(request, {**(extra_context or {}), **context})

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alert]:
        """Alerts, each with until when messages about its database are held back."""
        mutes = StandDown.objects.standing(timezone.now()).of(StandDownKind.MUTE)
        mine = mutes.filter(database=OuterRef("database")).order_by("-pk")
        return super().get_queryset(request).annotate(muted_until=Subquery(mine.values("until")[:1]))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """A list whose rows know what was told of them."""
        return _ToldList

    @display(description=_("Subject"), ordering="subject")
    def what(self, alert: Alert) -> str:
        """What it is about."""
        return str(alert.in_words("subject"))

    @display(description=_("Title"))
    def title_told(self, alert: Alert) -> str:
        """The message's first line."""
        return str(alert.in_words("title")) or formatting.EMPTY

    @display(description=_("Text"))
    def text_told(self, alert: Alert) -> str:
        """The message."""
        return str(alert.in_words("text")) or formatting.EMPTY

    @display(description=_("State"), ordering="state", label=ALERT_COLOURS)
    def standing(self, alert: Alert) -> tuple[str, str]:
        """How the subject stands."""
        return alert.state, alert.get_state_display()

    @display(description=_("State"))
    def state_label(self, alert: Alert) -> str:
        """The same on the alert's own page."""
        return formatting.label(alert.get_state_display(), ALERT_COLOURS[AlertState(alert.state)])

    @display(description=_("Since"), ordering="since")
    def when(self, alert: Alert) -> str:
        """Since when."""
        return formatting.time_with_age(alert.since)

    @display(description=_("Told"))
    def told(self, alert: Alert) -> str:
        """Whether people know."""
        if alert.told_at:
            return formatting.time_with_age(alert.told_at)
        if alert.error:
            more = phrase("tried again") if alert.is_pending else phrase("given up")
            return formatting.label(phrase("Not everyone, {more}", more=more), "warning")
        muted_until = getattr(alert, "muted_until", None)
        if alert.is_pending and muted_until:
            return phrase("Muted until {until}", until=formatting.clock(muted_until))
        is_watched, deliveries = getattr(alert, "by_channels", None) or _by_channels([alert])[alert.pk]
        if by_channels := _told_by_channels(deliveries):
            return by_channels
        if alert.is_pending and settings.NOTIFY_URLS:
            return phrase("Just being told")
        if is_watched:
            return phrase("No channel tells of it")
        if alert.is_pending:
            return phrase("Waits for an address in NOTIFY_URLS")
        return formatting.EMPTY if alert.state == AlertState.GOOD else phrase("Nobody is set up to be told")

    @display(description=_("Not told"))
    def why(self, alert: Alert) -> str:
        """What went wrong."""
        return str(alert.in_words("error")) or formatting.EMPTY

    @display(description=_("Last tried"))
    def tried(self, alert: Alert) -> str:
        """When it was tried to tell somebody."""
        return formatting.time_with_age(alert.tried_at)

    @action(
        description=_("Send a test notification"), icon="send", variant=ActionVariant.PRIMARY,
        permissions=["run_maintenance"],
        dialog=dialog(
            phrase("Send a test notification?"),
            phrase("The worker sends a test message to each address in NOTIFY_URLS, and by each channel. "
"Once it has reached everyone, earlier messages that failed are sent again. This takes up to 20 "
"seconds."),
            phrase("Send it"),
        ),
    )  # fmt: skip
    def send_test(self, request: HttpRequest, form: BaseDialogForm) -> HttpResponse:
        """Have the worker send it, and lead to where it says whom it reached."""
        row = ask(TestMessageQuestion(), asked.person_of(request))
        _audit(request, phrase("Had the worker send a test notification."))
        return redirect(request, reverse("question", args=[row.pk]))


def _by_channels(alerts: Sequence[Alert]) -> dict[int, tuple[bool, list[Delivery]]]:
    """Whether any channel watches, and what channels were to tell of how each stands now."""
    if not alerts:
        return {}
    is_watched = bool(channels.watching())
    rows = Delivery.objects.filter(alert__in=alerts).select_related("channel").defer("text")
    since = {alert.pk: alert.since for alert in alerts}
    found: dict[int, list[Delivery]] = {pk: [] for pk in since}
    for each in rows.order_by("pk"):
        if each.alert_id is not None and each.made_at >= since[each.alert_id]:
            found[each.alert_id].append(each)
    return {pk: (is_watched, deliveries) for pk, deliveries in found.items()}


def _told_by_channels(found: Sequence[Delivery]) -> str:
    """Whether channels told of it; empty where none was to."""
    sent = [each for each in found if each.state in _SENT]
    if sent:
        names = ", ".join(dict.fromkeys(each.channel.name for each in sent))
        by = phrase("By {channels}", channels=names)
        return format_html("{} {}", by, formatting.relative_time(sent[-1].tried_at))
    for state, words in _NOT_SENT.items():
        if any(each.state == state for each in found):
            return formatting.label(words, "warning")
    return ""


_SENT = (DeliveryState.SENT, DeliveryState.JOINED)
_NOT_SENT = {
    DeliveryState.WAITING: phrase("Just being told"),
    DeliveryState.HELD: phrase("Held back until the quiet hours end"),
    DeliveryState.FAILED: phrase("Not everyone, given up"),
}


def _audit(request: HttpRequest, text: str) -> None:
    assert request.user.is_authenticated  # noqa: S101  admin_view lets nobody else in
    LogEntry.objects.create(
        user_id=request.user.pk,
        content_type=ContentType.objects.get_for_model(Alert),
        object_repr=_AUDIT_REPR,
        action_flag=CHANGE,
        change_message=text,
    )
