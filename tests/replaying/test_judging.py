"""Statements are judged as the server read them that wrote them, whoever runs them again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backups.binlog.events import Format
from backups.binlog.queries import Query
from backups.errors import Problem
from backups.mysql import MARIADB, Server, ServerInfo
from backups.replaying.judging import Judge
from backups.replaying.problems import Where
from backups.replaying.settings import Collations
from backups.replaying.steps import Definition

INFO = ServerInfo(MARIADB, "10.11.19-MariaDB")
WHERE = Where(Server("db", 3306, "replays", ""), INFO, "shop__x")
JUDGE = Judge("shop", "shop__x", INFO, Collations({45: ("utf8mb4_general_ci", "utf8mb4")}), folds_case=False)
OF_11_8 = Format("11.8.2-MariaDB-log", is_mariadb=True, has_checksum=True, made=0, server_id=7, raw=b"")
QUERY = Query(b"shop", b"DROP TABLE a /*M!110000 , other.b */", sql_mode=0, charsets=(45, 45, 8))


def sent(judge: Judge, query: Query) -> bytes:
    """What is run of a statement."""
    let_out = judge.of(Definition(query, {}), WHERE)
    assert let_out is not None
    return let_out.text


def test_a_version_comment_was_read_if_the_logs_server_read_it() -> None:
    assert sent(JUDGE, QUERY).split() == [b"DROP", b"TABLE", b"`shop__x`.a"]
    with pytest.raises(Problem) as raised:
        JUDGE.reading(OF_11_8).of(Definition(QUERY, {}), WHERE)
    assert raised.value.params["barrier"] == "log.other_database"


def test_what_a_server_calls_itself_is_no_version() -> None:
    disguised = replace(JUDGE, info=INFO._replace(claimed="11.8.2"))

    assert b"other" not in sent(disguised.reading(OF_11_8), QUERY)


def test_a_statement_whose_reading_is_not_told_ends_the_replay() -> None:
    """Our session would read it as the one before it."""
    plain = replace(QUERY, text=b"DROP TABLE a")
    assert sent(JUDGE, plain)

    for untold in (replace(plain, charsets=None), replace(plain, sql_mode=None)):
        with pytest.raises(Problem) as raised:
            JUDGE.of(Definition(untold, {}), WHERE)
        assert raised.value.code == "replay.barrier"
