"""`backups.text.formatting` for templates."""

from __future__ import annotations

from datetime import timedelta

from django import template
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from backups import __version__, installation
from backups.choices import STATUS_COLOURS, Status
from backups.models import Run
from backups.text import formatting, kinds
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
    formatting.to_the_second,
):
    register.filter(function.__name__, function)
register.filter("of_kind", kinds.of_kind)
register.simple_tag(formatting.label, name="label")


@register.filter
def with_commands(text: object) -> SafeString:
    """A sentence whose `commands` can be typed as they stand, on the machine that this installation is on."""
    return formatting.with_commands(text, installation.commands().manage)


@register.simple_tag
def time_zone() -> str:
    """The zone that all times on pages are of, and how far it is from UTC now."""
    offset = timezone.localtime().utcoffset() or timedelta()
    minutes = int(offset.total_seconds() // 60)
    hours = f"{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    name = timezone.get_current_timezone_name()
    return name if name == "UTC" else f"{name} (UTC{'-' if minutes < 0 else '+'}{hours})"


register.simple_tag(timezone.get_current_timezone_name, name="time_zone_name")


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
    ours = (ours for theirs, ours in _PAGES.items() if gettext(theirs).lower() == called)
    return str(next(ours, name))
