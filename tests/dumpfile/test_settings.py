"""What a dump sets is followed, kept for each statement, and never sent."""

from __future__ import annotations

import pytest

from backups.dumpfile.allowed import NotAllowed
from backups.dumpfile.dialect import Dialect
from backups.dumpfile.settings import Settings
from tests.dumpfile.reading import MARIADB, MYSQL, TABLE, judged

ROW = "INSERT INTO `t` VALUES (1,2);\n"

FOLLOWED: dict[str, tuple[str, dict[str, str]]] = {
    "nothing": ("", {}),
    "NAMES": ("SET NAMES utf8mb4;", {
        "character_set_client": "utf8mb4", "character_set_connection": "utf8mb4",
    }),
    "NAMES with a collation": ("SET NAMES 'latin1' COLLATE latin1_bin;", {
        "character_set_client": "latin1", "character_set_connection": "latin1",
        "collation_connection": "latin1_bin",
    }),
    "CHARACTER SET": ("SET CHARACTER SET koi8r;", {"character_set_client": "koi8r"}),
    "CHARSET": ("SET CHARSET koi8r;", {"character_set_client": "koi8r"}),
    "a text": ("SET sql_mode = 'ANSI_QUOTES,NO_ZERO_DATE';", {"sql_mode": "ANSI_QUOTES,NO_ZERO_DATE"}),
    "a number": ("SET UNIQUE_CHECKS=0;", {"unique_checks": "0"}),
    "a word": ("SET unique_checks = OFF;", {"unique_checks": "OFF"}),
    "with a scope": ("SET SESSION time_zone = '+00:00';", {"time_zone": "+00:00"}),
    "with a scope behind signs": ("SET @@session.time_zone := '+00:00';", {"time_zone": "+00:00"}),
    "several": ("SET time_zone='+01:00', unique_checks=0;", {"time_zone": "+01:00", "unique_checks": "0"}),
    "in a version comment": ("/*!40103 SET TIME_ZONE='+00:00' */;", {"time_zone": "+00:00"}),
    "through a variable": ("SET @a = 'ANSI_QUOTES';\nSET sql_mode = @a;", {"sql_mode": "ANSI_QUOTES"}),
    "saved, changed and put back": (
        ("/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;\n/*!40103 SET TIME_ZONE='+00:00' */;\n"
        "/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;"), {},
    ),
    "saved and changed in one": (
        "/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;", {"unique_checks": "0"},
    ),
    "put back to what it was in the middle": (
        "SET time_zone='+01:00';\nSET @s=@@time_zone, time_zone='+02:00';\nSET time_zone=@s;",
        {"time_zone": "+01:00"},
    ),
    "as it is by default": ("SET time_zone='+01:00';\nSET time_zone=DEFAULT;", {}),
    "instead of nothing": ("SET sql_mode=IFNULL(@OLD_SQL_MODE, 'ANSI');", {"sql_mode": "ANSI"}),
    "what a load does without": (
        ("SET autocommit=0;\nSET @@SESSION.SQL_LOG_BIN=0;\nSET sql_notes=0, wait_timeout=5;\n"
        "SET GLOBAL general_log=1;"), {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", FOLLOWED)
@pytest.mark.parametrize("dialect", [MARIADB, MYSQL], ids=["mariadb", "mysql"])
def test_a_statement_runs_under_what_was_set_before_it(what: str, dialect: Dialect) -> None:
    text, wanted = FOLLOWED[what]

    ready, _ = judged(f"{TABLE}{text}\n{ROW}", dialect)

    assert [dict(one.settings.changed) for one in ready] == [{}, wanted]


REFUSED = [
    "SET GLOBAL time_zone = '+00:00';",
    "SET PERSIST sql_mode = '';",
    "SET @@global.sql_mode = '';",
    "SET local_infile = 1;",
    "SET secure_file_priv = '';",
    "SET sql_mode = CONCAT('A', 'B');",
    "SET sql_mode = (SELECT 1);",
    "SET sql_mode = 'a\\'b';",
    "SET time_zone = '''; DROP TABLE t';",
    "SET @a = f();",
    "SET @a = @@datadir;",
    "SET unique_checks = 7;",
    "SET NAMES utf8mb4 DROP;",
    "SET ROLE ALL;",
    "SET STATEMENT sql_mode = '' FOR DROP TABLE t;",
    "SET;",
]


@pytest.mark.parametrize("text", REFUSED)
def test_a_setting_that_no_dump_makes_ends_the_load(text: str) -> None:
    with pytest.raises(NotAllowed):
        judged(f"{TABLE}{text}\n{ROW}")


def test_quotes_are_read_under_what_was_just_set() -> None:
    text = (
        f"{TABLE}SET sql_mode='NO_BACKSLASH_ESCAPES';\nINSERT INTO t VALUES ('\\',1);\nSET sql_mode='';\n"
        "INSERT INTO t VALUES ('\\'',1);\nSET NAMES sjis;\n"
    ).encode() + b"INSERT INTO t VALUES ('\x83\x5c',1);\n"

    for cut in range(len(text)):
        ready, _ = judged(text, cuts=[cut])
        assert [one.text.rpartition(b"VALUES ")[2] for one in ready[1:]] == [
            b"('\\',1)", b"('\\'',1)", b"('\x83\x5c',1)",
        ]  # fmt: skip


def test_names_are_the_same_in_whatever_character_set_they_stand() -> None:
    text = b"SET NAMES latin1;\nCREATE TABLE `gr\xfc\xdfe` (id int);\nSET NAMES utf8mb4;\n"

    _, allowed = judged(text + "INSERT INTO `grüße` VALUES (1);\n".encode())

    assert allowed.found.with_rows == {"grüße"}


def test_a_session_is_changed_by_what_differs_alone() -> None:
    ready, _ = judged(f"{TABLE}SET time_zone='+01:00', unique_checks=0;\n{ROW}SET unique_checks=1;\n{ROW}")
    first, second, third = (one.settings for one in ready)

    assert second.differing_from(first) == {"time_zone": "+01:00", "unique_checks": "0"}
    assert third.differing_from(second) == {"unique_checks": "1"}
    assert first.differing_from(third) == {"time_zone": None, "unique_checks": None}
    assert third.differing_from(third) == {}


@pytest.mark.parametrize(
    ("text", "has_saved", "outstanding"),
    [
        ("SET time_zone='+00:00';", False, set()),
        ("SET @OLD=@@time_zone, time_zone='+00:00';", True, {"old"}),
        ("SET @OLD=@@time_zone, time_zone='+00:00';\nSET time_zone=@old;", True, set()),
        ("SET @OLD=@@sql_notes, sql_notes=0;\nSET sql_notes=@OLD;", True, set()),
        ("SET @a=1;", False, set()),
    ],
)
def test_what_was_saved_and_not_put_back_tells_of_half_a_dump(
    text: str, has_saved: bool, outstanding: set[str]
) -> None:
    _, allowed = judged(text + "\n")

    assert (allowed.session.has_saved, allowed.session.outstanding) == (has_saved, outstanding)


def test_what_the_server_begins_with_counts_until_a_dump_says_otherwise() -> None:
    ansi = Settings(initial_mode="ANSI_QUOTES")

    assert not ansi.reads_plainly
    assert ansi.sql_mode == "ANSI_QUOTES"
    assert Settings().reads_plainly
