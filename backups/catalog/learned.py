"""Writes down what was learned of a repository or a database: its id, size and health, its versions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db.models import F
from django.utils import timezone

from backups import restic
from backups.choices import Health
from backups.models import Database, Repository, Server


def backup_counted(repository: Repository) -> None:
    """Count a finished backup, towards the next integrity check."""
    Repository.objects.filter(pk=repository.pk).update(backups_since_check=F("backups_since_check") + 1)


def check_is_due(repository: Repository) -> bool:
    """Whether there were as many backups since the last integrity check as there are to be between two."""
    repository.refresh_from_db(fields=["backups_since_check", "check_interval"])
    return 0 < repository.check_interval <= repository.backups_since_check


def check_recorded(
    repository: Repository, *, error: str, all_data: bool, now: datetime | None = None
) -> Health:
    """Store what an integrity check found, no `error` or one; answers what the health is now.

    Damage and suspicion stay until a check of `all_data` finds none: one that reads less may just not
    meet it.
    """
    row = Repository.objects.filter(pk=repository.pk)
    row.update(checked_at=now or timezone.now(), backups_since_check=0)
    if error:
        row.update(health=Health.DAMAGED, check_error=error)
    else:
        judged = row if all_data else row.exclude(health__in=[Health.DAMAGED, Health.SUSPECT])
        judged.update(health=Health.GOOD, check_error="")
    return Health(row.values_list("health", flat=True)[0])


def repository_learned(repository: Repository, restic_id: str) -> None:
    """Store restic's own id of the repository, by which it is known from then on."""
    Repository.objects.filter(pk=repository.pk, restic_id="").update(restic_id=restic_id)
    repository.refresh_from_db(fields=["restic_id"])


def hosts_settled(database: Database, hosts: Iterable[str], *, is_ours: bool) -> None:
    """Store whether the snapshots under these host names count as this installation's own series."""
    database.hosts = {**database.hosts, **dict.fromkeys(hosts, is_ours)}
    Database.objects.filter(pk=database.pk).update(hosts=database.hosts)


def repository_sized(repository: Repository, size_bytes: int) -> None:
    """Store how much data the repository holds."""
    Repository.objects.filter(pk=repository.pk).update(size_bytes=size_bytes, sized_at=timezone.now())


def disk_seen(repository: Repository, disk: restic.Disk, at: datetime, full_at: datetime | None) -> None:
    """Store how much is left on the disk of a repository's folder, and when that is over at this rate."""
    Repository.objects.filter(pk=repository.pk).update(
        disk_bytes=disk.bytes, disk_free_bytes=disk.free_bytes, disk_seen_at=at, disk_full_at=full_at
    )


def database_probed(
    database: Database,
    *,
    flavour: str,
    server_version: str,
    client_version: str,
    warnings: Sequence[str],
) -> None:
    """Store what preflight learned of the server and its client."""
    # Almost always it is known, and who keeps what was read of thousands of databases reads nothing again.
    news = Server.objects.filter(pk=database.server_id).exclude(flavour=flavour, version=server_version)
    news.update(flavour=flavour, version=server_version)
    Database.objects.filter(pk=database.pk).update(
        client_version=client_version, preflight_warnings=list(warnings)
    )
