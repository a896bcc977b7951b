"""The ways to tell people that are set up in the portal, and the messages that went them."""

from __future__ import annotations

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backups import validators
from backups.choices import TROUBLES, AlertEvent, ChannelKind, DeliveryState
from backups.models.alert import Alert
from backups.models.database import Database
from backups.models.fitted import FittedCharField, FittedTextField
from backups.text.sentences import told_again

_WEEK_HOURS = 168


class Channel(models.Model):
    """A way to tell people: a service, of what it is told, and when it is left in peace.

    Where it leads and with which secrets is sealed; `shown` is what of that is no secret, for people to read.
    """

    is_in_portal_copy = True

    name = models.CharField(
        max_length=100,
        unique=True,
        validators=[validators.plain_name],
        help_text=_("What the portal calls it, as in: on call."),
    )
    kind = models.CharField(_("service"), max_length=20, choices=ChannelKind.every, editable=False)
    is_enabled = models.BooleanField(
        _("in use"), default=True, help_text=_("Switched off, it tells nothing, and keeps its settings.")
    )
    shown = models.JSONField(default=dict, blank=True, editable=False)
    sealed = models.TextField(blank=True, editable=False)
    sealed_for_portal = models.TextField(blank=True, editable=False)
    events = models.JSONField(default=list, blank=True)
    databases = models.ManyToManyField(
        Database,
        blank=True,
        related_name="+",
        help_text=_("None chosen: of all. What is about no single database, as the gate, is always told."),
    )
    remind_hours = models.PositiveSmallIntegerField(
        _("tell again every … hours"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(_WEEK_HOURS)],
        help_text=_("For as long as it lasts. Empty: each change is told once."),
    )
    quiet_from = models.TimeField(_("quiet from"), null=True, blank=True)
    quiet_until = models.TimeField(_("quiet until"), null=True, blank=True)
    last_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_ok = models.BooleanField(null=True, blank=True, editable=False)
    last_answer = FittedTextField(blank=True, editable=False)
    parts = models.JSONField(default=dict, blank=True, editable=False)
    tended_at = models.DateTimeField(null=True, blank=True, editable=False)
    summed_up_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_watching(self) -> bool:
        """Whether it tells of anything that goes wrong."""
        return self.is_enabled and bool(set(TROUBLES) & set(self.wanted))

    @property
    def is_failing(self) -> bool:
        """Whether its last message did not get through."""
        return self.is_enabled and self.last_ok is False

    @property
    def wanted(self) -> list[str]:
        """The events that it tells of, whatever its row holds."""
        return [each for each in self.events if each in AlertEvent] if isinstance(self.events, list) else []

    @property
    def answer(self) -> str:
        """What became of its last message, in the reader's language."""
        return _in_words(self.parts, "last_answer", self.last_answer)


class Delivery(models.Model):
    """One message to one channel: when, of what, how often it was tried, and what the service answered.

    Written by `alerting` only. A channel's oldest go.
    """

    # Of the moment: nobody is told of what was news on another machine.
    is_in_portal_copy = False

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="deliveries")
    alert = models.ForeignKey(Alert, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    key = models.UUIDField(default=uuid.uuid4, help_text=_("The same for each try."))
    event = models.CharField(max_length=20, choices=AlertEvent.every)
    subject = FittedCharField(max_length=200, blank=True)
    title = FittedCharField(max_length=300)
    text = FittedTextField(blank=True)
    parts = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=10, choices=DeliveryState.every, default=DeliveryState.WAITING)
    made_at = models.DateTimeField(default=timezone.now)
    next_at = models.DateTimeField(default=timezone.now, help_text=_("When it is tried, or tried again."))
    tried_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    answer_status = models.PositiveIntegerField(null=True, blank=True, help_text=_("The answer's status."))
    answer = FittedTextField(blank=True)

    class Meta:
        ordering = ["-pk"]
        default_permissions = ()
        verbose_name_plural = _("deliveries")
        indexes = [models.Index(fields=["state", "next_at"], name="delivery_due")]

    def __str__(self) -> str:
        return str(self.in_words("title"))

    def in_words(self, name: str) -> str:
        """One of its texts, by the field's name, in the reader's language where its parts are known."""
        return _in_words(self.parts, name, getattr(self, name))


def _in_words(parts: object, name: str, text: str) -> str:
    return told_again(text, parts.get(name) if isinstance(parts, dict) else None)
