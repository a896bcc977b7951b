"""A script that meets another row, is cut off, forced, or loses its transaction changes nothing at all."""

from __future__ import annotations

import threading
from contextlib import closing, suppress
from dataclasses import replace
from itertools import islice, product

import MySQLdb
import pytest

from backups.rows_back.script import Script, inverse, write
from tests.rows_back.running import (
    ALL,
    HEAD,
    Changed,
    Dump,
    by_client,
    connected,
    differences,
    dumped,
    errors_of,
    run,
    tables_of,
)
from tests.rows_back.worlds import HOSTILE, quoted
from tests.servers import DatabaseServer

HERE = replace(HEAD, database="guarded")

OUT_OF_RANGE, DEADLOCK = 1690, 1213
# Values that some server takes for equal, and that are not.
ALIKE = {
    "varchar(9) collate utf8mb4_general_ci": ("'a'", "'A'", "'a '", "'á'", "''", "NULL", "'a\\t'"),
    "char(9)": ("'a'", "'A'", "''", "NULL"),
    "text": ("'1'", "'01'", "'1 '", "'1.0'", "'1e0'"),
    "varchar(9) character set latin1": ("'e'", "'é'", "'E'"),
    "varbinary(9)": ("'a'", "'a\\0'", "'A'", "''", "NULL"),
    "blob": ("'a'", "'a '", "'a\\0'"),
    "float": ("0.1", "0.100001", "0", "NULL"),
    "double": ("0.1", "0.10000000000000002", "9007199254740992", "9007199254740994"),
    "decimal(30,10)": ("1.5", "1.5000000001"),
    "bigint": ("9007199254740992", "9007199254740993"),
    "bit(64)": ("b'0'", "b'1'", "9007199254740992", "9007199254740993", "NULL"),
    "datetime(6)": ("'0000-00-00'", "'2024-01-01'", "'2024-01-01 00:00:00.000001'", "NULL"),
    "time(3)": ("'00:00:00'", "'00:00:00.001'", "'-00:00:00.001'"),
    "year": ("0", "2000", "NULL"),
    "enum('a','A ','')": ("'a'", "''", "NULL"),
    "json": ("'[1]'", "'[1.0]'", "'{}'", "NULL"),
    "geometry": ("ST_GeomFromText('POINT(1 2)')", "ST_GeomFromText('POINT(1 2.0000000000000004)')", "NULL"),
    "longtext": (f"'{2000 * 'a'}'", f"'{1999 * 'a'}A'", f"'{2000 * 'a'} '"),
}


def made(server: DatabaseServer, *statements: str) -> Dump:
    """A database of these statements, made by who lets in what is no date."""
    server.create_database("guarded")
    before = ["SET NAMES utf8mb4", "SET sql_mode = 'ALLOW_INVALID_DATES'"]
    run(server, "guarded", [each.encode() for each in (*before, *statements, "COMMIT", "SELECT 1")])
    return dumped(server, "guarded")


@pytest.mark.one_flavour("mysql")
def test_a_row_that_is_only_taken_for_equal_is_not_hit(db_server: DatabaseServer) -> None:
    now = made(
        db_server,
        *(
            f"CREATE TABLE t{at} (id int PRIMARY KEY, v {kind}) CHARSET utf8mb4"
            for at, kind in enumerate(ALIKE)
        ),
        *(
            f"INSERT INTO t{at} VALUES {', '.join(f'({each}, {value})' for each, value in enumerate(values))}"
            for at, values in enumerate(ALIKE.values())
        ),
    )
    tables = tables_of(now)
    wrong = []
    session = write([Changed("t0", 1, None, now.rows["t0"][0])], tables, HERE).statements()
    with closing(connected(db_server, "guarded")) as connection:
        cursor = connection.cursor()
        assert errors_of(cursor, islice(session, 3)) == []
        for name, rows in now.rows.items():
            for one, other in product(rows, rows):
                row = {b"id": one[b"id"], b"v": other[b"v"]}
                script = write([Changed(name, 1, None, row)], tables, HERE)
                errors = errors_of(cursor, [b"SET @vedetta_row = 0", *script.rows[0], b"ROLLBACK"])
                if errors != ([] if one is other else [OUT_OF_RANGE]):
                    wrong.append((list(ALIKE)[int(name[1:])], one[b"v"], other[b"v"], errors))
    assert wrong == []
    assert dumped(db_server, "guarded").told() == now.told()


