"""Addresses of static files: below the path at which a proxy serves the portal, and new after each change.

An address holds a digest of all static files (`/static/v-1f0c…/vedetta/vedetta.css`), so a browser may keep
what it got for good. One digest for all, because styles name fonts beside them; and it needs no
`collectstatic`, which a checkout and a wheel do without. Without a digest the files stay where they were.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.urls import get_script_prefix

_VERSIONED = re.compile(r"v-([0-9a-f]{12})/")


class PrefixedStaticFilesStorage(StaticFilesStorage):
    """Django asks for the path once, when STATIC_URL is first read; a proxy names it with each request."""

    def url(self, name: str | None) -> str:
        """The file's address below the path of this request."""
        return get_script_prefix().rstrip("/") + super().url(f"v-{version()}/{name or ''}")


@lru_cache(maxsize=1)
def version() -> str:
    """A digest of what all static files are called and hold, as this process found them first."""
    digest = hashlib.sha256()
    for name, path in sorted(_files()):
        digest.update(f"{name}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _files() -> Iterator[tuple[str, Path]]:
    if not settings.WHITENOISE_USE_FINDERS:
        root = Path(settings.STATIC_ROOT)
        yield from ((str(path.relative_to(root)), path) for path in root.rglob("*") if path.is_file())
        return
    for finder in finders.get_finders():
        for name, storage in finder.list(None):
            yield str(name), Path(storage.path(name))


def told_apart(path: str) -> tuple[str, bool]:
    """The address without its digest, and whether the digest is that of the files which are here.

    It is another one while a new version starts: of the page that is open, or of the portal beside this one.
    """
    below = settings.STATIC_URL
    found = _VERSIONED.match(path, len(below)) if path.startswith(below) else None
    if found is None:
        return path, False
    return below + path[found.end() :], found[1] == version()
