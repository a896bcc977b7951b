"""What a check is, and what the checks learned on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from backups import mysql, restic
from backups.actions.steps.scratch_log import ScratchLog
from backups.errors import Problem
from backups.models import Database
from backups.text.sentences import phrase

Tick = Callable[[], None]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. A `warning` is worth reading and stops nothing."""

    name: str
    ok: bool
    detail: str
    warning: bool = False


@dataclass
class Found:
    """What the checks learned on the way, for the backup that follows."""

    access: restic.Access | None = None
    server: mysql.Server | None = None
    scratch_password: str = field(default="", repr=False)
    # None where no scratch database could be made, or the server does not answer.
    scratch_log: ScratchLog | None = None
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
        """The same once each check was content. Raises Problem where one did not tell what it found."""
        if not (self.access and self.restic_origin and self.server and self.info and self.clients):
            raise Problem(
                phrase(
                    "The checks before the backup found no fault, but not everything that the backup needs."
                ),
                code="preflight.not_all_found",
                do=phrase("Press Test connection, or run `manage.py preflight`: it shows each check."),
            )
        return ReadyBackup(
            access=self.access,
            restic_version=self.restic_version,
            restic_origin=self.restic_origin,
            source=mysql.ProbedServer(self.server, self.info, self.clients),
            data_length=self.data_length,
            loose=tuple(self.loose),
            broken_views=tuple(self.broken_views),
            warnings=tuple(self.warnings),
            notes=tuple(self.notes),
        )


@dataclass(frozen=True)
class ReadyBackup:
    """All that a backup needs: the repository, the server, and what is to be said of them."""

    access: restic.Access
    restic_version: str
    restic_origin: restic.Origin
    source: mysql.ProbedServer
    # The server's estimate, in bytes.
    data_length: int
    loose: Sequence[str]
    broken_views: Sequence[str]
    warnings: Sequence[str]
    notes: Sequence[str]


Look = Callable[[Database, Found, Tick | None], str]
