"""A copy of the portal's own database: lines of JSON, from which any engine can be filled.

First a header with the migrations that it fits, then each table's rows, last a line that counts and
digests all before it, which the installation signs: without that line a copy is not whole. What is
of the moment stays out: sessions, attempts to sign in, the workers' pulses, the queue and its
schedules (which are made from the databases' rows). Secrets were never there, for rows hold
references; people's passwords are hashes, as in the database.
"""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import islice
from pathlib import Path
from typing import IO, Any

from django.apps import apps as installed
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.core.management.color import no_style
from django.db import connections, models, transaction
from django.utils import timezone

from backups.errors import Problem
from backups.models import Database, DownloadTicket, Repository, SignIn
from backups.portal_copy import schema
from backups.portal_copy.reading import damage_of, options_for_reading
from backups.text.sentences import phrase

FORMAT = 1
_READING, _SCRATCH = "portal copy", "portal scratch"
_TICK_ROWS = 500
# A snapshot's manifest may have a megabyte, of which servers take only so many at once.
_BATCH, _HEAVY_BATCH = 500, 10
_HEAVY = (models.JSONField, models.BinaryField)
# A snapshot of 250,000 tables has as long a manifest. It is stored in next to no room whatever it says.
_LONGEST_LINE = 64 << 20
_MOST_BYTES = 8 << 30
_SQLITE = "django.db.backends.sqlite3"


@dataclass(frozen=True)
class Header:
    """What a copy says of itself: when it was made, by which run, and what schema it fits."""

    made_at: datetime
    made_by: int
    migrations: tuple[tuple[str, str], ...]

    def as_told(self) -> dict[str, Any]:
        """The header as it is written."""
        return {
            "vedetta": "portal",
            "format": FORMAT,
            "made_at": self.made_at.isoformat(),
            "made_by": self.made_by,
            "migrations": self.migrations,
        }

    @classmethod
    def from_payload(cls, payload: Any) -> Header:
        """The header in a copy's first line. Raises Problem."""
        if not isinstance(payload, dict) or payload.get("vedetta") != "portal":
            raise Problem(phrase("It is no copy of a portal."), code="portal_copy.no_copy")
        if payload.get("format") != FORMAT:
            raise schema.of_another_version()
        migrations = tuple((str(app), str(name)) for app, name in payload["migrations"])
        return cls(datetime.fromisoformat(payload["made_at"]), int(payload["made_by"]), migrations)


def models_copied(apps: Any = installed) -> list[type[models.Model]]:
    """The tables that a copy holds, those between two others included."""
    return [
        model
        for label in schema.APPS
        for model in apps.get_app_config(label).get_models(include_auto_created=True)
        # Ours say so themselves; of Django's all are copied.
        if getattr(model, "is_in_portal_copy", True)
    ]


# ---------------------------------------------------------------- Making a copy


def write(
    file: IO[bytes], *, made_by: int, tick: Callable[[], None], sign: Callable[[str], str] = lambda _: ""
) -> int:
    """Write a copy as of one moment; answers how many rows it has. Raises Problem, and what `tick` raises.

    `sign` is given the digest of it all, 64 hex digits, and answers a signature. On a connection of
    its own, whose transaction keeps nobody from writing meanwhile.
    """
    header = Header(timezone.now(), made_by, tuple(schema.leaves()))
    out = _Writer(file)
    with _connected(_READING, OPTIONS=options_for_reading()), transaction.atomic(using=_READING):
        if damage := damage_of(_READING):
            raise Problem(
                phrase("The portal's own database is damaged ({damage}).", damage=damage),
                code="portal_copy.database_damaged",
                do=_SAVE_IT,
            )
        out.line(header.as_told())
        for model in models_copied():
            fields = [field.attname for field in model._meta.concrete_fields]
            out.line({"table": model._meta.label, "fields": fields})
            rows = model._base_manager.using(_READING).order_by("pk").values_list(*fields)
            for row in rows.iterator(chunk_size=_TICK_ROWS):
                out.row(row)
                if out.rows % _TICK_ROWS == 0:
                    tick()
    out.end(sign)
    return out.rows


_SAVE_IT = phrase("Stop portal and worker and run `manage.py recover --history-only`, which puts it right.")


