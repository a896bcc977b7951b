"""A dump cut into its statements as a client would cut it, in however small pieces it comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from types import MappingProxyType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backups.dumpfile.dialect import Dialect
from backups.dumpfile.settings import Settings
from backups.dumpfile.statements import NoStatement
from tests.dumpfile.reading import MARIADB, MYSQL, statements


def under(**changed: str) -> Settings:
    return Settings(MappingProxyType(changed))


PLAIN = Settings()
NO_ESCAPES = under(sql_mode="NO_BACKSLASH_ESCAPES")
ANSI = under(sql_mode="ANSI_QUOTES")

CUT: dict[str, tuple[bytes, list[bytes]]] = {
    "nothing": (b"", []),
    "blanks and comments": (b"\n-- one\n# two\n/* three; */\n", []),
    "two": (b"SELECT 1;\nSELECT 2;\n", [b"SELECT 1", b"SELECT 2"]),
    "the last without an end": (b"SELECT 1;\nCOMMIT;", [b"SELECT 1", b"COMMIT"]),
    "empty ones": (b";;\n;SELECT 1;;\n", [b"SELECT 1"]),
    "a delimiter in a text": (b"SELECT ';', \"a;\", `b;`;\n", [b"SELECT ';', \"a;\", `b;`"]),
    "quotes in quotes": (b"SELECT 'it''s;', \"a\"\";\", `b``;`, 'x\\';';\n", [
        b"SELECT 'it''s;', \"a\"\";\", `b``;`, 'x\\';'",
    ]),
    "a delimiter in comments": (b"SELECT /* a;'b */ 1 -- c;'\n+ 1 # d;'\n;\n", [
        b"SELECT /* a;'b */ 1 -- c;'\n+ 1 # d;'\n",
    ]),
    "what is no comment": (b"SELECT 1--1;SELECT 2;\n", [b"SELECT 1--1", b"SELECT 2"]),
    "a version comment": (b"/*!40101 SET NAMES utf8 */;\n", [b"/*!40101 SET NAMES utf8 */"]),
    "a text in a version comment": (b"/*!50003 SELECT ';*/' */;\n", [b"/*!50003 SELECT ';*/' */"]),
    "MariaDB's first line": (
        b"/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump\n\nSELECT 1;\n",
        [b"/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump\n\nSELECT 1"],
    ),
    "a byte order mark": (b"\xef\xbb\xbfSELECT 1;\n", [b"SELECT 1"]),
    "lines of Windows": (
        b"-- x\r\nSELECT 1;\r\nDELIMITER ;;\r\nSELECT 2;\r\n;;\r\nDELIMITER ;\r\nSELECT 3;\r\n",
        [b"SELECT 1", b"SELECT 2;\r\n", b"SELECT 3"],
    ),
    "another delimiter": (b"DELIMITER ;;\nBEGIN; END ;;\nDELIMITER ;\nSELECT 1;\n", [
        b"BEGIN; END ", b"SELECT 1",
    ]),
    "in small letters": (b"delimiter $$\nA;B$$\ndelimiter ;\n", [b"A;B"]),
    "many delimiters": (b"DELIMITER //\nA//\nDELIMITER |\nB//|\n", [b"A", b"B//"]),
    "a delimiter that a comment swallowed": (
        b"DELIMITER ;;\nCREATE x\nEND -- done ;;\nDELIMITER ;\nSELECT 1;\n",
        [b"CREATE x\nEND -- done ", b"SELECT 1"],
    ),
    "and once more in its own line": (
        b"DELIMITER ;;\nCREATE x\nEND # done;;\n;;\nCREATE y;;\nDELIMITER ;\n",
        [b"CREATE x\nEND # done", b"CREATE y"],
    ),
    "a comment in a body that ends like the delimiter": (
        b"DELIMITER ;;\nCREATE x\n-- done;;\nEND;;\nDELIMITER ;\n",
        [b"CREATE x\n-- done;;\nEND"],
    ),
    "rows": (b"INSERT INTO `t` VALUES (1,'a;\n'),(2,NULL);\nINSERT INTO t VALUES (3);\n", [
        b"INSERT INTO `t` VALUES (1,'a;\n'),(2,NULL)", b"INSERT INTO t VALUES (3)",
    ]),
    "rows with what looks like their end": (b"INSERT INTO `t` VALUES (1,'a;\n;\n\\';\n''');\n", [
        b"INSERT INTO `t` VALUES (1,'a;\n;\n\\';\n''')",
    ]),
    "rows that are none": (b"INSERT INTO t SELECT ';\n' FROM u;\nSELECT 1;\n", [
        b"INSERT INTO t SELECT ';\n' FROM u", b"SELECT 1",
    ]),
    "rows and more in a line": (b"INSERT INTO t VALUES (1); DROP TABLE t;\n", [
        b"INSERT INTO t VALUES (1)", b"DROP TABLE t",
    ]),
}  # fmt: skip


@pytest.mark.parametrize("what", CUT)
@pytest.mark.parametrize("dialect", [MARIADB, MYSQL], ids=["mariadb", "mysql"])
def test_statements_are_the_same_wherever_the_text_is_cut(what: str, dialect: Dialect) -> None:
    text, wanted = CUT[what]

    assert [one.text for one in statements(text, dialect=dialect)] == wanted
    for at in range(len(text) + 1):
        found = [one.text for one in statements(text, [at], dialect=dialect)]
        assert found == wanted, f"cut at {at}"
    byte_by_byte = statements(text, range(len(text)), dialect=dialect)
    assert [one.text for one in byte_by_byte] == wanted


UNDER: dict[str, tuple[Settings, bytes, list[bytes]]] = {
    "no escapes": (NO_ESCAPES, b"SELECT '\\';SELECT '2';\n", [b"SELECT '\\'", b"SELECT '2'"]),
    "no escapes in rows": (NO_ESCAPES, b"INSERT INTO t VALUES ('\\');\nSELECT 2;\n", [
        b"INSERT INTO t VALUES ('\\')", b"SELECT 2",
    ]),
    "double quotes for names": (ANSI, b'SELECT "a\\";SELECT "b;";\n', [b'SELECT "a\\"', b'SELECT "b;"']),
    "gbk": (under(character_set_client="gbk"), b"SELECT '\xd5\x5c';SELECT '2';\n", [
        b"SELECT '\xd5\x5c'", b"SELECT '2'",
    ]),
    "sjis": (under(character_set_client="sjis"), b"INSERT INTO t VALUES ('\x83\x5c');\nSELECT '2';\n", [
        b"INSERT INTO t VALUES ('\x83\x5c')", b"SELECT '2'",
    ]),
    "a name in gbk": (under(character_set_client="gbk"), b"SELECT `\x81\x60;`;\n", [b"SELECT `\x81\x60;`"]),
    "half a character": (under(character_set_client="gbk"), b"SELECT '\xd5';SELECT 2;\n", [
        b"SELECT '\xd5'", b"SELECT 2",
    ]),
    "latin1 has no such": (under(character_set_client="latin1"), b"SELECT '\xd5\\';';\n", [
        b"SELECT '\xd5\\';'",
    ]),
}  # fmt: skip


@pytest.mark.parametrize("what", UNDER)
def test_settings_decide_where_a_text_ends(what: str) -> None:
    changed, text, wanted = UNDER[what]

    for at in range(len(text) + 1):
        assert [one.text for one in statements(text, [at], settings=changed)] == wanted, f"cut at {at}"


def test_only_newer_servers_of_mysql_know_dollar_quotes() -> None:
    text = b"CREATE FUNCTION f() AS $js$ let a = ';'; $js$;\n"

    assert [one.text for one in statements(text, dialect=MYSQL)] == [text[:-2]]
    assert len(statements(text, dialect=MARIADB)) == 2


def test_a_statement_knows_its_line() -> None:
    text = b"-- one\n\nSELECT 1;\nDELIMITER ;;\nA\nB;;\nDELIMITER ;\nINSERT INTO t VALUES (1);\n"

    for at in range(len(text) + 1):
        assert [one.line for one in statements(text, [at])] == [3, 5, 8]


def test_what_has_no_end_knows_its_line() -> None:
    text = b"-- one\n\nSELECT 1;\n# two\n\n  A\nB"

    for at in range(len(text) + 1):
        with pytest.raises(NoStatement) as torn:
            statements(text, [at])
        assert (torn.value.text, torn.value.line) == (b"A\nB", 6)


def test_rows_of_plain_values_are_known_as_such() -> None:
    text = b"INSERT INTO `d`.`t` (`a`) VALUES (1),('x');\nINSERT INTO t VALUES (SLEEP(1));\n"

    plain, other = statements(text)

    assert plain.rows is not None
    assert (plain.rows.qualifier, plain.rows.table) == (b"`d`", b"`t`")
    assert other.rows is None


@pytest.mark.parametrize(
    "torn", [b"SELECT 1", b"SELECT 'x;\n", b"INSERT INTO t VALUES (1),('a", b"SELECT /* x;", b"SELECT `a;"]
)
def test_half_a_statement_is_told(torn: bytes) -> None:
    with pytest.raises(NoStatement):
        statements(b"SELECT 0;\n" + torn)


TEXTS = st.lists(
    st.sampled_from(
        [b"'", b'"', b"`", b"\\", b";", b";\n", b"\n", b"\r\n", b"-- ", b"--", b"#", b"/*", b"*/",
         b"/*!40101 ", b"/*M!", b"DELIMITER ;;\n", b"DELIMITER ;\n", b"INSERT INTO t VALUES ",
         b"(1,'a')", b"a", b" ", b"$$",
         b"\xd5", b"\x5c", b"\xef\xbb\xbf", b"\x00", b"1", b";;"]
    ),
    max_size=25,
).map(b"".join)  # fmt: skip


def told(text: bytes, cuts: list[int], dialect: Dialect) -> list[tuple[bytes, int, bool]] | str:
    """The statements, or that they have no end."""
    try:
        found = statements(text, cuts, dialect=dialect)
    except NoStatement as error:
        return error.why
    return [(one.text, one.line, one.rows is not None) for one in found]


@settings(max_examples=400, deadline=None)
@given(text=TEXTS, cuts=st.lists(st.integers(0, 120), max_size=4), dialect=st.sampled_from([MARIADB, MYSQL]))
@example(text=b"DELIMITER ;;\nx -- y;;\n;;\n", cuts=[22], dialect=MARIADB)
@example(text=b"INSERT INTO t VALUES '" + b"a" * 60 + b";\n", cuts=[64], dialect=MARIADB)
@example(text=b"INSERT INTO t SELECT '" + b"x" * 46 + b";\n;\n';\n", cuts=[66], dialect=MYSQL)
def test_any_text_cut_anywhere_gives_the_same_statements(
    text: bytes, cuts: list[int], dialect: Dialect
) -> None:
    assert told(text, [min(cut, len(text)) for cut in cuts], dialect) == told(text, [], dialect)


# ---------------------------------------------------------------- Time

GROWING: dict[str, Callable[[int], bytes]] = {
    "open comments": lambda n: b"/* " * n,
    "comments": lambda n: b"/**/" * n,
    "line comments": lambda n: b"-- x\n" * n,
    "comments in a statement": lambda n: b"A " + b"/*x*/ " * n + b";\n",
    "backticks": lambda n: b"A " + b"`" * n + b";\n",
    "quotes": lambda n: b"A " + b"'" * n + b";\n",
    "double quotes": lambda n: b"A " + b'"' * n + b";\n",
    "backslashes": lambda n: b"A '" + b"\\" * n,
    "brackets": lambda n: b"INSERT INTO t VALUES " + b"(" * n + b";\n",
    "rows with ends": lambda n: b"INSERT INTO t VALUES ('" + b"a;\n" * n + b"');\n",
    "rows without an end": lambda n: b"INSERT INTO t VALUES " + b"(1,';\n')," * n,
    "no rows": lambda n: b"INSERT INTO t SELECT " + b";\n" * n,
    "names of a head": lambda n: b"INSERT INTO t (" + b"a," * n + b") VALUES (1);\n",
    "delimiters": lambda n: b"DELIMITER ;;\n" * n,
    "swallowed": lambda n: b"DELIMITER ;;\nA\n" + b"-- ;;\n" * n,
    "dollars": lambda n: b"A " + b"$a$" * n,
    "blanks": lambda n: b" " * n + b"A;",
    "dashes": lambda n: b"A " + b"-" * n + b";",
    "statements": lambda n: b"A;" * n,
}


def seconds(text: bytes) -> float:
    """How long a text takes that comes in pieces of 64 KB; the better of two."""
    best = 99.0
    for _ in range(2):
        began = time.process_time()
        with suppress(NoStatement):
            statements(text, range(0, len(text), 64 << 10), dialect=MYSQL)
        best = min(best, time.process_time() - began)
    return best


@pytest.mark.parametrize("what", GROWING)
def test_time_grows_as_the_text_does(what: str) -> None:
    """Twice the text may take little more than twice the time, whatever it repeats."""
    text, twice = GROWING[what](16_000), GROWING[what](32_000)

    assert seconds(twice) < 3 * seconds(text) + 0.05
