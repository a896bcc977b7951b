"""Scripts without a server: what of a definition counts, how values are written, what a person reads."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from backups.errors import Problem
from backups.rows_back.literals import is_found, is_same, stored, value_of
from backups.rows_back.script import Counts, inverse, write
from backups.rows_back.tables import Column, Of, Reference, Table, Unique, table_of, why_not
from tests.rows_back.running import HEAD, Changed

DEFINITION = b"""/*!40101 SET character_set_client = utf8 */;
CREATE TABLE `or``ders` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `we``ird, (` varchar(20) CHARACTER SET latin1 COLLATE latin1_bin DEFAULT 'a) ENGINE=X' COMMENT 'ON UPDATE',
  `price` decimal(9,2) unsigned NOT NULL,
  `ratio` float DEFAULT NULL,
  `twice` decimal(9,2) GENERATED ALWAYS AS (`price` * 2) VIRTUAL,
  `touched` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  `parent` int(11) DEFAULT NULL,
  `code` blob NOT NULL,
  `flags` bit(9) DEFAULT NULL,
  `place` point DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `c` (`code`(20),`parent`),
  UNIQUE KEY `e` ((lower(`code`))),
  KEY `p` (`parent`),
  CONSTRAINT `f1` FOREIGN KEY (`parent`, `we``ird, (`) REFERENCES `or``ders` (`id`, `b)`) RULES,
  CONSTRAINT `f2` FOREIGN KEY (`parent`) REFERENCES `other`.`place` (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4 COMMENT='WITH SYSTEM VERSIONING';
""".replace(b"RULES", b"ON DELETE SET NULL ON UPDATE CASCADE")


def the_table(definition: bytes = DEFINITION, then: bytes = b"", name: str = "or`ders") -> Table:
    found = table_of(name, definition, then)
    assert found is not None
    return found


def test_of_a_definition_columns_keys_and_references_are_known() -> None:
    table = the_table()

    columns = table.columns
    assert [(each.name, each.of) for each in columns.values()] == [
        (b"id", Of.NUMBER), (b"we`ird, (", Of.TEXT), (b"price", Of.NUMBER), (b"ratio", Of.FLOAT),
        (b"twice", Of.NUMBER), (b"touched", Of.TEXT), (b"parent", Of.NUMBER), (b"code", Of.BYTES),
        (b"flags", Of.BITS), (b"place", Of.SHAPE),
    ]  # fmt: skip
    assert [name for name, each in columns.items() if each.is_generated] == [b"twice"]
    assert [name for name, each in columns.items() if each.keeps_time] == [b"touched"]
    assert [name for name, each in columns.items() if not each.may_be_null] == [
        b"id",
        b"price",
        b"touched",
        b"code",
    ]
    assert [name for name, each in columns.items() if each.is_exact] == [b"we`ird, (", b"touched"]
    assert table.keys == [[b"id"]]
    assert table.uniques == [Unique([b"id"], [0]), Unique([b"code", b"parent"], [20, 0])]
    assert table.references == [
        Reference([b"parent", b"we`ird, ("], "", "or`ders", [b"id", b"b)"], "SET NULL", "CASCADE"),
        Reference([b"parent"], "other", "place", [b"id"]),
    ]
    assert why_not(table) == ""
    assert table_of("v", b"CREATE VIEW v AS SELECT 1") is None


def test_a_table_that_takes_nothing_back_is_refused() -> None:
    other = DEFINITION.replace(b") ENGINE=InnoDB", b") ENGINE=MyISAM")
    versioned = DEFINITION.replace(b" COMMENT='WITH", b" WITH SYSTEM VERSIONING COMMENT='")

    assert "engine of the table or`ders is MyISAM" in why_not(the_table(other))
    assert "keeps its own history" in why_not(the_table(versioned))
    row = {b"id": b"1"}
    with pytest.raises(Problem, match="MyISAM"):
        write([Changed("or`ders", 1, row, None)], {"or`ders": the_table(other)}, HEAD)


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        (b"NULL", None),
        (b"-1.50", b"-1.50"),
        (b"1e-5", b"1e-5"),
        (b"''", b""),
        (rb"'it\'s \"a\" \\ \0\n\r\Z\%'", b'it\'s "a" \\ \0\n\r\x1a\\%'),
        (b"'it''s'", b"it's"),
        (rb"'\\''\\'", b"\\'\\"),
        (rb"_binary '\0\'\\'", b"\0'\\"),
        (b"_binary '\\\xf0?'", b"\xf0?"),
        (b"0x0041", b"\0A"),
        (b"0x", b""),
        (b"'0x41'", b"0x41"),
        (b"'NULL'", b"NULL"),
    ],
)
def test_a_value_of_a_dump_is_read_as_the_server_reads_it(literal: bytes, value: bytes | None) -> None:
    assert value_of(literal) == value


def column(of: Of, word: bytes = b"x") -> Column:
    return Column(b"c", word, of)


AS_TEXT = b"CAST(CONVERT(`c` USING utf8mb4) AS BINARY) = "


@pytest.mark.parametrize(
    ("of", "value", "put", "same"),
    [
        (Of.NUMBER, b"00042", b"00042", b"`c` = 00042"),
        (Of.NUMBER, None, b"NULL", b"`c` IS NULL"),
        (Of.NUMBER, b"1 OR 1", b"'1 OR 1'", AS_TEXT + b"_binary '1 OR 1'"),
        (Of.FLOAT, b"-0", b"'-0'", AS_TEXT + b"_binary '-0'"),
        (Of.FLOAT, b"1e16", b"1e16", AS_TEXT + b"_binary '1e16'"),
        (Of.TEXT, b"it's\n\\", rb"'it''s\n\\'", AS_TEXT + rb"_binary 'it''s\n\\'"),
        (
            Of.TEXT,
            "é👩\u200d🚀".encode(),
            "'é👩\u200d🚀'".encode(),
            AS_TEXT + "_binary 'é👩\u200d🚀'".encode(),
        ),
        # To a client in sjis or gbk, the backslash would be the half of a letter.
        (Of.TEXT, "é\\".encode(), b"_utf8mb4 0xC3A95C", AS_TEXT + b"0xC3A95C"),
        (Of.TEXT, "\u202ex".encode(), b"_utf8mb4 0xE280AE78", AS_TEXT + b"0xE280AE78"),
        (Of.TEXT, b"\x1b[31m", b"_utf8mb4 0x1B5B33316D", AS_TEXT + b"0x1B5B33316D"),
        (Of.TEXT, b"\xff", b"_utf8mb4 0xFF", AS_TEXT + b"0xFF"),
        (Of.BYTES, b"ab", b"_binary 'ab'", b"`c` = _binary 'ab'"),
        (Of.BYTES, b"\xff\0", b"0xFF00", b"`c` = 0xFF00"),
        (Of.BYTES, b"", b"_binary ''", b"`c` = _binary ''"),
        (Of.BITS, b"\x01\0", b"b'100000000'", b"CAST(`c` AS UNSIGNED) = 256"),
        (Of.SHAPE, b"\xff\0", b"0xFF00", b"HEX(`c`) = 'FF00'"),
    ],
)
def test_a_value_is_written_to_be_stored_and_to_be_compared(
    of: Of, value: bytes | None, put: bytes, same: bytes
) -> None:
    assert stored(value, column(of)) == put
    assert is_same(value, column(of)) == same


def test_an_index_is_used_where_the_exact_comparison_has_none() -> None:
    assert is_found(b"a", column(Of.TEXT)) == b"`c` = 'a'"
    assert is_found(b"7", column(Of.NUMBER)) == b""
    assert is_found(b"0000", column(Of.TEXT, b"year")) == b""


def test_of_a_long_value_the_digest_is_compared() -> None:
    same = is_same(b"a" * 2000, column(Of.TEXT))

    assert same.startswith(b"SHA2(CAST(CONVERT(`c` USING utf8mb4) AS BINARY), 256) = '")
    assert len(same) < 200


SMALL = b"""CREATE TABLE `t` (
  `id` int(11) NOT NULL,
  `v` varchar(20) DEFAULT NULL,
  `w` int(11) DEFAULT NULL,
  `touched` timestamp NULL DEFAULT NULL ON UPDATE current_timestamp(),
  PRIMARY KEY (`id`)
) ENGINE=InnoDB;
"""


TURN = b"@vedetta_row"


def row(identity: int, v: str, w: str = "1") -> Mapping[bytes, bytes]:
    return {b"id": b"%d" % identity, b"v": v.encode(), b"w": w.encode(), b"touched": b"NULL"}


def test_each_row_has_a_statement_and_its_guard_and_nothing_of_it_stands_in_comments() -> None:
    tables = {"t": the_table(SMALL, name="t")}
    found = [
        Changed("t", 1, row(1, "'gone'"), None),
        Changed("t", 2, row(2, "'was'"), row(2, "'is'")),
        Changed("t", 3, None, row(3, "NULL")),
    ]

    script = write(found, tables, HEAD)

    was_seen = b"CAST(CONVERT(`v` USING utf8mb4) AS BINARY) = _binary 'is' AND `w` = 1 AND `touched` IS NULL"
    assert [each.statement for each in script.rows] == [
        b"DELETE FROM `t` WHERE `id` = 3 AND `v` IS NULL AND `w` = 1 AND `touched` IS NULL AND %b = 0" % TURN,
        b"UPDATE `t` SET `v` = 'was', `touched` = `touched` WHERE `id` = 2 AND %b AND %b = 1"
        % (was_seen, TURN),
        b"INSERT INTO `t` (`id`, `v`, `w`, `touched`) SELECT 1, 'gone', 1, NULL FROM DUAL WHERE %b = 2"
        % TURN,
    ]
    assert script.rows[2].guard == (
        b"SET @vedetta_check = 9223372036854775807 + (ROW_COUNT() <> 1), @vedetta_row = 3"
    )
    assert script.counts == {"t": Counts(1, 1, 1)}
    assert inverse(found, tables, HEAD).counts == {"t": Counts(1, 1, 1)}
    lines = script.text.decode().splitlines()
    comments = [line for line in lines if line.startswith("--")]
    assert "-- Table t: 1 inserted, 1 updated, 1 deleted." in comments
    assert "-- Not proved yet." in comments
    assert not any(word in line for line in comments for word in ("gone", "'was'", "'is'"))
    statements = [line.removesuffix(";").encode() for line in lines if line and not line.startswith("--")]
    assert statements == list(script.statements())
    assert lines[-1] == "-- This is the end of the script: it is complete."
    assert script.longest == max(map(len, statements))


def test_what_is_moved_in_two_steps_is_counted_as_the_triggers_see_it() -> None:
    definition = SMALL.replace(b"`w` int(11) DEFAULT NULL", b"`w` int(11) NOT NULL").replace(
        b"`)\n)", b"`),\n  UNIQUE KEY `w` (`w`)\n)"
    )
    found = [
        Changed("t", 1, row(1, "'x'", "1"), row(1, "'x'", "2")),
        Changed("t", 2, row(2, "'x'", "2"), row(2, "'x'", "1")),
    ]

    script = write(found, {"t": the_table(definition, name="t")}, HEAD)

    assert script.counts == {"t": Counts(updated=2)}
    assert script.made == {"t": Counts(inserted=1, updated=1, deleted=1)}


def test_another_head_leaves_what_a_script_does() -> None:
    script = write([Changed("t", 1, row(1, "'x'"), None)], {"t": the_table(SMALL, name="t")}, HEAD)
    proved = script.with_head(HEAD.__class__(**{**vars(HEAD), "proved": "Proved.", "triggers": ["a\n;b"]}))

    assert list(proved.statements()) == list(script.statements())
    assert proved.sha256 != script.sha256
    assert b"-- Proved.\n" in proved.text
    assert "-- Will also run, and was not proved: a\ufffd;b\n".encode() in proved.text


def test_what_came_or_is_written_otherwise_since_is_left_as_it_is() -> None:
    now = SMALL.replace(b"  PRIMARY", b"  `more` int(11) DEFAULT 5,\n  PRIMARY").replace(
        b"`w` int(11)", b"`w` date"
    )
    table = the_table(now, SMALL, "t")

    assert (set(table.came), set(table.retyped)) == ({b"more"}, {b"w"})
    new = {**row(2, "'is'", "'2024-01-01'"), b"more": b"5"}
    script = write([Changed("t", 1, row(2, "'was'"), new)], {"t": table}, HEAD)
    assert script.rows[0].statement.startswith(b"UPDATE `t` SET `v` = 'was', `touched` = `touched` WHERE ")
    with pytest.raises(Problem, match="the type of w is another now"):
        write([Changed("t", 1, row(2, "'was'"), None)], {"t": table}, HEAD)
    with pytest.raises(Problem, match="it has no column more any more"):
        write(
            [Changed("t", 1, {**row(2, "'a'"), b"more": b"1"}, None)], {"t": the_table(SMALL, name="t")}, HEAD
        )
    with pytest.raises(Problem, match="The table u is not there any more"):
        write([Changed("u", 1, row(2, "'a'"), None)], {"t": table}, HEAD)
    with pytest.raises(Problem, match="No row was chosen"):
        write([], {"t": table}, HEAD)


def test_many_rows_that_push_one_another_on_are_put_in_order_in_good_time() -> None:
    definition = SMALL.replace(b"`)\n)", b"`),\n  UNIQUE KEY `w` (`w`)\n)")
    tables = {"t": the_table(definition, name="t")}
    found = [Changed("t", at, row(at, "'x'", str(at)), row(at, "'x'", str(at + 1))) for at in range(3000)]

    script = write(reversed(found), tables, HEAD)

    assert b"WHERE `id` = 0 " in script.rows[0].statement
    assert b"WHERE `id` = 2999 " in script.rows[-1].statement
    assert len(script.rows) == 3000
