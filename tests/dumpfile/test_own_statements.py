"""Statements of our own about what a dump names, in a character set where half a letter may be a quote.

They are in UTF-8, but for an event's state. Sent under another character set, the end of a name would be
another one: what is in it after a backtick would be read as a part of the statement.
"""

from __future__ import annotations

import pytest

from backups.dumpfile.allowed import NotAllowed
from backups.dumpfile.dialect import Dialect
from backups.dumpfile.lexer import Cursor, Kind
from backups.dumpfile.ready import LoadOptions, Ready
from tests.dumpfile.reading import MARIADB, MYSQL, judged

# By its character set, a letter whose second byte is a backslash or a backtick, and its codec.
LETTERS = {
    "gbk, backslash": ("gbk", "gbk", "誠"),
    "gbk, backtick": ("gbk", "gbk", "乣"),
    "sjis, backslash": ("sjis", "cp932", "ソ"),
    "sjis, backtick": ("sjis", "cp932", "チ"),
    "big5, backslash": ("big5", "big5", "功"),
}
EVIL = "` DO DELETE FROM other.o -- "


def names(ready: Ready, dialect: Dialect) -> list[str]:
    """The quoted names in a statement, as a server reads it under the settings that it is sent with."""
    cursor = Cursor(ready.text, dialect, ready.settings.charset, ready.settings.sql_mode)
    return [cursor.plain(token) for token in cursor.rest() if token.kind == Kind.NAME]


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("dialect", [MARIADB, MYSQL], ids=["mariadb", "mysql"])
def test_a_key_that_waits_for_its_table_names_what_the_dump_names(letter: str, dialect: Dialect) -> None:
    charset, codec, sign = LETTERS[letter]
    named = [sign + EVIL, sign, sign + "c", "other", sign + EVIL, "id"]
    table, key, column, *far = map(quoted, named)
    text = (
        f"SET NAMES {charset};\nCREATE TABLE {table} ({column} int, CONSTRAINT {key} FOREIGN KEY ({column})"
        f" REFERENCES {far[0]}.{far[1]} ({far[2]}));\n"
    )

    _, allowed = judged(text.encode(codec), dialect)

    (ready,) = allowed.found.outward
    assert ready.table == sign + EVIL
    assert names(ready, dialect) == named
    assert ready.text == (
        f"ALTER TABLE {table} ADD CONSTRAINT {key} FOREIGN KEY ({column})"
        f" REFERENCES {far[0]}.{far[1]} ({far[2]})"
    ).encode()  # fmt: skip


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("dialect", [MARIADB, MYSQL], ids=["mariadb", "mysql"])
def test_an_event_is_enabled_by_its_own_name_and_definer(letter: str, dialect: Dialect) -> None:
    charset, codec, sign = LETTERS[letter]
    name, definer = quoted(sign + EVIL), quoted(sign)
    text = (
        f"SET NAMES {charset};\n"
        f"CREATE DEFINER={definer}@`%` EVENT {name} ON SCHEDULE EVERY 1 DAY DO SELECT 1;"
    )

    _, allowed = judged(text.encode(codec) + b"\n", dialect)

    settled = allowed.found.events[0].settled()
    assert names(settled, dialect) == [sign, "%", sign + EVIL]
    assert settled.text == f"ALTER DEFINER={definer}@`%` EVENT {name} ENABLE".encode(codec)


@pytest.mark.parametrize("letter", LETTERS)
def test_so_it_is_where_its_character_set_does_not_have_its_name(letter: str) -> None:
    charset, codec, sign = LETTERS[letter]
    text = (
        f"SET NAMES {charset};\n"
        f"CREATE DEFINER={quoted(sign + EVIL)}@`%` EVENT `?` ON SCHEDULE EVERY 1 DAY DO SELECT 1;\n"
    )

    _, allowed = judged(text.encode(codec).replace(b"`?`", b"`\xff`"))

    settled = allowed.found.events[0].settled()
    assert settled.settings.charset == "utf8mb4"
    assert names(settled, MARIADB) == [sign + EVIL, "%", "\udcff"]


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("kind", ["VIEW", "TRIGGER", "PROCEDURE", "EVENT", "TABLE"])
def test_what_is_dropped_is_what_the_dump_drops(letter: str, kind: str) -> None:
    charset, codec, sign = LETTERS[letter]
    text = f"SET NAMES {charset};\nDROP {kind} IF EXISTS {quoted(sign + EVIL)};\n"

    (drop,), _ = judged(text.encode(codec))

    assert names(drop, MARIADB) == [sign + EVIL]


def test_another_programs_mode_stays_where_only_the_character_set_is_changed() -> None:
    """MariaDB before 11 knows packages under Oracle's mode alone."""
    text = "SET NAMES gbk;\nSET sql_mode='ORACLE';\nDROP PACKAGE IF EXISTS p;\n"

    (drop,), _ = judged(text)

    assert (drop.settings.charset, drop.settings.sql_mode) == ("utf8mb4", "ORACLE")


def test_a_sequences_target_is_not_named_in_a_character_set_that_reads_it_otherwise() -> None:
    text = "SET NAMES gbk;\nCREATE TABLE u (id int DEFAULT nextval(`live`.`s`));\n"

    (plain,), _ = judged(text, options=LoadOptions("live_copy", source="live"))
    assert b"nextval(`live_copy`.`s`)" in plain.text
    ready, _ = judged(text.removeprefix("SET NAMES gbk;\n"), options=LoadOptions("誠", source="live"))
    assert names(ready[0], MARIADB) == ["誠", "s"]
    with pytest.raises(NotAllowed):
        judged(text, options=LoadOptions("誠", source="live"))
