"""Whatever a dump holds, no statement that is sent reaches out of the database that it is for."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backups.dumpfile.allowed import Allowed, NotAllowed
from backups.dumpfile.dialect import Dialect
from backups.dumpfile.judge import Judge
from backups.dumpfile.ready import LoadOptions, Ready
from backups.dumpfile.statements import NoStatement
from backups.mysql.ddl import requalified
from tests.loading.judging import reaches_out

TARGET = "scratch"
DIALECTS = [Dialect(is_mariadb=True, version=101119), Dialect(is_mariadb=False, version=90704)]
NAMES = st.sampled_from(
    ["t", "`t`", "shop.t", "`shop`.`t`", "other.o", "`other`.`o`", "other . o", "f", "other.f"]
)
BETWEEN = st.sampled_from([" ", "\n", "\t", "/**/", " /*!50000 */ ", "/*!99999 x*/", " -- x\n", " # x\n"])
VALUES = st.sampled_from(
    ["1", "'a'", "NULL", "0x41", "other.f()", "(SELECT 1)", "_binary 'x'", "'\\'", "@@version"]
)
SAID = """CREATE DROP ALTER INSERT REPLACE INTO TABLE DATABASE SCHEMA VIEW TRIGGER EVENT PROCEDURE FUNCTION
USE SET GLOBAL VALUES SELECT FROM AS ON DO BEFORE FOR EACH ROW SCHEDULE EVERY DAY ENABLE DISABLE IF NOT EXISTS
ENGINE=FEDERATED UNION= REFERENCES LIKE DEFINER=root@localhost CALL GRANT LOAD DATA OUTFILE sql_mode= ; ( )
, = . 'x' 1 INT PRIMARY KEY DEFAULT nextval( COMMENT DELIMITER ;; // USER RENAME TO"""
WORDS = st.sampled_from(SAID.split())
HEADS = st.sampled_from(
    [
        "CREATE TABLE {} (id INT)",
        "DROP TABLE IF EXISTS {}",
        "INSERT INTO {} VALUES ({v})",
        "TRUNCATE TABLE {}",
        "CREATE VIEW {} AS SELECT 1",
        "CREATE TRIGGER {} BEFORE INSERT ON {} FOR EACH ROW SET @x = 1",
        "CREATE EVENT {} ON SCHEDULE EVERY 1 DAY ENABLE DO DELETE FROM other.o",
        "USE {}",
        "DELETE FROM {}",
        "CREATE PROCEDURE {}() DELETE FROM other.o",
        "ALTER TABLE {} ADD KEY (id)",
        "CREATE SEQUENCE {}",
        "DO SETVAL({}, 1, 0)",
        "CREATE TABLE {} (id INT, CONSTRAINT c FOREIGN KEY (id) REFERENCES {} (id))",
        "CREATE TABLE {} (id INT) ENGINE=MyISAM UNION=({})",
        "SET sql_mode={v}",
        "LOCK TABLES {} WRITE",
    ]
)


_EMPTIES = re.compile(r"DELETE(?:\s|/\*.*?\*/|(?:--\s|#)[^\n]*\n)+FROM\b|TRUNCATE\b", re.I | re.S)


@st.composite
def statements(draw: st.DrawFn) -> str:
    """Something like a statement, or words in any order."""
    if draw(st.booleans()):
        text = "".join(draw(st.lists(st.builds(lambda word, gap: word + gap, WORDS, BETWEEN), max_size=12)))
    else:
        head = draw(HEADS).replace("{v}", draw(VALUES))
        while "{}" in head:
            head = head.replace("{}", draw(NAMES), 1)
        text = head.replace(" ", draw(BETWEEN)) if draw(st.booleans()) else head
    wrapped = draw(st.sampled_from(["{}", "/*!40000 {} */", "/*M!100000 {} */", "{} ; {}", "x {}"]))
    return wrapped.replace("{}", text) if wrapped != "{} ; {}" else f"{text}; {text}"


@given(st.lists(statements(), max_size=6), st.sampled_from(DIALECTS))
@settings(max_examples=400, deadline=None)
def test_no_statement_that_is_sent_reaches_out(dump: list[str], dialect: Dialect) -> None:
    allowed = Allowed(dialect, LoadOptions(TARGET, source="shop"))
    judge = Judge(dialect, allowed)
    text = ";\n".join(["CREATE TABLE `t` (id INT)", *dump]) + ";\n"
    sent: list[Ready] = []
    try:
        sent += judge.feed(text.encode())
        sent += judge.close()
    except (NotAllowed, NoStatement):
        pass
    sent += allowed.rest()

    for ready in sent:
        told = ready.text.decode(errors="replace")
        is_whole_table = _EMPTIES.match(told) is not None
        why = reaches_out(told, TARGET)
        assert not why or (is_whole_table and "names" not in why), (why, told)


@pytest.mark.parametrize(
    ("default", "wanted"),
    [
        ("nextval(`old`.`s`)", "nextval(`new`.`s`)"),
        ("(lastval(`old`.`s`) + 1)", "(lastval(`new`.`s`) + 1)"),
        ("nextval(`other`.`s`)", None),
        ("'nextval(`old`.`s`)'", None),
        ("concat('nextval(`old`.',nextval(`old`.`s`))", "concat('nextval(`old`.',nextval(`new`.`s`))"),
        ("1; CALL other.p(); -- nextval(`old`.`s`)", None),
        ("1 /* nextval(`old`.`s`) */ ; DROP TABLE x", None),
    ],
)
def test_sequences_are_found_outside_of_quotes_alone(default: str, wanted: str | None) -> None:
    assert requalified(default, "new", "old") == wanted
