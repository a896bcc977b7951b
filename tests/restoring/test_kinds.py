"""Each kind of table, key and option of docs/compatibility.md: what a swap and its undo do to it.

One database of each flavour holds all that a swap carries; what it cannot carry is refused one by
one, by the checks that need no backup.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backups import mysql
from backups.choices import RestoreMode
from backups.errors import Problem
from backups.models import Database, Run
from backups.restoring.foreign_keys import refuse_crossing, refuse_keys_from_elsewhere
from backups.restoring.obstacles import refuse_immovable
from backups.restoring.plan import plan
from tests.actions.tools import verdict, verify
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop
from tests.restoring.stories import (
    content,
    databases_of,
    drop_all,
    failed,
    make_restorable,
    restore,
    succeeded,
    undo,
)
from tests.servers import FLAVOURS, DatabaseServer

BackUp = Callable[[Database], Run]

# By the name of the table: each row of docs/compatibility.md that is carried.
BOTH = {
    "innodb": "(id INT PRIMARY KEY, v VARCHAR(9)) ENGINE = InnoDB",
    "myisam": "(id INT PRIMARY KEY, v VARCHAR(9)) ENGINE = MyISAM",
    "memory": "(id INT PRIMARY KEY, v VARCHAR(9)) ENGINE = MEMORY",
    "csv": "(id INT NOT NULL, v VARCHAR(9) NOT NULL) ENGINE = CSV",
    "partitions": "(id INT PRIMARY KEY, v VARCHAR(9)) PARTITION BY HASH (id) PARTITIONS 3",
    "subpartitions": "(id INT, v VARCHAR(9)) PARTITION BY RANGE (id) SUBPARTITION BY HASH (id) "
    "SUBPARTITIONS 2 (PARTITION low VALUES LESS THAN (10), PARTITION high VALUES LESS THAN MAXVALUE)",
    "compressed_rows": "(id INT PRIMARY KEY, v VARCHAR(9)) ROW_FORMAT = COMPRESSED",
    "full_text": "(id INT PRIMARY KEY, v VARCHAR(9), FULLTEXT (v))",
    "places": "(id INT PRIMARY KEY, v VARCHAR(9), g POINT NOT NULL DEFAULT (POINT(1, 1)), SPATIAL INDEX (g))",
    "computed": "(id INT PRIMARY KEY, v VARCHAR(9), w INT AS (id + 1) STORED, x INT AS (id + 2), KEY (x))",
    "checked": "(id INT PRIMARY KEY, v VARCHAR(9), CONSTRAINT small CHECK (id < 100))",
    "invisible_column": "(id INT PRIMARY KEY, v VARCHAR(9), h INT INVISIBLE DEFAULT 3)",
    "self": "(id INT PRIMARY KEY, v VARCHAR(9), s INT, CONSTRAINT own FOREIGN KEY (s) REFERENCES self (id))",
}
MARIADB = {
    "aria": "(id INT PRIMARY KEY, v VARCHAR(9)) ENGINE = Aria",
    "page_compressed": "(id INT PRIMARY KEY, v VARCHAR(9)) PAGE_COMPRESSED = 1",
    "versioned": "(id INT PRIMARY KEY, v VARCHAR(9)) WITH SYSTEM VERSIONING",
    "ignored_key": "(id INT PRIMARY KEY, v VARCHAR(9), KEY (v) IGNORED)",
    "compressed_column": "(id INT PRIMARY KEY, v VARCHAR(9) COMPRESSED)",
    "from_sequence": "(id INT PRIMARY KEY, v VARCHAR(9), n BIGINT DEFAULT (nextval(numbers)))",
}
MYSQL = {
    "archive": "(id INT, v VARCHAR(9)) ENGINE = ARCHIVE",
    "blackhole": "(id INT, v VARCHAR(9)) ENGINE = BLACKHOLE",
    "data_directory": "(id INT PRIMARY KEY, v VARCHAR(9)) DATA DIRECTORY = '{folder}'",
    "directory_of_partition": "(id INT PRIMARY KEY, v VARCHAR(9)) PARTITION BY RANGE (id) "
    "(PARTITION low VALUES LESS THAN (10) DATA DIRECTORY = '{folder}')",
    "page_compressed": "(id INT PRIMARY KEY, v VARCHAR(9)) COMPRESSION = 'zlib'",
    "in_tablespace": "(id INT PRIMARY KEY, v VARCHAR(9)) TABLESPACE shared",
    "invisible_key": "(id INT PRIMARY KEY, v VARCHAR(9), KEY (v) INVISIBLE)",
    "key_over_expression": "(id INT PRIMARY KEY, v VARCHAR(9), KEY ((id + 1)))",
    "not_enforced": "(id INT PRIMARY KEY, v VARCHAR(9), CONSTRAINT never CHECK (id < 0) NOT ENFORCED)",
}
CIRCLE = """
CREATE TABLE circle_a (id INT PRIMARY KEY, v VARCHAR(9), b INT);
CREATE TABLE circle_b (id INT PRIMARY KEY, v VARCHAR(9), a INT, CONSTRAINT to_a FOREIGN KEY (a)
  REFERENCES circle_a (id));
