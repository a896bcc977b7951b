"""Rows of two tables as a server counts them against each other: by a key that both have, and by digests."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from backups import mysql
from backups.differences.shapes import Shape, layout_of, shape_of
from backups.dumpfile.quoted import unquoted
from backups.mysql import compared_tables
from tests.servers import DatabaseServer

LATIN, FOLDING, BINARY, OTHER = (
    "CHARACTER SET latin1 COLLATE latin1_swedish_ci",
    "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
    "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    "CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
)
# The columns then and now, the rows then and now, what differs: gone, new, changed; whether a key finds them.
CASES: dict[str, tuple[str, str, str, str, tuple[int, int, int], bool]] = {
    "a number that has grown": (
        "id INT PRIMARY KEY, v INT", "id BIGINT UNSIGNED PRIMARY KEY, v BIGINT, w INT",
        "(-1, 1), (1, 1), (2, 2), (3, NULL), (4, NULL)",
        "(18446744073709551615, 1, 0), (1, 1, 1), (2, 3, 1), (3, NULL, 1), (4, 0, 1)", (1, 1, 2), True,
    ),
    "letters of two cases, blanks behind them and none": (
        f"id INT PRIMARY KEY, v VARCHAR(20) {FOLDING}", f"id INT PRIMARY KEY, v VARCHAR(30) {FOLDING}",
        "(1, 'a'), (2, 'b '), (3, ''), (4, 'é'), (5, 'same '), (6, NULL)",
        "(1, 'A'), (2, 'b'), (3, ' '), (4, 'e'), (5, 'same '), (6, NULL)", (0, 0, 4), True,
    ),
    "a key that folds case then and now": (
        f"name VARCHAR(20) {FOLDING} PRIMARY KEY, n INT", f"name VARCHAR(20) {FOLDING} PRIMARY KEY, n BIGINT",
        "('a', 1), ('B', 2), ('c ', 3), ('d', 4), ('', 5)",
        "('A', 1), ('B', 3), ('c', 3), ('d', 4), ('', 6)", (2, 2, 2), True,
    ),
    "a key that folds case then and not now": (
        f"name VARCHAR(20) {FOLDING} PRIMARY KEY, n INT", f"name VARCHAR(20) {BINARY} PRIMARY KEY, n INT",
        "('a', 1), ('B', 2), ('é', 3)", "('A', 1), ('B', 9), ('b', 2), ('é', 3), ('e', 3)", (1, 3, 1), True,
    ),
    "a key that folds case now and not then": (
        f"name VARCHAR(20) {BINARY} PRIMARY KEY, n INT", f"name VARCHAR(20) {FOLDING} PRIMARY KEY, n INT",
        "('a', 1), ('A', 2), ('é', 3), ('x', 4)", "('A', 2), ('é', 3), ('x', 5)", (1, 0, 1), True,
    ),
    "a key that folds otherwise now": (
        f"name CHAR(20) {FOLDING} PRIMARY KEY, n INT", f"name VARCHAR(20) {OTHER} PRIMARY KEY, n INT",
        "('ss', 1), ('t', 2)", "('ß', 1), ('t', 2)", (1, 1, 0), True,
    ),
    "a key in another character set, which lacks letters": (
        f"name VARCHAR(20) {FOLDING} PRIMARY KEY, n INT", f"name VARCHAR(20) {LATIN} PRIMARY KEY, n INT",
        "('é', 1), ('я', 2), ('?', 3), ('gone', 4)", "('é', 1), ('?', 3), ('new', 4)", (2, 1, 0), True,
    ),
    "a text in another character set": (
        f"id INT PRIMARY KEY, v TEXT {LATIN}", f"id INT PRIMARY KEY, v LONGTEXT {FOLDING}",
        "(1, 'café'), (2, 'x'), (3, NULL), (4, '')", "(1, 'café'), (2, 'X'), (3, ''), (4, '')",
        (0, 0, 2), True,
    ),
    "bytes with zeros and blanks at their end": (
        "k BINARY(3) PRIMARY KEY, v VARBINARY(9)", "k BINARY(3) PRIMARY KEY, v BLOB",
        "('a', x'61'), ('b', x'6120'), ('c', x'ff'), ('d', x'00')",
        "('a', x'6100'), ('b', x'61'), ('c', x'ff'), ('d', '')", (0, 0, 3), True,
    ),
    "a key of two columns, the other way round": (
        "a INT, b DATE, v INT, PRIMARY KEY (a, b)", "a INT, b DATE, v DECIMAL(5,2), PRIMARY KEY (b, a)",
        "(1, '2026-01-01', 1), (1, '2026-01-02', 2), (2, '2026-01-01', 3)",
        "(1, '2026-01-01', 1), (1, '2026-01-02', 2.01), (2, '2026-01-03', 3)", (1, 1, 1), True,
    ),
    "numbers of other types": (
        "id INT PRIMARY KEY, d DECIMAL(10,2), f FLOAT, b BIT(4), y YEAR, at DATETIME, t TIME",
        "id INT PRIMARY KEY, d DECIMAL(14,4), f DOUBLE, b BIT(9), y YEAR, at TIMESTAMP(3) NULL, t TIME(2)",
        ("(1, 1.5, 0.5, b'11', 2026, '2026-01-01', '1:00'), (2, 1.5, 0.5, 1, 2026, '2026-01-01', '1:00'),"
         " (3, NULL, NULL, NULL, NULL, NULL, NULL), (4, 0, 0.1, 0, 0, NULL, '0:00'),"
         " (5, 0, 0, 0, 1999, NULL, NULL)"),
        ("(1, 1.5, 0.5, b'11', 2026, '2026-01-01', '1:00'), (2, 1.5001, 0.5, 1, 2026, '2026-01-01', '1:00'),"
         " (3, NULL, NULL, NULL, NULL, NULL, NULL), (4, 0, 0.1, 0, 0, NULL, '0:00'),"
         " (5, 0, 0, 0, 1998, NULL, NULL)"),
        (0, 0, 3), True,
    ),
    "words out of lists, and shapes": (
        "id INT PRIMARY KEY, e ENUM('x','y'), s SET('p','q'), g POINT, j JSON",
        "id INT PRIMARY KEY, e ENUM('y','x'), s SET('q','p'), g POINT, j JSON, more INT DEFAULT 1",
        "(1, 'x', 'p', POINT(1, 2), '[1]'), (2, 'y', '', NULL, NULL), (3, 'x', 'p', POINT(0, 0), '{}')",
        ("(1, 'x', 'p', POINT(1, 2), '[1]', 1), (2, 'x', '', NULL, NULL, 1),"
         " (3, 'x', 'p', POINT(0, 1), '{}', 1)"),
        (0, 0, 2), True,
    ),
    "a key that came since": (
        "a INT NOT NULL, b INT", "a INT PRIMARY KEY, b INT",
        "(1, 1), (2, 2), (2, 2), (3, 3)", "(1, 1), (2, 2), (3, 9)", (1, 0, 1), False,
    ),
    "a unique key beside the primary one": (
        "a INT PRIMARY KEY, b INT NOT NULL UNIQUE", "b INT NOT NULL UNIQUE, v INT",
        "(1, 1), (2, 2)", "(1, 5), (3, 6)", (1, 1, 0), False,
    ),
    "a key of floats": (
        "a DOUBLE PRIMARY KEY, v INT", "a DOUBLE PRIMARY KEY, v BIGINT",
        "(0.1, 1), (1e300, 2), (3, 3)", "(0.1, 1), (1e300, 3), (4, 3)", (1, 1, 1), False,
    ),
    "no key": (
        "a INT, b VARCHAR(9)", "a INT, b VARCHAR(9), c INT",
        "(1, 'x'), (1, 'x'), (1, 'x'), (2, NULL), (3, 'N'), (4, '1:a'), (11, '')",
        "(1, 'x', 1), (1, 'x', 2), (2, NULL, 1), (3, NULL, 1), (4, '1:A', 1), (1, '1', 1)", (4, 3, 0), False,
    ),
    "no row of one side": (
        "id INT PRIMARY KEY, v INT", "id INT PRIMARY KEY, v BIGINT", "(1, 1)", "", (1, 0, 0), True,
    ),
    "no row at all": ("id INT PRIMARY KEY, v INT", "id INT PRIMARY KEY, v BIGINT", "", "", (0, 0, 0), True),
}  # fmt: skip


@pytest.fixture
def databases(db_server: DatabaseServer) -> Iterator[tuple[DatabaseServer, str, str]]:
    """A server with two databases."""
    base = f"compared_{secrets.token_hex(3)}"
    then, now = f"{base}_then", f"{base}_now"
    for name in (then, now):
        db_server.create_database(name)
    yield db_server, then, now
    for name in (then, now):
        db_server.execute(f"DROP DATABASE {name}")


def server_of(server: DatabaseServer) -> mysql.Server:
    return mysql.Server(server.host, server.port, server.user, server.password)


def shape(server: DatabaseServer, database: str) -> Shape:
    ((_, definition),) = server.query(f"SHOW CREATE TABLE {database}.compared")
    found = shape_of(definition.encode(), {})
    assert found is not None
    return found


def pair_of(server: DatabaseServer, then: str, now: str) -> mysql.TwoTables:
    """A table of both databases, as a comparison asks for it."""
    before, after = shape(server, then), shape(server, now)
    layout = layout_of(before, after)

    def column(name: bytes) -> mysql.ComparedColumn:
        return mysql.ComparedColumn(
            unquoted(name), before.columns[name].decode(), after.columns[name].decode()
        )

    both = [column(name) for name in after.columns if name in before.columns]
    return mysql.TwoTables(
        then, now, "compared", [column(name) for name in layout.key], [*filter(mysql.may_be_compared, both)]
    )


@pytest.mark.parametrize("case", CASES)
def test_what_differs_to_the_byte_is_counted_by_a_key_and_by_digests_alike(
    databases: tuple[DatabaseServer, str, str], monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    server, then, now = databases
    *sides, (gone, new, changed), has_key = CASES[case]
    for database, columns, rows in zip((then, now), sides[:2], sides[2:], strict=True):
        server.execute(f"CREATE TABLE {database}.compared ({columns}) CHARACTER SET utf8mb4")
        if rows:
            server.execute(f"SET sql_mode = ''; INSERT INTO {database}.compared VALUES {rows}")
    pair = pair_of(server, then, now)
    grouped: list[mysql.TwoTables] = []
    in_groups = compared_tables._grouped

    def noted(pair: mysql.TwoTables) -> str:
        grouped.append(pair)
        return in_groups(pair)

    monkeypatch.setattr(compared_tables, "_grouped", noted)

    found = mysql.rows_compared(server_of(server), pair)

    assert (found.gone, found.new, found.changed) == (gone, new, changed)
    assert [found.then, found.now] == [
        server.query(f"SELECT COUNT(*) FROM {each}.compared")[0][0] for each in (then, now)
    ]
    assert (not grouped) == has_key
    monkeypatch.setattr(compared_tables, "_lookup", lambda *_: None)
    assert mysql.rows_compared(server_of(server), pair) == found
    assert grouped


@pytest.fixture
def in_short_packets(db_server: DatabaseServer) -> Iterator[int]:
    """The server makes no text of more bytes than this."""
    ((usual,),) = db_server.query("SELECT @@GLOBAL.max_allowed_packet")
    db_server.execute("SET GLOBAL max_allowed_packet = 1048576")
    yield 1 << 20
    db_server.execute(f"SET GLOBAL max_allowed_packet = {usual}")


@pytest.mark.parametrize("is_looked_up", [True, False])
def test_rows_that_are_longer_than_the_server_makes_a_text_are_compared_all_the_same(
    databases: tuple[DatabaseServer, str, str],
    in_short_packets: int,
    monkeypatch: pytest.MonkeyPatch,
    is_looked_up: bool,
) -> None:
    server, then, now = databases
    size = in_short_packets // 2 - 1000
    for database, kind in ((then, "LONGBLOB"), (now, "LONGBLOB NOT NULL")):
        server.execute(
            f"CREATE TABLE {database}.compared (id INT PRIMARY KEY, a LONGBLOB, b {kind}, c LONGBLOB);"
            f"INSERT INTO {database}.compared VALUES (1, REPEAT('a', {size}), REPEAT('b', {size}), ''),"
            f" (2, REPEAT('a', {size}), REPEAT('b', {size}), REPEAT('c', {size}))"
        )
    server.execute(f"UPDATE {now}.compared SET c = CONCAT(LEFT(c, {size - 1}), 'C') WHERE id = 2")
    if not is_looked_up:
        monkeypatch.setattr(compared_tables, "_lookup", lambda *_: None)

    found = mysql.rows_compared(server_of(server), pair_of(server, then, now))

    assert found == mysql.RowCounts(then=2, now=2, gone=0, new=0, changed=1)