def rows_to_give_back(server: DatabaseServer) -> tuple[Dump, Script]:
    """A table of which rows were changed, came and went, and what gives them back."""
    then = made(
        server,
        "CREATE TABLE t (id int PRIMARY KEY, v varchar(900)) CHARSET utf8mb4",
        *(f"INSERT INTO t VALUES ({at}, {quoted(text)})" for at, text in enumerate(HOSTILE)),
    )
    server.execute(
        "DELETE FROM t WHERE id = 1; UPDATE t SET v = 'other'; INSERT INTO t VALUES (99, 'x')", "guarded"
    )
    now = dumped(server, "guarded")
    return now, write(differences(then, now), tables_of(now), HERE)


def rows(server: DatabaseServer) -> list[tuple[object, ...]]:
    """The rows of that table."""
    return server.query("SELECT id, HEX(v) FROM t ORDER BY id", "guarded")


def test_a_client_gives_all_back_whatever_its_own_settings_are(db_server: DatabaseServer) -> None:
    now, script = rows_to_give_back(db_server)
    odd = "sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES', time_zone = '+05:00', autocommit = 0"
    options = [f"--init-command=SET {odd}", "--default-character-set=sjis", "--comments", "--safe-updates"]

    status, said = by_client(db_server, "guarded", script, *options)

    assert status == 0, said
    assert "All rows were given back." in said
    after = dumped(db_server, "guarded").told()
    assert after != now.told()
    status, said = by_client(db_server, "guarded", script)
    assert status != 0, "a second time each row is another"
    assert str(OUT_OF_RANGE) in said
    assert dumped(db_server, "guarded").told() == after


def test_a_forced_script_commits_nothing_once_one_row_is_another(db_server: DatabaseServer) -> None:
    _, script = rows_to_give_back(db_server)
    db_server.execute("UPDATE t SET v = 'yet another' WHERE id = 7", "guarded")
    now = dumped(db_server, "guarded")

    status, said = by_client(db_server, "guarded", script, "--force")

    assert "Nothing was changed." in said
    assert str(OUT_OF_RANGE) in said
    assert status is not None
    assert dumped(db_server, "guarded").told() == now.told()


