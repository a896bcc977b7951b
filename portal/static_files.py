"""Addresses of static files under the path at which a proxy serves the portal, as /vedetta/."""

from __future__ import annotations

from django.contrib.staticfiles.storage import StaticFilesStorage
from django.urls import get_script_prefix


class PrefixedStaticFilesStorage(StaticFilesStorage):
    """Django asks for the path once, when STATIC_URL is first read; a proxy names it with each request."""

    def url(self, name: str | None) -> str:
        """The file's address below the path of this request."""
        return get_script_prefix().rstrip("/") + super().url(name)
