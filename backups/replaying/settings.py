"""The session in which a statement of the log ran, as settings for the one that runs it again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import MySQLdb

from backups import mysql
from backups.binlog.queries import (
    AUTO_IS_NULL,
    EXPLICIT_TIMESTAMP_DEFAULTS,
    IF_EXISTS,
    INSERT_HISTORY,
    NO_CHECK_CONSTRAINTS,
    NO_FOREIGN_KEY_CHECKS,
    RELAXED_UNIQUE_CHECKS,
    Query,
)
from backups.mysql.answers import as_number, as_text, fetch_rows

# None is as the session began.
Settings = dict[str, str | None]
# MariaDB has had the same collation under several numbers since 10.10, one for each character set, and tells
# them apart in another table than before. https://jira.mariadb.org/browse/MDEV-27009
_BY_CHARACTER_SET = (
    "SELECT ID, FULL_COLLATION_NAME, CHARACTER_SET_NAME "
    "FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY WHERE ID IS NOT NULL"
)
_COLLATIONS = (
    _BY_CHARACTER_SET,
    "SELECT ID, COLLATION_NAME, CHARACTER_SET_NAME FROM information_schema.COLLATIONS WHERE ID IS NOT NULL",
)
_LOGS_TIMESTAMP_DEFAULTS = (10, 10)
# Of a client that said nothing of them, as the log has it.
_ONE_BY_ONE = (1, 1)


class UnknownCollation(Exception):
    """The server has no collation of that number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass(frozen=True)
class Collations:
    """A server's collations by number."""

    by_number: dict[int, tuple[str, str]]

    @classmethod
    def of(cls, connection: Any) -> Collations:
        """Ask for them. Raises MySQLdb.Error."""
        for statement in _COLLATIONS:
            try:
                rows = fetch_rows(connection, statement, 3)
            except MySQLdb.Error:
                if statement == _COLLATIONS[-1]:
                    raise
                continue
            return cls({as_number(number): (as_text(name), as_text(of)) for number, name, of in rows})
        raise AssertionError

    def name(self, number: int) -> str:
        """What a collation is called. Raises UnknownCollation."""
        return self._found(number)[0]

    def character_set(self, number: int) -> str:
        """Of which character set a collation is. Raises UnknownCollation."""
        return self._found(number)[1]

    def _found(self, number: int) -> tuple[str, str]:
        if number not in self.by_number:
            raise UnknownCollation(number)
        return self.by_number[number]


def settings_of(query: Query, collations: Collations, info: mysql.ServerInfo) -> Settings:
    """What a session has to be told before a statement is run again. Raises UnknownCollation."""
    increment, offset = query.auto_increment or _ONE_BY_ONE
    changed: Settings = {
        "auto_increment_increment": str(increment),
        "auto_increment_offset": str(offset),
        "sql_mode": None if query.sql_mode is None else str(query.sql_mode),
        "time_zone": None if query.time_zone is None else query.time_zone.decode("latin-1"),
        "lc_time_names": str(query.lc_time_names or 0),
        "timestamp": _moment(query),
    }
    if query.charsets is not None:
        client, connection, _ = query.charsets
        changed["character_set_client"] = collations.character_set(client)
        changed["collation_connection"] = collations.name(connection)
    changed |= dict(_flags(query, info))
    if query.utf8mb4_collation is not None:
        changed["default_collation_for_utf8mb4"] = collations.name(query.utf8mb4_collation)
    if info.flavour == mysql.MARIADB:
        changed["character_set_collations"] = ",".join(
            f"{collations.character_set(of)}={collations.name(default)}" for of, default in query.collations
        )
    return changed


def _moment(query: Query) -> str:
    if query.microseconds is None:
        return str(query.when)
    return f"{query.when}.{query.microseconds:06}"


def _flags(query: Query, info: mysql.ServerInfo) -> Iterator[tuple[str, str]]:
    if query.explicit_timestamp_defaults is not None:
        yield "explicit_defaults_for_timestamp", _switch(query.explicit_timestamp_defaults)
    if query.encrypts_tables is not None:
        yield "default_table_encryption", str(query.encrypts_tables)
    flags = query.flags2
    if flags is None:
        return
    yield "foreign_key_checks", _switch(not flags & NO_FOREIGN_KEY_CHECKS)
    yield "unique_checks", _switch(not flags & RELAXED_UNIQUE_CHECKS)
    yield "sql_auto_is_null", _switch(flags & AUTO_IS_NULL)
    if info.flavour == mysql.MARIADB:
        yield "check_constraint_checks", _switch(not flags & NO_CHECK_CONSTRAINTS)
        yield "sql_if_exists", _switch(flags & IF_EXISTS)
        yield "system_versioning_insert_history", _switch(flags & INSERT_HISTORY)
        # Older ones do not log it, and have it for the whole server.
        if info.number >= _LOGS_TIMESTAMP_DEFAULTS:
            yield "explicit_defaults_for_timestamp", _switch(flags & EXPLICIT_TIMESTAMP_DEFAULTS)


def _switch(value: object) -> str:
    return "1" if value else "0"
