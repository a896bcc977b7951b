"""What a check is, and what the checks learned on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from backups import mysql, restic
from backups.models import Database

Tick = Callable[[], None]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. A `warning` is worth reading and stops nothing."""

    name: str
    ok: bool
    detail: str
    warning: bool = False


@dataclass(frozen=True)
class ReadyBackup:
    """What a backup needs, all of it there, and what was learned on the way."""

    access: restic.Access
    there: mysql.ProbedServer
    restic_version: str
    restic_origin: restic.Origin
    data_length: int
    loose: list[str]
    broken_views: list[str]
    warnings: list[str]
    notes: list[str]


@dataclass
class Found:
    """What the checks learned on the way, for the backup that follows."""

    access: restic.Access | None = None
    server: mysql.Server | None = None
    scratch_password: str = field(default="", repr=False)
    info: mysql.ServerInfo | None = None
    clients: mysql.Clients | None = None
    restic_version: str = ""
    restic_origin: restic.Origin | None = None
    data_length: int = 0
    left_out: list[mysql.LeftOut] = field(default_factory=list)
    # Tables that are not InnoDB, with their engine in brackets.
    loose: list[str] = field(default_factory=list)
    # What is saved before a restore does without views that cannot be read; no other backup does.
    is_safety_copy: bool = False
    broken_views: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def ready(self) -> ReadyBackup:
        """The same for a backup. Raises ValueError where a check of what it needs was left out."""
        if not (self.access and self.restic_origin and self.server and self.info and self.clients):
            raise ValueError("not all was looked at that a backup needs")
        return ReadyBackup(
            access=self.access,
            there=mysql.ProbedServer(self.server, self.info, self.clients),
            restic_version=self.restic_version,
            restic_origin=self.restic_origin,
            data_length=self.data_length,
            loose=self.loose,
            broken_views=self.broken_views,
            warnings=self.warnings,
            notes=self.notes,
        )


Look = Callable[[Database, Found, Tick | None], str]
