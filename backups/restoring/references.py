"""What refers to tables of which only some are to come back, said before anybody presses a button."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from backups import mysql
from backups.text.sentences import phrase

# A sentence for each table at most; more nobody reads.
_MOST_SENTENCES = 40
_MOST_NAMES = 12
# Each table is looked for in the text of each view and trigger.
_MOST_LOOKED_FOR = 100


def words_about(connection: Any, database: str, chosen: Collection[str]) -> list[str]:
    """Keys from and to the chosen tables, the views that read them, the triggers that they have or are in.

    By the live database, as far as the server shows it to this user.
    """
    told = _of_keys(connection, database, chosen)
    if len(chosen) <= _MOST_LOOKED_FOR:
        told += _of_views(connection, database, chosen)
        told += _of_triggers(connection, database, chosen)
    return told[:_MOST_SENTENCES]


def _of_keys(connection: Any, database: str, chosen: Collection[str]) -> list[str]:
    told = []
    for key in mysql.foreign_keys(connection, database):
        there = key.referenced if key.schema == database else f"{key.schema}.{key.referenced}"
        comes_too = key.schema == database and key.referenced in chosen
        if key.table in chosen and comes_too:
            words = phrase(
                "A foreign key of {table} refers to {other}: both come back.", table=key.table, other=there
            )
        elif key.table in chosen:
            words = phrase(
                "A foreign key of {table} refers to {other}, which stays as it is: rows that come back may "
                "refer to rows that are not there.",
                table=key.table,
                other=there,
            )
        elif comes_too:
            words = phrase(
                "A foreign key of {table}, which stays as it is, refers to {other}: its rows may refer to "
                "rows that are not there any more.",
                table=key.table,
                other=there,
            )
        else:
            continue
        told.append(words)
    return sorted(set(told))


def _of_views(connection: Any, database: str, chosen: Collection[str]) -> list[str]:
    views = mysql.views_reading(connection, database, chosen)
    return [
        phrase(
            "These views read {table}, and will read what comes back: {views}.",
            table=table,
            views=_named(names),
        )
        for table in sorted(chosen)
        if (names := [view.name for view in views if view.names == table])
    ]


def _of_triggers(connection: Any, database: str, chosen: Collection[str]) -> list[str]:
    triggers = mysql.triggers_about(connection, database, chosen)
    told = []
    for table in sorted(chosen):
        if own := [each.name for each in triggers if each.table == table]:
            told.append(
                phrase(
                    "These triggers of {table} make way for those of the snapshot: {triggers}.",
                    table=table,
                    triggers=_named(own),
                )
            )
        if others := [
            phrase("{trigger} of {table}", trigger=each.name, table=each.table)
            for each in triggers
            if each.names == table and each.table != table
        ]:
            told.append(
                phrase(
                    "These triggers of other tables name {table}, and stay as they are: {triggers}.",
                    table=table,
                    triggers=_named(others),
                )
            )
    return told


def _named(names: list[str]) -> str:
    return mysql.named(sorted(names), most=_MOST_NAMES)
