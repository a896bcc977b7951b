"""Rows that go because a neighbour's do, by a foreign key between two databases."""

from __future__ import annotations

import pytest

from backups.errors import Problem
from tests.replaying.playing import Played, end_of_log


@pytest.mark.one_flavour("mysql")
def test_rows_that_go_with_a_neighbours_are_made_again_or_end_the_replay(played: Played) -> None:
    """MySQL since 9.6 logs them. MariaDB logs that their table was opened, and nothing else."""
    server = played.server
    server.execute(
        "CREATE TABLE parents (i INT PRIMARY KEY); INSERT INTO parents VALUES (1), (2)", played.other
    )
    key = played.named("FOREIGN KEY (i) REFERENCES {other}.parents (i) ON DELETE CASCADE")
    server.execute(f"CREATE TABLE children (i INT PRIMARY KEY, {key})", played.source)
    server.execute("CREATE TABLE children (i INT PRIMARY KEY)", played.target)
    for database in (played.source, played.target):
        server.execute("INSERT INTO children VALUES (1), (2)", database)
    played.after = end_of_log(server)

    server.execute("DELETE FROM parents WHERE i = 1", played.other)

    assert server.query("SELECT i FROM children", played.source) == [(2,)]
    if server.flavour == "mysql":
        played.replay()
        assert played.query("SELECT i FROM children") == [(2,)]
        return
    with pytest.raises(Problem) as raised:
        played.replay()
    assert raised.value.code == "replay.barrier"


@pytest.mark.one_flavour("mariadb")
def test_a_neighbours_rows_alone_are_passed_over(played: Played) -> None:
    played.server.execute(
        "CREATE TABLE parents (i INT PRIMARY KEY); INSERT INTO parents VALUES (1)", played.other
    )
    played.execute("CREATE TABLE children (i INT PRIMARY KEY)")
    played.server.execute("DELETE FROM parents", played.other)
    played.execute("INSERT INTO children SELECT 1", "DELETE FROM children")

    played.replay()

    assert played.differing() == set()
