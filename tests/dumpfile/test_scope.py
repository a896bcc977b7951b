"""Two databases that differ by case alone: only the one that is wanted is taken out of a dump of both."""

from __future__ import annotations

import pytest

from backups.dumpfile.allowed import Allowed, NotAllowed
from backups.dumpfile.dialect import Dialect
from backups.dumpfile.ready import LoadOptions, Ready
from tests.dumpfile.reading import MARIADB, MYSQL, judged

OPTIONS = LoadOptions("Shop__restore_1", source="Shop")
BOTH = """\
USE `Shop`;
CREATE TABLE `t` (`id` int);
INSERT INTO `t` VALUES (1);
USE `shop`;
CREATE TABLE `t` (`id` int);
INSERT INTO `t` VALUES (2);
CREATE TABLE `u` (`id` int);
DROP VIEW IF EXISTS `v`;
CREATE TRIGGER `x` BEFORE INSERT ON `t` FOR EACH ROW SET @a = 1;
"""
SHOP = "USE `Shop`;\nCREATE TABLE `t` (`id` int);\n"


def taken(text: str, dialect: Dialect = MARIADB, options: LoadOptions = OPTIONS) -> tuple[list[str], Allowed]:
    ready: list[Ready]
    ready, allowed = judged(text, dialect, options)
    return [one.text.decode() for one in ready], allowed


@pytest.mark.parametrize("dialect", [MARIADB, MYSQL], ids=["mariadb", "mysql"])
def test_the_other_one_is_passed_over_and_counted(dialect: Dialect) -> None:
    sent, allowed = taken(BOTH, dialect)

    assert sent == ["CREATE TABLE `t` (`id` int)", "INSERT INTO `t` VALUES (1)"]
    assert allowed.found.others == {"shop": 5}


def test_they_are_never_poured_into_one_where_the_other_comes_first() -> None:
    """Whether it is another one is not known before the wanted one is named as it is written."""
    other, _, _ = BOTH.partition("USE `shop`")
    first = other.replace("Shop", "SHOP").replace("`t`", "`w`")

    with pytest.raises(NotAllowed, match="USE `Shop`") as refused:
        taken(first + SHOP)

    assert "both SHOP and Shop" in refused.value.why
    with pytest.raises(NotAllowed):
        taken(first + SHOP.replace("Shop", "shop"))


NAMED = [
    "INSERT INTO `shop`.`t` VALUES (2);",
    "DELETE FROM `shop`.`t`;",
    "TRUNCATE TABLE shop.t;",
    "DROP TABLE `shop`.`t`;",
    "ALTER TABLE `shop`.`t` ADD KEY (`id`);",
    "ALTER TABLE `t` ADD CONSTRAINT `f` FOREIGN KEY (`id`) REFERENCES `shop`.`t` (`id`);",
    "CREATE TABLE `shop`.`u` (`id` int);",
    "CREATE VIEW `shop`.`v` AS SELECT 1;",
    "DROP VIEW IF EXISTS `shop`.`v`;",
    "CREATE PROCEDURE `shop`.`p`() SELECT 1;",
    "CREATE TRIGGER `x` BEFORE INSERT ON `shop`.`t` FOR EACH ROW SET @a = 1;",
    "CREATE EVENT `shop`.`e` ON SCHEDULE EVERY 1 DAY DO SELECT 1;",
]


@pytest.mark.parametrize("text", NAMED)
@pytest.mark.parametrize("dialect", [MARIADB, MYSQL], ids=["mariadb", "mysql"])
def test_a_name_of_the_other_one_ends_the_load(text: str, dialect: Dialect) -> None:
    with pytest.raises(NotAllowed):
        taken(f"{SHOP}{text}\n", dialect)


def test_what_would_be_of_the_other_one_in_a_table_waits_or_is_not_made() -> None:
    sent, allowed = taken(
        f"{SHOP}CREATE TABLE `c` (`id` int, CONSTRAINT f FOREIGN KEY (`id`) REFERENCES `shop`.`t` (`id`));\n"
        "CREATE TABLE `n` (`id` int DEFAULT nextval(`shop`.`s`));\n"
        "CREATE TABLE `m` (`id` int) ENGINE=MRG_MyISAM UNION=(`shop`.`t`);\n"
    )

    assert not any("shop" in text for text in sent)
    assert [one.name for one in allowed.found.left_out] == ["c", "n", "m"]
    assert all("in another database" in one.why for one in allowed.found.left_out)


@pytest.mark.parametrize("text", NAMED)
def test_without_a_use_either_spelling_is_the_one_database_and_none_is_sent(text: str) -> None:
    """A server may write names in small letters alone: nothing then tells that there are two."""
    sent, _ = taken(f"CREATE TABLE `t` (`id` int);\n{text}\n", options=LoadOptions("copy", source="Shop"))

    assert not any("shop" in one.lower() for one in sent)


def test_a_server_that_writes_names_in_small_letters_dumps_the_same_database() -> None:
    sent, allowed = taken(SHOP.replace("Shop", "shop") + "USE `shop`;\nINSERT INTO `t` VALUES (1);\n")

    assert not allowed.found.others
    assert sent == ["CREATE TABLE `t` (`id` int)", "INSERT INTO `t` VALUES (1)"]


USES = """\
USE `Shop`;
DELIMITER ;;
CREATE DEFINER=`r`@`%` FUNCTION `f`(n INT, `language` INT) RETURNS int
    NO SQL
    LANGUAGE JAVASCRIPT
    USING ({libraries})
    COMMENT 'LANGUAGE JAVASCRIPT USING (`Shop`.`x`)'
AS $$ `Shop`.`l`; USING (`Shop`.`l`) $$ ;;
"""


@pytest.mark.parametrize(
    ("libraries", "found"),
    [
        ("`Shop`.`l`", "`l`"),
        ("`Shop`.`l` AS `a`, `Shop`.`m`", "`l` AS `a`, `m`"),
        ("`l`, Shop.m AS n", "`l`, m AS n"),
        ("`shop`.`l`, `Shop`.`m`", "`shop`.`l`, `m`"),
        ("`other`.`Shop`", "`other`.`Shop`"),
        ("`l`", "`l`"),
    ],
)
def test_routines_use_the_libraries_of_where_they_are_made(libraries: str, found: str) -> None:
    sent, allowed = taken(USES.format(libraries=libraries), MYSQL)

    assert sent == [USES.format(libraries=found).partition(";;\n")[2].removesuffix(" ;;\n")]
    assert ("function", "f") in allowed.found.made


@pytest.mark.parametrize(
    "body",
    [
        "SELECT `a`.`n` FROM `a` JOIN language l USING (id) /*!50003 WHERE 1 */",
        "BEGIN /*! DO 1 */; SELECT 'LANGUAGE JAVASCRIPT USING (`Shop`.`l`)'; END",
        "SELECT 1 -- LANGUAGE JAVASCRIPT USING (`Shop`.`l`)",
    ],
)
def test_bodies_that_look_alike_are_left_as_they_are(body: str) -> None:
    text = f"CREATE DEFINER=`r`@`%` PROCEDURE `p`()\n{body}"

    assert taken(f"USE `Shop`;\nDELIMITER ;;\n{text}\n;;\n", MYSQL)[0] == [text]
