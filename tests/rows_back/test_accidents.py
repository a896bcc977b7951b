"""Accidents with foreign keys and unique keys, given back and undone on real servers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backups.errors import Problem
from backups.rows_back.script import inverse, write
from tests.rows_back.running import ALL, HEAD, Changed, Dump, differences, dumped, run, tables_of
from tests.servers import DatabaseServer

HERE = replace(HEAD, database="accident")

SHOP = """
CREATE TABLE customer (id int PRIMARY KEY, name varchar(20));
CREATE TABLE orders (id int PRIMARY KEY, customer_id int NOT NULL, note varchar(20),
  FOREIGN KEY (customer_id) REFERENCES customer (id) ON DELETE CASCADE);
CREATE TABLE line (order_id int, number int, price decimal(9,2), PRIMARY KEY (order_id, number),
  FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE);
CREATE TABLE a_visit (id int PRIMARY KEY, customer_id int, at datetime(3),
  FOREIGN KEY (customer_id) REFERENCES customer (id) ON DELETE SET NULL);
INSERT INTO customer VALUES (1, 'Ann'), (2, 'Bob'), (3, 'Cy');
INSERT INTO orders VALUES (1, 1, ''), (2, 1, 'x'), (3, 2, NULL);
INSERT INTO line VALUES (1, 1, 5), (1, 2, 7), (2, 1, 9), (3, 1, 0.5);
INSERT INTO a_visit VALUES (1, 1, '2024-01-01'), (2, 1, NULL), (3, 2, NULL), (4, NULL, NULL);
"""
DEEP = """
CREATE TABLE people (id int PRIMARY KEY);
CREATE TABLE purchases (id int PRIMARY KEY, person int,
  FOREIGN KEY (person) REFERENCES people (id) ON DELETE CASCADE);
CREATE TABLE purchase_lines (id int PRIMARY KEY, purchase int,
  FOREIGN KEY (purchase) REFERENCES purchases (id) ON DELETE CASCADE);
CREATE TABLE line_notes (id int PRIMARY KEY, line int,
  FOREIGN KEY (line) REFERENCES purchase_lines (id) ON DELETE CASCADE);
CREATE TABLE returns (id int PRIMARY KEY, line int, note int,
  FOREIGN KEY (line) REFERENCES purchase_lines (id) ON DELETE SET NULL,
  FOREIGN KEY (note) REFERENCES line_notes (id) ON DELETE SET NULL);
INSERT INTO people VALUES (1), (2), (3);
INSERT INTO purchases SELECT id, id % 3 + 1 FROM people;
INSERT INTO purchase_lines SELECT id, id % 3 + 1 FROM people;
INSERT INTO line_notes SELECT id, id FROM purchase_lines;
INSERT INTO returns SELECT id, id, id FROM purchase_lines;
"""
PRICES = """
CREATE TABLE product (id int PRIMARY KEY, code varchar(20) NOT NULL, UNIQUE (code))
  DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
CREATE TABLE price (id int PRIMARY KEY, product varchar(20) NOT NULL, amount decimal(9,2),
  FOREIGN KEY (product) REFERENCES product (code) ON UPDATE CASCADE)
  DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
CREATE TABLE offer (id int PRIMARY KEY, product varchar(20),
  FOREIGN KEY (product) REFERENCES product (code) ON UPDATE SET NULL)
  DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
INSERT INTO product VALUES (1, 'chair'), (2, 'Table'), (3, 'bed');
INSERT INTO price VALUES (1, 'chair', 5), (2, 'chair', 6), (3, 'Table', 7);
INSERT INTO offer VALUES (1, 'chair'), (2, 'bed');
"""
TREE = """
CREATE TABLE node (id int PRIMARY KEY, parent int,
  FOREIGN KEY (parent) REFERENCES node (id) ON DELETE CASCADE);