class _Writer:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        # One for all: a night's copy has tens of thousands of rows.
        self._encoded = json.JSONEncoder(default=_as_json, separators=(",", ":")).encode
        self.rows = 0

    def line(self, payload: Any) -> None:
        text = self._encoded(payload).encode() + b"\n"
        if len(text) > _LONGEST_LINE:
            raise Problem(
                phrase(
                    "A row of the portal's own database is longer than {longest_line} MB. A copy with "
                    "such a row could not be read again.",
                    longest_line=_LONGEST_LINE >> 20,
                ),
                code="portal_copy.row_too_long",
                do=phrase(
                    "It most likely belongs to a backup of very many tables. Have fewer of them in "
                    "one database."
                ),
            )
        self._digest.update(text)
        self._file.write(text)

    def row(self, values: Sequence[Any]) -> None:
        self.rows += 1
        self.line(values)

    def end(self, sign: Callable[[str], str]) -> None:
        digest = self._digest.hexdigest()
        self.line({"rows": self.rows, "sha256": digest, "signature": sign(digest)})
        self._file.flush()


def _as_json(value: Any) -> str:
    """What JSON does not know, as Django's fields read it back."""
    if isinstance(value, date | time):  # moments too
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(value).decode()
    raise TypeError(f"a copy of the portal cannot hold a {type(value).__name__}")


# ---------------------------------------------------------------- Coming back from one


@dataclass(frozen=True)
class Offered:
    """A copy that was read whole and not taken over yet: who signed what, and a look into its rows."""

    sha256: str
    signature: str
    people: tuple[str, ...]
    databases: tuple[str, ...]
    repositories: tuple[str, ...]


class TooLong(Problem):
    """The copy is longer than any that is read."""

    code = "portal_copy.too_long"


