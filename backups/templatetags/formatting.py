"""`backups.text.formatting` for templates."""

from __future__ import annotations

from django import template
from django.utils.translation import gettext

from backups import __version__
from backups.choices import STATUS_COLOURS, Status
from backups.models import Run
from backups.text import formatting
from backups.text.sentences import phrase

register = template.Library()

for function in (
    formatting.size,
    formatting.speed,
    formatting.duration,
    formatting.approximate_duration,
    formatting.exact,
    formatting.relative_time,
    formatting.short_time,
    formatting.time_with_age,
    formatting.with_commands,
):
    register.filter(function.__name__, function)
register.simple_tag(formatting.label, name="label")


@register.simple_tag
def vedetta_version() -> str:
    """The version that runs."""
    return __version__


@register.filter
def status_colour(run: Run) -> str:
    """The colour of a run's label."""
    return STATUS_COLOURS[Status(run.status)]


# What the sidebar calls pages that are Django's and django-q2's own, by what these call them.
_PAGES = {
    "log entries": phrase("Audit"), "users": phrase("People"), "Scheduled tasks": phrase("Schedules"),
    "Queued tasks": phrase("Messages"), "Successful tasks": phrase("Tasks"), "Failed tasks": phrase("Broken"),
}  # fmt: skip


@register.filter
def as_in_sidebar(name: object) -> str:
    """A list's name as the sidebar has it."""
    called = str(name).lower()
    return next((ours for theirs, ours in _PAGES.items() if gettext(theirs).lower() == called), str(name))