@pytest.mark.one_flavour("mariadb")
def test_a_script_that_was_cut_off_commits_nothing(db_server: DatabaseServer) -> None:
    _, script = rows_to_give_back(db_server)
    now, text = rows(db_server), script.text
    ends = [text.index(b"START TRANSACTION"), len(text) // 2, text.index(b"WHERE", len(text) // 2)]
    ends += [text.index(b"EXECUTE"), text.index(b"EXECUTE") - 1]

    for end in ends:
        for options in ([], ["--force"]):
            by_client(db_server, "guarded", text[:end], *options)
            assert rows(db_server) == now, text[end - 200 : end]


def test_without_its_session_or_its_transaction_a_script_does_nothing_more(db_server: DatabaseServer) -> None:
    now, script = rows_to_give_back(db_server)
    statements = list(script.statements())
    half = len(statements) // 2

    # As a client does that connects again.
    with closing(connected(db_server, "guarded")) as connection:
        errors = errors_of(connection.cursor(), [b"SET autocommit = 1", *statements[half:]])

    assert set(errors) >= {OUT_OF_RANGE}

    assert dumped(db_server, "guarded").told() == now.told()


def test_after_a_deadlock_nothing_is_committed_row_by_row(db_server: DatabaseServer) -> None:
    now, script = rows_to_give_back(db_server)
    statements = list(script.statements())
    hits = [at for at, each in enumerate(statements) if each.startswith((b"UPDATE", b"INSERT", b"DELETE"))]
    first, second = hits[0], hits[1]
    with closing(connected(db_server, "guarded")) as ours, closing(connected(db_server, "guarded")) as other:
        theirs = other.cursor()
        # Who has changed more goes on.
        theirs.execute("UPDATE t SET v = 'theirs' WHERE id BETWEEN 2 AND 10")
        cursor = ours.cursor()
        ours_alone = b"SET autocommit = 1, innodb_lock_wait_timeout = 2"
        assert errors_of(cursor, [ours_alone, *statements[: first + 2]]) == []

        def wait_for_us() -> None:
            with suppress(MySQLdb.Error):
                theirs.execute("UPDATE t SET v = 'theirs' WHERE id = 99")

        waiting = threading.Thread(target=wait_for_us)
        waiting.start()
        errors = errors_of(cursor, statements[second:])
        waiting.join()
        other.rollback()

    assert errors[0] == DEADLOCK
    assert OUT_OF_RANGE in errors
    assert dumped(db_server, "guarded").told() == now.told()


@pytest.mark.one_flavour("mariadb")
def test_a_second_time_nothing_is_doubled_or_lost_where_no_key_tells(db_server: DatabaseServer) -> None:
    row = "INSERT INTO t VALUES (7, 'x')"
    then = made(db_server, "CREATE TABLE t (id int, v text)", *[row] * 3, "INSERT INTO t VALUES (1, NULL)")
    for change in ("INSERT INTO t VALUES (7, 'x'), (7, 'x')", "DELETE FROM t WHERE id = 7 LIMIT 4"):
        db_server.execute(change, "guarded")
        now = dumped(db_server, "guarded")
        found, tables = differences(then, now), tables_of(now)
        script, undo = write(found, tables, HERE), inverse(found, tables, HERE)

        for one, wanted in ((script, then), (undo, now), (script, then)):
            assert run(db_server, "guarded", one.statements()) == ALL
            assert dumped(db_server, "guarded").told() == wanted.told()
            status, said = by_client(db_server, "guarded", one, "--force")
            assert (status is not None, "Nothing was changed." in said) == (True, True)
            assert dumped(db_server, "guarded").told() == wanted.told()


@pytest.mark.parametrize("rule", ["CASCADE", "SET NULL"])
def test_a_row_that_would_follow_and_came_meanwhile_stops_the_script(
    rule: str, db_server: DatabaseServer
) -> None:
    then = made(
        db_server,
        "CREATE TABLE parent (id int PRIMARY KEY, code int, UNIQUE (code))",
        "CREATE TABLE child (id int PRIMARY KEY, code int, "
        f"FOREIGN KEY (code) REFERENCES parent (code) ON UPDATE {rule})",
        "INSERT INTO parent VALUES (1, 10)",
        "INSERT INTO child VALUES (1, 10), (2, 10)",
    )
    db_server.execute("UPDATE parent SET code = 20", "guarded")
    now = dumped(db_server, "guarded")
    script = write(differences(then, now), tables_of(now), HERE)
    db_server.execute("INSERT INTO child VALUES (3, 20)", "guarded")
    meanwhile = dumped(db_server, "guarded").told()

    with closing(connected(db_server, "guarded")) as connection:
        errors = errors_of(connection.cursor(), script.statements())

    assert errors[0] == OUT_OF_RANGE
    assert dumped(db_server, "guarded").told() == meanwhile
    db_server.execute("DELETE FROM child WHERE id = 3", "guarded")
    assert run(db_server, "guarded", script.statements()) == ALL
    assert dumped(db_server, "guarded").told() == then.told()


def test_names_break_out_of_nothing(db_server: DatabaseServer) -> None:
    name = "t`;*/\n-- x'\"\\"
    column = "c`,\n'\\ */"
    spelled, of_column = (f"`{each.replace('`', '``')}`" for each in (name, column))
    then = made(
        db_server,
        f"CREATE TABLE {spelled} ({of_column} int PRIMARY KEY, v int, KEY k (v)) COMMENT ') ENGINE=MyISAM'",
        f"INSERT INTO {spelled} VALUES (1, 1), (2, 2)",
    )
    db_server.execute(f"DELETE FROM {spelled} WHERE v = 1; UPDATE {spelled} SET v = 3", "guarded")
    now = dumped(db_server, "guarded")
    found, tables = differences(then, now), tables_of(now)
    head = replace(HERE, server="x\nDROP TABLE t;\n", triggers=["a\r\nDROP TABLE t; --"])

    assert by_client(db_server, "guarded", write(found, tables, head))[0] == 0
    assert dumped(db_server, "guarded").told() == then.told()
    assert run(db_server, "guarded", inverse(found, tables, head).statements()) == ALL
    assert dumped(db_server, "guarded").told() == now.told()


def test_a_database_with_the_same_rows_is_left_alone(db_server: DatabaseServer) -> None:
    """An INSERT finds no row that could be another one, so the name alone tells."""
    then = made(db_server, "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)")
    db_server.execute("DELETE FROM t WHERE id = 2", "guarded")
    now = dumped(db_server, "guarded")
    script = write(differences(then, now), tables_of(now), HERE)
    db_server.execute("DROP DATABASE IF EXISTS staging; CREATE DATABASE staging")
    db_server.execute("CREATE TABLE t LIKE guarded.t; INSERT INTO t VALUES (1)", "staging")

    for options in ([], ["--force"]):
        assert by_client(db_server, "staging", script, *options)[0] in (0, 1)
        assert db_server.query("SELECT id FROM t", "staging") == [(1,)]
    assert "out of range" in by_client(db_server, "staging", script)[1]

    assert by_client(db_server, "guarded", script)[0] == 0
    assert db_server.query("SELECT id FROM t ORDER BY id", "guarded") == [(1,), (2,)]
