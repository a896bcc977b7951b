"""MySQL's libraries, and the routines that use them: wherever a database goes, each finds its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backups.actions.steps.sections import as_counted_then, differing_sections
from backups.choices import Action, RestoreMode, Verdict
from backups.models import Database, Run
from backups.restoring.plan import plan
from tests.actions.tools import verdict, verify
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop
from tests.restoring.stories import (
    again,
    content,
    drop_all,
    failed,
    log_of,
    make_restorable,
    quoted,
    replace,
    restore,
    succeeded,
    undo,
)
from tests.servers import DatabaseServer

BackUp = Callable[[Database], Run]
# The library's name sorts behind those of its users, and its text looks like a dump's.
USED = """
CREATE TABLE goods (id INT PRIMARY KEY);
INSERT INTO goods VALUES (1);
CREATE LIBRARY `z``maths` LANGUAGE JAVASCRIPT AS $q$
export function f(n) { return n + 1; } // USING (`z`)
DROP LIBRARY IF EXISTS `none`;
$q$;
CREATE LIBRARY alone COMMENT 'used by none' LANGUAGE JAVASCRIPT AS 'export const it = ";;";';
CREATE FUNCTION adds(n INT) RETURNS INT DETERMINISTIC NO SQL LANGUAGE JAVASCRIPT
  USING (`z``maths` AS a, alone) COMMENT 'with' AS $$ return a.f(n); $$;
CREATE PROCEDURE told() NO SQL LANGUAGE JAVASCRIPT USING (alone) AS $$ alone.it; $$;
CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC NO SQL RETURN 2 * n;
"""
LATER = """
INSERT INTO goods VALUES (2);
DROP FUNCTION adds;
DROP LIBRARY alone;
CREATE LIBRARY later LANGUAGE JAVASCRIPT AS 'export function f(n) { return 9; }';
CREATE FUNCTION adds(n INT) RETURNS INT DETERMINISTIC NO SQL LANGUAGE JAVASCRIPT USING (later AS a)
  AS $$ return a.f(n); $$;
