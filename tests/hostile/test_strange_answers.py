"""A server that turns strange half-way: whatever form its answers have, who asks is told so in a sentence."""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import MySQLdb
import pytest

from backups import mysql, process
from backups.choices import Status
from backups.dumpfile.log_positions import Place
from backups.errors import Problem
from backups.models import Database, Run
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop
from tests.hostile import HostileRelay, HostileServer, nothing, rows
from tests.hostile.answers import Answer
from tests.hostile.wire import DECIMAL, NUMBER, TEXT, TIME, Wire
from tests.rows import change_server

# How wide the answers to what is no SELECT are; two columns, where it is not here.
WIDTH_OF = {
    "CHECK TABLE": 4, "SHOW CREATE VIEW": 4, "SHOW GRANTS": 1, "SHOW OPEN TABLES": 4, "SHOW PROCESSLIST": 8,
    "SHOW WARNINGS": 3, "XA RECOVER": 4,
}  # fmt: skip
# What `mysql` asks over a connection of its own.
OF_SERVERS = (
    "computed_beside", "loading_connections", "refuse_what_cuts_dumps", "rows_compared", "watched_tables",
)  # fmt: skip
_ID = mysql.ComparedColumn("id", "integer", "integer")
ARGUMENTS: Mapping[str, Any] = {
    "database": "shop", "table": "orders", "info": mysql.ServerInfo(mysql.MYSQL, "8.4.0"),
    "charset": "utf8mb4", "collation": "utf8mb4_bin", "of_tables": None, "names": None, "but_views": (),
    "moves": [], "old": "old",
    "statement": "DO 1", "chosen": ("orders",), "with_innodb": True, "views": (), "or_else": "",
    "accounts": ["a@b"], "definers": ["`a`@`b`"], "with_functions": True, "folder": "/", "wanted": 1,
    "with_history": False, "besides": None, "tables": ("orders",), "seconds": 20.0, "tick": lambda: None,
    "place": Place("binlog.000001", 4), "state": mysql.LogState(Place("binlog.000001", 4), "", "shop", "", 0),
    "sequences": ("numbers",), "numbers": {"orders": 7},
    "pair": mysql.TwoTables("shop", "shop_then", "orders", [_ID], [_ID]),
}  # fmt: skip


def width_asked_for(statement: str) -> int:
    """How many columns an honest answer has."""
    if not statement.upper().startswith("SELECT"):
        return next((width for said, width in WIDTH_OF.items() if statement.startswith(said)), 2)
    told = re.sub(r"'[^']*'", "", statement.split(" FROM ")[0])
    while (without := re.sub(r"\([^()]*\)", "", told)) != told:
        told = without
    return told.count(",") + 1


def with_values(value: str | bytes | None, kind: int = TEXT, *, more: int = 0, times: int = 1) -> Answer:
    """Rows of this value, `more` columns than were asked for; of the database that was asked about."""

    def answer(wire: Wire, statement: bytes) -> None:
        said = " ".join(statement.decode(errors="replace").split())
        if not re.match(r"(?i)select|show|check|xa ", said):
            nothing(wire, statement)
            return
        begins = ("0", "shop") if said.startswith("SELECT @@lower_case_table_names, ") else ()
        width = max(width_asked_for(said) + more, 1)
        row = [*begins, *[value] * width][:width]
        rows(*[row] * times, kind=TEXT if begins else kind, columns=width)(wire, statement)

    return answer


VALUES: Mapping[str, Answer] = {
    "NULL": with_values(None),
    "a word": with_values("x"),
    "a number": with_values("7"),
    "a number below zero": with_values("-1"),
    "a number of many digits": with_values("9" * 5000),
    "no character": with_values(b"\xff"),
    "a word for a number": with_values("x", NUMBER),
    "a word for a decimal": with_values("x", DECIMAL),
    "a decimal that is no number": with_values("NaN", DECIMAL),
    "a word for a time": with_values("x", TIME),
    "no row": with_values("7", times=0),
    "a row too many": with_values("7", times=2),
    "a column too many": with_values("7", more=1),
    "a column too few": with_values("7", more=-1),
    "forty columns": with_values("7", more=40),
    "no answer": nothing,
}

