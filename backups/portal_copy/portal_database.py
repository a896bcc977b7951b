"""Whether the portal's own database can be worked with: asked by `/healthz` and when things start."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from shutil import disk_usage

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from backups.portal_copy.reading import damage_of
from backups.text.sentences import phrase

# Databases once seen to be up to date stay so; looking again would read all migrations each time.
_up_to_date: set[str] = set()
# Bytes; a run's rows and SQLite's journal of them take less.
_LEAST_ROOM = 1 << 20
# SQLite's own words for a file that is broken, or none of its own.
_DAMAGED = ("malformed", "not a database")
_SAFE = phrase("Backups in the repository and the gate do not depend on it.")
_RECOVER = "`manage.py recover --history-only`"


def database_problem(*, thoroughly: bool = False) -> str:
    """What is wrong with the portal's database in a few sentences; empty when nothing is.

    `thoroughly` reads all of an SQLite file, which takes seconds where it has gigabytes.
    """
    name = str(connection.settings_dict["NAME"])
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if thoroughly and damage_of():
            return _damaged(name)
        if name not in _up_to_date and (missing := _missing(name)):
            return missing
    except DatabaseError as error:
        if _is_damage(error):
            return _damaged(name)
        return _silent_file(name, error) if connection.vendor == "sqlite" else _silent_server(error)
    _up_to_date.add(name)
    return ""


def _silent_server(error: DatabaseError) -> str:
    return phrase(
        "The portal's database gives no answer ({error}); check DATABASE_URL, that its server runs, "
        "and that there is space left on its disk.",
        error=reason(error),
    )


def _silent_file(name: str, error: DatabaseError) -> str:
    folder = Path(name).parent
    if not folder.is_dir():
        return phrase(
            "The portal's database {name} cannot be opened: its folder {folder} is not there. "
            "{safe} Mount it, or correct DATABASE_URL.",
            name=name,
            folder=folder,
            safe=_SAFE,
        )
    return phrase(
        "The portal's database gives no answer ({error}); check DATABASE_URL, that this user may "
        "read and write the file and its folder, and that there is space left on its disk.",
        error=reason(error),
    )


def room_problem() -> str:
    """What is wrong where SQLite's disk is full: it answers, and no run can be stored."""
    path = Path(str(connection.settings_dict["NAME"]))
    if connection.vendor != "sqlite" or not path.is_file() or disk_usage(path.parent).free >= _LEAST_ROOM:
        return ""
    return phrase(
        "No space is left on the disk of the portal's database {path}, so no run can be stored. "
        "{safe} Free some space there; nothing needs to be started again.",
        path=path,
        safe=_SAFE,
    )


def reason(error: DatabaseError) -> str:
    """Why it gives no answer, for anybody to read: a server's own words name users and hosts.

    Where a password was written wrong in DATABASE_URL they even hold a part of it.
    """
    if connection.vendor == "sqlite":
        return str(error)
    if connection.vendor == "postgresql":
        return next((told for words, told in _OF_POSTGRESQL if words in str(error)), type(error).__name__)
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    return _REASONS.get(number, phrase("error {number}", number=number) if number else type(error).__name__)


_REASONS = {
    1040: phrase("it takes no more connections"),
    1044: phrase("it refuses this user the database"),
    1045: phrase("it refuses the user or the password"),
    1049: phrase("there is no such database"),
    1698: phrase("it refuses the user or the password"),
    2002: phrase("no server listens there"),
    2003: phrase("no server listens there"),
    2005: phrase("there is no such host"),
    2006: phrase("the connection was lost"),
    2013: phrase("the connection was lost"),
}

# It gives no number to who cannot connect. These words are its own in English.
_OF_POSTGRESQL = (
    ("password authentication failed", phrase("it refuses the user or the password")),
    ("no password supplied", phrase("it wants a password")),
    ("no pg_hba.conf entry", phrase("it refuses this machine, this user or a connection without TLS")),
    ("too many clients", phrase("it takes no more connections")),
    ("remaining connection slots", phrase("it takes no more connections")),
    ("permission denied", phrase("it refuses this user the database")),
    ("database system is starting up", phrase("it is still starting")),
    ("database system is shutting down", phrase("it is shutting down")),
    ("could not translate host name", phrase("there is no such host")),
    ("failed to resolve host", phrase("there is no such host")),
    ("Connection refused", phrase("no server listens there")),
    ("No such file or directory", phrase("no server listens there")),
    ("timeout expired", phrase("it does not answer")),
    ("terminating connection", phrase("the connection was lost")),
    ("server closed the connection", phrase("the connection was lost")),
    ("does not exist", phrase("there is no such database or user")),
    ("No space left on device", phrase("its disk is full")),
)


def set_aside_damaged(now: datetime) -> str:
    """Move a damaged SQLite file out of the way, so that a new one can be made; answers where to.

    Empty where nothing is wrong with it. Raises DatabaseError where it is not the file's fault.
    """
    try:
        damaged = bool(damage_of())
    except DatabaseError as error:
        if not _is_damage(error):
            raise
        damaged = True
    if not damaged:
        return ""
    connection.close()
    path = Path(str(connection.settings_dict["NAME"]))
    moved_to = path.with_name(f"{path.name}.damaged-{now:%Y%m%d-%H%M%S}")
    # The two beside it belong to it, and would spoil a new one.
    for ending in ("", "-wal", "-shm"):
        part = path.with_name(path.name + ending)
        if part.exists():
            part.rename(moved_to.with_name(moved_to.name + ending))
    return str(moved_to)


def _damaged(name: str) -> str:
    return phrase(
        "The portal's database {name} is damaged. {safe} Stop portal and worker and run {recover}: "
        "it moves the file away and brings the portal back from its copy in the repository.",
        name=name,
        safe=_SAFE,
        recover=_RECOVER,
    )


def _is_damage(error: DatabaseError) -> bool:
    return connection.vendor == "sqlite" and any(words in str(error) for words in _DAMAGED)


def _missing(name: str) -> str:
    executor = MigrationExecutor(connection)
    if not executor.loader.applied_migrations:
        return phrase(
            "The portal's database {name} is empty. Run `manage.py bootstrap` if it is new; if it "
            "was lost, run {recover}, which brings it back from its copy in the repository. {safe}",
            name=name,
            recover=_RECOVER,
            safe=_SAFE,
        )
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return phrase("The portal's database is not up to date; run `manage.py bootstrap`.")
    return ""