ALTER TABLE circle_a ADD CONSTRAINT to_b FOREIGN KEY (b) REFERENCES circle_b (id);
CREATE TABLE merged_one (id INT PRIMARY KEY, v VARCHAR(9)) ENGINE = MyISAM;
CREATE TABLE merged (id INT PRIMARY KEY, v VARCHAR(9)) ENGINE = MERGE UNION = (merged_one)
  INSERT_METHOD = LAST;
"""
CIRCLE_TABLES = ("circle_a", "circle_b", "merged_one")


@pytest.fixture(scope="module")
def folder() -> Iterator[str]:
    """A folder of the server's, outside of its own."""
    with tempfile.TemporaryDirectory(prefix="vedetta-kinds-") as name:
        Path(name).chmod(0o777)
        yield name


@pytest.fixture(scope="module", params=FLAVOURS)
def server(request: pytest.FixtureRequest, folder: str) -> Iterator[DatabaseServer]:
    """A server of our own, which may be started anew."""
    options = [f"--innodb-directories={folder}"] if request.param == "mysql" else []
    with DatabaseServer(request.param, options=options) as server:
        if request.param == "mysql":
            server.execute("CREATE TABLESPACE shared ADD DATAFILE 'shared.ibd'")
        yield server


def kinds_of(server: DatabaseServer, folder: str) -> dict[str, str]:
    own = MARIADB if server.flavour == "mariadb" else MYSQL
    return {name: text.format(folder=folder) for name, text in (BOTH | own).items()}


@pytest.mark.one_flavour("mariadb")
def test_all_that_a_swap_carries_comes_goes_and_comes_back(
    server: DatabaseServer, folder: str, make_database: MakeDatabase, back_up: BackUp
) -> None:
    kinds = kinds_of(server, folder)
    tables = [*kinds, *CIRCLE_TABLES]
    first = "CREATE SEQUENCE numbers;" if server.flavour == "mariadb" else ""
    made = "".join(f"CREATE TABLE {name} {text};" for name, text in kinds.items())
    rows = "".join(f"INSERT INTO {name} (id, v) VALUES (1, 'old');" for name in tables)
    shop = make_restorable(server, first + made + CIRCLE + rows)
    if server.flavour == "mysql":  # which asks for it where a table has a folder of its own
        server.execute(f"GRANT FILE ON *.* TO '{shop.user}'@'%'")
    database = make_database(shop)
    was = held(shop)
    succeeded(back_up(database))
    for name in tables:
        shop.execute(f"INSERT INTO {name} (id, v) VALUES (2, 'new')")
    later = held(shop)

    run = succeeded(restore(database, RestoreMode.REPLACE, without_safety=True))
    came = [re.sub(rb" DATA DIRECTORY ?= ?'[^']*'", b"", line) for line in was]
    assert held(shop) == came
    # What a server has lost is seen when it starts.
    server.restart()
    assert held(shop) == without_rows_in_memory(came)

    succeeded(undo(run))
    assert held(shop) == without_rows_in_memory(later)
    server.restart()
    assert held(shop) == without_rows_in_memory(later)
    drop_all(shop)


def held(shop: Shop) -> list[bytes]:
    """What a database holds. MySQL tells a partition's folder with a slash until its next start."""
    return [re.sub(rb"(DATA DIRECTORY = '[^']*)/'", rb"\1'", one) for one in content(shop.server, shop.name)]


def without_rows_in_memory(lines: list[bytes]) -> list[bytes]:
    """What is left when the server starts anew, which forgets the rows of MEMORY tables."""
    kept, inside = [], False
    for line in lines:
        inside = inside or line.startswith(b"INSERT INTO `memory`")
        if not inside:
            kept.append(line)
        inside = inside and not line.endswith(b";")
    return kept


# ---------------------------------------------------------------- Refused


DIRECTORIES = {
    "a table": "CREATE TABLE big (id INT PRIMARY KEY) DATA DIRECTORY = '{folder}'",
    "a partition": "CREATE TABLE big (id INT PRIMARY KEY) PARTITION BY RANGE (id) "
    "(PARTITION low VALUES LESS THAN (10) DATA DIRECTORY = '{folder}')",
    "MyISAM": "CREATE TABLE big (id INT PRIMARY KEY) ENGINE = MyISAM DATA DIRECTORY = '{folder}' "
    "INDEX DIRECTORY = '{folder}'",
    "Aria": "CREATE TABLE big (id INT PRIMARY KEY) ENGINE = Aria DATA DIRECTORY = '{folder}'",
}