def lines_in(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of a copy, each in memory by itself. Raises TooLong for what may be endless."""
    left = _MOST_BYTES
    while line := file.readline(_LONGEST_LINE + 1):
        left -= len(line)
        if len(line) > _LONGEST_LINE or left < 0:
            raise TooLong(
                phrase(
                    "It holds a line of more than {longest_line} MB, or more than {megabytes} GB in "
                    "all. No portal's copy does.",
                    longest_line=_LONGEST_LINE >> 20,
                    megabytes=_MOST_BYTES >> 30,
                ),
                code="portal_copy.too_long",
            )
        yield line


def restore(
    lines: Iterable[bytes], *, accept: Callable[[Offered], None], then: Callable[[Header], None]
) -> Header:
    """Put a copy in the place of all that the portal's database holds, or raise Problem and change nothing.

    The copy is read into a scratch database with the schema that it fits, which is then brought up
    to date. `accept` sees what it is and raises Problem where it is not to be taken. Its rows go over in
    one transaction, in which `then` has the last word.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            scratch = str(Path(folder) / "portal.sqlite3")
            with _connected(_SCRATCH, ENGINE=_SQLITE, NAME=scratch, OPTIONS={}):
                header, end = _read(iter(lines))
                schema.bring_up_to_date(connections[_SCRATCH], header.migrations)
                accept(_offered(end))
                _take_over(lambda: then(header))
    except Problem:
        raise
    except Exception as error:  # a copy may be anything, and must not stop a recovery
        raise Problem(
            phrase("It does not fit ({kind}: {error}).", kind=type(error).__name__, error=str(error)[:200]),
            code="portal_copy.does_not_fit",
        ) from error
    return header


def _offered(end: Mapping[str, Any]) -> Offered:
    people = get_user_model().objects.using(_SCRATCH).order_by("pk")
    databases = Database.objects.using(_SCRATCH).select_related("repository", "server").order_by("pk")
    repositories = Repository.objects.using(_SCRATCH).order_by("pk")
    return Offered(
        end["sha256"],
        str(end.get("signature", "")),
        tuple(f"{each.get_username()}{' (superuser)' if each.is_superuser else ''}" for each in people),
        tuple(
            phrase(
                "{name}: {database} on {address} as {user}, backed up {backup_cron}, verified "
                "{verify_cron}{verified_on}, to {repository}",
                name=each.name,
                database=each.database,
                address=each.server.address,
                user=each.server.user,
                backup_cron=each.backup_cron or phrase("never"),
                verify_cron=each.verify_cron or phrase("never"),
                verified_on=_verified_on(each),
                repository=each.repository,
            )
            for each in databases
        ),
        tuple(f"{each.name}: {each.url}" for each in repositories),
    )


def _verified_on(database: Database) -> str:
    if not database.verify_host:
        return ""
    return phrase(
        " on {verify_host}:{verify_port} as {verify_user}",
        verify_host=database.verify_host,
        verify_port=database.verify_port,
        verify_user=database.verify_user,
    )


def _read(lines: Iterator[bytes]) -> tuple[Header, Mapping[str, Any]]:
    """Fill the scratch database; answers the last line as well. Raises Problem unless the copy is whole."""
    digest, rows = hashlib.sha256(), 0
    first = next(lines, b"")
    header = Header.from_payload(_parsed(first))
    apps = schema.made_for(connections[_SCRATCH], header.migrations)
    digest.update(first)
    with transaction.atomic(using=_SCRATCH):
        filling = _Filling()
        for line in lines:
            parsed = _parsed(line)
            if isinstance(parsed, list):
                filling.add(parsed)
                rows += 1
            elif "table" in parsed:
                filling.begin(apps.get_model(parsed["table"]), parsed["fields"])
            elif (parsed["rows"], parsed["sha256"]) == (rows, digest.hexdigest()):
                filling.flush()
                return header, parsed
            else:
                raise _not_whole()
            digest.update(line)
    raise _not_whole()


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        raise _not_whole() from None


def _not_whole() -> Problem:
    return Problem(phrase("It is not whole, or was changed."), code="portal_copy.not_whole")


class _Filling:
    """Inserts one table's rows after the other's."""

    def __init__(self) -> None:
        self._model: type[models.Model] | None = None
        self._fields: list[models.Field[Any, Any]] = []
        self._rows: list[models.Model] = []

    def begin(self, model: type[models.Model], names: Sequence[str]) -> None:
        self.flush()
        by_name = {field.attname: field for field in model._meta.concrete_fields}
        self._model, self._fields = model, [by_name[name] for name in names]

    def add(self, values: Sequence[Any]) -> None:
        assert self._model is not None  # noqa: S101
        values_by_name = {
            field.attname: field.to_python(value) for field, value in zip(self._fields, values, strict=True)
        }
        self._rows.append(self._model(**values_by_name))
        if len(self._rows) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        if self._model is not None and self._rows:
            self._model._base_manager.using(_SCRATCH).bulk_create(self._rows)
        self._rows = []


def _take_over(then: Callable[[], None]) -> None:
    """The scratch database's rows in the place of ours, all of them or none."""
    connection = connections["default"]
    with transaction.atomic(), connection.constraint_checks_disabled():
        Session.objects.all().delete()
        # By their numbers they would be for other people and snapshots.
        DownloadTicket.objects.all().delete()
        SignIn.objects.all().delete()
        for model in models_copied():
            model._base_manager.all()._raw_delete("default")
        for model in models_copied():
            rows = model._base_manager.using(_SCRATCH).order_by("pk").iterator()
            heavy = any(isinstance(field, _HEAVY) for field in model._meta.concrete_fields)
            while batch := list(islice(rows, _HEAVY_BATCH if heavy else _BATCH)):
                model._base_manager.using("default").bulk_create(batch)
        connection.check_constraints([model._meta.db_table for model in models_copied()])
        _reset_counters()
        ContentType.objects.clear_cache()
        then()


def _reset_counters() -> None:
    """Where an engine counts apart from its rows, the next row has to be the next."""
    connection = connections["default"]
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), models_copied()):
            cursor.execute(statement)


# ---------------------------------------------------------------- Connections


@contextmanager
def _connected(alias: str, **settings: Any) -> Iterator[None]:
    """A connection under a name of its own for the length of a block: the portal's, but for `settings`."""
    connections.settings[alias] = {**connections.settings["default"], **settings}
    try:
        yield
    finally:
        connections[alias].close()
        del connections[alias]
        del connections.settings[alias]
