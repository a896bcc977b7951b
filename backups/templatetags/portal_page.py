"""A page of the portal around what unfold renders as a fragment."""

from __future__ import annotations

from django import template
from django.contrib.admin import site
from django.template.context import Context

register = template.Library()


@register.simple_tag(takes_context=True)
def portal_page(context: Context) -> str:
    """Give a template all that the portal's pages are made of: its sidebar, colours and scripts."""
    context.update(site.each_context(context["request"]))
    return ""
