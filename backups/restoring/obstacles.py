"""What a swap cannot carry, or must not, found before anything is touched.

RENAME TABLE between databases takes most tables whole. What it does not was tried on MariaDB 10.11
and MySQL 9.7, kind by kind; docs/compatibility.md has the table.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from backups import mysql
from backups.errors import Problem
from backups.text.sentences import phrase

_IN_PLACE = phrase("or restore in place.")


def refuse_immovable(connection: Any, database: str, chosen: Collection[str] = (), *, target: str) -> None:
    """Raise Problem for what of `database`, or of its `chosen` tables, no RENAME can carry.

    `target` is the live database, which is told to be untouched.
    """
    safe = phrase("{target} was not touched.", target=target)
    refuse_read_only(connection, database, target=target)
    _refuse_directories(connection, database, chosen, safe)
    _refuse_orphans(connection, database, chosen, safe)


def refuse_read_only(connection: Any, database: str, *, target: str) -> None:
    """Raise Problem for a database in which nothing can be replaced, in one way or the other."""
    if mysql.is_read_only(connection, database):
        raise Problem(
            phrase("{database} is read only, so no table of it can be replaced.", database=database),
            code="swap.read_only",
            safe=phrase("{target} was not touched.", target=target),
            do=phrase(
                "Run as an administrator: ALTER DATABASE {database} READ ONLY = 0; then restore again.",
                database=mysql.quote(database),
            ),
        )


def _refuse_directories(connection: Any, database: str, chosen: Collection[str], safe: str) -> None:
    if mysql.probe(connection).flavour != mysql.MARIADB:
        return  # MySQL moves the files along
    found = [name for name in mysql.tables_with_directory(connection, database) if _is(name, chosen)]
    if found:
        raise Problem(
            phrase(
                "The table {found} of {database} lies in a folder of its own (DATA DIRECTORY). MariaDB "
                "moves such a table between databases and cannot read it after its next start; a MyISAM "
                "or Aria table of that kind cannot be made a second time at all.",
                found=found[0],
                database=database,
            ),
            code="swap.data_directory",
            safe=safe,
            do=phrase("Restore in place, which swaps nothing."),
        )


def _refuse_orphans(connection: Any, database: str, chosen: Collection[str], safe: str) -> None:
    for key in mysql.keys_without_parent(connection, database):
        if _is(key.table, chosen):
            raise Problem(
                phrase(
                    "The foreign key {key} of {database}.{table} refers to {referenced}, which is not "
                    "there. A swap would leave it pointing at another database.",
                    key=key.name,
                    database=database,
                    table=key.table,
                    referenced=key.referenced,
                ),
                code="swap.foreign_key_to_nothing",
                safe=safe,
                do=phrase(
                    "Make {referenced}, or drop that foreign key, then try again; {in_place}",
                    referenced=key.referenced,
                    in_place=_IN_PLACE,
                ),
            )


def refuse_crossing(
    connection: Any, database: str, chosen: Collection[str], *, target: str, held: Collection[str]
) -> None:
    """Raise Problem for a foreign key between a chosen table and another of the same database.

    Keys go with the tables that are renamed, so a swap needs both ends of each. `held` are the
    tables that can be chosen.
    """
    for table, other in mysql.crossing_foreign_keys(connection, database, chosen) if chosen else []:
        if other not in held:
            continue  # nothing that could be chosen: see refuse_immovable
        raise Problem(
            phrase(
                "A foreign key of {table} refers to {other}, and only one of the two is to be replaced.",
                table=table,
                other=other,
            ),
            code="swap.foreign_key_cut",
            safe=phrase("{target} was not touched.", target=target),
            do=phrase("Choose both tables, {in_place}", in_place=_IN_PLACE),
        )


def refuse_keys_from_elsewhere(target: str, chosen: Collection[str], server: mysql.Server) -> None:
    """Raise Problem where another database's foreign keys would go with the tables of before.

    `chosen` are the tables that are swapped, none for all.
    """
    with mysql.connect(server) as connection:
        found = mysql.foreign_keys_into(connection, target)
    for table, other in found:
        if _is(other, chosen):
            raise Problem(
                phrase(
                    "A foreign key of {table}, in another database, refers to {target}.{other}. After "
                    "a swap it would refer to the old table.",
                    table=table,
                    target=target,
                    other=other,
                ),
                code="swap.foreign_key_from_elsewhere",
                safe=phrase("{target} was not touched.", target=target),
                do=phrase("Drop that foreign key and add it again afterwards, or restore in place."),
            )


def refuse_taken(kept_in: str, target: str, server: mysql.Server) -> None:
    """Raise Problem where the database for the tables of before holds things already.

    Its name has the run's number, and a portal that was rebuilt begins to count anew.
    """
    with mysql.connect(server) as connection:
        taken = mysql.database_exists(connection, kept_in) and mysql.inventory(connection, kept_in)
    if taken:
        raise Problem(
            phrase("{kept_in} already holds tables. The old tables would be kept there.", kept_in=kept_in),
            code="swap.kept_not_empty",
            safe=phrase("{target} was not touched.", target=target),
            do=phrase("Try again, which takes another name; drop that database once nobody needs it."),
        )


def _is(table: str, chosen: Collection[str]) -> bool:
    return not chosen or table in chosen
