"""Statements that servers read otherwise than they look.

Each was let out once, or passed over, though it is not the database's alone. What the servers make of them
was tried on MariaDB 10.11 and MySQL 9.7.
"""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from backups.binlog.barriers import Code
from backups.binlog.logged import Logged
from backups.binlog.statements import AnothersForSure, Judged, Ours, judged
from tests.binlog.judging import MARIADB, MYSQL, judge, let_out, logged, stop

# The servers read `1.5` and FROM, and so another database's table, where a reader of words sees one of them.
GLUED_NUMBERS = [
    "CREATE VIEW v AS SELECT {}FROM other.b other",
    "CREATE TABLE other (id INT PRIMARY KEY DEFAULT {}REFERENCES other.b)",
    "CREATE TABLE other (id INT) ENGINE=MyISAM AUTO_INCREMENT={}UNION=(other.b)",
]
# FROM before a point is a keyword unless the point and a name without quotes follow at once.
KEYWORDS_BEFORE_POINTS = [
    "CREATE VIEW v AS SELECT a AS `from` FROM .b JOIN other.c other",
    "CREATE VIEW v AS SELECT a AS `from` FROM.`b` JOIN other.c other",
    "CREATE VIEW v AS SELECT a AS `from` FROM /**/ . b, other.c other",
    "CREATE TABLE `rename` (id INT, b INT REFERENCES . b)",
    "ALTER TABLE `rename` RENAME .`b`",
]
KEPT_OUTSIDE = [
    "CREATE TABLE a (id INT) ENGINE 'C\\ONNECT'",
    "CREATE TABLE a (id INT) ENGINE xpand",
    "CREATE TABLE a (id INT) ENGINE never_heard_of",
    "CREATE SEQUENCE s ENGINE=MyISAM DATA DIRECTORY='/tmp'",
]
LIBRARIES_OF_OTHERS = [
    "CREATE FUNCTION f() RETURNS INT LANGUAGE JAVASCRIPT /* x */ USING (other.l) AS 'x'",
    "CREATE FUNCTION f() RETURNS INT LANGUAGE JAVASCRIPT DETERMINISTIC USING (other.l) AS 'x'",
    "CREATE FUNCTION f() RETURNS CHAR(3) CHARACTER SET utf8mb4 USING (other.l) LANGUAGE JAVASCRIPT AS 'x'",
]


@pytest.mark.parametrize("statement", GLUED_NUMBERS)
@pytest.mark.parametrize("number", ["1e1", "1E+1", "1.5", "1.", ".5", "1.5e-1", ".5e+1"])
def test_a_number_ends_where_the_server_ends_it(statement: str, number: str) -> None:
    assert stop(statement.replace("{}", number)) == Code.NOT_UNDERSTOOD


def test_numbers_and_names_that_begin_with_digits_are_read_still() -> None:
    numbers = (
        "CREATE TABLE a (x INT DEFAULT 1e+3, y INT DEFAULT .5e3, z INT DEFAULT 1.5e-3, 1a INT DEFAULT 1.)"
    )
    assert let_out(numbers).endswith(numbers.partition("a ")[2])
    assert "`.`1a`" in let_out("DROP TABLE shop.1a")


@pytest.mark.parametrize("statement", KEYWORDS_BEFORE_POINTS)
def test_a_keyword_before_a_point_is_no_name(statement: str) -> None:
    assert stop(statement) == Code.NOT_UNDERSTOOD


@pytest.mark.parametrize(
    ("charset", "control"), [("utf8mb4", b"\x7f"), ("hp8", b"\xb1"), ("macroman", b"\xcb")]
)
def test_a_comment_may_begin_with_a_control_character(charset: str, control: bytes) -> None:
    view = b"CREATE VIEW v (a --?) AS SELECT 1 FROM b /*\n) AS SELECT 2 FROM other.c -- */"

    stopped = stop(Logged(view.replace(b"?", control), "shop", charset, MARIADB))

    # DEL is known to begin one in each character set: what follows is read as the server reads it.
    assert stopped == (Code.OTHER_DATABASE if control == b"\x7f" else Code.NOT_UNDERSTOOD)


@pytest.mark.parametrize("statement", KEPT_OUTSIDE)
def test_what_is_kept_outside_of_the_database_is_not_made(statement: str) -> None:
    assert stop(statement) == Code.OUTSIDE


def test_a_column_may_be_called_engine() -> None:
    assert isinstance(judge("CREATE TABLE a (engine INT, KEY engine (engine)) ENGINE InnoDB"), Ours)
    assert isinstance(judge("ALTER TABLE a ADD engine INT, CHANGE b engine INT, ENGINE=InnoDB"), Ours)


