"""What the verdict is told of repositories."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import F, Min, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from backups import marks, verdict
from backups.choices import Action, Status
from backups.models import Repository, Run, Snapshot
from backups.reports import maintenance
from backups.reports.rows import FAILED, first
from backups.scheduling import maintenance as schedule


def read(versions: marks.Versions) -> list[Repository]:
    """All repositories, each with its newest look at what it holds that failed, and that went well.

    And each with the time of the oldest snapshot of all, which says how new the installation is.
    """
    repositories = list(_rows())
    # Where nothing was forgotten yet, they are waited for since their first run.
    if len(repositories) == 1:
        repositories[0].tended_at = repositories[0].tended_at or repositories[0].oldest_run
    elif any(each.tended_at is None for each in repositories):
        begun = _BEGUN.get(versions.of_all, _begun)
        for each in repositories:
            if each.tended_at is None:
                each.tended_at = begun.get(each.pk) or _begun(each.pk).get(each.pk)
    return repositories


_BEGUN = marks.Kept[dict[int, datetime]]()


def _begun(*keys: int) -> dict[int, datetime]:
    """When the first run was asked for, by repository. To find it, all runs are looked through."""
    runs = Run.objects.filter(repository__in=keys) if keys else Run.objects.all()
    return dict(runs.order_by().values_list("repository").annotate(Min("queued_at")))


def _rows() -> QuerySet[Any, Any]:
    # Not simply by their keys: to have that order, SQLite would rather look through all runs.
    looks = Run.objects.filter(repository=OuterRef("pk"), action=Action.SNAPSHOTS).order_by(F("pk") * -1)
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
        ),
        look_failed=first(failed),
        look_error=Subquery(failed.values("error")[:1]),
        look_succeeded=first(looks.filter(status=Status.SUCCEEDED)),
        oldest_snapshot=Subquery(Snapshot.objects.order_by("time").values("time")[:1]),
        oldest_run=Subquery(Run.objects.order_by("queued_at", "pk").values("queued_at")[:1]),
        **maintenance.newest(),
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
        schedule.allowed(now),
        repository.disk_free_bytes,
        repository.disk_full_at,
    )
