"""Whether anything was written since somebody looked: a version of tables that costs one query.

The rule. Each statement that writes to one of TABLES, by whichever process and in whatever way (a page, the
worker, a command, `.update()`, SQL of our own), gives the table's mark another number once it is committed.
`version` is made of these numbers. Whoever asks for it first, and then reads the rows, may take what was
read for what is there now for as long as the version is the same.

Its limits:
- A mark is raised after the commit, in a transaction of its own, so that two writers never wait for each
  other's. Whoever reads in between sees newer rows under the older version, and reads once more than needed.
- A process that is killed in between, or cannot reach the database any more, raises none. So a version also
  holds for BOUND_SECONDS at most. For no longer than that anything is called unchanged that is not.
- What changes by time alone (an age, a deadline that passes) is as late at most, for the same reason.
- An update or a delete that hits no row writes nothing.
- A run's beats, once a second, leave no mark, nor do the leases that follow them: COLUMNS_OF_THE_MOMENT. Who
  shows how far a run is asks for `beats` as well. Workers' signs of life, lines of a run's log, questions and
  tickets leave none either.
- Files, the environment and the settings are no tables: see who asks.
- What a transaction has written itself, and not committed, counts for itself alone.
- A program that writes past Django leaves no mark. BOUND_SECONDS hold for that too.

Of very many databases one is written to at a time, so there are marks of groups of databases besides. A
statement of which it is known whose rows it writes (see `touched`) raises the mark of that database's group,
any other the one of all databases. That is before those of the tables: who sees these sees the others.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any, Generic, TypeVar

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, Error, connection
from django.db.models import CharField, F, IntegerField, QuerySet, Value
from django.db.models.functions import Coalesce, ExtractSecond

from backups import touched
from backups.choices import Status
from backups.models import Database, LogArchive, Mark, Run, Snapshot, StandDown, Suspicion, Verification

logger = logging.getLogger(__name__)

BOUND_SECONDS = 30
TABLES = frozenset(
    {
        "backups_alert", "backups_channel", "backups_database", "backups_delivery",
        "backups_logarchive", "backups_loggap", "backups_pin", "backups_portalstart", "backups_publickey",
        "backups_replayproof", "backups_repository", "backups_restore", "backups_run",
        "backups_server", "backups_snapshot", "backups_standdown", "backups_suspicion",
        "backups_verification",
        # Who overrides the gate is noted there.
        "django_admin_log",
        "django_q_schedule",
    }
)  # fmt: skip
# Of so many groups of databases each has a mark. In one of 2,000 databases are sixteen.
GROUPS = 128
_OF_ALL = "databases"
_OF_GROUPS = tuple(f"{_OF_ALL}.{number:03}" for number in range(GROUPS))
# Beside that of its table: of all that is in schedules but when they are due next, which always changes.
ORDERS = "django_q_schedule.orders"
_OF_ORDERS, _NOT_OF_ORDERS = "django_q_schedule", frozenset({"next_run"})
_EVERY = TABLES.union([_OF_ALL, ORDERS], _OF_GROUPS)
# What no page shows, or asks the row itself for. An update of nothing else leaves no mark.
_OF_A_LEASE = frozenset({"lease_run_id", "lease_until"})
COLUMNS_OF_THE_MOMENT = {
    "backups_run": frozenset({"beat_at", "phase", "phases", "bytes_done", "bytes_expected", "detail"}),
    "backups_database": _OF_A_LEASE,
    "backups_repository": _OF_A_LEASE,
    # Where the archive of a log is, once a minute.
    "backups_logarchive": frozenset(
        {"stored_until", "file", "file_made", "position", "gtids", "lease_by", "lease_until"}
    ),
}
# In answers of `rows` and `beats`, beside what others may ask for in the same query: see `portal.sessions`.
MARK, BEAT = 3, 4

Rows = Iterable[tuple[int, int]]
T = TypeVar("T")
K = TypeVar("K")


# ---------------------------------------------------------------- Reading


def version(tables: Collection[str] = TABLES) -> str:
    """What stays the same until something is written to one of `tables`, for BOUND_SECONDS at most."""
    return version_of(rows(tables), tables)


def rows(tables: Collection[str] = TABLES) -> QuerySet[Any, tuple[int, int]]:
    """What `version_of` wants to know, to be asked for together with something else."""
    kind = Value(MARK, output_field=IntegerField())
    return Mark.objects.filter(name__in=tables).order_by().values_list(kind, "value")


def beats(status: str = Status.RUNNING) -> QuerySet[Any, tuple[int, int]]:
    """How the running runs' beats stand; two in one second, or a minute apart, may look the same."""
    return _beats(status).values_list(Value(BEAT, output_field=IntegerField()), "beat")


