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


Look = Callable[[Database, Found, Tick | None], str]
