"""Where repositories lie: one place is one repository, and one row of the portal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.db.models import Exists, OuterRef

from backups import restic
from backups.endpoints import what_is_known
from backups.models import Database, Repository, Run
from backups.text.sentences import phrase


def is_same(one: str, other: str) -> bool:
    """Whether two locations are one and the same, however they are written. Nothing is looked at there."""
    return restic.same_address(one, other)


def row_at(url: str, *, beside: Repository) -> Repository | None:
    """Another row than `beside` for the place that `url` names; None where there is none."""
    return next(_others_at(url, beside), None)


def known_at(repository: Repository) -> Repository | None:
    """Another row whose repository lies, or lay, where this one's is to be; None where there is none."""
    return next((other for other in _others_at(repository.url, repository) if what_is_known(other)), None)


def _others_at(url: str, beside: Repository) -> Iterator[Repository]:
    # The newest first: that which took the place of others.
    others = Repository.objects.exclude(pk=beside.pk).order_by("-pk")
    return (other for other in others if restic.same_place(other.url, url))


def doubles(repositories: Iterable[Repository]) -> dict[int, str]:
    """By key, of each repository that another row is for as well, a sentence about it.

    Not where one took the place of another, each with an id of its own, and of a row that no database is
    backed up to only while it can be deleted.
    """
    in_use = Exists(Database.objects.filter(repository=OuterRef("pk")))
    has_past = Exists(Run.objects.filter(repository=OuterRef("pk")))
    rows = list(repositories)
    every = list(Repository.objects.filter(in_use | ~has_past).order_by("pk")) if rows else []
    found = {}
    for row in rows:
        other = next((each for each in every if each.pk != row.pk and _are_one(row, each)), None)
        if other is not None:
            found[row.pk] = phrase(
                "The portal has two rows for one repository, {row} ({url}) and {other} ({other_url}). "
                "Checks, repairs and forgetting in one row do not see the databases of the other. In "
                "the portal, give one of them to the databases of both. Delete the other one if "
                "nothing was done with it.",
                row=row,
                url=row.url,
                other=other,
                other_url=other.url,
            )
    return found


def _are_one(one: Repository, other: Repository) -> bool:
    if one.restic_id and other.restic_id:
        # A copy in another place has the same id.
        return one.restic_id == other.restic_id and restic.same_place(one.url, other.url)
    return is_same(one.url, other.url)
