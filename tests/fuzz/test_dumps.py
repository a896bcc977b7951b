"""Objects of any name and body, made on real servers and dumped by their own programs.

The sections that the parser finds are compared with what the server says it holds.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import MySQLdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backups import mysql
from backups.dumpfile.digesting import Digester
from backups.dumpfile.manifests import objects_in
from backups.dumpfile.sections import Kind
from backups.dumping.streaming import Outlet, stream_dump
from tests.backups.worlds import client_dir
from tests.dumpfile.test_stream import bodies, cuts, digested, hostile, literal, quoted
from tests.servers import DatabaseServer

MORE = st.sampled_from(
    ["/", ".", "..", "$", "@", "é", "<", "\x1b", "\x7f", "=", "\t", "*/;;", "CREATE TRIGGER `t`"]
)
text = st.lists(hostile | MORE, min_size=1, max_size=4).map("".join)
# 64 characters, no zero, no blank at the end.
names = text.map(lambda drawn: drawn.replace("\0", "")[:50] + "_")
HANGS_SECONDS = 30
MODES = ("", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES")


@dataclass(frozen=True)
class Made:
    """A statement that makes something, and the session's mode for it."""

    sql: str
    mode: str = ""


@st.composite
def bodied(draw: st.DrawFn, before: str) -> Made:
    """A trigger, routine or event; its body computes and returns nothing, as a trigger may not."""
    mode = draw(st.sampled_from(MODES))
    body = draw(bodies("NO_BACKSLASH_ESCAPES" not in mode)).replace("SELECT ", "DO ")
    # At a zero both dump programs cut a body off; a backup then fails, as not all is in it.
    body = body.replace("\0", "")
    return Made(f"{before}\n{body}", mode)


@st.composite
def contents(draw: st.DrawFn) -> list[Made]:
    """What a database should hold, in an order in which it can be made."""
    made = []
    for _ in range(draw(st.integers(1, 2))):
        table, column = draw(names), draw(names)
        made.append(
            Made(
                f"CREATE TABLE {quoted(table)} ({quoted(column)} VARCHAR(200) DEFAULT {literal(draw(text))} "
                f"COMMENT {literal(draw(text))}) COMMENT {literal(draw(text))} DEFAULT CHARSET utf8mb4"
            )
        )
        made += [Made(f"INSERT INTO {quoted(table)} VALUES ({literal(draw(text))})") for _ in range(2)]
        for when in draw(st.lists(st.sampled_from(["BEFORE INSERT", "AFTER UPDATE"]), max_size=2)):
            head = f"CREATE TRIGGER {quoted(draw(names))} {when} ON {quoted(table)} FOR EACH ROW"
            made.append(draw(bodied(head)))
        view = f"CREATE VIEW {quoted(draw(names))} AS SELECT {quoted(column)} AS {quoted(draw(names))}"
        made.append(Made(f"{view} FROM {quoted(table)} WHERE {quoted(column)} <> {literal(draw(text))}"))
    for _ in range(draw(st.integers(1, 3))):
        made.append(draw(bodied(f"CREATE PROCEDURE {quoted(draw(names))}() COMMENT {literal(draw(text))}")))
    event = f"CREATE EVENT {quoted(draw(names))} ON SCHEDULE EVERY 1 DAY DISABLE"
    whole = draw(bodied(f"{event} COMMENT {literal(draw(text))} DO"))
    # Two semicolons in a row are refused, see test_dump.py.
    while ";;" in whole.sql:
        whole = replace(whole, sql=whole.sql.replace(";;", ";"))
    made.append(whole)
    return made


@contextmanager
def held(server: DatabaseServer, made: list[Made]) -> Iterator[tuple[mysql.Server, str, Any]]:
    """A database that holds what of it the server takes."""
    there = mysql.Server(server.host, server.port, server.user, server.password)
    name = f"fuzz `{secrets.token_hex(4)}"
    with mysql.connect(there) as connection:
        mysql.create_database(connection, name)
        try:
            mysql.execute(connection, f"USE {quoted(name)}")
            for one in made:
                mysql.execute(connection, f"SET SESSION sql_mode = '{one.mode}'")
                with suppress(MySQLdb.Error):
                    mysql.execute(connection, one.sql)
            mysql.execute(connection, "SET SESSION sql_mode = ''")
            yield there, name, connection
        finally:
            mysql.drop_database(connection, name)


def within(seconds: float) -> Callable[[], None]:
    """What is called again and again, and fails when this has gone on for so long."""
    until = time.monotonic() + seconds

    def tick() -> None:
        assert time.monotonic() < until, "the dump hangs"

    return tick


def triggers(connection: Any, name: str) -> set[tuple[str, str]]:
    """Name and table of each."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS "
            "WHERE TRIGGER_SCHEMA = %s",
            [name],
        )
        return set(cursor.fetchall())


@pytest.mark.larger
@pytest.mark.one_flavour("mariadb")
@settings(
    max_examples=30 if "VEDETTA_SOAK" in os.environ else 8,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(made=contents(), cuts=cuts)
def test_sections_of_a_real_dump_are_what_the_server_holds(
    db_server: DatabaseServer, made: list[Made], cuts: list[int]
) -> None:
    with held(db_server, made) as (there, name, connection):
        info = mysql.probe(connection)
        digester, written = Digester(), bytearray()
        source = mysql.DumpSource(there, info, mysql.clients(info, client_dir(db_server)), name)
        stream_dump(source, Outlet(digester, written.extend), tick=within(HANGS_SECONDS))
        collations = mysql.default_collations(connection, info)
        sections = digester.sections(collations)

        assert objects_in(sections) == mysql.inventory(connection, name)
        found = {(s["name"], s["table"]) for s in sections if s["kind"] == Kind.TRIGGER}
        assert found == triggers(connection, name)
        assert digester.is_complete
        in_pieces, out = digested(bytes(written), cuts)
        assert out == written
        assert in_pieces.sections(collations) == sections
