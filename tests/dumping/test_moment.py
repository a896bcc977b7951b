"""What a dump holds of definitions is compared with what stood before and after, and not these alone."""

from __future__ import annotations

import time
from typing import Any

import pytest

from backups import mysql
from backups.dumpfile.digesting import Digester
from backups.dumpfile.rewriting import without_own_libraries, without_state
from backups.dumping import streaming
from backups.dumping.moment import Content, Unlike, differing
from tests.backups.worlds import Shop, client_dir, make_shop
from tests.dumping.test_changes import server_of
from tests.servers import DatabaseServer

DEFINED = """
CREATE TABLE a (id INT PRIMARY KEY, n INT);
SET NAMES utf8mb4;
CREATE VIEW sums AS SELECT SUM(n) AS n FROM a;
CREATE VIEW `it``s; */ checked` AS SELECT n FROM a WHERE n > 0 WITH CASCADED CHECK OPTION;
CREATE TRIGGER kept BEFORE INSERT ON a FOR EACH ROW SET NEW.n = 1;
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 00:00:00' DISABLE
  COMMENT 'x' DO DELETE FROM a;
CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC NO SQL RETURN 2 * n;
DELIMITER ;;
CREATE TRIGGER told AFTER DELETE ON a FOR EACH ROW
BEGIN
  -- it's /* a remark */ FOR EACH ROW
  SET @n = "é";
END;;
DELIMITER ;
SET NAMES latin1;
CREATE PROCEDURE tidy() DELETE FROM a WHERE n IS NULL;
"""
OTHERWISE = {
    ("view", "sums"): ("CREATE OR REPLACE VIEW sums AS SELECT {} AS n FROM a", "MIN(n)", "SUM(n)"),
    ("trigger", "kept"): (
        "DROP TRIGGER kept; CREATE TRIGGER kept BEFORE INSERT ON a FOR EACH ROW SET NEW.n = {}",
        "2",
        "1",
    ),
    ("event", "nightly"): ("ALTER EVENT nightly DO DELETE FROM a{}", " LIMIT 1", ""),
    ("function", "twice"): ("ALTER FUNCTION twice {} COMMENT ''", "CONTAINS SQL", "NO SQL"),
}


class Looked:
    """A database before and after it was dumped, with what is done at either end."""

    def __init__(self, shop: Shop, meanwhile: str = "", back: str = "") -> None:
        self.shop = shop
        with mysql.connect(server_of(shop), shop.name) as connection:
            self.info = mysql.probe(connection)
            self.before = Content.of(connection, shop.name)
        if meanwhile:
            shop.execute(meanwhile)
        self.digester = self.read()
        if back:
            shop.execute(back)
        self.unlike = Unlike(self.digester, self.before)
        with mysql.connect(server_of(shop), shop.name) as connection:
            self.after = Content.of(connection, shop.name, look=self.unlike.look)

    def read(self, **how: Any) -> Digester:
        digester = Digester(self.shop.name)
        programs = mysql.clients(self.info, client_dir(self.shop.server))
        source = mysql.DumpSource(server_of(self.shop), self.info, programs, self.shop.name, **how)
        streaming.stream_dump(source, streaming.Outlet(digester))
        return digester


def test_what_nobody_altered_is_found_in_the_stream(db_server: DatabaseServer) -> None:
    shop = make_shop(db_server, DEFINED)
    looked = Looked(shop)
    assert looked.before.definitions == looked.after.definitions
    assert len(looked.before.definitions) == 7
    assert looked.unlike.found == set()


@pytest.mark.one_flavour("mariadb")
def test_what_was_altered_and_put_back_is_noticed(db_server: DatabaseServer) -> None:
    shop = make_shop(db_server, DEFINED)
    names = "SET NAMES utf8mb4;"
    time.sleep(1.1)  # of routines the server tells whole seconds
    looked = Looked(
        shop,
        names + ";".join(text.format(new) for text, new, _ in OTHERWISE.values()),
        names + ";".join(text.format(old) for text, _, old in OTHERWISE.values()),
    )
    assert {key: seen.digest for key, seen in looked.after.definitions.items()} == {
        key: seen.digest for key, seen in looked.before.definitions.items()
    }
    assert looked.unlike.found == set(OTHERWISE)
    again = looked.read(structure_only=True)
    assert set(differing(looked.digester, again)) == set(OTHERWISE)
    assert differing(again, again) == []


@pytest.mark.one_flavour("mysql")
def test_event_that_the_server_drops_itself_is_no_alarm(db_server: DatabaseServer) -> None:
    shop = make_shop(db_server, DEFINED)
    shop.execute("CREATE EVENT once ON SCHEDULE AT '2035-01-01 00:00:00' DISABLE DO DELETE FROM a")
    shop.execute(
        "CREATE EVENT soon ON SCHEDULE AT CURRENT_TIMESTAMP + INTERVAL 1 HOUR DISABLE DO DELETE FROM a"
    )
    with mysql.connect(server_of(shop), shop.name) as connection:
        ending = mysql.events_that_end(connection, shop.name)
    assert set(ending) == {"once", "soon"}
    assert 3500 < (ending["soon"] or 0) <= 3600


@pytest.mark.parametrize(
    ("line", "database", "without"),
    [
        (b"    USING (`a`.`l` AS `b`, `a`.`m`)\n", "a", b"    USING (`l` AS `b`, `m`)\n"),
        (b"    USING (`a`.`l`, `b`.`m`)\n", "b", b"    USING (`a`.`l`, `m`)\n"),
        (b"    USING (`x``a`.`l`)\n", "a", b"    USING (`x``a`.`l`)\n"),
        (b"    USING (`x``a`.`l`)\n", "x`a", b"    USING (`l`)\n"),
        (b"AS $$ `a`.`l` $$\n", "a", b"AS $$ `a`.`l` $$\n"),
        (b"    USING (`a`.`l`)\n", "", b"    USING (`a`.`l`)\n"),
    ],
)
def test_own_libraries_stand_alone(line: bytes, database: str, without: bytes) -> None:
    assert without_own_libraries(line, database) == without


def test_state_of_an_event_is_the_servers_own() -> None:
    head = b"CREATE EVENT `e` ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 00:00:00' ON COMPLETION PRESERVE "
    assert without_state(head + b"ENABLE DO SELECT 1") == without_state(head + b"DISABLE DO SELECT 1")
