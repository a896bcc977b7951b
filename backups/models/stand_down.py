"""Databases that somebody paused, muted or retired."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backups.choices import StandDownKind
from backups.text.sentences import phrase


class StandDownQuerySet(models.QuerySet["StandDown"]):
    """Stand-downs, and which of them hold."""

    def standing(self, now: datetime) -> StandDownQuerySet:
        """Those that nobody ended and whose end has not come: that ends them by itself."""
        return self.filter(models.Q(until=None) | models.Q(until__gt=now), ended_at=None)

    def of(self, *kinds: StandDownKind) -> StandDownQuerySet:
        """Those of these kinds."""
        return self.filter(kind__in=kinds)

    def muted(self, now: datetime) -> models.QuerySet[Any, Any]:
        """The keys of the databases of which nothing is to be told now."""
        return self.standing(now).of(StandDownKind.MUTE).values("database")

    def by_database(self) -> dict[int, dict[str, StandDown]]:
        """By the key of the database, then by kind."""
        found: dict[int, dict[str, StandDown]] = {}
        for each in self.order_by("pk"):
            found.setdefault(each.database_id, {})[each.kind] = each
        return found


class StandDown(models.Model):
    """A person's word that a database is paused, muted or retired. Written by `keeping` only.

    It is ended and not deleted, so that who left what out, and why, is known afterwards.
    """

    is_in_portal_copy = True

    database = models.ForeignKey("backups.Database", on_delete=models.CASCADE, related_name="stand_downs")
    kind = models.CharField(max_length=12, choices=StandDownKind.every)
    reason = models.CharField(max_length=300, help_text=_("Why, in their words."))
    until = models.DateTimeField(
        null=True, blank=True, help_text=_("When it ends by itself; empty is when somebody ends it.")
    )
    made_at = models.DateTimeField(default=timezone.now)
    made_by = models.CharField(max_length=200, help_text=_("Who said so."))
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=200, blank=True)

    objects = StandDownQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        default_permissions = ()
        indexes = [models.Index(fields=["ended_at", "kind"], name="stand_down_standing")]

    def __str__(self) -> str:
        return str(self.told)

    @property
    def told(self) -> str:
        """Which database it is of, and why, to be put into other texts."""
        return phrase("{database}: {reason}", database=self.database, reason=self.reason)
