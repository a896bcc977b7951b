"""Whatever a server has set for everybody, backups, verifications and restores come out the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from backups.actions.steps.checks import Found
from backups.actions.steps.server_checks import may_dump
from backups.choices import RestoreMode
from backups.endpoints import database_server
from backups.models import Database, Run
from backups.mysql import connect, probe
from backups.mysql.session import BEGIN_LOADING, to_change
from tests.actions.tools import verdict, verify
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import SHOP
from tests.restoring.stories import (
    content,
    databases_of,
    drop_all,
    failed,
    make_restorable,
    restore,
    succeeded,
    undo,
    with_events_disabled,
)
from tests.servers import FLAVOURS, DatabaseServer

BackUp = Callable[[Database], Run]
KEYLESS = "CREATE TABLE bare (a INT, b VARCHAR(10)); INSERT INTO bare VALUES (2, 'x'), (1, 'y');"
COLUMNS = ", ".join(f"c{number} VARCHAR(255) DEFAULT 'x'" for number in range(200))
WIDE = f"""
SET SESSION innodb_strict_mode = OFF;
CREATE TABLE fixed (id INT PRIMARY KEY) ROW_FORMAT = FIXED;
CREATE TABLE survey (id INT PRIMARY KEY, {COLUMNS}) DEFAULT CHARSET = latin1;
INSERT INTO survey (id) VALUES (1);
"""
OLDEN = """
SET SESSION sql_mode = '';
CREATE TABLE olden (id INT PRIMARY KEY, c CHAR(10), d DATE NOT NULL DEFAULT '0000-00-00', t TIMESTAMP NULL);
INSERT INTO olden VALUES (1, 'pad', '0000-00-00', NULL), (2, '2', '2020-00-10', '2020-01-01 00:00:00');
CREATE TABLE many (id INT AUTO_INCREMENT PRIMARY KEY, s CHAR(50), n INT, KEY (s), KEY (n));
INSERT INTO many (s) VALUES ('a'), ('b'), ('c'), ('d'), ('e'), ('f'), ('g'), ('h');
INSERT INTO many (s, n) SELECT a.s, b.id FROM many a, many b, many c, many d LIMIT 3000;
"""
BROKEN_RULE = """
CREATE TABLE stock (id INT PRIMARY KEY, n INT, CONSTRAINT not_negative CHECK (n >= 0));
SET SESSION check_constraint_checks = OFF;
INSERT INTO stock VALUES (2, -3);
"""


@contextmanager
def set_for_all(server: DatabaseServer, settings: dict[str, str]) -> Iterator[None]:
    """Global settings for the length of a block."""
    before: dict[str, Any] = {}
    try:
        for name, value in settings.items():
            ((before[name],),) = server.query(f"SELECT @@GLOBAL.{name}")
            server.execute(f"SET GLOBAL {name} = {value}")
        yield
    finally:
        for name, value in reversed(before.items()):
            literal = f"'{value}'" if isinstance(value, str) else str(value)
            # Some answer with a word that they do not take.
            literal = "DEFAULT" if value in (None, "DEFAULT") else literal
            server.execute(f"SET GLOBAL {name} = {literal}")


# ---------------------------------------------------------------- What a session sets


def test_a_session_sets_what_is_otherwise_and_known() -> None:
    told = {
        "sql_mode": "ANSI_QUOTES",
        "foreign_key_checks": "ON",
        "max_statement_time": "0.000000",
        "innodb_strict_mode": "OFF",
        "explicit_defaults_for_timestamp": "ON",
        "wait_timeout": "28800",
        "lock_wait_timeout": "31536000",
        "enforce_storage_engine": "",
        "alter_algorithm": "INSTANT",
    }

    assert to_change(told) == {
        "sql_mode": "DEFAULT",
        "foreign_key_checks": "0",
        "wait_timeout": "604800",
        "alter_algorithm": "'DEFAULT'",
    }
    assert to_change({}) == {}
    assert "sql_require_primary_key" in BEGIN_LOADING


# ---------------------------------------------------------------- What the session may change


def test_limits_of_time_and_rules_of_today_stop_no_load(
    mariadb_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = make_restorable(mariadb_server, WIDE + OLDEN + BROKEN_RULE)
    database = make_database(shop)
    limits = {"alter_algorithm": "'INSTANT'", "tx_read_only": "1", "innodb_strict_mode": "1"}
    with set_for_all(mariadb_server, limits | {"max_statement_time": "0.02"}):
        succeeded(back_up(database))
        found = verdict(verify(database))

    assert (found.verdict, found.differences) == ("identical", [])
    drop_all(shop)


RULES = {"sql_require_primary_key": "1", "sql_generate_invisible_primary_key": "1"}


@pytest.mark.soak
def test_rules_for_primary_keys_are_turned_off_by_who_may(
    mysql_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = make_restorable(mysql_server, KEYLESS + WIDE)
    mysql_server.execute(f"GRANT SESSION_VARIABLES_ADMIN ON *.* TO '{shop.user}'@'%'")
    database = make_database(shop)
    succeeded(back_up(database))
    before = content(mysql_server, shop.name)

    with set_for_all(mysql_server, RULES):
        found = verdict(verify(database))
        succeeded(restore(database, RestoreMode.REPLACE, without_safety=True))

    assert (found.verdict, found.differences) == ("identical", [])
    assert content(mysql_server, shop.name) == before
    drop_all(shop)


# tests/restoring/test_outward.py has another rule of the server's named.
@pytest.mark.soak
def test_rules_for_primary_keys_are_named_as_the_servers_to_who_may_not(
    mysql_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = make_restorable(mysql_server, KEYLESS)
    database = make_database(shop)
    succeeded(back_up(database))
    before = content(mysql_server, shop.name)
    grant = f"GRANT SESSION_VARIABLES_ADMIN ON *.* TO '{shop.user}'@'%';"

    for name, value in RULES.items():
        with set_for_all(mysql_server, {name: value}):
            verified = failed(verify(database))
            in_place = failed(restore(database, RestoreMode.IN_PLACE))
            warnings = preflight_warnings(database)
        for told in (verified, in_place, " ".join(warnings)):
            assert name in told
            assert f"{grant} or SET GLOBAL {name} = 0;" in told
            assert "check the repository" not in told
        assert "The live database was not touched." in in_place

    assert content(mysql_server, shop.name) == before
    assert databases_of(shop) == [shop.name]
    drop_all(shop)


def preflight_warnings(database: Database) -> list[str]:
    server = database_server(database)
    with connect(server) as connection:
        found = Found(server=server, info=probe(connection))
    may_dump(database, found, None)
    return found.warnings


@pytest.mark.one_flavour("mariadb")
def test_a_limit_of_rows_cuts_no_dump(
    db_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    """Neither dump program minds it: each would write so many rows and be content."""
    shop = make_restorable(db_server, OLDEN)
    database = make_database(shop)

    with set_for_all(db_server, {"sql_select_limit": "100"}):
        run = back_up(database)

    if db_server.flavour == "mariadb":  # whose dump program cannot be told
        assert "sql_select_limit = 100. A dump would not hold all rows" in failed(run)
        assert database.snapshots.count() == 0
    else:
        succeeded(run)
        assert verdict(verify(database)).rows == 3010
    drop_all(shop)


@pytest.mark.soak
def test_who_holds_what_a_swap_waits_for_is_named(
    db_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backups.mysql import connection, session

    shop = make_restorable(db_server, "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)")
    may_see = "PROCESS, XA_RECOVER_ADMIN" if db_server.flavour == "mysql" else "PROCESS"
    db_server.execute(f"GRANT {may_see} ON *.* TO '{shop.user}'@'%'")
    database = make_database(shop)
    succeeded(back_up(database))
    waits = f"lock_wait_timeout = {session.LOCK_WAIT_SECONDS}"
    impatient = session.BEGIN_SHORT.replace(waits, "lock_wait_timeout = 1")
    monkeypatch.setattr(connection, "BEGIN_SHORT", impatient)
    shop.execute("XA START 'held'; UPDATE t SET id = 2; XA END 'held'; XA PREPARE 'held'")
    try:
        told = failed(restore(database, RestoreMode.REPLACE, without_safety=True))
    finally:
        shop.execute("XA ROLLBACK 'held'")

    assert "Lock wait timeout exceeded" in told
    assert "Who may hold it: the prepared transaction 'held' (XA RECOVER)" in told
    assert databases_of(shop) == [shop.name]
    drop_all(shop)


# ---------------------------------------------------------------- All of them, in the long run

EVERYWHERE: dict[str, dict[str, str]] = {
    "quotes": {"sql_mode": "'ANSI_QUOTES,PIPES_AS_CONCAT,IGNORE_SPACE'"},
    "strict": {"sql_mode": "'TRADITIONAL,ONLY_FULL_GROUP_BY'"},
    "no zero dates": {"sql_mode": "'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE'"},
    "padded": {"sql_mode": "'PAD_CHAR_TO_FULL_LENGTH'"},
    "no escapes": {"sql_mode": "'NO_BACKSLASH_ESCAPES'"},
    "implicit times": {"explicit_defaults_for_timestamp": "0"},
    "explicit times": {"explicit_defaults_for_timestamp": "1"},
    "no keys checked": {"foreign_key_checks": "0", "unique_checks": "0"},
    "row format": {"innodb_default_row_format": "redundant"},
    "engine": {"default_storage_engine": "MyISAM"},
    "short waits": {"lock_wait_timeout": "1", "innodb_lock_wait_timeout": "1", "wait_timeout": "1"},
    "short network": {"net_read_timeout": "1", "net_write_timeout": "1"},
    "init_connect": {"init_connect": "'SET autocommit = 0, sql_mode = ''ANSI_QUOTES'', NAMES latin1'"},
    "no autocommit": {"autocommit": "0"},
    "chained": {"completion_type": "CHAIN"},
    "safe updates": {"sql_safe_updates": "1"},
    "latin1": {"character_set_server": "latin1", "collation_server": "latin1_german1_ci"},
    "zone": {"time_zone": "'+05:00'"},
    "unquoted": {"sql_quote_show_create": "0"},
    "steps": {"auto_increment_increment": "10", "auto_increment_offset": "5"},
    "silent": {"sql_notes": "0", "max_error_count": "0"},
}
OF_MYSQL: dict[str, dict[str, str]] = {
    "short statements": {"max_execution_time": "1"},
    "reads only": {"transaction_read_only": "1"},
    "few rows": {"sql_select_limit": "2"},
    "hidden keys": {"show_gipk_in_create_table_and_information_schema": "0"},
    "collation": {"default_collation_for_utf8mb4": "utf8mb4_general_ci"},
}
OF_MARIADB: dict[str, dict[str, str]] = {
    "short statements": {"max_statement_time": "0.02"},
    "reads only": {"tx_read_only": "1"},
    "another time": {"system_versioning_asof": "'2020-01-01 00:00:00'"},
    "idle": {"idle_transaction_timeout": "1", "idle_readonly_transaction_timeout": "1"},
    "instant": {"alter_algorithm": "'INSTANT'"},
    "compressed": {"innodb_compression_default": "1"},
    "encryption key": {"innodb_default_encryption_key_id": "2"},
    "old": {"old_mode": "'NO_PROGRESS_INFO,ZERO_DATE_TIME_CAST'"},
    "oracle": {"sql_mode": "'ORACLE'"},
    "no options": {"sql_mode": "'NO_TABLE_OPTIONS,NO_KEY_OPTIONS,NO_FIELD_OPTIONS'"},
}
CASES: Sequence[tuple[str, dict[str, str]]] = [
    (flavour, settings)
    for flavour in FLAVOURS
    for settings in (EVERYWHERE | (OF_MYSQL if flavour == "mysql" else OF_MARIADB)).values()
]


@pytest.mark.soak
@pytest.mark.parametrize(("flavour", "of_server"), CASES, ids=lambda value: str(value))
def test_settings_of_a_server_change_nothing(
    flavour: str,
    of_server: dict[str, str],
    request: pytest.FixtureRequest,
    make_database: MakeDatabase,
    back_up: BackUp,
    settings: Settings,
) -> None:
    server: DatabaseServer = request.getfixturevalue(f"{flavour}_server")
    shop = make_restorable(server, SHOP + OLDEN + KEYLESS)
    database = make_database(shop)
    reference = content(server, shop.name)
    before = succeeded(back_up(database)).snapshot

    with set_for_all(server, of_server):
        under = succeeded(back_up(database)).snapshot
        for snapshot in (before, under):
            assert verdict(verify(database, snapshot)).verdict == "identical"
        for settings.RESTORE_CONNECTIONS in (1, 4):
            target = f"{shop.name}_{settings.RESTORE_CONNECTIONS}"
            succeeded(restore(database, RestoreMode.NEW, snapshot=under, target=target))
        chosen = ["bare", "many"]
        target = f"{shop.name}_chosen"
        succeeded(restore(database, RestoreMode.NEW, snapshot=before, target=target, tables=chosen))
        swapped = succeeded(restore(database, RestoreMode.REPLACE, snapshot=before))
        succeeded(undo(swapped))
        succeeded(restore(database, RestoreMode.IN_PLACE, snapshot=before))

    assert content(server, shop.name) == reference
    for connections in (1, 4):
        assert content(server, f"{shop.name}_{connections}") == with_events_disabled(reference)
    drop_all(shop)
