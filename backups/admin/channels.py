"""Channels: by which services people are told, of what, and what became of it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone, translation
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from backups.admin import asked
from backups.admin.base import VedettaAdmin, get_or_none, page_url, redirect
from backups.admin.channel_form import PREFIX, ChannelForm, form_for
from backups.admin.dialogs import dialog
from backups.choices import DELIVERY_COLOURS, EVENTS_TO_CHOOSE, AlertEvent, ChannelKind, DeliveryState
from backups.models import Channel, Delivery
from backups.notifications import services
from backups.requests.channel_test import ChannelTestQuestion
from backups.requests.questions import ask
from backups.text import formatting
from backups.text.sentences import phrase, plural

_SHOWN = 50
_NOT_SAVED = "A channel that is not saved"


@admin.register(Channel)
class ChannelAdmin(VedettaAdmin):
    """The ways to people."""

    list_display = ("called", "last", "service", "tells", "answered")
    search_fields = ("name",)
    search_help_text = _("Name")
    ordering = ("name",)
    actions = None
    list_before_template = "backups/channels.html"
    change_form_after_template = "backups/channel_try.html"
    change_form_outer_after_template = "backups/channel_deliveries.html"
    actions_detail = ("send_test",)
    readonly_fields = ("service", "tells", "of_databases", "peace", "by_portal", "last", "answered")

    # ------------------------------------------------------------ The list

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, and who is told beside it."""
        context = {"addresses": len(settings.NOTIFY_URLS), "pings": bool(settings.PING_URL)}
        return super().changelist_view(request, {**(extra_context or {}), **context})

    @display(description=_("Name"), ordering="name")
    def called(self, channel: Channel) -> str:
        """What the portal calls it."""
        return _wrapped(channel.name)

    @display(description=_("Service"), ordering="kind")
    def service(self, channel: Channel) -> str:
        """By which service, and where to as far as that is no secret."""
        place = _wrapped(services.place(channel.kind, channel.shown))
        return formatting.two_lines(channel.get_kind_display(), place)

    @display(description=_("Tells of"))
    def tells(self, channel: Channel) -> str:
        """Of which events."""
        if not channel.is_enabled:
            return formatting.label(phrase("Switched off"))
        left = [each for each in EVENTS_TO_CHOOSE[:-1] if each not in channel.wanted]
        if not left:
            return phrase("Everything, and each week") if AlertEvent.WEEKLY in channel.wanted else (
                phrase("Everything")
            )  # fmt: skip
        chosen = [str(each.label) for each in EVENTS_TO_CHOOSE if each in channel.wanted]
        return _wrapped("; ".join(chosen))

    @display(description=_("Of which databases"))
    def of_databases(self, channel: Channel) -> str:
        """Of which it tells."""
        return ", ".join(each.name for each in channel.databases.all()) or phrase("All")

    @display(description=_("Quiet hours"))
    def peace(self, channel: Channel) -> str:
        """When it holds back what may wait."""
        if channel.quiet_from is None or channel.quiet_until is None:
            return formatting.EMPTY
        return phrase(
            "{begin} to {end} ({zone})",
            begin=f"{channel.quiet_from:%H:%M}",
            end=f"{channel.quiet_until:%H:%M}",
            zone=settings.TIME_ZONE,
        )

    @display(description=_("When the worker is silent"))
    def by_portal(self, channel: Channel) -> str:
        """Whether the portal itself may use it."""
        return phrase("The portal uses it") if channel.sealed_for_portal else phrase("It is silent as well")

    @display(description=_("Last message"), ordering="last_at")
    def last(self, channel: Channel) -> str:
        """When, and whether it got through."""
        if channel.last_at is None:
            return formatting.label(phrase("Never tried"), "warning")
        told = (phrase("Sent"), "success") if channel.last_ok else (phrase("Did not get through"), "danger")
        return format_html("{} {}", formatting.label(*told), formatting.relative_time(channel.last_at))

    @display(description=_("Answer"))
    def answered(self, channel: Channel) -> str:
        """What the service said."""
        return _wrapped(str(channel.answer) or formatting.EMPTY)

    # ------------------------------------------------------------ The form

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The services to choose from, then the form of the one that was chosen."""
        kind = request.GET.get("kind", "")
        if kind in ChannelKind:
            title = phrase("Add a channel: {service}", service=ChannelKind(kind).label)
            return super().add_view(request, form_url, {**(extra_context or {}), "title": title})
        if not self.has_add_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": phrase("Add a channel"),
            "kinds": [(each.value, each.label, services.SERVICES[each].how) for each in ChannelKind],
        }
        return TemplateResponse(request, "backups/channel_kinds.html", context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The form, and below it what was sent."""
        channel = get_or_none(Channel.objects.all(), object_id)
        rows = Delivery.objects.filter(channel=channel).select_related("alert")
        context = {"deliveries": [_told(each) for each in rows[:_SHOWN]]}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **context})

    def get_form(
        self, request: HttpRequest, obj: Channel | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """The form of its kind; of who may only look, none."""
        kind = obj.kind if obj else request.GET.get("kind", "")
        if not self._may_write(request, obj) or kind not in ChannelKind:
            return super().get_form(request, obj, change, **kwargs)
        kwargs["fields"] = list(ChannelForm.Meta.fields)
        return super().get_form(request, obj, change, **{**kwargs, "form": form_for(kind)})

    def _may_write(self, request: HttpRequest, obj: Channel | None) -> bool:
        return self.has_change_permission(request, obj) if obj else self.has_add_permission(request)

    def get_fieldsets(self, request: HttpRequest, obj: Channel | None = None) -> Any:
        """What its service wants to know first; to who may only look, what is no secret."""
        kind = obj.kind if obj else request.GET.get("kind", "")
        if not self._may_write(request, obj) or kind not in ChannelKind:
            seen = ("name", "service", "tells", "of_databases", "peace", "by_portal", "last", "answered")
            return [(None, {"fields": seen})]
        service = services.SERVICES[kind]
        own = [PREFIX + each.name for each in service.asked]
        last: list[Any] = [(_("Last message"), {"fields": ("last", "answered")})] if obj else []
        return [
            (None, {"fields": (("name", "is_enabled"),)}),
            *last,
            (str(ChannelKind(kind).label), {"fields": own, "description": str(service.how)}),
            (
                _("What it tells"),
                {"fields": ("events", "databases", "remind_hours"), "classes": ["v-choices"]},
            ),
            (
                _("Quiet hours"),
                {"fields": (("quiet_from", "quiet_until"),), "description": _quiet_words()},
            ),
            (_("When the worker is silent"), {"fields": ("for_portal",)}),
        ]

    def get_queryset(self, request: HttpRequest) -> Any:
        """Channels with the databases that they tell of."""
        return super().get_queryset(request).prefetch_related("databases")

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The form; few want to add another at once."""
        context["show_save_and_add_another"] = False
        return super().render_change_form(request, context, *args, **kwargs)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The channel alone: the messages that go with it would be a long list."""
        return [str(each) for each in objs], {}, set(), []

    # ------------------------------------------------------------ A test

    def get_urls(self) -> list[URLPattern]:
        """With where the form is tried."""
        view = self.admin_site.admin_view(require_POST(self.try_view))
        return [path("try/", view, name="backups_channel_try"), *super().get_urls()]

    def try_view(self, request: HttpRequest) -> HttpResponse:
        """Have the worker send a test message by what stands in the form, which is not saved."""
        channel = get_or_none(Channel.objects.all(), request.POST.get("channel") or None)
        if not self._may_write(request, channel):
            raise PermissionDenied
        kind = channel.kind if channel else request.POST.get("kind", "")
        if kind not in ChannelKind:
            return redirect(request, reverse("admin:backups_channel_add"))
        form = form_for(kind)(request.POST, instance=channel)
        form.is_valid()
        is_part = bool(request.headers.get("HX-Request"))
        if wrong := form.service_errors():
            if is_part:
                return HttpResponse(format_html('<span class="v-hint-bad">{}</span>', " ".join(wrong)))
            messages.error(request, " ".join(wrong))
            return redirect(request, page_url(channel) if channel else self._add_url(kind))
        question = (
            ChannelTestQuestion(None, kind, form.sealed) if form.sealed else ChannelTestQuestion(channel)
        )
        row = ask(question, asked.person_of(request))
        self._audit(request, channel, phrase("Had the worker send a test message by what was typed."))
        if is_part:
            return HttpResponse(asked.answered(row))
        return redirect(request, reverse("question", args=[row.pk]))

    def _add_url(self, kind: str) -> str:
        return f"{reverse('admin:backups_channel_add')}?kind={kind}"

    @action(
        description=_("Send a test message"), icon="send", variant=ActionVariant.PRIMARY,
        permissions=["run_maintenance"],
        dialog=dialog(
            phrase("Send a test message by this channel?"),
            phrase("The worker sends it, and then what waits to be sent by this channel. This takes up to 20 "
"seconds."),
            phrase("Send it"),
        ),
    )  # fmt: skip
    def send_test(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Have the worker send it, and lead to where it says what the service answered."""
        channel: Channel = self.found(request, object_id)
        row = ask(ChannelTestQuestion(channel), asked.person_of(request))
        self._audit(request, channel, phrase("Had the worker send a test message."))
        return redirect(request, reverse("question", args=[row.pk]))

    def _audit(self, request: HttpRequest, channel: Channel | None, text: str) -> None:
        if channel is not None:
            self.log_change(request, channel, text)
            return
        with translation.override("en"):
            LogEntry.objects.create(
                user_id=asked.person_of(request).pk,
                content_type=ContentType.objects.get_for_model(Channel),
                object_repr=_NOT_SAVED,
                action_flag=CHANGE,
                change_message=str(text),
            )


def _wrapped(text: str) -> SafeString:
    """What somebody else wrote, at any length, so that it pushes no other column away."""
    return format_html(
        '<span style="display: inline-block; max-width: 24rem; overflow-wrap: anywhere; white-space: normal">'
        "{}</span>",
        text,
    )


def _quiet_words() -> str:
    return phrase(
        "By the clock in {zone}, also over midnight. They hold back everything but a gate that closes within "
        "them, a restore that failed, and that nobody backs up. What was held back comes afterwards, as one "
        "message. Now it is {now} there.",
        zone=settings.TIME_ZONE,
        now=f"{timezone.localtime():%H:%M}",
    )


def _told(delivery: Delivery) -> dict[str, Any]:
    """A row of the table of what was sent."""
    state = delivery.state
    colour = DELIVERY_COLOURS[DeliveryState(state)] if state in DeliveryState else ""
    return {
        "when": formatting.time_with_age(delivery.made_at),
        "event": delivery.get_event_display(),
        "title": delivery.in_words("title"),
        "state": formatting.label(delivery.get_state_display(), colour),
        "tries": plural("{n} try", "{n} tries", n=delivery.tries) if delivery.tries else "",
        "next": formatting.relative_time(delivery.next_at)
        if state == DeliveryState.WAITING and delivery.tries
        else "",
        "answer": delivery.in_words("answer"),
    }
