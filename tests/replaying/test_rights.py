"""Who may not replay is told so beforehand, with the GRANT that is enough."""

from __future__ import annotations

import pytest

from backups import mysql
from backups.errors import Problem
from backups.replaying.rights import missing_for_replay
from tests.replaying.playing import Played, end_of_log
from tests.replaying.stories import DEFINITIONS, FROM_ELSEWHERE, NEIGHBOUR, ROWS, TABLES


def user_of(played: Played, *grants: str) -> mysql.Server:
    """A user with these rights and no other."""
    name = f"player_{played.suffix}"
    played.server.create_user(name, "of the tests", grants)
    return mysql.Server(played.server.host, played.server.port, name, "of the tests")


def missing(played: Played, user: mysql.Server) -> str:
    with mysql.connect(user) as connection:
        found = missing_for_replay(connection, mysql.probe(connection), played.target)
    return "" if found is None else found.statement


@pytest.mark.one_flavour("mysql")
def test_the_grant_that_is_named_is_enough(played: Played) -> None:
    played.load(NEIGHBOUR + TABLES + ROWS)
    played.execute(*DEFINITIONS)
    for statement in FROM_ELSEWHERE:
        played.server.execute(played.named(statement), played.other)
    scratch = mysql.prefix_pattern(played.target)
    user = user_of(played, f"SELECT ON {scratch}.*")

    statement = missing(played, user)
    with pytest.raises(Problem) as raised:
        played.replay(user=user)
    assert raised.value.code in ("replay.may_not", "mysql.missing_privilege")
    assert "GRANT" in str(raised.value)
    played.server.execute(statement.replace("; GRANT", ";GRANT"))

    assert missing(played, user) == ""
    played.server.execute(f"DROP DATABASE {played.target}; CREATE DATABASE {played.target} {played.charset}")
    played.replay(user=user)
    assert played.differing() == {("event", "later")}


@pytest.mark.one_flavour("mysql")
def test_rights_on_no_table_end_the_replay_where_the_server_asks_for_them(played: Played) -> None:
    if played.server.flavour == "mariadb":
        pytest.skip("it asks for none: the fence is ours alone")
    played.execute("CREATE TABLE t (i INT PRIMARY KEY)")
    played.server.execute("CREATE TABLE t (i INT PRIMARY KEY)", played.target)
    played.after = end_of_log(played.server)
    played.execute("INSERT INTO t VALUES (1)")
    user = user_of(played, "REPLICATION_APPLIER ON *.*", f"SELECT ON `{played.target}`.*")

    with pytest.raises(Problem) as raised:
        played.replay(user=user)

    assert raised.value.code == "replay.may_not"
    assert "GRANT ALL ON" in str(raised.value)


def test_a_server_that_would_apply_rows_otherwise_is_refused(played: Played) -> None:
    if played.server.flavour == "mysql":
        pytest.skip("such settings are its replicas' alone")
    for setting, value, usual in (
        ("slave_exec_mode", "IDEMPOTENT", "STRICT"),
        ("slave_run_triggers_for_rbr", "YES", "NO"),
    ):
        played.server.execute(f"SET GLOBAL {setting} = '{value}'")
        try:
            with pytest.raises(Problem) as raised:
                played.replay()
        finally:
            played.server.execute(f"SET GLOBAL {setting} = '{usual}'")
        assert raised.value.code == "replay.unfit_setting"
        assert f"{setting} = '{usual}'" in str(raised.value)