@pytest.mark.parametrize("statement", LIBRARIES_OF_OTHERS)
def test_libraries_are_read_wherever_they_stand(statement: str) -> None:
    assert stop(logged(statement, dialect=MYSQL)) == Code.OTHER_DATABASE


def test_a_body_that_joins_using_a_column_is_left_as_it_is() -> None:
    for body in (
        "SELECT * FROM a JOIN b USING (id)",
        "x: BEGIN SELECT * FROM a JOIN other.b USING (id); END",
    ):
        assert let_out(logged(f"CREATE PROCEDURE p() {body}", dialect=MYSQL)).endswith(body)


def test_mysql_takes_a_sixth_digit_for_the_version_only_before_a_blank() -> None:
    assert stop(logged("DROP TABLE a /*!500001, other.b */", dialect=MYSQL)) == Code.NOT_UNDERSTOOD
    assert stop(logged("DROP TABLE a /*!090704 , other.b */", dialect=MYSQL)) == Code.OTHER_DATABASE
    assert isinstance(judge(logged("DROP TABLE a /*!500001 , other.b */", dialect=MYSQL)), Ours)


def test_an_alter_that_draws_from_a_sequence_is_not_repeated() -> None:
    # The log has the sequence's rows before it: as they are after it.
    assert stop("ALTER TABLE a ADD b INT DEFAULT NEXTVAL(s)") == Code.NOT_REPEATABLE
    assert stop("ALTER TABLE a ADD b INT DEFAULT (NEXT VALUE FOR s)") == Code.NOT_REPEATABLE


def test_mariadb_may_have_a_table_called_lateral() -> None:
    assert stop(logged("CREATE VIEW shop.v AS SELECT * FROM lateral", "other")) == Code.OTHER_DATABASE


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM parent WHERE id = 1",
        "INSERT INTO a SELECT f()",
        "SELECT f()",
        "(SELECT f())",
        "CREATE TABLE a SELECT f()",
        "SET STATEMENT max_statement_time=1 FOR DELETE FROM parent",
        "ANALYZE DELETE FROM parent",
    ],
)
def test_rows_of_another_database_may_bring_changes_to_ours(statement: str) -> None:
    """By ON DELETE CASCADE, triggers and functions: MySQL then tells no database. MariaDB never tells one."""
    unnamed = logged(statement, "other", MYSQL)

    assert stop(unnamed) == Code.STATEMENT_ROWS
    assert isinstance(judge(replace(unnamed, updated=frozenset({"other"}))), AnothersForSure)
    assert isinstance(judge(logged(statement, "other", MARIADB)), AnothersForSure)


@pytest.mark.parametrize("statement", ["TRUNCATE a", "ALTER TABLE a ADD b INT", "CREATE INDEX i ON a (b)"])
def test_a_sessions_own_table_is_not_taken_for_ours(statement: str) -> None:
    """A temporary one that was made before the log's part begins: the server flags what is done to it."""
    flagged = replace(logged(statement), is_of_session=True)

    assert stop(flagged) == Code.TEMPORARY
    # Servers flag each DROP TABLE, whatever it drops.
    assert isinstance(judge(replace(flagged, text=b"DROP TABLE `a` /* generated by server */")), Ours)
    assert isinstance(judge(replace(flagged, text=b"ALTER VIEW v AS SELECT USER() AS u")), Ours)
    assert isinstance(judge(replace(flagged, default_database="other")), AnothersForSure)


# ---------------------------------------------------------------- Names as servers compare them


def _judged_folding(statement: str, database: str) -> Judged:
    return judged(logged(statement, "other"), database, folds_case=True)


def test_a_dotted_capital_i_is_an_i_to_the_servers() -> None:
    assert isinstance(_judged_folding("DROP TABLE SH\u0130P.a", "ship"), Ours)


def test_capitals_are_only_folded_where_the_servers_do() -> None:
    assert isinstance(_judged_folding("DROP TABLE AÑO.a", "año"), Ours)
    # Two databases to the servers, and one name to Python.
    found = _judged_folding("DROP TABLE \u2d00.a", "\u10a0")
    assert not isinstance(found, Ours | AnothersForSure)


def test_letters_of_a_character_set_unlike_ascii_are_not_read_as_ascii() -> None:
    assert stop(Logged(b"DROP TABLE a, `b[`", "shop", "swe7", MARIADB)) == Code.CHARSET


def test_long_statements_take_time_by_their_length() -> None:
    """Looking ahead must not cost more the more was read."""
    seconds = {}
    for size in (1_000, 16_000):
        checks = "+ /*!50000 */ a.b " * size
        statement = logged(f"CREATE TABLE a (b INT CHECK (1 {checks}))" + " /*!50000 ENGINE=InnoDB */" * size)
        began = time.process_time()
        assert isinstance(judge(statement), Ours)
        seconds[size] = time.process_time() - began

    assert seconds[16_000] < 40 * seconds[1_000]
