"""Which secrets the web process was given and does not need: it tells at its start, others read it here."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone

from backups.models import PortalStart
from backups.text.sentences import phrase

_ROW = 1
_HOW = phrase(
    "take over the new docker-compose.yml or vedetta-portal.service, or take these names out of the file "
    "that it is started with (docs/security.md, Where secrets are)."
)
# An environment may hold any number of names, of any length.
_MOST_NAMES, _LONGEST_NAME, _SHOWN = 200, 200, 8


def noted(names: Sequence[str]) -> None:
    """Keep what this start found; names alone, never values."""
    kept = [name[:_LONGEST_NAME] for name in names[:_MOST_NAMES]]
    PortalStart.objects.update_or_create(pk=_ROW, defaults={"started_at": timezone.now(), "secrets": kept})


def finding() -> tuple[str, str] | None:
    """What is wrong with how the web process was started last, and what to do; None where nothing is."""
    return finding_of(PortalStart.objects.filter(pk=_ROW).first())


def finding_of(start: PortalStart | None) -> tuple[str, str] | None:
    """The same by a row that was read."""
    return told(start.secrets) if start is not None and start.secrets else None


def told(names: Sequence[str]) -> tuple[str, str]:
    """The same of these names: what is wrong and what is safe, and what to do."""
    shown = ", ".join(names[:_SHOWN])
    if len(names) > _SHOWN:
        shown += phrase(" and {count} more", count=len(names) - _SHOWN)
    what = phrase(
        "The portal was started with secrets that only the worker needs: {shown}. It took them out of "
        "its environment and works without them. Backups are not affected. But anybody who breaks "
        "into the web process may find them there.",
        shown=shown,
    )
    return (
        what,
        phrase("Start the portal without them: {how}", how=_HOW),
    )
