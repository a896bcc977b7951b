"""XA transactions count from their commit on, wherever they were prepared."""

from __future__ import annotations

import pytest

from backups.errors import Problem
from tests.replaying.playing import Played, end_of_log
from tests.replaying.session import say

TABLE = "CREATE TABLE t (i INT PRIMARY KEY)"


def prepared(played: Played, name: str, row: int) -> None:
    """A transaction that inserts a row and is left prepared."""
    prepare = [
        f"XA START '{name}'",
        f"INSERT INTO t VALUES ({row})",
        f"XA END '{name}'",
        f"XA PREPARE '{name}'",
    ]
    say(played.server, played.source, prepare)


@pytest.mark.one_flavour("mysql")
def test_rows_come_with_the_commit_and_none_with_a_rollback(played: Played) -> None:
    played.execute(TABLE)
    one, two, three = (f"{name}_{played.suffix}" for name in ("one", "two", "three"))
    for name, row in ((one, 1), (two, 2), (three, 3)):
        prepared(played, name, row)
    played.execute("INSERT INTO t VALUES (10)", f"XA COMMIT '{one}'", f"XA ROLLBACK '{two}'")
    say(
        played.server,
        played.source,
        [
            "XA START 'at_once'",
            "INSERT INTO t VALUES (4)",
            "XA END 'at_once'",
            "XA COMMIT 'at_once' ONE PHASE",
        ],
    )

    replayed = played.replay()

    assert played.query("SELECT i FROM t ORDER BY i") == [(1,), (4,), (10,)]
    assert replayed.left_prepared == 1
    played.execute(f"XA ROLLBACK '{three}'")


def test_one_that_was_prepared_before_the_base_is_found_there_or_ends_the_replay(played: Played) -> None:
    played.execute(TABLE)
    beginning = played.after
    name = f"early_{played.suffix}"
    prepared(played, name, 1)
    played.after = end_of_log(played.server)
    played.server.execute(TABLE, played.target)
    played.execute(f"XA COMMIT '{name}'")

    assert played.replay().transactions == 1
    assert played.query("SELECT i FROM t") == [(1,)]
    assert beginning.file == played.after.file

    played.server.execute("FLUSH BINARY LOGS")
    prepared(played, name, 2)
    played.server.execute("FLUSH BINARY LOGS")
    played.after = end_of_log(played.server)
    played.execute(f"XA COMMIT '{name}'")
    with pytest.raises(Problem) as raised:
        played.replay()
    assert raised.value.code == "replay.xa_before_base"
