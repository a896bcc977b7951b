"""A backup, a verification, each restore and each undo touch only what they may.

Seen in the server's general log, with the most awkward database there is, beside another that nobody means.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from backups.choices import RestoreMode
from backups.models import Database, Run
from tests.actions.tools import verdict, verify
from tests.backups.conftest import (
    MakeDatabase,
)
from tests.backups.worlds import AWKWARD, Shop
from tests.restoring.stories import (
    content,
    databases_of,
    drop_all,
    make_restorable,
    quoted,
    restore,
    succeeded,
    undo,
    with_events_disabled,
)
from tests.servers import DatabaseServer

BackUp = Callable[[Database], Run]
TEXTS = re.compile(r"'(?:[^'\\]|\\.|'')*+'|/\*(?!M?!).*?\*/", re.S)
LOOKS = re.compile(
    r"\s*(?:/\*!?\d* ?)?(?:SHOW|SELECT|SET|KILL|LOCK TABLES|UNLOCK TABLES|START TRANSACTION|ROLLBACK|COMMIT"
    r"|SAVEPOINT|RELEASE|FLUSH)\b",
    re.I,
)


@pytest.fixture
def shop(db_server: DatabaseServer) -> Iterator[Shop]:
    """Beside a neighbour that has tables of the same names."""
    name = f"awk{secrets.token_hex(3)}"
    shop = make_restorable(db_server, "", name=name)
    for part in ("common", db_server.flavour):
        text = (AWKWARD / f"awkward_{part}.sql").read_bytes()
        db_server.client("--binary-mode", "--default-character-set=utf8mb4", name, stdin=text)
    db_server.create_database("neighbour")
    db_server.load("CREATE TABLE `order` (id INT PRIMARY KEY); INSERT INTO `order` VALUES (1);", "neighbour")
    # Who may do all is kept by nothing but what is sent.
    db_server.execute(f"GRANT ALL ON *.* TO '{shop.user}'@'%'")
    yield shop
    drop_all(shop)
    db_server.execute("DROP DATABASE neighbour")


@contextmanager
def said(shop: Shop) -> Iterator[list[str]]:
    """What the shop's user says to the server in a block, without what stands in quotes."""
    server, found = shop.server, list[str]()
    server.execute("SET GLOBAL log_output='TABLE'; TRUNCATE mysql.general_log; SET GLOBAL general_log=ON")
    try:
        yield found
    finally:
        server.execute("SET GLOBAL general_log=OFF")
    rows: list[tuple[Any, ...]] = server.query(
        "SELECT argument FROM mysql.general_log WHERE user_host LIKE %s"
        " AND command_type IN ('Query', 'Execute', 'Prepare', 'Init DB')",
        None,
        [f"{shop.user}%"],
    )
    for (text,) in rows:
        told = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
        found.append(TEXTS.sub("''", told))


def changing(statements: list[str], name: str) -> list[str]:
    """Statements that do more than look and name this database as one."""
    named = re.compile(rf"(?<![\w`$]){re.escape(quoted(name))}(?=\s*\.)|(?:DATABASE|SCHEMA)\b[^`]*"
                       rf"{re.escape(quoted(name))}", re.I)  # fmt: skip
    return [text for text in statements if named.search(text) and not LOOKS.match(text)]


@pytest.mark.one_flavour("mariadb")
def test_each_brings_back_the_same_bytes_and_touches_only_what_it_may(
    shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    database = make_database(shop)
    was = content(shop.server, shop.name)
    before = shop.server.query("CHECKSUM TABLE neighbour.`order`")

    with said(shop) as of_backup:
        succeeded(back_up(database))
    assert len(of_backup) > 100
    assert changing(of_backup, shop.name) == []

    with said(shop) as of_verification:
        assert verdict(verify(database)).verdict == "identical"
    with said(shop) as of_copy:
        succeeded(restore(database, RestoreMode.NEW, target=f"{shop.name}_copy"))
    for statements in (of_verification, of_copy):
        assert any("CREATE TABLE" in text for text in statements)
        assert changing(statements, shop.name) == []
    assert content(shop.server, f"{shop.name}_copy") == with_events_disabled(was)

    shop.execute("CREATE TABLE `of later` (id INT); INSERT INTO `of later` VALUES (1)")
    with_more = content(shop.server, shop.name)
    with said(shop) as of_swaps:
        replaced = succeeded(restore(database, RestoreMode.REPLACE, without_safety=True))
        replaced_by = content(shop.server, shop.name)
        undone = succeeded(undo(replaced))
        undone_to = content(shop.server, shop.name)
        succeeded(undo(undone))
        succeeded(restore(database, RestoreMode.IN_PLACE, without_safety=True))
    assert (replaced_by, undone_to) == (was, with_more)
    assert content(shop.server, shop.name) == was
    assert changing(of_swaps, shop.name) != []
    assert changing(of_swaps, f"{shop.name}_copy") == []

    for statements in (of_backup, of_verification, of_copy, of_swaps):
        assert [text for text in statements if "neighbour" in text] == []
        assert [text for text in statements if re.match(r"\s*(?:GRANT|CALL|LOAD)\b", text, re.I)] == []
        chosen = {found[1] for text in statements if (found := re.match(r"\s*USE `([^`]*)", text, re.I))}
        assert {name for name in chosen if not name.startswith(shop.name)} == set()
    assert shop.server.query("CHECKSUM TABLE neighbour.`order`") == before
    ours = {name for name in databases_of(shop) if not name.startswith(f"{shop.name}__before_")}
    assert ours == {shop.name, f"{shop.name}_copy"}
