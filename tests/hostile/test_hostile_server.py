"""The tools themselves: that they do to a driver without guards what they are for."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import MySQLdb
import MySQLdb.cursors
import pytest

from tests.compat.certificates import Authority
from tests.hostile import (
    HostileRelay,
    HostileServer,
    ask_for_file,
    drip,
    endless_field,
    endless_rows,
    error,
    rows,
    silence,
    where,
)
from tests.servers import DatabaseServer


def connection(port: int, **options: Any) -> Any:
    return closing(MySQLdb.connect(host="127.0.0.1", port=port, user="u", password="the-password", **options))


def test_it_takes_a_file_from_who_gives_it(tmp_path: Path) -> None:
    file = tmp_path / "ours"
    file.write_text("of this machine alone")
    with HostileServer(ask_for_file(str(file))) as server, connection(server.port, local_infile=1) as driver:
        driver.query("SELECT 1")
        assert b"of this machine alone" in server.heard


def test_it_takes_a_password_in_clear_from_who_gives_it(tmp_path: Path) -> None:
    certificate = Authority(tmp_path, "any").certificate("127.0.0.1")
    asking = ["mysql_native_password", "mysql_clear_password"]
    with HostileServer(methods=asking) as server, connection(server.port):
        assert b"the-password" in server.in_clear
    with (
        HostileServer(methods=asking, certificate=certificate) as server,
        connection(server.port, ssl_mode="REQUIRED"),
    ):
        assert b"the-password" in server.heard
        assert b"the-password" not in server.in_clear


def test_it_answers_as_it_was_told() -> None:
    answer = where("version", rows(("a", "b"), ("c", "d")), where("^select", error(1045, "no")))
    with HostileServer(answer) as server, connection(server.port) as driver:
        cursor = driver.cursor()
        cursor.execute("SELECT VERSION()")
        assert cursor.fetchall() == (("a", "b"), ("c", "d"))
        with pytest.raises(MySQLdb.Error, match="no"):
            cursor.execute("SELECT 2")


@pytest.mark.parametrize("answer", [endless_rows(), drip(0.01), drip(0.001, bytes_too=True)])
def test_rows_go_on_for_ever(answer: Any) -> None:
    with HostileServer(where("^select", answer)) as server, connection(server.port) as driver:
        cursor = driver.cursor(MySQLdb.cursors.SSCursor)
        cursor.execute("SELECT 1")
        assert len(cursor.fetchmany(50)) == 50
        server.hang_up()


@pytest.mark.parametrize("answer", [silence, endless_field])
def test_others_never_come_to_a_row(answer: Any) -> None:
    with HostileServer(where("^select", answer)) as server, connection(server.port) as driver:
        threading.Timer(0.5, server.hang_up).start()
        with pytest.raises(MySQLdb.Error):
            driver.cursor().execute("SELECT 1")


def test_a_relay_is_honest_until_its_moment(db_server: DatabaseServer) -> None:
    there = (db_server.host, db_server.port)
    options = {"user": db_server.user, "password": db_server.password, "host": "127.0.0.1"}
    with (
        HostileRelay(*there, "of no interest", rows(("harm",))) as relay,
        closing(MySQLdb.connect(port=relay.port, **options)) as driver,
    ):
        cursor = driver.cursor()
        cursor.execute("SELECT 41 + 1")
        assert cursor.fetchall() == ((42,),)
        cursor.execute("SELECT 'of no interest'")
        assert cursor.fetchall() == (("harm",),)
        cursor.execute("SELECT 43")
        assert cursor.fetchall() == ((43,),)
        assert relay.attacked == 1
