"""Whose a statement is that no replay goes past: of what may be another database's, no text is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backups.binlog.barriers import Barrier, Code
from backups.binlog.logged import Logged
from tests.binlog.judging import MYSQL, judge, logged

# In another database, where they merely have our name in them.
OF_ANOTHER = [
    "UPDATE workshop SET pw = 'hunter2'",
    "INSERT INTO t VALUES ('hunter2 shop')",
    "LOAD DATA INFILE '/tmp/shop.csv' INTO TABLE t",
    "INSERT INTO t VALUES ('hunter2') /* shop */",
    "INSERT INTO shop.t SELECT 'hunter2' FROM t",
    "DO shop.f('hunter2')",
]
# In ours.
OF_BOTH = [
    "INSERT INTO other.t VALUES ('hunter2')",
    "INSERT INTO `other` . t VALUES ('hunter2')",
    "INSERT INTO /* x */ other/* x */.t VALUES ('hunter2')",
    "/*!40000 INSERT INTO other.t VALUES ('hunter2') */",
    "UPDATE t, other.t o SET o.pw = 'hunter2'",
    "INSERT INTO t VALUES (1. ); REPLACE INTO other.t VALUES ('hunter2')",
    "SELECT 1. other.pw FROM t",
    "UPDATE shop.t, other.u SET pw = 'hunter2'",
    "DELETE FROM `oth``er`.t WHERE pw = 'hunter2'",
    "INSERT INTO t VALUES ('hunter2",
    "RENAME TABLE t TO other.t",
    "DROP TABLE t, other.t",
    # By a table's alias that is a database's name as well.
    "UPDATE t AS other, other.u SET other.pw = 'hunter2'",
    "UPDATE t AS other JOIN other.u ON other.id = u.id SET u.pw = 'hunter2'",
    "UPDATE t other JOIN v ON v.id = 1, other.u SET u.pw = 'hunter2'",
    "UPDATE t other SET pw = other.f('hunter2')",
    "UPDATE t other SET pw = NEXT VALUE FOR other.s",
    "UPDATE t other SET pw = SETVAL(other.s, 7)",
    "UPDATE t other SET pw = other.u.pw",
    "DELETE other.u FROM t AS other, other.u WHERE u.pw = 'hunter2'",
    "DELETE FROM other.u USING t AS other JOIN other.u",
    "INSERT INTO t SELECT other.pw FROM u AS other, other.t",
    "INSERT INTO t SELECT t.pw FROM u AS t WHERE t.id = (SELECT 'hunter2' FROM other.u AS other)",
    "INSERT INTO t VALUES ((SELECT pw FROM other.u AS other))",
    "INSERT INTO t SELECT 1 FROM u other JOIN v ON duplicate = v.n, other.u",
    "UPDATE t AS o SET o.pw = 1; REPLACE INTO other.t VALUES ('hunter2')",
    "UPDATE t SET o.pw = 'hunter2'",
]
OURS = [
    "UPDATE t SET pw = 'other.t', share = 1.5, b = .5 WHERE id = 7",
    "INSERT INTO shop.t SELECT shop.u.id, 2. FROM `shop`.u",
    'INSERT INTO t VALUES ("other.t") /* other.t */',
    "LOAD DATA INFILE '/tmp/other.csv' INTO TABLE t",
    "UPDATE t AS o SET o.pw = 'x', o.n = 1.5 WHERE o.id = 7 ORDER BY o.id LIMIT 3",
    "UPDATE LOW_PRIORITY IGNORE t o JOIN shop.u `p` ON o.id = p.id, v SET o.pw = `p`.pw, v.n = o.n",
    "INSERT INTO t SELECT o.id, COUNT(*) FROM u AS o WHERE o.n IN (SELECT v.n FROM v) GROUP BY o.id",
    "INSERT IGNORE INTO t (id) VALUES (1), (2) ON DUPLICATE KEY UPDATE t.pw = VALUES(pw), t.n = t.n + 1",
    "INSERT INTO t SELECT o.* FROM u o ON DUPLICATE KEY UPDATE t.pw = o.pw, t.n = o.n",
    "REPLACE INTO t (id, pw) SELECT o.id, CONCAT(o.pw, '.') FROM u o LEFT JOIN v USING (id)",
    "DELETE o FROM t AS o JOIN u ON u.id = o.id WHERE u.n > 5",
    "DELETE QUICK o.*, shop.u FROM t AS o, u WHERE u.id = o.id",
    "DELETE FROM o USING t AS o LEFT JOIN u ON o.id = u.id WHERE u.id IS NULL",
]


def is_with_others(statement: Logged) -> bool:
    found = judge(statement)
    assert isinstance(found, Barrier), found
    return found.is_neighbours


@pytest.mark.parametrize("statement", OF_ANOTHER)
def test_what_another_database_said_is_not_ours_to_keep_where_our_name_is_in_it(statement: str) -> None:
    assert is_with_others(logged(statement, "other"))
    assert is_with_others(logged(statement, ""))


@pytest.mark.parametrize("statement", OF_BOTH)
def test_what_may_have_changed_another_database_as_well_is_not_ours_alone(statement: str) -> None:
    assert is_with_others(logged(statement))


@pytest.mark.parametrize("statement", OURS)
def test_what_names_no_other_database_is_ours(statement: str) -> None:
    assert not is_with_others(logged(statement))


def test_names_in_double_quotes_are_read_as_the_session_read_them() -> None:
    quoted = 'UPDATE "other".t SET pw = 1'
    assert is_with_others(logged(quoted, mode="ANSI_QUOTES"))


def test_mysql_says_itself_which_databases_it_changed() -> None:
    elsewhere = logged("UPDATE shop.t SET pw = 'hunter2'", "other", MYSQL)
    assert not is_with_others(replace(elsewhere, updated=frozenset({"shop"})))
    assert is_with_others(replace(elsewhere, updated=frozenset({"shop", "other"})))
    assert is_with_others(elsewhere)
    at_home = logged("UPDATE t SET pw = f('hunter2')", dialect=MYSQL)
    assert is_with_others(replace(at_home, updated=frozenset({"shop", "other"})))


def test_a_very_long_statement_is_not_read_word_by_word() -> None:
    long = logged("INSERT INTO t VALUES " + ", ".join(["('x')"] * 20_000))
    assert judge(long) == Barrier(Code.STATEMENT_ROWS, {"verb": "INSERT"}, is_neighbours=True)