def _beats(status: str = Status.RUNNING) -> QuerySet[Any, Any]:
    at = Coalesce(ExtractSecond("beat_at", tzinfo=UTC), Value(60))
    return Run.objects.filter(status=status).order_by().annotate(beat=F("pk") * Value(61) + at)


def version_of(found: Rows, tables: Collection[str] = TABLES) -> str:
    """The version by the answer to `rows`, among which others may be."""
    values = _values(found)
    if len(values) < len(tables):
        # What was written before left none. Whoever asks reads the rows after this, and so has that as well.
        _make(tables)
        values = _values(rows(tables))
    own = _pending(tables)
    return ".".join(map(str, (int(time.time()) // BOUND_SECONDS, *values, *own)))


def _values(found: Rows) -> list[int]:
    # Beside beats, servers make decimal numbers of them.
    return sorted(int(value) for kind, value in found if kind == MARK)


def group_of(database: int) -> int:
    """The number of a database's group, by its key."""
    return database % GROUPS


def changed(before: Sequence[object], after: Sequence[object]) -> set[int]:
    """The numbers of the groups that have another version."""
    return {number for number, (was, now) in enumerate(zip(before, after, strict=True)) if was != now}


class Versions:
    """Of each table, and of each group of databases, what stays the same until one of its rows is written.

    As with `version`, and asked for after it: for the bound at most, and what is read afterwards is of these
    versions or newer.
    """

    def __init__(self, bound_seconds: int = 0, *, with_beats: bool = False) -> None:
        nameless = _beats().values_list(Value("", output_field=CharField()), "beat")
        found = list(_every_mark().union(nameless) if with_beats else _every_mark())
        self._values = {name: int(value) for name, value in found if name}
        # How the running runs' beats stood at that moment; none where nobody asked.
        self.beats = [int(value) for name, value in found if not name]
        if len(self._values.keys() & _EVERY) < len(_EVERY):
            _make(_EVERY)
            self._values = dict(_every_mark())
        # What `version` answers of all tables.
        self.version = version_of([(MARK, self._values[name]) for name in TABLES])
        self._time = int(time.time()) // (bound_seconds or BOUND_SECONDS)
        # What may be of any database. A row that is added or changed by its key is of one.
        self.of_all: object = (self._time, self._values[_OF_ALL], *_pending(touched.TABLES))
        self.groups: tuple[object, ...] = tuple((self._values[name], self.of_all) for name in _OF_GROUPS)

    def of(self, *tables: str) -> object:
        """Of these tables together."""
        return self._time, *(self._values[name] for name in tables), *_pending(tables)


def _every_mark() -> QuerySet[Any, tuple[str, int]]:
    return Mark.objects.order_by().values_list("name", "value")


def make_missing(app_config: Any, using: str, apps: Any = None, **_: Any) -> None:
    """Have a mark for each table: for Django's `post_migrate`, after which there may be new ones."""
    is_ours = (app_config.label, using) == ("backups", DEFAULT_DB_ALIAS)
    if is_ours and (apps is None or "mark" in apps.all_models["backups"]):
        _make(_EVERY)


def _make(tables: Iterable[str]) -> None:
    Mark.objects.bulk_create([Mark(name=name, value=_number()) for name in tables], ignore_conflicts=True)


def _number() -> int:
    """One that was not there before, also not in a database that was put back to how it was."""
    return secrets.randbits(62)


class Kept(Generic[T]):
    """What was worked out from rows, in this process, for as long as their version is the same."""

    def __init__(self) -> None:
        self._kept: tuple[object, object, T] | None = None

    def get(self, version: object, make: Callable[[], T]) -> T:
        """What is kept of this version, or what `make` answers. Nobody may change it."""
        # Settings are changed by tests only: that is another object each time.
        of = getattr(settings, "_wrapped", None)
        kept = self._kept
        if kept is not None and kept[0] == version and kept[1] is of:
            return kept[2]
        made = make()
        self._kept = (version, of, made)
        return made

    def has(self, version: object) -> bool:
        """Whether something of this version is kept."""
        return self._kept is not None and self._kept[:2] == (version, getattr(settings, "_wrapped", None))


class KeptEach(Generic[K, T]):
    """The same of several things by their keys: what is missing is worked out and kept beside the others."""

    def __init__(self) -> None:
        self._kept = Kept[dict[K, T]]()

    def get(self, version: object, keys: Sequence[K], make: Callable[[list[K]], Mapping[K, T]]) -> dict[K, T]:
        """Of these keys what is kept of this version, or what `make` answers for those that are missing."""
        known = self._kept.get(version, dict)
        if missing := [key for key in keys if key not in known]:
            known.update(make(missing))
        return {key: known[key] for key in keys if key in known}

    def has(self, version: object) -> bool:
        """Whether anything of this version is kept."""
        return self._kept.has(version)


# ---------------------------------------------------------------- Writing

_NAME = r'[`"]?(\w+)[`"]?'
_WRITES = re.compile(
    rf"\s*(?:UPDATE|INSERT\s+(?:IGNORE\s+|OR\s+\w+\s+)?INTO|DELETE\s+(?:[`\"]?\w+[`\"]?\s+)?FROM)\s+{_NAME}",
    re.IGNORECASE,
)
# An update of columns to given values, and nothing that would have to be understood.
_SIMPLE = re.compile(r'UPDATE [`"]\w+[`"] SET ((?:[`"]\w+[`"] = (?:%s|NULL)(?:, )?)+) WHERE ')
_COLUMN = re.compile(r'[`"](\w+)[`"] =')
_KNOWN_WRITES = ("UPDATE", "INSERT", "DELETE")
_READS = ("SELECT", "PRAGMA", "SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT", "SET", "SHOW", "EXPLAIN")


def written(sql: str) -> frozenset[str]:
    """The tables of TABLES to whose marks a statement gives another number; rather one too many."""
    # Servers have each part of a union in brackets.
    start = sql[:12].lstrip("( \t\r\n").upper()
    if start.startswith(_KNOWN_WRITES) and (found := _WRITES.match(sql)):
        table = found[1]
        if table not in TABLES or _is_of_the_moment(sql, table):
            return frozenset()
        return frozenset({table})
    if start.startswith(_READS):
        return frozenset()
    return frozenset(name for name in TABLES if name in sql)


def _is_of_the_moment(sql: str, table: str) -> bool:
    columns = COLUMNS_OF_THE_MOMENT.get(table)
    return columns is not None and _sets_only(sql, columns)


def _sets_only(sql: str, columns: frozenset[str]) -> bool:
    simple = _SIMPLE.match(sql)
    return simple is not None and columns.issuperset(_COLUMN.findall(simple[1]))


def orders_written(sql: str, tables: Collection[str]) -> bool:
    """Whether a statement that writes to `tables` writes more of schedules than other times."""
    return _OF_ORDERS in tables and not (_sets_only(sql, _NOT_OF_ORDERS) and "NULL" not in sql)


def watch(connection: Any, **_: Any) -> None:
    """Have a connection to the portal's own database raise marks: for Django's `connection_created`."""
    # Before those of tests, which take the last one away again.
    if connection.alias == DEFAULT_DB_ALIAS and _noticing not in connection.execute_wrappers:
        connection.execute_wrappers.insert(0, _noticing)


def _noticing(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
    answer = execute(sql, params, many, context)
    if (tables := written(str(sql))) and not _hit_nothing(sql, context["cursor"]):
        names = tables | {ORDERS} if orders_written(str(sql), tables) else tables
        _note(context["connection"], names, None if many else touched.rows(sql, params))
    return answer


def _hit_nothing(sql: str, cursor: Any) -> bool:
    """An update or a delete for which there was no row, as of a worker that looks what there is to tend.

    Of others the driver may not know yet.
    """
    return sql.startswith(("UPDATE ", "DELETE ")) and "RETURNING" not in sql and cursor.rowcount == 0


class _Raises:
    """What a transaction has written to so far, and that their marks are raised once it is committed."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.number = _number()
        # It was committed, or taken back.
        self.is_over = False
        self.tables: Counter[str] = Counter()
        # Whose databases' marks are raised; None of all.
        self.rows: frozenset[touched.Row] | None = frozenset()

    def __call__(self) -> None:
        if _raise(self.connection, self.tables, self.rows):
            self.connection.vedetta_unmarked = None


def _note(connection: Any, tables: Iterable[str], rows: frozenset[touched.Row] | None) -> None:
    if touched.TABLES.isdisjoint(tables):
        rows = frozenset()
    if not connection.in_atomic_block:
        _raise(connection, tables, rows)
        return
    noted = _noted(connection)
    if noted is None:
        noted = connection.vedetta_unmarked = _Raises(connection)
        connection.on_commit(noted, robust=True)
    noted.tables.update(tables)
    noted.rows = None if rows is None or noted.rows is None else noted.rows | rows


def _noted(connection: Any) -> _Raises | None:
    """What is noted of this transaction. Django takes it away with a savepoint that is undone."""
    hooks = reversed(connection.run_on_commit)
    return next((hook for _, hook, _ in hooks if isinstance(hook, _Raises)), None)


def _raise(connection: Any, tables: Iterable[str], rows: frozenset[touched.Row] | None) -> bool:
    """Whether they could be raised.

    A statement for each: a writer that held two marks could wait for one who holds them the other way.
    No more than an update: beside an insert whose key is still to be read, SQLite takes no transaction. Where
    there is no mark yet, whoever makes it reads the rows after that.
    """
    try:
        for name in (*_groups(connection, rows), *sorted(tables)):
            Mark.objects.using(connection.alias).filter(name=name).update(value=_number())
    except Error as error:
        # What was written is written. The table may not be there yet, or the server not any more.
        logger.debug("no mark could be raised (%s): pages follow within %s s", error, BOUND_SECONDS)
        return False
    return True


# By which of its columns a row is of a database.
_DATABASE_OF = {
    "backups_database": (Database, "pk"),
    "backups_logarchive": (LogArchive, "database"),
    "backups_run": (Run, "database"),
    "backups_snapshot": (Snapshot, "database"),
    "backups_standdown": (StandDown, "database"),
    "backups_suspicion": (Suspicion, "database"),
    "backups_verification": (Verification, "snapshot__database"),
}
# Of more, the mark of all costs less.
_MOST_GROUPS = 8


def _groups(connection: Any, rows: frozenset[touched.Row] | None) -> list[str]:
    """The names of their marks."""
    if rows is None:
        return [_OF_ALL]
    databases: set[int | None] = set()
    for table in {row.table for row in rows}:
        keys = [row.key for row in rows if row.table == table]
        model, column = _DATABASE_OF[table]
        if column == "pk":
            databases.update(keys)
            continue
        found = model._default_manager.using(connection.alias).filter(pk__in=keys).order_by()
        databases.update(found.values_list(column, flat=True))
    if None in databases and any(row.table == "backups_snapshot" for row in rows):
        # One that is of none tells something of those whose name it has.
        return [_OF_ALL]
    groups = {group_of(each) for each in databases if each is not None}
    return [_OF_ALL] if len(groups) > _MOST_GROUPS else [_OF_GROUPS[each] for each in sorted(groups)]


def _pending(tables: Collection[str]) -> list[Any]:
    """What this process has written whose mark is not raised yet: also while other hooks of the commit run.

    Once that transaction is over it is another number than within it, since it may have been taken back with
    all that was read there. It stays in each version until the next write, which changes nothing.
    """
    noted: _Raises | None = getattr(connection, "vedetta_unmarked", None)
    if noted is None or noted.tables.keys().isdisjoint(tables):
        return []
    if not noted.is_over and _noted(connection) is not noted:
        noted.is_over, noted.number = True, _number()
    return [noted.number, sum(noted.tables.values()), *connection.savepoint_ids]
