"""Whatever the log holds, no statement that is let out names another database than the copy.

What is let out is read by another reader than the product's, simpler and on decoded text: a judge that shares
the code shares the fault.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backups.binlog.logged import Logged
from backups.binlog.statements import AnothersForSure, Ours, judged
from tests.binlog.judging import MARIADB, MYSQL

EXAMPLES = 5000 if os.environ.get("VEDETTA_HISTORIES") else 250
# The databases of a server, as names that get into each other's way: by case, letters, quotes, as tables.
OURS = ["shop", "año", "sh`op", 'sh"op', "表", "1shop"]
OTHERS = ["other", "SHOP", "Año", "ano", "shop2", "shop__x"]
TARGET = "copy"
CHARSETS = {"utf8mb4": "utf-8", "latin1": "latin-1", "sjis": "shift_jis", "gbk": "gbk", "cp1251": "cp1251"}
BETWEEN = st.sampled_from(
    [" ", "\n", "\t", "/**/", " /* x */ ", " -- other.o\n", " # shop.t\n", " /*!50000 */ "]
)
AROUND_DOTS = st.sampled_from(["", "", "", " ", "/* . */", "\n"])
TEXTS = st.sampled_from(
    ["x", "other.o", "shop`.`t", "it''s", "\\", "表", "ソ", "a\\'b", '"other".o', "-- ", "/*"]
)
# O is a database, D one before a name, with its dot, or nothing.
HEADS = """CREATE TABLE D{t} (id INT, s CHAR(9) DEFAULT {s})
CREATE TABLE IF NOT EXISTS D{t} LIKE D{u}
CREATE TABLE D{t} (id INT, KEY k (id), FOREIGN KEY (id) REFERENCES D{u} (id)) COMMENT={s}
CREATE TABLE D{t} (D{t}.id INT CHECK ({t}.id > 1.5)) ENGINE=InnoDB COMMENT {s}
ALTER TABLE D{t} ADD c INT COMMENT {s}, RENAME TO D{u}
ALTER TABLE D{t} RENAME D{u}
ALTER TABLE D{t} RENAME COLUMN {t} TO {u}, ALTER {u} SET DEFAULT {s}
ALTER TABLE D{t} EXCHANGE PARTITION {u} WITH TABLE D{t}
RENAME TABLE D{t} TO D{u}, D{u} TO D{t}
DROP TABLE IF EXISTS D{t}, D{u}
TRUNCATE D{t}
TRUNCATE TABLE D{t}
CREATE UNIQUE INDEX {u} ON D{t} (id) COMMENT {s}
DROP INDEX {u} ON D{t}
CREATE VIEW D{t} AS SELECT D{t}.id, {u}.id, {s} FROM D{t}, D{u} JOIN (D{t} x, D{u} y) ON x.id = y.id
CREATE VIEW D{t} AS SELECT * FROM D{t} WHERE id IN (SELECT D{u}.id FROM D{u}) UNION SELECT {s} FROM (D{u})
CREATE VIEW D{t} AS SELECT D{u}(1) AS e, EXTRACT(YEAR FROM {t}.d) FROM D{t} USE INDEX FOR GROUP BY (k), D{u}
DROP VIEW D{t}, D{u}
DROP TRIGGER D{t}
DROP PROCEDURE IF EXISTS D{t}
DROP FUNCTION D{t}
DROP EVENT D{t}
CREATE SEQUENCE D{t} START 5
CREATE TABLE D{t} (id INT DEFAULT NEXTVAL(D{u}), x CHAR(9) DEFAULT {s})
INSERT INTO D{t} SELECT {s} FROM D{u}
CREATE TABLE D{t} SELECT {s} FROM D{u}
DROP DATABASE O
ALTER DATABASE O CHARACTER SET latin1""".splitlines()


@dataclass(frozen=True)
class Written:
    """A statement, how a server reads it, and the database that it is judged for."""

    text: str
    logged: Logged
    ours: str
    folds_case: bool
    backslash: bool


@st.composite
def written(draw: st.DrawFn) -> Written:
    """A statement with its names quoted in any way, in any mode, character set and case."""
    charset = draw(st.sampled_from(sorted(CHARSETS)))
    ansi, no_backslash, folds = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    ours = draw(st.sampled_from(OURS))
    default = draw(st.sampled_from([ours, ours, ours, "other", ""]))

    def quoted(name: str) -> str:
        ways = ["`" + name.replace("`", "``") + "`"]
        if ansi:
            ways.append('"' + name.replace('"', '""') + '"')
        if re.fullmatch(r"\w+", name):
            ways.append(name)
        return draw(st.sampled_from(ways))

    def database() -> str:
        name = draw(st.sampled_from([*[ours, ""] * 5, "other", draw(st.sampled_from(OTHERS))]))
        if name == ours and folds and draw(st.booleans()):
            name = name.upper()
        return f"{quoted(name)}{draw(AROUND_DOTS)}.{draw(AROUND_DOTS)}" if name else ""

    def literal() -> str:
        text = draw(TEXTS)
        if not no_backslash:
            text = text.replace("\\", "\\\\") if not text.endswith("'b") else text
        elif text == "a\\'b":
            text = "a\\"
        return f"'{text}'"

    tables = [draw(st.sampled_from(["t", "user", "shop", "other", "event", ours])) for _ in "tu"]
    text = ""
    for part in re.split(r"(D(?=\{)|\bO\b|\{.\}| )", draw(st.sampled_from(HEADS))):
        if part == "D":
            text += database()
        elif part == "O":
            text += quoted(draw(st.sampled_from([ours, "other"])))
        elif part in ("{t}", "{u}"):
            text += quoted(tables[part == "{u}"])
        elif part == "{s}":
            text += literal()
        elif part == " ":
            text += draw(BETWEEN) if draw(st.integers(0, 3)) == 0 else " "
        else:
            text += part if draw(st.booleans()) else part.lower()
    wrapped = draw(st.sampled_from(["{}", "{}", "/*!40000 {} */", "/* other.o */ {}", "{} ;"])).replace(
        "{}", text
    )
    raw = wrapped.encode(CHARSETS[charset], errors="ignore")
    dialect = draw(st.sampled_from([MARIADB, MYSQL]))
    said = Logged(raw, default, charset, dialect, ansi_quotes=ansi, no_backslash_escapes=no_backslash)
    return Written(raw.decode(CHARSETS[charset]), said, ours, folds, not no_backslash)


def tokens(text: str, *, ansi: bool, backslash: bool) -> list[str]:
    """Names as ("n", name), all else as it is; texts and comments are left out."""
    escape = r"\\.|" if backslash else ""
    plain = r"\\" if backslash else ""
    of = re.compile(
        rf"(?P<s>'(?:{escape}''|[^'{plain}])*')"
        + (r'|"(?P<d>(?:""|[^"])*)"' if ansi else rf'|(?P<x>"(?:{escape}""|[^"{plain}])*")')
        + r"|`(?P<b>(?:``|[^`])*)`|(?P<c>/\*(?!M?!).*?\*/|--(?=\s)[^\n]*|#[^\n]*)|(?P<m>/\*M?!\d*|\*/)"
        r"|(?P<w>[\w$]+)|(?P<g>\s+)|(?P<o>.)",
        re.S,
    )
    found = []
    for each in of.finditer(text):
        if each["b"] is not None:
            found.append("n" + each["b"].replace("``", "`"))
        elif ansi and each["d"] is not None:
            found.append("n" + each["d"].replace('""', '"'))
        elif each["w"]:
            found.append(("w" if not each["w"][0].isdigit() else "n") + each["w"])
        elif each["o"]:
            found.append(each["o"])
    return found


def named_before_dots(words: list[str]) -> set[str]:
    """What stands before a dot and behind none."""
    return {
        first[1:]
        for before, first, dot in zip(["", *words], words, words[1:], strict=False)
        if dot == "." and before != "." and first[:1] in ("n", "w")
    }


@pytest.mark.larger
@given(written())
@settings(max_examples=EXAMPLES, deadline=None)
def test_no_statement_that_is_let_out_names_another_database(case: Written) -> None:
    found = judged(case.logged, case.ours, folds_case=case.folds_case)
    if isinstance(found, AnothersForSure):
        # Then ours is nowhere before a dot in what it changes: it may only be read.
        assert not re.match(r"(?:drop|rename|truncate)\b", case.text, re.I) or not names_ours(case)
        return
    if not isinstance(found, Ours):
        return

    sent = found.text(TARGET).decode(CHARSETS[case.logged.charset])
    words = tokens(sent, ansi=case.logged.ansi_quotes, backslash=case.backslash)

    aliases = {word[1:] for word in words if word[:1] in ("n", "w")} if "view" in sent.lower() else set()
    own = {found.changed[0], *found.tables} if found.changed else set(found.tables)
    columns = {"x", "y", *own, *found.reads} if aliases else own
    # Where the server takes names in any case, a column may name its own table in another one.
    allowed = {name.lower() if case.folds_case else name for name in columns}
    for name in named_before_dots(words) - {TARGET, "1"}:
        assert (name.lower() if case.folds_case else name) in allowed, sent
    assert TARGET in named_before_dots(words) or found.kind == "database", sent
    if found.kind in ("table", "sequence") and found.verb in ("DROP", "RENAME", "TRUNCATE"):
        assert words.count("n" + TARGET) == len(found.changed)


def names_ours(case: Written) -> bool:
    """Whether our database stands before a dot."""
    names = named_before_dots(tokens(case.text, ansi=case.logged.ansi_quotes, backslash=case.backslash))
    return case.ours in names


@given(st.binary(max_size=60), st.sampled_from(sorted(CHARSETS)), st.booleans())
@settings(max_examples=300, deadline=None)
def test_no_bytes_bring_it_to_anything_but_an_answer(noise: bytes, charset: str, ansi: bool) -> None:
    for text in (noise, b"ALTER TABLE shop.t " + noise, b"CREATE VIEW v AS SELECT " + noise + b" FROM t"):
        said = Logged(text, "shop", charset, MARIADB, ansi_quotes=ansi)
        found = judged(said, "shop", folds_case=False)
        if isinstance(found, Ours):
            found.text(TARGET)
