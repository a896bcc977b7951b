"""A table's definition taken apart: what waits until the rows are there, and what is left whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups.loading.table_plan import plan_for

OPTIONS = " ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='it''s; (a)'"


def defined(*items: str, options: str = OPTIONS) -> bytes:
    """The statement that makes a table."""
    body = ",\n".join(f"  {item}" for item in items)
    return f"CREATE TABLE `t` (\n{body}\n){options}".encode()


ID = "`id` int NOT NULL AUTO_INCREMENT"
KEY_OF_ID = "PRIMARY KEY (`id`)"


def test_keys_wait_for_the_rows_and_foreign_keys_for_all_tables() -> None:
    columns = [ID, "`a` int DEFAULT NULL", "`b,\n` varchar(9) DEFAULT 'KEY `x` (`a`)'", KEY_OF_ID]
    keys = ["UNIQUE KEY `u` (`b,\n`(3),`a`)", "KEY `k``;` (`a`) USING BTREE"]
    foreign = [
        "CONSTRAINT `f` FOREIGN KEY (`a`, `id`) REFERENCES `o` (`x`, `y`) ON DELETE SET NULL",
        "CONSTRAINT `g` FOREIGN KEY (`a`) REFERENCES `t` (`id`)",
    ]
    check = "CONSTRAINT `c` CHECK (`a` > 0)"

    plan = plan_for(defined(*columns, *keys, *foreign, check))

    assert plan is not None
    assert plan.whole == defined(*columns, *keys, check)
    assert plan.bare == defined(*columns, check)
    assert plan.keys == f"ALTER TABLE `t`\n  ADD {keys[0]},\n  ADD {keys[1]}".encode()
    assert plan.foreign_keys == f"ALTER TABLE `t`\n  ADD {foreign[0]},\n  ADD {foreign[1]}".encode()
    assert plan.has_primary_key


def test_nothing_waits_where_there_is_nothing_to_wait() -> None:
    plan = plan_for(defined(ID, KEY_OF_ID))

    assert plan is not None
    assert plan.whole == plan.bare
    assert plan.keys == plan.foreign_keys == b""


def test_table_without_primary_key_is_known_as_such() -> None:
    plan = plan_for(defined("`a` int", "KEY `a` (`a`)"))

    assert plan is not None
    assert not plan.has_primary_key


LEFT_WHOLE = {
    "another engine": defined(ID, KEY_OF_ID, options=" ENGINE=MyISAM DEFAULT CHARSET=latin1"),
    "compressed": defined(ID, KEY_OF_ID, options=f"{OPTIONS} ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8"),
    "partitions": defined(ID, KEY_OF_ID, options=f"{OPTIONS}\n/*!50100 PARTITION BY KEY () PARTITIONS 3 */"),
    "MariaDB's partitions": defined(ID, KEY_OF_ID, options=f"{OPTIONS}\n PARTITION BY KEY () PARTITIONS 3"),
    "system versioning": defined(ID, KEY_OF_ID, options=f"{OPTIONS} WITH SYSTEM VERSIONING"),
    "a period": defined(ID, "`s` date", "`e` date", "PERIOD FOR `p` (`s`, `e`)", KEY_OF_ID),
    "rows of versions": defined(ID, "`s` timestamp(6) GENERATED ALWAYS AS ROW START", KEY_OF_ID),
    "a full-text key": defined(ID, "`a` text", KEY_OF_ID, "KEY `k` (`id`)", "FULLTEXT KEY `a` (`a`)"),
    "a spatial key": defined(ID, "`a` point NOT NULL", KEY_OF_ID, "SPATIAL KEY `a` (`a`)"),
    "a vector key": defined(ID, "`a` vector(3) NOT NULL", KEY_OF_ID, "VECTOR KEY `a` (`a`)"),
    "a functional key": defined(ID, KEY_OF_ID, "KEY `k` ((lower(`id`)))"),
    "a descending key": defined(ID, KEY_OF_ID, "KEY `k` (`id` DESC)"),
    "an invisible key": defined(ID, KEY_OF_ID, "KEY `k` (`id`) /*!80000 INVISIBLE */"),
    "an ignored key": defined(ID, KEY_OF_ID, "KEY `k` (`id`) IGNORED"),
    "a key's comment": defined(ID, KEY_OF_ID, "KEY `k` (`id`) COMMENT 'x'"),
    "a parser": defined(ID, KEY_OF_ID, "KEY `k` (`id`) /*!50100 WITH PARSER `ngram` */"),
    "a hash": defined(ID, KEY_OF_ID, "UNIQUE KEY `k` (`id`) USING HASH"),
    "a unique key and no primary": defined("`a` int NOT NULL", "UNIQUE KEY `a` (`a`)"),
    "a number of its own in another key": defined(
        "`a` int NOT NULL", "`n` int NOT NULL AUTO_INCREMENT", "PRIMARY KEY (`a`)", "KEY `n` (`n`)"
    ),
    "a key over what is computed": defined(
        ID, "`v` int GENERATED ALWAYS AS (`id` + 1) VIRTUAL", KEY_OF_ID, "KEY `v` (`v`)"
    ),
    "a sequence": defined("`n` int NOT NULL DEFAULT nextval(`db`.`s`)", "PRIMARY KEY (`n`)"),
    "a hidden column of MySQL's": defined("`a` int /*!80023 INVISIBLE */", ID, KEY_OF_ID),
    "a check that is not enforced": defined(
        ID, KEY_OF_ID, "CONSTRAINT `c` CHECK ((1)) /*!80016 NOT ENFORCED */"
    ),
    "a foreign key to another database": defined(
        ID, KEY_OF_ID, "CONSTRAINT `f` FOREIGN KEY (`id`) REFERENCES `db`.`o` (`x`)"
    ),
    "names in double quotes": defined(ID, KEY_OF_ID).replace(b"`", b'"'),
    "a column of a later server": defined(ID, KEY_OF_ID, "`x` int WITHOUT SYSTEM VERSIONING"),
    "made only where it is not there": defined(ID, KEY_OF_ID).replace(
        b"TABLE `t`", b"TABLE IF NOT EXISTS `t`"
    ),
    "more than a table": defined(ID, KEY_OF_ID) + b";\nINSERT INTO `t` VALUES (1)",
    "half a table": defined(ID, KEY_OF_ID)[:-4],
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("what", LEFT_WHOLE)
def test_what_is_not_surely_understood_is_left_whole(what: str) -> None:
    assert plan_for(LEFT_WHOLE[what]) is None


HOSTILE = st.lists(
    st.sampled_from(
        ["`", "``", "'", '"', "\n", ",\n", "  KEY `x` (`y`),\n", ") ENGINE=InnoDB;\n", ";\n", "\\", "/*",
         "*/",         " AS (", " AUTO_INCREMENT", "☂", "a", "("]
    ),
    min_size=1,
    max_size=6,
).map("".join)  # fmt: skip


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n") + "'"


@given(names=st.lists(HOSTILE, min_size=4, max_size=4), texts=st.lists(HOSTILE, min_size=2, max_size=2))
def test_names_and_texts_of_any_kind_stay_what_they_are(names: list[str], texts: list[str]) -> None:
    table, column, key, foreign = map(quoted, names)
    columns = [ID, f"{column} int DEFAULT NULL COMMENT {literal(texts[0])}", KEY_OF_ID]
    keys = [f"KEY {key} ({column})"]
    constraints = [f"CONSTRAINT {foreign} FOREIGN KEY ({column}) REFERENCES {table} ({column})"]
    options = f" ENGINE=InnoDB COMMENT={literal(texts[1])}"

    def made(*items: str) -> bytes:
        return defined(*items, options=options).replace(b"CREATE TABLE `t`", f"CREATE TABLE {table}".encode())

    plan = plan_for(made(*columns, *keys, *constraints))

    assert plan is not None
    assert plan.bare == made(*columns)
    assert plan.whole == made(*columns, *keys)
    assert plan.keys == f"ALTER TABLE {table}\n  ADD {keys[0]}".encode()
    assert plan.foreign_keys == f"ALTER TABLE {table}\n  ADD {constraints[0]}".encode()
