"""django-q2's own pages, for reading only: who may edit a schedule may run any code.

https://github.com/django-q2/django-q2/issues/121. Its resubmit action goes too: it would bypass Run.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django_q.admin import FailAdmin, QueueAdmin, ScheduleAdmin, TaskAdmin
from django_q.models import Failure, OrmQ, Schedule, Success, Task
from unfold.decorators import display

from backups import humane, schedules
from backups.admin import hints
from backups.admin.base import ReadOnlyAdmin

for model in (Schedule, Success, Failure, OrmQ):
    admin.site.unregister(model)


class _Queue(ReadOnlyAdmin):
    list_filter = ()
    list_filter_submit = False
    list_before_template: str | None = "backups/internals.html"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Administrators see it, as they see the audit."""
        return request.user.has_perm("backups.override_gate")

    def has_module_permission(self, request: HttpRequest) -> bool:
        """The same."""
        return self.has_view_permission(request)


class _Done(_Queue):
    fields = ("name", "func", "args", "group", "cluster", "began", "ended", "took", "attempt_count", "result")
    readonly_fields = fields
    ordering = ("-stopped",)

    @display(description="Started", ordering="started")
    def began(self, task: Task) -> str:
        """When it began."""
        return humane.both(task.started)

    @display(description="Ended", ordering="stopped")
    def ended(self, task: Task) -> str:
        """When it ended."""
        return humane.both(task.stopped)

    @display(description="Took")
    def took(self, task: Task) -> str:
        """How long it took."""
        return humane.duration((task.stopped - task.started) if task.stopped else timedelta())


@admin.register(Success)
class SuccessAdmin(_Done, TaskAdmin):
    """What the queue has done."""

    list_display = ("name", "group", "cluster", "ended", "took")

    def get_readonly_fields(self, request: HttpRequest, obj: Task | None = None) -> tuple[str, ...]:
        """All of them."""
        return self.readonly_fields


@admin.register(Failure)
class FailureAdmin(_Done, FailAdmin):
    """What the queue could not do."""

    list_display = ("name", "group", "cluster", "ended", "short_result")

    def get_readonly_fields(self, request: HttpRequest, obj: Task | None = None) -> tuple[str, ...]:
        """All of them."""
        return self.readonly_fields


@admin.register(Schedule)
class ReadOnlyScheduleAdmin(_Queue, ScheduleAdmin):
    """What the queue will do; it follows the databases' own schedules."""

    list_display = ("does", "rhythm", "due", "cluster", "last")
    list_before_template = None
    list_display_links = ("does",)
    fields = ("does", "name", "func", "args", "rhythm", "due", "cluster")
    readonly_fields = fields

    @display(description="Schedule", ordering="name")
    def does(self, schedule: Schedule) -> str:
        """What it is for, in words."""
        return schedules.in_words(schedule.name)

    @display(description="Rhythm")
    def rhythm(self, schedule: Schedule) -> str:
        """How often, in words."""
        return hints.cron_words(schedule.cron) if schedule.cron else "Every minute"

    @display(description="Last time")
    def last(self, schedule: Schedule) -> str:
        """How it went, as far as the queue remembers."""
        if not schedule.task:
            return humane.label("Not yet")
        went = schedule.success()
        if went is None:
            return humane.EMPTY
        return humane.label("Done", "success") if went else humane.label("Failed", "danger")

    @display(description="Next", ordering="next_run")
    def due(self, schedule: Schedule) -> str:
        """When it is due."""
        return humane.both(schedule.next_run)


@admin.register(OrmQ)
class WaitingAdmin(_Queue, QueueAdmin):
    """What waits in the queue."""

    list_display = ("name", "group", "key", "visible_from")
    list_display_links = ("name",)
    fields = ("name", "func", "args", "group", "key", "visible_from")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[OrmQ]:
        """All messages, the oldest first."""
        return super().get_queryset(request).order_by("pk")

    @display(description="Taken or due", ordering="lock")
    def visible_from(self, message: OrmQ) -> str:
        """Until when a worker has it, or since when it may be taken."""
        return humane.both(message.lock)
