"""Tables, sequences and views share their names: what a dump makes in the place of another is no one's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backups.dumpfile.allowed import NotAllowed
from backups.dumpfile.dialect import Dialect
from tests.dumpfile.reading import MARIADB, MYSQL, OPTIONS, judged, sent

TABLE = "CREATE TABLE `a` (`id` int);\n"
SEQUENCE = "CREATE SEQUENCE `a`;\n"
VIEW = "CREATE VIEW `a` AS select 1 AS `id`;\n"
DROPPED = "DROP TABLE IF EXISTS `a`;\n"
ANEW = {
    "a table twice": (TABLE + TABLE, "table"),
    "a table twice, as in two dumps": (DROPPED + TABLE + DROPPED + TABLE, "table"),
    "a table in place of itself": (TABLE + TABLE.replace("CREATE", "CREATE OR REPLACE"), "table"),
    "a table in place of a sequence": (SEQUENCE + TABLE, "sequence"),
    "a table in place of a sequence, dropped": (SEQUENCE + DROPPED + TABLE, "sequence"),
    "a table in place of a view": (VIEW + TABLE, "view"),
    "a table in place of a view, dropped": (VIEW + "DROP VIEW `a`;\n" + TABLE, "view"),
    "a sequence twice": (SEQUENCE + SEQUENCE, "sequence"),
    "a sequence in place of a table": (TABLE + SEQUENCE.replace("CREATE", "CREATE OR REPLACE"), "table"),
    "a sequence in place of a view": (VIEW + SEQUENCE, "view"),
    "a view in place of a table": (TABLE + VIEW, "table"),
    "a view in place of a table, dropped as one": (TABLE + "DROP VIEW IF EXISTS `a`;\n" + VIEW, "table"),
    "a view in place of a table, by force": (TABLE + VIEW.replace("CREATE", "CREATE OR REPLACE"), "table"),
    "a view in place of a sequence": (SEQUENCE + VIEW, "sequence"),
    "a view twice": (VIEW + VIEW, "view"),
}


@pytest.mark.parametrize("what", ANEW)
@pytest.mark.parametrize("dialect", [MARIADB, MYSQL], ids=["mariadb", "mysql"])
def test_what_takes_anothers_place_ends_the_load(what: str, dialect: Dialect) -> None:
    text, first = ANEW[what]

    with pytest.raises(NotAllowed) as refused:
        sent(text, dialect)

    assert refused.value.why == f"the dump has made the {first} a before"


PLACEHOLDERS = {
    "tables, as in old dumps and phpMyAdmin's": ("CREATE TABLE", "(`id` int)", "DROP TABLE IF EXISTS"),
    "views, as in later ones": ("CREATE VIEW", "AS select 1 AS `id`", "DROP VIEW IF EXISTS"),
}


@pytest.mark.parametrize("what", PLACEHOLDERS)
def test_a_views_placeholder_stays_until_the_view_comes(what: str) -> None:
    """The one before it may read it."""
    create, body, drop = PLACEHOLDERS[what]
    text = f"{create} `a` {body};\n{create} `b` {body};\n" + "".join(
        f"{drop} `{name}`;\nCREATE VIEW `{name}` AS select `id` from `{read}`;\n"
        for name, read in (("a", "b"), ("b", "t"))
    )

    assert sent(text) == [
        f"{create} `a` {body}",
        f"{create} `b` {body}",
        f"{drop} `a`",
        "CREATE VIEW `a` AS select `id` from `b`",
        f"{drop} `b`",
        "CREATE VIEW `b` AS select `id` from `t`",
    ]


def test_a_view_may_take_the_place_of_itself() -> None:
    assert len(sent(VIEW + VIEW.replace("CREATE", "CREATE OR REPLACE"))) == 2


@pytest.mark.parametrize("first", [TABLE, SEQUENCE, VIEW], ids=["table", "sequence", "view"])
@pytest.mark.parametrize("second", [TABLE, SEQUENCE, VIEW], ids=["table", "sequence", "view"])
def test_names_in_other_letters_are_two_but_to_a_server_that_folds_them(first: str, second: str) -> None:
    folding = replace(MARIADB, folds_names=True)
    text = first + second.replace("`a`", "`A`")

    assert judged(text)[1].found.clashing == []
    assert judged(text, folding)[1].found.clashing == ["a", "A"]


@pytest.mark.parametrize("what", ANEW)
def test_such_a_server_is_told_of_what_is_made_twice_all_the_same(what: str) -> None:
    text, first = ANEW[what]

    with pytest.raises(NotAllowed) as refused:
        sent(text.replace("`a`", "`A`"), replace(MARIADB, folds_names=True))

    assert refused.value.why == f"the dump has made the {first} a before"


def test_sequences_are_known_to_such_a_server_by_what_it_calls_them() -> None:
    text = (
        "CREATE SEQUENCE `Numbers`;\nDO SETVAL(`Numbers`, 7, 0);\n"
        "CREATE TABLE `Orders` (`id` int DEFAULT nextval(`live`.`Numbers`));\n"
        "INSERT INTO `Orders` VALUES (1);\n"
    )
    chosen = replace(OPTIONS, tables=frozenset({"orders"}))

    ready, allowed = judged(text, replace(MARIADB, folds_names=True), chosen)

    assert [each.table for each in ready] == ["numbers", "numbers", "orders", "orders"]
    assert allowed.found.respelled == {"numbers": "Numbers", "orders": "Orders"}
