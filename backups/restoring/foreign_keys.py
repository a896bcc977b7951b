"""Foreign keys that a restore would cut or leave pointing elsewhere, checked before anything is touched.

Which keys there are is asked in `mysql.constraints`. Those of the dump are made after its rows (`loading`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from backups import mysql
from backups.errors import Problem
from backups.text.sentences import phrase

_IN_PLACE = phrase("or restore in place.")


def refuse_keys_to_nothing(connection: Any, database: str, chosen: Collection[str], *, safe: str) -> None:
    """Raise Problem for a foreign key of a swapped table that refers to a table which is not there."""
    for key in mysql.keys_without_parent(connection, database):
        if _is_chosen(key.table, chosen):
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

    `chosen` are the tables that are swapped, none for all. See `unseen_words` for what the user cannot see.
    """
    with mysql.connect(server) as connection:
        found = mysql.foreign_keys_into(connection, target)
        by_engine = mysql.foreign_keys_into_by_engine(connection, target)
    for table, other in [*found, *(by_engine or [])]:
        if _is_chosen(other, chosen):
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


def unseen_words(target: str, server: mysql.Server) -> str:
    """That keys of other databases cannot be seen, and what becomes of them; empty where they can be."""
    with mysql.connect(server) as connection:
        if mysql.foreign_keys_into_by_engine(connection, target) is not None:
            return ""
    return phrase(
        "Other databases may have foreign keys to tables of {target}, which {user} may not see. After a swap "
        "such a key refers to the table of before. Have an administrator look (docs/operations.md, Foreign "
        "keys of other databases), or grant PROCESS, with which the restore sees them and is refused.",
        target=target,
        user=server.user,
    )


def _is_chosen(table: str, chosen: Collection[str]) -> bool:
    return not chosen or table in chosen
