"""The queue's schedules, for reading only: they follow the databases' own.

django-q2's pages go, all of them. Who may edit a schedule may run any code
(https://github.com/django-q2/django-q2/issues/121), and those of its tasks open pickles that nobody signed.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django_q.models import Failure, OrmQ, Schedule, Success
from unfold.decorators import display

from backups.admin import hints
from backups.admin.base import ReadOnlyAdmin
from backups.scheduling import schedules
from backups.text import formatting
from backups.text.sentences import phrase

for model in (Schedule, Success, Failure, OrmQ):
    admin.site.unregister(model)


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin):
    """What the queue will do."""

    list_display = ("does", "rhythm", "due", "cluster")
    list_display_links = ("does",)
    list_filter = ()
    list_filter_submit = False
    fields = ("does", "name", "func", "args", "rhythm", "due", "cluster")
    readonly_fields = fields

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Administrators see it, as they see the audit."""
        return request.user.has_perm("backups.override_gate")

    def has_module_permission(self, request: HttpRequest) -> bool:
        """The same."""
        return self.has_view_permission(request)

    @display(description=_("Schedule"), ordering="name")
    def does(self, schedule: Schedule) -> str:
        """What it is for, in words."""
        return schedules.in_words(schedule.name)

    @display(description=_("Rhythm"))
    def rhythm(self, schedule: Schedule) -> str:
        """How often, in words."""
        return hints.cron_words(schedule.cron) if schedule.cron else phrase("Every minute")

    @display(description=_("Next time"), ordering="next_run")
    def due(self, schedule: Schedule) -> str:
        """When it is due."""
        return formatting.time_with_age(schedule.next_run)
