"""What a swap cannot carry, or must not, found before anything is touched.

RENAME TABLE between databases takes most tables whole. What it does not was tried on MariaDB 10.11
and MySQL 9.7, kind by kind; docs/compatibility.md has the table.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from backups import mysql
from backups.errors import Problem
from backups.restoring.foreign_keys import refuse_keys_to_nothing
from backups.text.sentences import phrase


def refuse_immovable(connection: Any, database: str, chosen: Collection[str] = (), *, target: str) -> None:
    """Raise Problem for what of `database`, or of its `chosen` tables, no RENAME can carry.

    `target` is the live database, which is told to be untouched.
    """
    safe = phrase("{target} was not touched.", target=target)
    refuse_read_only(connection, database, target=target)
    _refuse_directories(connection, database, chosen, safe)
    refuse_keys_to_nothing(connection, database, chosen, safe=safe)


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
                "The table {found} of {database} lies in a folder of its own (DATA DIRECTORY). After a swap, "
                "MariaDB cannot read such a table once it is started again. One of MyISAM or Aria cannot "
                "even be made a second time.",
                found=found[0],
                database=database,
            ),
            code="swap.data_directory",
            safe=safe,
            do=phrase("Restore in place, which swaps nothing."),
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
