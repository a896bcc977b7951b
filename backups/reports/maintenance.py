"""When each repository was tended last, with what outcome, and when that is due next.

One query, however many repositories and runs there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.db.models.fields.json import KeyTextTransform
from django.utils import timezone

from backups.choices import Status
from backups.models import Database, Repository
from backups.scheduling import maintenance
from backups.text.sentences import phrase


@dataclass(frozen=True)
class Tended:
    """A repository with the newest maintenance that succeeded: when, by which run, and what that did.

    `at` and `run` are None where there was none yet, `next_at` where no database is backed up to it any more.
    """

    repository: Repository
    at: datetime | None
    run: int | None
    sentence: str
    next_at: datetime | None


def tended(repositories: Iterable[int] | None = None, now: datetime | None = None) -> list[Tended]:
    """All repositories that databases are backed up to, or those with these keys."""
    rows: QuerySet[Any] = Repository.objects.order_by("pk").annotate(**newest())
    rows = rows.filter(is_used=True) if repositories is None else rows.filter(pk__in=repositories)
    return told(rows, now or timezone.now())


def newest() -> dict[str, Any]:
    """What `told` wants to know of each row of a repository."""
    newest = maintenance.whole().filter(repository=OuterRef("pk"), status=Status.SUCCEEDED)
    newest = newest.annotate(said=KeyTextTransform("sentence", "result")).order_by("-finished_at", "-pk")
    return {
        "whole_at": Subquery(newest.values("finished_at")[:1]),
        "whole_by": Subquery(newest.values("pk")[:1]),
        "said": Subquery(newest.values("said")[:1]),
        "is_used": Exists(Database.objects.in_service().filter(repository=OuterRef("pk"))),
    }


def told(rows: Iterable[Any], now: datetime) -> list[Tended]:
    """Of each of these rows with `newest`."""
    next_at = maintenance.next_time(now)
    return [
        Tended(
            row,
            row.whole_at,
            row.whole_by,
            row.said or ("" if row.whole_by else phrase("Not tended yet.")),
            next_at if row.is_used else None,
        )
        for row in rows
    ]
