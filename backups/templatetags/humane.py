"""`backups.admin.format` for templates."""

from __future__ import annotations

from django import template

from backups.admin import format as humane

register = template.Library()

for function in (humane.size, humane.speed, humane.duration, humane.rough, humane.ago, humane.when, humane.both):
    register.filter(function.__name__, function)
register.simple_tag(humane.label, name="label")
