"""`backups.humane` for templates."""

from __future__ import annotations

from django import template

from backups import humane
from backups.choices import STATUS_COLOURS, Status
from backups.models import Run

register = template.Library()

for function in (
    humane.size,
    humane.speed,
    humane.duration,
    humane.rough,
    humane.ago,
    humane.when,
    humane.both,
):
    register.filter(function.__name__, function)
register.simple_tag(humane.label, name="label")


@register.filter
def status_colour(run: Run) -> str:
    """The colour of a run's label."""
    return STATUS_COLOURS[Status(run.status)]