INSERT INTO node VALUES (9, NULL), (5, 9), (7, 9), (1, 5), (2, 1), (8, 8);
"""
SEATS = """
CREATE TABLE seat (id int PRIMARY KEY, place int NOT NULL, label char(1), UNIQUE (place), UNIQUE (label));
INSERT INTO seat VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c'), (4, 40, NULL);
"""
PEOPLE = """
CREATE TABLE person (id int PRIMARY KEY, email varchar(20), UNIQUE (email));
CREATE TABLE badge (id int PRIMARY KEY, person int NOT NULL, FOREIGN KEY (person) REFERENCES person (id));
INSERT INTO person VALUES (1, 'a@x'), (2, 'b@x');
INSERT INTO badge VALUES (1, 1), (2, 2);
"""
RING = """
CREATE TABLE hen (id int PRIMARY KEY, egg int NULL);
CREATE TABLE egg (id int PRIMARY KEY, hen int NOT NULL, FOREIGN KEY (hen) REFERENCES hen (id));
INSERT INTO hen VALUES (1, NULL);
INSERT INTO egg VALUES (1, 1);
UPDATE hen SET egg = 1;
ALTER TABLE hen ADD FOREIGN KEY (egg) REFERENCES egg (id);
"""
LOG = """
CREATE TABLE log (what varchar(20), n int);
INSERT INTO log VALUES ('same', 1), ('same', 1), ('same', 1), ('same', 1), ('Same', 1);
INSERT INTO log VALUES (NULL, NULL), (NULL, NULL);
"""
ACCIDENTS = {
    "three levels of CASCADE and SET NULL": (SHOP, "DELETE FROM customer"),
    "four levels, and references to two of them": (DEEP, "DELETE FROM people"),
    "one of them": (SHOP, "DELETE FROM customer WHERE id = 1"),
    "brought and moved to": (
        SHOP,
        """INSERT INTO customer VALUES (9, 'Zed');
        UPDATE orders SET customer_id = 9;
        UPDATE a_visit SET customer_id = 9""",
    ),
    "moved and then gone": (
        SHOP,
        """UPDATE orders SET customer_id = 3;
        DELETE FROM customer WHERE id < 3""",
    ),
    "ON UPDATE CASCADE and SET NULL": (PRICES, "UPDATE product SET code = CONCAT(code, '!')"),
    "with more that was changed": (
        PRICES,
        """UPDATE product SET code = CONCAT('x', id);
        UPDATE price SET amount = amount * 2 WHERE id < 2;
        DELETE FROM price WHERE id = 3;
        INSERT INTO price VALUES (9, 'x3', 1)""",
    ),
    "a tree": (TREE, "DELETE FROM node"),
    "a branch, and another grown": (
        TREE,
        """DELETE FROM node WHERE id = 5;
        INSERT INTO node VALUES (5, 7), (6, 5)""",
    ),
    "places pushed on": (SEATS, "UPDATE seat SET place = place + 10 ORDER BY place DESC"),
    "places and labels swapped": (
        SEATS,
        """UPDATE seat SET place = 0, label = NULL WHERE id = 1;
        UPDATE seat SET place = 10, label = 'a' WHERE id = 2;
        UPDATE seat SET place = 20 WHERE id = 3;
        UPDATE seat SET place = 30, label = 'b' WHERE id = 1""",
    ),
    "addresses swapped where others refer": (
        PEOPLE,
        """UPDATE person SET email = NULL;
        UPDATE person SET email = IF(id = 1, 'b@x', 'a@x')""",
    ),
    "a ring": (
        RING,
        """UPDATE hen SET egg = NULL;
        DELETE FROM egg;
        DELETE FROM hen""",
    ),
    "equal rows of a table without a key": (
        LOG,
        """INSERT INTO log VALUES ('same', 1);
        DELETE FROM log WHERE what IS NULL LIMIT 1;
        UPDATE log SET n = 2 LIMIT 1""",
    ),
}
REFUSED = {
    "others refer to rows that swap what must be there": (
        """CREATE TABLE person (id int PRIMARY KEY, email varchar(20) NOT NULL, UNIQUE (email));
        CREATE TABLE badge (id int PRIMARY KEY, person int, FOREIGN KEY (person) REFERENCES person (id));
        INSERT INTO person VALUES (1, 'a@x'), (2, 'b@x')""",
        """UPDATE person SET email = '' WHERE id = 1;
        UPDATE person SET email = 'a@x' WHERE id = 2;
        UPDATE person SET email = 'b@x' WHERE id = 1""",
        "person",
    ),
    "rows that need one another": (
        """SET foreign_key_checks = 0;
        CREATE TABLE a (id int PRIMARY KEY, b int NOT NULL, FOREIGN KEY (b) REFERENCES b (id));
        CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL, FOREIGN KEY (a) REFERENCES a (id));
        INSERT INTO a VALUES (1, 1);
        INSERT INTO b VALUES (1, 1)""",
        """SET foreign_key_checks = 0;
        DELETE FROM a;
        DELETE FROM b""",
        "a, b",
    ),
}


def met(server: DatabaseServer, before: str, accident: str) -> tuple[Dump, Dump, list[Changed]]:
    """A database before and after something, and the rows that differ."""
    server.create_database("accident")
    server.execute(before, "accident")
    then = dumped(server, "accident")
    server.execute(accident, "accident")
    now = dumped(server, "accident")
    return then, now, differences(then, now)


# MySQL follows foreign keys by itself, MariaDB's InnoDB does it.
ON_MYSQL = (
    "three levels of CASCADE and SET NULL",
    "four levels, and references to two of them",
    "ON UPDATE CASCADE and SET NULL",
)


@pytest.mark.parametrize(
    "accident",
    [
        pytest.param(each, marks=[] if each in ON_MYSQL else pytest.mark.one_flavour("mariadb"))
        for each in ACCIDENTS
    ],
)
def test_an_accident_is_given_back_undone_and_given_back_again(
    accident: str, db_server: DatabaseServer
) -> None:
    then, now, found = met(db_server, *ACCIDENTS[accident])
    tables = tables_of(now)
    script, undo = write(found, tables, HERE), inverse(found, tables, HERE)

    for statements, wanted in ((script, then), (undo, now), (script, then)):
        assert run(db_server, "accident", statements.statements()) == ALL
        assert dumped(db_server, "accident").told() == wanted.told()


@pytest.mark.one_flavour("mariadb")
@pytest.mark.parametrize("accident", REFUSED)
def test_what_no_order_gives_back_is_refused(accident: str, db_server: DatabaseServer) -> None:
    before, what, tables = REFUSED[accident]
    _, now, found = met(db_server, before, what)

    with pytest.raises(Problem, match=f"Rows of {tables} wait for one another"):
        write(found, tables_of(now), HERE)
