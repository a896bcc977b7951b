"""Names in a dump that mean harm or two things, loaded into real servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backups import mysql
from backups.dumpfile.ready import LoadOptions
from backups.errors import Problem
from backups.loading.progress import Loading
from backups.restoring import defining
from tests.backups.worlds import client_dir
from tests.loading.loading import address, load_bytes
from tests.servers import DatabaseServer

OPTIONS = LoadOptions("names_copy", source="names")


@pytest.fixture
def server(db_server: DatabaseServer) -> Iterator[DatabaseServer]:
    """Each server in turn, with an empty database to load into and another that nothing may reach."""
    db_server.create_database("names_copy")
    db_server.create_database("other")
    db_server.execute("CREATE TABLE other.o (id INT PRIMARY KEY); INSERT INTO other.o VALUES (1)")
    yield db_server
    db_server.execute("DROP DATABASE names_copy; DROP DATABASE other")


TABLE = "CREATE TABLE `a` (`id` int);\nINSERT INTO `a` VALUES (1);\n"
VIEW = "CREATE VIEW `a` AS select 1 AS `id`;\n"
ANEW = {
    "a table twice": TABLE + TABLE,
    "a view in place of a table": TABLE + VIEW,
    "a view where a table was dropped and made again": TABLE
    + "DROP TABLE `a`;\nDROP TABLE `a`;\n"
    + TABLE
    + VIEW,
}
OF_MARIADB = {
    "a sequence in place of a table": TABLE + "CREATE OR REPLACE SEQUENCE `a`;\n",
    "a table in place of a sequence": "CREATE SEQUENCE `a`;\nDROP TABLE IF EXISTS `a`;\n" + TABLE,
}


@pytest.mark.one_flavour("mariadb")
def test_a_name_that_is_made_twice_ends_the_load_with_a_sentence(
    server: DatabaseServer, tmp_path: Path
) -> None:
    dumps = ANEW | OF_MARIADB if server.flavour == "mariadb" else ANEW
    for number, dump in enumerate(dumps.values()):
        with pytest.raises(Problem) as refused:
            load_bytes(
                server, dump.encode(), tmp_path, Loading(), options=OPTIONS, connections=1 + number % 2 * 3
            )

        assert " a before)." in refused.value.sentence()
        server.create_database("names_copy")


@pytest.mark.parametrize("connections", [1, 4])
def test_views_stand_in_the_place_of_their_placeholders(
    server: DatabaseServer, connections: int, tmp_path: Path
) -> None:
    """The first reads the second, of which only the placeholder is there yet."""
    dump = (
        f"{TABLE}CREATE TABLE `first` (`id` int);\nCREATE TABLE `second` (`id` int);\n"
        "DROP TABLE `first`;\nCREATE VIEW `first` AS select `id` from `second`;\n"
        "DROP TABLE `second`;\nCREATE VIEW `second` AS select `id` from `a`;\n"
    )

    load_bytes(server, dump.encode(), tmp_path, Loading(), options=OPTIONS, connections=connections)

    assert server.query("SELECT id FROM first", "names_copy") == [(1,)]


def test_only_tables_have_a_definition_to_compare(server: DatabaseServer) -> None:
    server.load(TABLE + VIEW.replace("`a`", "`v`"), "names_copy")

    with mysql.connect(address(server)) as connection:
        told = [mysql.definition(connection, "names_copy", name) for name in ("a", "v", "nothing")]

    assert told[0].startswith(b"CREATE TABLE `a`")
    assert told[1:] == [b"", b""]


# ---------------------------------------------------------------- Character sets

# A letter whose second byte is a backslash, and whose bytes in UTF-8 are the beginning of another letter.
LETTERS = {"gbk": ("gbk", "誠"), "sjis": ("cp932", "ソ")}
# Behind the letter, if the statement that has the name is read as it was not meant.
EVIL = "` DO DELETE FROM other.o #"


@pytest.mark.parametrize("charset", LETTERS)
def test_what_comes_into_its_place_is_what_the_dump_names(
    server: DatabaseServer, charset: str, tmp_path: Path
) -> None:
    """Keys to other databases and the states of events are statements of our own, as are drops."""
    codec, letter = LETTERS[charset]
    evil, quoted = letter + EVIL, (letter + EVIL).replace("`", "``")
    server.execute(f"CREATE TABLE other.`{letter}` (id INT PRIMARY KEY)")
    dump = (
        f"SET NAMES {charset};\nCREATE TABLE `{letter}` (`id` int, `{letter}\\` int, KEY `k` (`id`),"
        f" CONSTRAINT `{letter}` FOREIGN KEY (`id`) REFERENCES `other`.`{letter}` (`id`));\n"
        f"INSERT INTO `{letter}` VALUES (NULL, 1);\n"
        f"CREATE DEFINER=`{letter}`@`%` EVENT `{quoted}` ON SCHEDULE EVERY 1 YEAR"
        " STARTS '2037-01-01 00:00:00' ON COMPLETION PRESERVE ENABLE DO SELECT 1;\n"
        f"DROP PROCEDURE IF EXISTS `{quoted}`;\nCREATE PROCEDURE `{quoted}`() SELECT '{letter}';\n"
        f"DROP PROCEDURE IF EXISTS `{quoted}`;\n"
    )

    loading = Loading()
    load_bytes(server, dump.encode(codec), tmp_path, loading, options=OPTIONS, connections=4)
    with mysql.connect(address(server)) as connection:
        info = mysql.probe(connection)
    place = mysql.ProbedServer(address(server), info, mysql.clients(info, client_dir(server)))
    defining.make_what_waits(loading.found, place, "names_copy", tick=lambda: None)

    of_it = "FROM information_schema.{} WHERE {}_SCHEMA = 'names_copy'"
    events = f"SELECT EVENT_NAME, STATUS, EVENT_DEFINITION, DEFINER {of_it.format('EVENTS', 'EVENT')}"
    assert server.query(events) == [(evil, "ENABLED", "SELECT 1", f"{letter}@%")]
    keys = "SELECT CONSTRAINT_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME "
    keys += of_it.format("REFERENTIAL_CONSTRAINTS", "CONSTRAINT")
    assert server.query(keys) == [(letter, "other", letter)]
    assert server.query(f"SELECT ROUTINE_NAME {of_it.format('ROUTINES', 'ROUTINE')}") == []
    assert server.query("SELECT id FROM other.o") == [(1,)]


# ---------------------------------------------------------------- Upper and lower case

LIVE = "CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 100);"
# As `mysqldump --databases Names names` writes it, with names in front where an attacker wants them.
BY_CASE = """\
USE `Names`;
DROP TABLE IF EXISTS `t`;
CREATE TABLE `t` (`id` int NOT NULL, `v` int, PRIMARY KEY (`id`));
INSERT INTO `t` VALUES (1,1);
{}
USE `names`;
DROP TABLE IF EXISTS `t`;
CREATE TABLE `t` (`id` int NOT NULL, `v` int, PRIMARY KEY (`id`));
INSERT INTO `t` VALUES (2,2);
CREATE TABLE `u` (`id` int);
CREATE VIEW `w` AS select 1 AS `id`;
"""
AMONG = [
    "",
    "INSERT INTO `names`.`t` VALUES (3,3);",
    "DROP TABLE IF EXISTS `nothing`, `names`.`t`;",
    "CREATE TRIGGER `names`.`x` BEFORE INSERT ON `names`.`t` FOR EACH ROW SET @a = 1;",
]


def refusal(server: DatabaseServer, dump: str, folder: Path, connections: int) -> str:
    """Load what is of `Names` into a copy; the sentence of a refusal, if it is one."""
    server.create_database("names_copy")
    try:
        options = LoadOptions("names_copy", source="Names")
        load_bytes(server, dump.encode(), folder, Loading(), options=options, connections=connections)
    except Problem as problem:
        return problem.sentence()
    return ""


@pytest.mark.one_flavour("mariadb")
def test_a_dump_of_two_databases_reaches_neither_of_the_live_ones(
    server: DatabaseServer, tmp_path: Path
) -> None:
    for name in ("Names", "names"):
        server.create_database(name)
        server.load(LIVE, name)
    try:
        for number, among in enumerate(AMONG):
            refused = refusal(server, BY_CASE.format(among), tmp_path, 1 + number % 2 * 3)
            assert ("names" in refused) == bool(among), (among, refused)
            if not among:
                assert server.query("SHOW TABLES", "names_copy") == [("t",)]
                assert server.query("SELECT id, v FROM t", "names_copy") == [(1, 1)]
        for name in ("Names", "names"):
            assert server.query("SELECT id, v FROM t", name) == [(1, 100)]
            assert server.query("SHOW TABLES", name) == [("t",)]
            assert server.query("SHOW TRIGGERS", name) == []
    finally:
        server.execute("DROP DATABASE IF EXISTS `Names`; DROP DATABASE IF EXISTS `names`")


@pytest.fixture(scope="module")
def of_small_letters() -> Iterator[DatabaseServer]:
    """A server that takes names in whatever case for the same, as on Windows. MySQL's is made so or never."""
    with DatabaseServer("mariadb", options=["--lower-case-table-names=1"]) as server:
        yield server


