"""When each repository was tended last, with what outcome, and when that is due next.

Two queries, however many repositories and runs there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, Subquery
from django.utils import timezone

from backups.choices import Status
from backups.models import Database, Repository, Run
from backups.scheduling import maintenance
from backups.text.sentences import phrase


@dataclass(frozen=True)
class Tended:
    """A repository with the newest maintenance that succeeded, None where there was none yet.

    `next_at` is None where no database is backed up to it any more.
    """

    repository: Repository
    run: Run | None
    next_at: datetime | None

    @property
    def sentence(self) -> str:
        """What it did."""
        if self.run is None:
            return phrase("Not tended yet.")
        return str(self.run.result.get("sentence") or "")


def tended(repositories: Iterable[int] | None = None, now: datetime | None = None) -> list[Tended]:
    """All repositories that databases are backed up to, or those with these keys."""
    next_at = maintenance.next_time(now or timezone.now())
    newest = maintenance.whole().filter(repository=OuterRef("pk"), status=Status.SUCCEEDED)
    rows = Repository.objects.order_by("pk").annotate(
        tended_by=Subquery(newest.order_by("-finished_at").values("pk")[:1]),
        is_used=Exists(Database.objects.filter(repository=OuterRef("pk"))),
    )
    found = list(rows.filter(is_used=True) if repositories is None else rows.filter(pk__in=repositories))
    runs = Run.objects.in_bulk([row.tended_by for row in found if row.tended_by])
    return [Tended(row, runs.get(row.tended_by), next_at if row.is_used else None) for row in found]
