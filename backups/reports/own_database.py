"""Whether the portal's own database is of a kind that can hold what it is given, and by whom."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection

from backups.models import Run
from backups.text.sentences import phrase

# So many runs are looked at for machines that play in turn.
_LOOKED_AT = 60
# Names of databases whose characters were once found right; they stay so.
_right: set[str] = set()


def finding() -> tuple[str, str] | None:
    """What is wrong with it and what is safe, and what to do; None where nothing is."""
    return charset_problem() or _shared_file()


def charset_problem() -> tuple[str, str] | None:
    """What is wrong with the characters that a MariaDB or MySQL database can hold. Raises DatabaseError."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor != "mysql" or name in _right:
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@character_set_database")
        (charset,) = cursor.fetchone()
        cursor.execute(
            "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() "
            "AND TABLE_COLLATION NOT LIKE %s",
            ["utf8mb4%"],
        )
        (tables,) = cursor.fetchone()
    if charset == "utf8mb4" and not tables:
        _right.add(name)
        return None
    quoted = name.replace("`", "``")
    what = phrase(
        "The portal's own database {name} cannot hold all characters: its character set is {charset}, "
        "not utf8mb4. A run in whose log such a character stands would fail.",
        name=name,
        charset=charset if charset != "utf8mb4" else phrase("that of older tables"),
    )
    alter = f"ALTER DATABASE `{quoted}` CHARACTER SET utf8mb4;"
    if not tables:
        return what, phrase("Run on its server: {alter}", alter=alter)
    return what, phrase(
        "Stop portal and worker and run on its server: {alter} Then give each of its tables the same: ALTER "
        "TABLE … CONVERT TO CHARACTER SET utf8mb4;",
        alter=alter,
    )


def _shared_file() -> tuple[str, str] | None:
    """SQLite keeps writers apart on one machine only; over a network's folder it loses rows."""
    if connection.vendor != "sqlite":
        return None
    newest = Run.objects.exclude(worker="").order_by("-queued_at", "-pk").values_list("worker", flat=True)
    hosts = _in_turn(newest[:_LOOKED_AT])
    if not hosts:
        return None
    return (
        phrase(
            "Several machines ({hosts}) play runs in one SQLite file. SQLite cannot keep them apart: rows "
            "may be lost, or the file damaged. Backups in the repository do not depend on it.",
            hosts=", ".join(hosts),
        ),
        phrase(
            "Stop the worker on all machines but one, or move the portal to PostgreSQL "
            "(docs/disaster-recovery.md, Moving to another kind of database)."
        ),
    )


def _in_turn(workers: Iterable[str]) -> list[str]:
    """The hosts of machines of which one plays again after another did; none where they only followed on.

    A machine is known by its boot, which containers on it have in common.
    """
    boots: list[str] = []
    names: dict[str, str] = {}
    for worker in workers:
        host, _, rest = worker.partition(":")
        boot = rest.partition(":")[2].partition("-")[0]
        if boot and (not boots or boots[-1] != boot):
            boots.append(boot)
            names.setdefault(boot, host)
    return sorted(set(names.values())) if len(boots) > len(names) else []