def test_where_both_are_one_database_it_is_not_reached_either(
    of_small_letters: DatabaseServer, tmp_path: Path
) -> None:
    server = of_small_letters
    server.create_database("names")
    server.load(LIVE, "names")

    for number, among in enumerate(AMONG):
        refused = refusal(server, BY_CASE.format(among), tmp_path, 1 + number % 2 * 3)
        assert ("names" in refused) == bool(among), (among, refused)
    # As this server would write it: two dumps of one database in a file.
    assert "made the table t before" in refusal(
        server, BY_CASE.format("").replace("Names", "names"), tmp_path, 4
    )

    assert server.query("SELECT id, v FROM t", "names") == [(1, 100)]
    assert server.query("SHOW TABLES", "names") == [("t",)]


@pytest.mark.parametrize("connections", [1, 4])
def test_a_view_in_the_place_of_a_table_that_differs_by_case_is_what_the_dump_says(
    of_small_letters: DatabaseServer, connections: int, tmp_path: Path
) -> None:
    """To this server the names are the same, so that the dump drops its own table again."""
    server = of_small_letters
    server.create_database("names_copy")
    dump = f"{TABLE.replace('`a`', '`Sold`')}DROP TABLE `sold`;\n{VIEW.replace('`a`', '`sold`')}"

    loading = Loading()
    load_bytes(server, dump.encode(), tmp_path, loading, options=OPTIONS, connections=connections)

    assert loading.altered == []
    assert loading.found.inventory() == {"view": ["sold"]}
