"""The host names under which snapshots of one database lie, and which of them are one series.

Retention counts by host name, because two installations may share a repository. A BACKUP_HOST that was
changed must not make two series of one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from django.conf import settings
from django.db.models import Q

from backups import services
from backups.choices import Trigger
from backups.models import Database, Snapshot


def of_this_installation(database: Database) -> frozenset[str]:
    """BACKUP_HOST, those under which this portal's own runs stored, and those that a person said are its."""
    made = database.snapshots.exclude(made_by=None).exclude(made_by__trigger=Trigger.RECOVERED)
    said = [host for host, is_ours in database.hosts.items() if is_ours]
    # `order_by` undoes the model's own order, which would make each row distinct.
    return frozenset(
        [settings.BACKUP_HOST, *said, *made.order_by().values_list("host", flat=True).distinct()]
    )


def undecided(database: Database) -> Counter[str]:
    """How many snapshots there are under each host name of which nobody said whose it is."""
    theirs = Q(host__in=[*of_this_installation(database), *database.hosts])
    present = Snapshot.objects.filter(database=database, forgotten_at=None).exclude(theirs)
    # The old scripts' containers had names by chance, and are one series whatever these were.
    return Counter(host for host, tags in present.values_list("host", "tags") if has_our_tag(tags))


def undecided_words(database: Database) -> Iterable[str]:
    """A sentence for each such host name, with the choice."""
    for host, count in sorted(undecided(database).items()):
        yield (
            f"{count} snapshots of {database} are of the host {host}, and BACKUP_HOST is "
            f"{settings.BACKUP_HOST}: retention counts them by themselves, so their newest stay for ever. If "
            "they are this installation's, run `manage.py bootstrap --moved host`, which makes one series of "
            "both; if another installation backs up there, `manage.py bootstrap --new host`."
        )


def other_case_words(database: Database) -> Iterable[str]:
    """A sentence for snapshots in its repository that would be its own but for the case of the name."""
    strays = Snapshot.objects.filter(repository=database.repository, database=None, forgotten_at=None)
    sources = Counter(stray.source for stray in strays.only("path", "manifest"))
    for name, count in sorted(sources.items()):
        if name.casefold() == database.database.casefold():
            yield (
                f"{count} snapshots in the repository {database.repository} are of {name}, which is not set "
                "up here: no list has them, and they are never forgotten. Add a database of that name in "
                "the portal, which takes them over."
            )


def settle(*, is_ours: bool) -> list[str]:
    """Take a person's word for all host names that are undecided; answers what was done, in sentences."""
    told = []
    for database in Database.objects.order_by("pk"):
        if found := sorted(undecided(database)):
            services.hosts_settled(database, found, is_ours=is_ours)
            which = "this installation's, one series with its own" if is_ours else "another installation's"
            told.append(f"Snapshots of {database} of the host {', '.join(found)} count as {which}.")
    return told


def has_our_tag(tags: Iterable[str]) -> bool:
    """Whether Vedetta made the snapshot, and not one of the old scripts."""
    return any(tag.startswith(DATABASE_TAG) for tag in tags)


DATABASE_TAG = "database:"
