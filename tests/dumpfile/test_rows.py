"""Rows of plain values, and all that is none."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups.dumpfile.rows import rows_head, values_end

PLAIN = [
    b"(1)",
    b"(-1.5e+10,+2,.5,1E5,0)",
    b"(NULL,null,TRUE,false)",
    b"('a','it''s','\\'',\"b\",'')",
    b"(1),(2) , (3)\n,\n(4)",
    b"(0x1F,x'1f',X'',b'01',0b01,N'a')",
    b"(_binary 'a\\0',_utf8mb4'x',_binary 0xff)",
    b"('2020-01-01 00:00:00','{\"a\": [1]}')",
    b"()",
    b"('); DROP TABLE t; -- ')",
]
NOT_PLAIN = [
    b"(id)",
    b"(`id`)",
    b"(NOW())",
    b"(SLEEP(1))",
    b"(@a)",
    b"(@@version)",
    b"(1+id)",
    b"(DEFAULT)",
    b"(NULLIF(1,2))",
    b"(nullx)",
    b"(1a)",
    b"(0x1Fg)",
    b"(1 /* x */)",
    b"(/*!50000 1*/)",
    b"(SELECT 1)",
    b"('a' COLLATE x)",
    b"(_binary`a`)",
    b"(CASE 1 WHEN 1 THEN 2 END)",
    b"(1) ON DUPLICATE KEY UPDATE a = 1",
    b"(1) AS new",
    b"(1) RETURNING 1",
    b"('open)",
    b"(1*2)",
    b"({d '2020-01-01'})",
    b"(1,-- '\nSLEEP(1) -- ')",
    b"(1--2)",
    b"(1e)",
    b"(\xc3\xa4)",
]


def end_of(values: bytes, charset: str = "utf8mb4", sql_mode: str = "") -> int:
    return values_end(values, 0, charset, sql_mode)


@pytest.mark.parametrize("values", PLAIN)
def test_values_are_known_to_their_end(values: bytes) -> None:
    assert end_of(values + b";\nDROP TABLE t;") == len(values)


@pytest.mark.parametrize("values", NOT_PLAIN)
def test_what_is_no_value_is_not_passed_over(values: bytes) -> None:
    assert end_of(values + b";") < len(values)


def test_double_quotes_hold_no_value_where_they_are_for_names() -> None:
    assert end_of(b'("a")', sql_mode="ANSI_QUOTES") == 1
    assert end_of(b'("a")') == 5


def test_backslashes_escape_where_they_do() -> None:
    assert end_of(b"('\\'),(id);'", sql_mode="NO_BACKSLASH_ESCAPES") < len(b"('\\'),(id)")
    assert end_of(b"('\\'),(id)');") == len(b"('\\'),(id)')")


def test_half_of_a_wide_character_escapes_nothing() -> None:
    assert end_of(b"('\x95\x5c',id)", "gbk") == len(b"('\x95\x5c',")
    assert end_of(b"('\x95\x5c',id')", "utf8mb4") == len(b"('\x95\x5c',id')")


HEADS: dict[bytes, tuple[bytes | None, bytes]] = {
    b"INSERT INTO `t` VALUES (1)": (None, b"`t`"),
    b"insert  into t values(1)": (None, b"t"),
    b"INSERT IGNORE INTO `t` (`a`, b) VALUES (1)": (None, b"`t`"),
    b"REPLACE INTO `d`.`t` VALUES (1)": (b"`d`", b"`t`"),
    b"INSERT INTO `d`.t VALUE (1)": (b"`d`", b"t"),
    b"INSERT INTO `a``.b` VALUES (1)": (None, b"`a``.b`"),
    b"INSERT INTO `a; --` VALUES (1)": (None, b"`a; --`"),
}


@pytest.mark.parametrize("head", HEADS)
def test_a_head_tells_the_table_and_where_its_values_begin(head: bytes) -> None:
    found = rows_head(b"xx" + head, 2, "utf8mb4", "")

    assert found is not None
    assert (found.qualifier, found.table) == HEADS[head]
    assert head[found.own :].startswith(found.table)
    assert head[found.values :].startswith(b"(1)")


@pytest.mark.parametrize(
    "text",
    [b"INSERT INTO t SELECT 1", b"INSERT INTO t SET a = 1", b"INSERT INTO a.b.c VALUES (1)",
     b"INSERT t VALUES (1)", b"INSERT INTO t (a, f()) VALUES (1)",
     b"INSERT INTO t PARTITION (p) VALUES (1)", b"UPDATE t SET a = 1"],
)  # fmt: skip
def test_what_is_no_head_is_none(text: bytes) -> None:
    assert rows_head(text, 0, "utf8mb4", "") is None


@given(
    st.lists(st.lists(st.none() | st.integers() | st.binary(max_size=12), min_size=1, max_size=4), min_size=1)
)
def test_any_row_that_a_dump_program_writes_is_plain(rows: list[list[int | bytes | None]]) -> None:
    escapes = {0: b"\\0", 10: b"\\n", 13: b"\\r", 26: b"\\Z", 34: b'\\"', 39: b"\\'", 92: b"\\\\"}

    def literal(value: int | bytes | None) -> bytes:
        if isinstance(value, bytes):
            return b"'" + b"".join(escapes.get(byte, bytes([byte])) for byte in value) + b"'"
        return b"NULL" if value is None else str(value).encode()

    text = b",".join(b"(" + b",".join(map(literal, row)) + b")" for row in rows)

    assert end_of(text + b";\n") == len(text)


GROWING: dict[str, Callable[[int], bytes]] = {
    "brackets": lambda n: b"(" * n,
    "rows": lambda n: b"(1,'a')," * n,
    "quotes": lambda n: b"(" + b"'" * n,
    "backslashes": lambda n: b"('" + b"\\" * n,
    "digits": lambda n: b"(" + b"1" * n,
    "words": lambda n: b"(" + b"_a" * n,
    "numbers with exponents": lambda n: b"(" + b"1e1" * n,
    "introducers": lambda n: b"(" + b"_a  " * n,
    "signs": lambda n: b"(" + b"-" * n,
    "wide": lambda n: b"('" + b"\x81" * n,
}


@pytest.mark.parametrize("what", GROWING)
@pytest.mark.parametrize("charset", ["utf8mb4", "gb18030"])
def test_time_grows_as_the_values_do(what: str, charset: str) -> None:
    def seconds(values: bytes) -> float:
        began = time.process_time()
        end_of(values, charset)
        return time.process_time() - began

    once, twice = (min(seconds(GROWING[what](n)) for _ in range(2)) for n in (50_000, 100_000))

    assert twice < 3 * once + 0.05