IN_SHORT = ("a word for a number", "no row")


def questions() -> dict[str, Callable[..., Any]]:
    """All that `mysql` asks over a connection; a new one is among them once it is there for others."""
    return {
        name: function
        for name in dir(mysql)
        if inspect.isfunction(function := getattr(mysql, name))
        and (next(iter(inspect.signature(function).parameters), "") == "connection" or name in OF_SERVERS)
    }


def asked(name: str, server: mysql.Server) -> None:
    """Ask one question, and hear all of its answer."""
    function = questions()[name]
    wanted = [each for each in inspect.signature(function).parameters if each not in ("connection", "server")]
    given = {each: ARGUMENTS[each] for each in wanted if each in ARGUMENTS}
    if name in OF_SERVERS:
        heard(function(server, **given))
        return
    with mysql.connect(server, "shop") as connection:
        if "server" in inspect.signature(function).parameters:
            given["server"] = server
        heard(function(connection, **given))


def heard(told: Any) -> None:
    """To the end of what comes one by one, and of what lasts as long as a block."""
    if isinstance(told, AbstractContextManager):
        with told:
            pass
    elif isinstance(told, Iterator):
        list(told)


@pytest.mark.parametrize(
    "value", [each if each in IN_SHORT else pytest.param(each, marks=pytest.mark.soak) for each in VALUES]
)
def test_every_question_ends_in_an_answer_or_a_sentence(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "sleep_tick", lambda: None)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    told = []
    with HostileServer(VALUES[value]) as hostile:
        server = mysql.Server(hostile.host, hostile.port, "u", "p", ssl_mode="DISABLED")
        for name in questions():
            try:
                asked(name, server)
            except (Problem, MySQLdb.Error, mysql.NotExact):
                pass
            except Exception as error:  # noqa: BLE001  which is what is looked for
                told.append(f"{name}: {error!r}")
    assert told == []


# Where in its work a backup meets an answer of another form.
MOMENTS = (
    "PROCESSLIST", "information_schema.TABLES", "NOW.6.", "lower_case_table_names$", "SHOW CREATE VIEW",
    "SHOW GRANTS", "SHOW (BINARY LOG|MASTER) STATUS", "SHOW GLOBAL STATUS", "max_user_connections",
    "log_bin",
)  # fmt: skip


@pytest.mark.parametrize(
    "moment", [each if each == "NOW.6." else pytest.param(each, marks=pytest.mark.soak) for each in MOMENTS]
)
def test_a_backup_from_a_server_that_turns_strange_ends_with_a_sentence(
    moment: str, mariadb_shop: Shop, make_database: MakeDatabase, back_up: Callable[[Database], Run]
) -> None:
    there = mariadb_shop.server
    database = make_database(mariadb_shop, ssl_mode="DISABLED")

    for value in ("NULL", "no row"):
        with HostileRelay(there.host, there.port, moment, VALUES[value]) as relay:
            change_server(database, host=relay.host, port=relay.port)
            run = back_up(database)

            assert relay.attacked
            assert run.status == Status.SUCCEEDED or "unexpected" not in run.error, value


def test_what_is_said_of_a_strange_answer() -> None:
    with HostileServer(VALUES["a column too many"]) as hostile:
        server = mysql.Server(hostile.host, hostile.port, "u", "p", ssl_mode="DISABLED")
        with mysql.connect(server) as connection, pytest.raises(mysql.StrangeAnswer) as refused:
            mysql.account(connection)
    assert refused.value.sentence() == (
        "The program that answers does not answer as a database server does: [('7', '7')]. See which "
        "program listens there. If a proxy stands before the server, name the server itself."
    )