@pytest.mark.parametrize(
    "kind",
    [each if each == "a table" else pytest.param(each, marks=pytest.mark.soak) for each in DIRECTORIES],
)
def test_on_mariadb_a_folder_of_its_own_is_refused(
    kind: str, mariadb_server: DatabaseServer, folder: str, make_database: MakeDatabase
) -> None:
    """Else neither the table nor the kept one could be read after the server's next start."""
    shop = make_restorable(mariadb_server, DIRECTORIES[kind].format(folder=folder))
    shop.execute("CREATE TABLE other (id INT, `DATA DIRECTORY` INT) COMMENT 'INDEX DIRECTORY'")

    with pytest.raises(Problem, match=rf"The table big of {shop.name} lies in a folder of its own") as told:
        look(shop)
    assert told.value.do == "Restore in place, which swaps nothing."
    assert told.value.safe == f"{shop.name} was not touched."
    look(shop, ["other"])
    drop_all(shop)


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["MyISAM", "Aria"])
def test_a_folder_of_its_own_is_the_servers_and_all_else_is_verified_and_restored(
    kind: str, mariadb_server: DatabaseServer, folder: str, make_database: MakeDatabase, back_up: BackUp
) -> None:
    """Its file would lie in one place whatever the database is called."""
    own = DIRECTORIES[kind].format(folder=folder)
    shop = make_restorable(mariadb_server, f"{own}; INSERT INTO big VALUES (1), (2)")
    database = make_database(shop)
    succeeded(back_up(database))

    found = verdict(verify(database))
    assert (found.verdict, found.rows) == ("identical", 2)
    assert "table big: its folder is the server's own" in found.not_compared
    shop.execute("DELETE FROM big")
    succeeded(restore(database, RestoreMode.NEW, target=f"{shop.name}_copy"))
    succeeded(restore(database, RestoreMode.IN_PLACE, without_safety=True))
    assert shop.query("SELECT id FROM big") == [(1,), (2,)]
    drop_all(shop)


def look(shop: Shop, chosen: list[str] | None = None) -> None:
    """What is asked before anything is touched."""
    server = mysql.Server(shop.server.host, shop.server.port, shop.user, shop.password)
    with mysql.connect(server) as connection:
        there = mysql.tables(connection, shop.name)
        refuse_crossing(connection, shop.name, chosen or [], target=shop.name, held=there)
        refuse_immovable(connection, shop.name, chosen or [], target=shop.name)
    refuse_keys_from_elsewhere(shop.name, chosen or [], server)


ORPHAN = """
SET SESSION foreign_key_checks = 0;
CREATE TABLE payments (id INT PRIMARY KEY, customer INT, KEY (customer),
  CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES customers (id));
CREATE TABLE apart (id INT PRIMARY KEY);
"""


@pytest.mark.one_flavour("mysql")
def test_key_whose_parent_is_missing_is_refused(db_server: DatabaseServer) -> None:
    """RENAME would write the other database's name into it."""
    shop = make_restorable(db_server, ORPHAN)
    for chosen in ([], ["payments"]):
        with pytest.raises(Problem, match=r"of_customer .*payments refers to customers, which is not there"):
            look(shop, chosen)
    look(shop, ["apart"])
    shop.execute("CREATE TABLE customers (id INT PRIMARY KEY)")
    look(shop)
    with pytest.raises(Problem, match="only one of the two is to be replaced"):
        look(shop, ["payments"])
    drop_all(shop)


@pytest.mark.one_flavour("mariadb")
def test_key_to_another_database_goes_along(db_server: DatabaseServer) -> None:
    """It was refused for chosen tables: choose both, which nobody can."""
    shop = make_restorable(db_server, "CREATE TABLE t (id INT PRIMARY KEY)")
    db_server.load(
        f"CREATE DATABASE {shop.name}_o; CREATE TABLE {shop.name}_o.t (id INT PRIMARY KEY);"
        f"CREATE TABLE {shop.name}_o.u (id INT PRIMARY KEY)"
    )
    shop.execute(
        f"CREATE TABLE child (id INT PRIMARY KEY, p INT, q INT, "
        f"CONSTRAINT out_of_here FOREIGN KEY (p) REFERENCES {shop.name}_o.t (id), "
        f"CONSTRAINT out_as_well FOREIGN KEY (q) REFERENCES {shop.name}_o.u (id))"
    )
    look(shop, ["child"])
    look(shop)
    drop_all(shop)


