"""Rows of tables that hold few, in one query for all of these tables.

Asked for one by one they would be a third of what the first page asks for after half a minute.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, NamedTuple

from django.db.models import BooleanField, DateTimeField, F, IntegerField, JSONField, QuerySet, Value
from django.db.models.functions import JSONObject

from backups import marks
from backups.choices import SuspicionState
from backups.models import (
    Channel,
    Database,
    PortalStart,
    PublicKey,
    Server,
    StandDown,
    Suspicion,
    WorkerPulse,
)


class Few(NamedTuple):
    """What they hold, to be looked at alone: of a row only the columns that are named below."""

    channels: Sequence[Channel]
    stand_downs: Sequence[StandDown]
    public_key: PublicKey | None
    portal_start: PortalStart | None
    # By their keys.
    servers: Mapping[int, Server]
    # The keys of the databases of which a backup waits for a person.
    waiting: frozenset[int]


class _Table(NamedTuple):
    """The table of a mark, which of its rows are asked for, and their columns."""

    rows: QuerySet[Any]
    columns: Sequence[str]
    # Whether the name of the database that a row is of is asked for as well.
    has_name: bool = False

    def query(self, number: int) -> QuerySet[Any, Any]:
        """Each row as JSON, beside the number of the table: so all of them have columns of the same kind."""
        held = {name: F(name) for name in self.columns}
        if self.has_name:
            held[_NAME] = F("database__name")
        of = Value(number, output_field=IntegerField())
        return self.rows.order_by().values_list(of, JSONObject(**held))

    def row(self, held: Mapping[str, Any]) -> Any:
        """One that was read."""
        of = self.rows.model._meta
        row = self.rows.model(**{n: _value(of.get_field(n), held[n]) for n in self.columns})
        if self.has_name:
            row.database = Database(pk=row.database_id, name=held[_NAME])
        return row


_NAME = "name of the database"
_PULSES = "backups_workerpulse"
_TABLES = {
    "backups_channel": _Table(
        Channel.objects.filter(is_enabled=True),
        ("id", "name", "is_enabled", "events", "last_ok", "last_answer", "parts"),
    ),
    # Those that nobody ended: when they end by themselves, time says.
    "backups_standdown": _Table(
        StandDown.objects.filter(ended_at=None),
        ("id", "database_id", "kind", "reason", "until", "made_at", "made_by"),
        has_name=True,
    ),
    "backups_publickey": _Table(PublicKey.objects.all(), ("id", "noted_at", "copied_at")),
    "backups_portalstart": _Table(PortalStart.objects.all(), ("id", "secrets")),
    "backups_server": _Table(
        Server.objects.all(),
        ("id", "name", "host", "port", "user", "password_ref", "ssl_mode", "ssl_ca", "flavour", "version"),
    ),
    "backups_suspicion": _Table(
        Suspicion.objects.filter(state=SuspicionState.WAITING), ("id", "database_id")
    ),
    # Signs of life leave no marks: they are asked for anew each time.
    _PULSES: _Table(WorkerPulse.objects.all(), ("id", "cluster", "seen_at")),
}
# Whatever is written to one of these.
_MARKED = (*(name for name in _TABLES if name != _PULSES), "backups_database")


def read(versions: marks.Versions) -> tuple[Few, list[WorkerPulse] | None]:
    """What is kept of these versions. Where it is asked for anew, with the workers' signs of life."""
    pulses: list[list[WorkerPulse]] = []

    def ask() -> Few:
        found = _ask()
        pulses.append(sorted(found[_PULSES], key=attrgetter("cluster")))
        return Few(
            sorted(found["backups_channel"], key=attrgetter("name")),
            found["backups_standdown"],
            next(iter(found["backups_publickey"]), None),
            next(iter(found["backups_portalstart"]), None),
            {each.pk: each for each in found["backups_server"]},
            frozenset(each.database_id for each in found["backups_suspicion"]),
        )

    few = _KEPT.get(versions.of(*_MARKED), ask)
    return few, next(iter(pulses), None)


_KEPT = marks.Kept[Few]()


def _ask() -> dict[str, list[Any]]:
    """The rows of each table in the order in which they were made."""
    first, *others = (table.query(number) for number, table in enumerate(_TABLES.values()))
    names = list(_TABLES)
    found: dict[str, list[Any]] = {name: [] for name in names}
    for number, held in first.union(*others, all=True):
        name = names[number]
        found[name].append(_TABLES[name].row(held))
    for rows in found.values():
        rows.sort(key=attrgetter("pk"))
    return found


def _value(field: Any, held: Any) -> Any:
    """What a column holds: in JSON, a time is a text, and SQLite has numbers for truth and texts for JSON."""
    if held is None:
        return None
    if isinstance(field, DateTimeField):
        at = datetime.fromisoformat(held)
        # Each is stored in UTC.
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    if isinstance(field, BooleanField):
        return bool(held)
    if isinstance(field, JSONField) and isinstance(held, str):
        with suppress(ValueError):
            return json.loads(held)
    return held
