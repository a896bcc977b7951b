"""What the verdict is told of repositories."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from backups import verdict
from backups.choices import Action, Status
from backups.models import Database, Repository, Run
from backups.reports.rows import FAILED, first
from backups.scheduling import maintenance


def rows() -> QuerySet[Repository]:
    """All repositories, each with its newest look at what it holds that failed, and that went well."""
    looks = Run.objects.filter(repository=OuterRef("pk"), action=Action.SNAPSHOTS).order_by("-pk")
    failed = looks.filter(status__in=FAILED)
    here = Run.objects.filter(repository=OuterRef("pk"))
    forgot = here.filter(action=Action.FORGET, snapshot=None, status=Status.SUCCEEDED).order_by(
        "-finished_at"
    )
    return Repository.objects.order_by("pk").annotate(
        # One of a single database, as each backup had before, counts until there was one of all.
        tended_at=Coalesce(
            Subquery(forgot.filter(database=None).values("finished_at")[:1]),
            Subquery(forgot.values("finished_at")[:1]),
            Subquery(here.order_by("queued_at").values("queued_at")[:1]),
        ),
        look_failed=first(failed),
        look_error=Subquery(failed.values("error")[:1]),
        look_succeeded=first(looks.filter(status=Status.SUCCEEDED)),
        is_used=Exists(Database.objects.in_service().filter(repository=OuterRef("pk"))),
    )


def facts(
    repository: Any, backups: Iterable[int | None], unreadable_secret: str, now: datetime
) -> verdict.RepositoryFacts:
    """Of one of `rows`, with the keys of the newest good backups of the databases in it."""
    went_well = max((key for key in (repository.look_succeeded, *backups) if key), default=0)
    look = None
    if repository.look_failed and repository.look_failed > went_well:
        look = verdict.RunFacts(repository.look_failed, "", repository.look_error)
    return verdict.RepositoryFacts(
        repository.pk,
        repository.name,
        repository.health,
        repository.check_error,
        look,
        unreadable_secret,
        repository.tended_at if repository.is_used else None,
        maintenance.allowed(now),
        repository.disk_free_bytes,
        repository.disk_full_at,
    )