@pytest.mark.one_flavour("mysql")
def test_key_of_another_database_into_this_one_is_refused(db_server: DatabaseServer) -> None:
    shop = make_restorable(db_server, "CREATE TABLE t (id INT PRIMARY KEY)")
    other = f"{shop.name}_o"
    db_server.load(
        f"CREATE DATABASE {other}; CREATE TABLE {other}.child (id INT PRIMARY KEY, "
        f"FOREIGN KEY (id) REFERENCES {shop.name}.t (id))"
    )
    with pytest.raises(Problem, match=rf"A foreign key of {other}.child, in another database"):
        look(shop)
    db_server.execute(f"DROP DATABASE {other}")
    drop_all(shop)


# tests/restoring/test_unseen_keys.py has both refuse the same.
@pytest.mark.soak
def test_read_only_database_is_refused_in_the_preview_and_by_the_run(
    mysql_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = make_restorable(mysql_server, "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)")
    database = make_database(shop)
    snapshot = succeeded(back_up(database)).snapshot
    assert snapshot is not None
    mysql_server.execute(f"ALTER DATABASE {shop.name} READ ONLY = 1")

    sentence = f"{shop.name} is read only, so no table of it can be replaced."
    for mode in (RestoreMode.REPLACE, RestoreMode.IN_PLACE):
        told = plan(database, snapshot, mode=mode, target=shop.name)
        assert [obstacle.startswith(sentence) for obstacle in told.obstacles] == [True]
        assert failed(restore(database, mode, without_safety=True)).startswith(sentence)
    assert databases_of(shop) == [shop.name]
    mysql_server.execute(f"ALTER DATABASE {shop.name} READ ONLY = 0")
    drop_all(shop)


# Above, the live database has such a key, which the same check refuses.
@pytest.mark.soak
def test_snapshot_with_a_key_without_parent_is_refused_after_loading(
    mariadb_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    """Known only once it lies in the shadow database; and when kept tables would come back."""
    shop = make_restorable(mariadb_server, ORPHAN)
    database = make_database(shop)
    succeeded(back_up(database))
    shop.execute("DROP TABLE payments; INSERT INTO apart VALUES (1)")

    told = failed(restore(database, RestoreMode.REPLACE, without_safety=True))

    assert "of_customer" in told
    assert "which is not there. A swap would leave it pointing at another database." in told
    assert shop.query("SELECT * FROM apart") == [(1,)]
    assert databases_of(shop) == [shop.name]
    run = succeeded(restore(database, RestoreMode.REPLACE, tables=["apart"], without_safety=True))
    shop.server.execute(
        f"SET foreign_key_checks = 0; ALTER TABLE {run.restore.kept_in}.apart ADD COLUMN c INT, "
        "ADD CONSTRAINT lost FOREIGN KEY (c) REFERENCES nowhere (id)"
    )
    assert "The foreign key lost of" in failed(undo(run))
    drop_all(shop)


# ---------------------------------------------------------------- Names


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        pytest.param("shop", "shop__before_12", marks=pytest.mark.one_flavour("mariadb")),
        pytest.param("n" * 64, "n" * 53 + "__before_12", marks=pytest.mark.one_flavour("mysql")),
        ("日" * 51, "日" * 48 + "__before_12"),
        ("a/b\\c&d.e%f`g", "a/b\\c&d.e%f`g__before_12"),
        ("é" * 64, "é" * 48 + "__before_12"),
    ],
)
def test_derived_names_fit_the_server(name: str, kept: str, db_server: DatabaseServer) -> None:
    derived = mysql.derived_name(name, "before", 12)
    assert derived == kept
    quoted = mysql.quote(derived)
    db_server.execute(f"CREATE DATABASE {quoted}; CREATE TABLE {quoted}.t (id INT PRIMARY KEY)")
    db_server.execute(f"DROP DATABASE {quoted}")


# tests/security/test_names.py has a name of this kind backed up, shown and restored.
@pytest.mark.soak
@pytest.mark.parametrize("name", ["日" * 51, "a/b\\c&d.e%f`g h"])
def test_database_of_any_name_is_replaced_and_had_back(
    name: str, mariadb_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = make_restorable(mariadb_server, "CREATE TABLE t (id INT PRIMARY KEY)", name=name)
    mariadb_server.execute(f"GRANT ALL ON *.* TO '{shop.user}'@'%'")
    database = make_database(shop)
    succeeded(back_up(database))
    shop.execute("INSERT INTO t VALUES (1)")

    run = succeeded(restore(database, RestoreMode.REPLACE, without_safety=True))
    assert shop.query("SELECT * FROM t") == []
    succeeded(undo(run))
    assert shop.query("SELECT * FROM t") == [(1,)]
    for one in databases_of(shop):
        mariadb_server.execute(f"DROP DATABASE {mysql.quote(one)}")
    for (one,) in mariadb_server.query("SHOW DATABASES"):
        if "__before_" in str(one) and str(one).startswith(name[:4]):
            mariadb_server.execute(f"DROP DATABASE {mysql.quote(str(one))}")