DROP PROCEDURE told;
"""


@pytest.fixture
def calculating(mysql_server: DatabaseServer) -> Iterator[Shop]:
    """A database with libraries and routines that use them."""
    shop = make_restorable(mysql_server, USED)
    yield shop
    drop_all(shop)


def used(shop: Shop, name: str) -> set[tuple[str, str, str]]:
    """Which routine of a database uses which library of which database."""
    asked = "SELECT ROUTINE_NAME, LIBRARY_SCHEMA, LIBRARY_NAME FROM information_schema.ROUTINE_LIBRARIES"
    return {
        (str(a), str(b), str(c)) for a, b, c in shop.server.query(f"{asked} WHERE ROUTINE_SCHEMA = '{name}'")
    }


# tests/restoring/test_left_out.py has libraries replaced and had back.
@pytest.mark.soak
def test_replaced_and_undone_all_is_as_it_was(
    calculating: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = calculating
    database = make_database(shop)
    was = content(shop.server, shop.name)
    saved = back_up(database).snapshot
    assert saved is not None
    assert saved.manifest
    assert saved.manifest["inventory"]["library"] == ["alone", "z`maths"]
    assert saved.manifest["routines_of_others"] == []
    shop.server.load(LATER, shop.name)
    later = content(shop.server, shop.name)

    replaced = replace(database, snapshot=saved)
    assert content(shop.server, shop.name) == was
    succeeded(undo(replaced))
    assert content(shop.server, shop.name) == later


@pytest.mark.soak
@pytest.mark.parametrize("connections", [1, 4])
def test_verified_undone_twice_and_in_place_all_is_as_it_was(
    calculating: Shop, make_database: MakeDatabase, back_up: BackUp, settings: Any, connections: int
) -> None:
    settings.RESTORE_CONNECTIONS = connections
    shop = calculating
    database = make_database(shop)
    was = content(shop.server, shop.name)
    saved = back_up(database).snapshot
    assert saved is not None
    found = verdict(verify(database, saved))
    assert found.verdict == Verdict.IDENTICAL, found.differences

    shop.server.load(LATER, shop.name)
    undone = succeeded(undo(replace(database, snapshot=saved)))
    succeeded(undo(undone))
    assert content(shop.server, shop.name) == was

    shop.server.load(LATER, shop.name)
    succeeded(restore(database, RestoreMode.IN_PLACE, snapshot=saved, without_safety=True))
    shop.execute("DROP LIBRARY later")  # what the snapshot does not know stays
    assert content(shop.server, shop.name) == was
    assert {of for _, of, _ in used(shop, shop.name)} == {shop.name}

    shop.server.load(LATER, shop.name)
    succeeded(restore(database, RestoreMode.REPLACE, snapshot=saved, tables=["goods"], without_safety=True))
    assert shop.query("SELECT * FROM goods") == [(1,)]
    assert ("adds", shop.name, "later") in used(shop, shop.name)


@pytest.mark.soak
def test_copy_uses_its_own_libraries_also_when_the_live_database_is_gone(
    calculating: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = calculating
    database = make_database(shop)
    was = content(shop.server, shop.name)
    saved = back_up(database).snapshot
    copy = f"{shop.name}__copy"

    succeeded(restore(database, RestoreMode.NEW, snapshot=saved, target=copy))
    assert content(shop.server, copy) == was
    assert {of for _, of, _ in used(shop, copy)} == {copy}

    shop.server.execute(f"DROP DATABASE {quoted(copy)}; DROP DATABASE {quoted(shop.name)}")
    succeeded(restore(database, RestoreMode.NEW, snapshot=saved, target=copy))
    assert content(shop.server, copy) == was
    succeeded(restore(database, RestoreMode.NEW, snapshot=saved, target=shop.name))
    assert content(shop.server, shop.name) == was


@pytest.mark.soak
def test_library_of_another_database_is_told_and_a_routine_without_it_is_named(
    calculating: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop, other = calculating, f"{calculating.name}_other"
    shop.server.create_database(other)
    shop.server.load("CREATE LIBRARY far LANGUAGE JAVASCRIPT AS 'export const it = 1;'", other)
    shop.server.load(
        f"CREATE FUNCTION asks() RETURNS INT DETERMINISTIC NO SQL LANGUAGE JAVASCRIPT"
        f" USING (alone, {other}.far) AS $$ return far.it; $$",
        shop.name,
    )
    database = make_database(shop)
    saved = back_up(database).snapshot
    assert saved is not None
    assert saved.manifest
    assert saved.manifest["routines_of_others"] == ["asks"]
    told = plan(database, saved, mode=RestoreMode.NEW, target=f"{shop.name}__copy")
    assert "These routines use libraries of other databases" in " ".join(told.warnings)
    assert verdict(verify(database, saved)).verdict == Verdict.IDENTICAL
    was = content(shop.server, shop.name)

    shop.server.execute(f"DROP DATABASE {other}")
    copy = f"{shop.name}__copy"
    run = restore(database, RestoreMode.NEW, snapshot=saved, target=copy)
    assert "function asks could not be made" in failed(run)
    assert {name for name, _, _ in used(shop, copy)} == {"adds", "told"}

    shop.server.create_database(other)
    shop.server.load("CREATE LIBRARY far LANGUAGE JAVASCRIPT AS 'export const it = 1;'", other)
    succeeded(again(run, Action.DEFINE))
    assert content(shop.server, copy) == was


@pytest.mark.soak
def test_library_dropped_by_mistake_comes_back_and_the_way_back_is_whole_but_for_what_lacked_it(
    calculating: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = calculating
    database = make_database(shop)
    was = content(shop.server, shop.name)
    saved = back_up(database).snapshot
    shop.execute("DROP LIBRARY `z``maths`; DROP PROCEDURE told")
    assert "uses a library that is not there" in back_up(database).error
    told = failed(restore(database, RestoreMode.REPLACE, snapshot=saved))
    assert "uses a library that is not there" in told
    assert "restore without the safety backup" in told

    replaced = replace(database, snapshot=saved)
    assert content(shop.server, shop.name) == was
    undone = succeeded(undo(replaced))
    assert "The function adds lacked a library before" in log_of(undone)
    routines = shop.query("SHOW FUNCTION STATUS WHERE Db = DATABASE()")
    assert [row[1] for row in routines] == ["twice"]
    assert shop.query("SELECT twice(2)") == [(4,)]
    succeeded(undo(undone))
    assert content(shop.server, shop.name) == was


def section(kind: str, size: int, name: str = "") -> dict[str, Any]:
    return {"kind": kind, "name": name, "bytes": size, "sha256": f"{kind}{name}{size}"}


# As an older version counted a dump, and as it is counted now.
THEN = [
    section("rows", 83, "t"),
    section("routines", 29),
    section("function", 1169, "u"),
    section("procedure", 1056, "p"),
    section("routine", 535),
    section("view", 750, "v"),
]
NOW = [
    section("rows", 83, "t"),
    section("library", 400, "l1"),
    section("library", 400, "l2"),
    section("function", 1055, "u"),
    section("procedure", 934, "p"),
    section("view", 750, "v"),
]


def test_manifests_of_versions_that_knew_no_libraries_still_fit_their_dumps() -> None:
    assert differing_sections(THEN, as_counted_then(NOW, THEN), "here") == []
    assert as_counted_then(NOW, NOW) == NOW
    assert as_counted_then([NOW[0], NOW[-1]], THEN) == [NOW[0], NOW[-1]]
    for number in range(len(NOW)):
        cut = [{**each, "bytes": 7, "sha256": ""} if n == number else each for n, each in enumerate(NOW)]
        assert differing_sections(THEN, as_counted_then(cut, THEN), "here"), NOW[number]
