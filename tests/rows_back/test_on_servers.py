"""Scripts on real servers: the chosen rows are as they were, the others as they are, and undone as before."""

from __future__ import annotations

import os
import random
from dataclasses import replace

import MySQLdb
import pytest

from backups.rows_back.script import Script, inverse, write
from tests.rows_back.running import ALL, HEAD, Changed, differences, dumped, given_back, run, tables_of
from tests.rows_back.worlds import a_world
from tests.servers import DatabaseServer

SEED = int(os.environ.get("VEDETTA_SEED") or "20261130")
# What has no answer when some rows are chosen and others not: a key is taken, a parent missing.
IMPOSSIBLE = (1062, 1451, 1452)
# As those who let zero dates in, with names and words of its own in its sessions.
AS_IT_LIKES = "SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00', timestamp = {moment}"


def settle(server: DatabaseServer, database: str, statements: list[str], moment: int) -> None:
    run(
        server,
        database,
        [
            b"SET NAMES utf8mb4",
            AS_IT_LIKES.format(moment=moment).encode(),
            *(each.encode() for each in statements),
            b"COMMIT",
            b"SELECT 1",
        ],
    )


def how_it_fails(server: DatabaseServer, database: str, script: Script) -> int | None:
    """The server's error, None where all was given back."""
    try:
        assert run(server, database, script.statements()) == ALL
    except MySQLdb.Error as error:
        return int(error.args[0])
    return None


@pytest.mark.one_flavour("mariadb")
@pytest.mark.parametrize(
    "number", [0, *(pytest.param(number, marks=pytest.mark.soak) for number in range(1, 40))]
)
def test_chosen_rows_are_as_they_were_others_as_they_are_and_undone_as_before(
    number: int, db_server: DatabaseServer
) -> None:
    draw = random.Random(f"{SEED} {number}")
    worlds = [a_world(draw, f"t{at}", db_server.flavour) for at in range(6)]
    database = "any_rows"
    head = replace(HEAD, database=database)
    db_server.create_database(database)
    settle(db_server, database, [world.create for world in worlds], 10**9)
    settle(db_server, database, [each for world in worlds for each in world.inserted(draw, 14)], 10**9)
    then = dumped(db_server, database)
    changes = [each for world in worlds for each in world.changed(draw)]
    settle(db_server, database, changes, 2 * 10**9)
    # Of these rows the server notes no other time.
    settle(db_server, database, worlds[0].swapped(), 10**9)
    now = dumped(db_server, database)
    tables, found = tables_of(now), differences(then, now)
    assert {(each.then is None, each.now is None) for each in found} == {
        (False, False),
        (True, False),
        (False, True),
    }

    some: list[Changed] = []
    undos: list[Script] = []
    for world in worlds:
        chosen = [each for each in found if each.table == world.name and draw.randrange(3)]
        failed = how_it_fails(db_server, database, write(chosen, tables, head)) if chosen else 0
        assert failed in (None, 0, *IMPOSSIBLE)
        if failed is None:
            some += chosen
            undos.insert(0, inverse(chosen, tables, head))
    assert dumped(db_server, database).told() == given_back(now, some)
    for undo in undos:
        assert run(db_server, database, undo.statements()) == ALL
    assert dumped(db_server, database).told() == now.told()

    assert run(db_server, database, write(found, tables, head).statements()) == ALL
    assert dumped(db_server, database).told() == then.told()
    assert run(db_server, database, inverse(found, tables, head).statements()) == ALL
    assert dumped(db_server, database).told() == now.told()
