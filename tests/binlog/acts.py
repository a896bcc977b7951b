"""What a workload does, one transaction each."""

from __future__ import annotations

import json

from tests.binlog.workload import Act, Writer


def customer(writer: Writer) -> None:
    chance = writer.chance
    writer.run(
        "INSERT INTO customer (name, note, born, email, bits, s, e, price, f, d, bin, bl, ts, dt, ti, y, j, "
        "u, j2) VALUES (%s, %s, '1999-02-03', %s, %s, 'a,c', 'y', %s, %s, %s, %s, %s, NOW(6), NOW(3), "
        "'12:34:56.78', 2024, %s, %s, NULL)",
        writer.word(20),
        writer.word(200),
        f"{chance.random()}@{chance.random()}",
        bytes([chance.randrange(2), chance.randrange(256)]),
        chance.random() * 1e6,
        chance.random() * 1e5,
        chance.random() * 1e9,
        writer.bytes(20),
        writer.bytes(60),
        json.dumps({"a": [1, 2, {"b": str(chance.randrange(99))}], "long": "x" * 300}),
        chance.randrange(2**64),
    )


def order(writer: Writer) -> None:
    """Its trigger writes to another table."""
    total = writer.chance.randrange(99999) / 100
    writer.run("INSERT INTO orders (customer_id, total) VALUES (%s, %s)", writer.some_customer(), total)
    number = writer.cursor.lastrowid
    for line in range(writer.chance.randint(1, 4)):
        writer.run("INSERT INTO line VALUES (%s, %s, %s)", number, line, writer.chance.randrange(9))


def note(writer: Writer) -> None:
    writer.run("INSERT INTO note (customer_id, v) VALUES (%s, %s)", writer.some_customer(), writer.word(9))


def update_orders(writer: Writer) -> None:
    state, rest = writer.chance.choice(["paid", "sent", "new"]), writer.chance.randrange(11)
    writer.run(
        "UPDATE orders SET total = total + 1, state = %s WHERE id %% 11 = %s ORDER BY id LIMIT 20",
        state,
        rest,
    )


def delete_customer(writer: Writer) -> None:
    """Whose orders and lines go with it, and whose notes lose it."""
    writer.run("DELETE FROM customer WHERE id = %s", writer.some_customer())


def renumber_customer(writer: Writer) -> None:
    """Orders and notes follow its key."""
    number = writer.some_customer()
    writer.run("UPDATE customer SET id = id + 100000 WHERE id = %s AND id < 100000", number)


def update_document(writer: Writer) -> None:
    """A part of a document, which MySQL may log alone."""
    writer.run(
        "UPDATE customer SET j = JSON_SET(j, '$.a[0]', %s), price = price + 1 WHERE id = %s",
        writer.chance.randrange(9),
        writer.some_customer(),
    )


def procedure(writer: Writer) -> None:
    writer.run("CALL bump(%s)", writer.chance.randrange(5))


def beside(writer: Writer) -> None:
    """Both databases in one transaction, and one statement that reads the other."""
    db, other, rest = writer.names.database, writer.names.other, writer.chance.randrange(13)
    writer.run(
        f"INSERT INTO {other}.arch (oid, v) SELECT id, state FROM {db}.orders ORDER BY id DESC LIMIT 3"
    )
    writer.run(
        f"UPDATE {db}.orders o JOIN {other}.x x ON x.i = o.id % 3 + 1 SET o.total = o.total + x.v "
        f"WHERE o.id % 13 = {rest}"
    )


def other_alone(writer: Writer) -> None:
    writer.run(f"INSERT INTO {writer.names.other}.arch (oid, v) VALUES (1, %s)", writer.word(9))


def partitions(writer: Writer) -> None:
    chance = writer.chance
    writer.run(
        "REPLACE INTO part VALUES (%s, %s, %s)", chance.randrange(50), chance.randrange(300), writer.word(5)
    )


def points(writer: Writer) -> None:
    chance = writer.chance
    writer.run(
        "REPLACE INTO geo (id, g) VALUES (%s, ST_GeomFromText('POINT(%s %s)'))",
        *(chance.randrange(9) for _ in range(3)),
    )


def kinds(writer: Writer) -> None:
    """Values that readers of logs have got wrong."""
    chance = writer.chance
    writer.run("SET SESSION sql_mode = ''")
    many = ",".join(f"m{number}" for number in range(64) if chance.random() < 0.5)
    writer.run(
        "REPLACE INTO kinds (id, b64, many, e, zero, zt, f, t3, d2, word, nothing, ti, si, mi, big, c, mt, "
        "lb, tb, l1, sj, b) VALUES (%s, %s, %s, 'two', '0000-00-00', '0000-00-00 00:00:00', 1e16, "
        "'-12:00:00.000', '2020-02-29 23:59:59.999999', 'false', %s, -128, 65535, -8388608, %s, %s, %s, "
        "%s, %s, 'äöüÿ', '表ソ', TRUE)",
        writer.bytes(chance.randrange(1, 12)),
        b"\xff" * 8,
        many,
        chance.choice(["", None]),
        "-12345678901234567890123456789012345.012345678901234567890123456789",
        chance.choice(["", "ü" * 255, None]),
        "m" * chance.choice([0, 300, 70_000]),
        writer.bytes(chance.choice([0, 255, 256, 9000])),
        writer.bytes(chance.randrange(255)),
    )
    writer.run("SET SESSION sql_mode = DEFAULT")


def swap(writer: Writer) -> None:
    """Keys that change places by way of a third one."""
    chance = writer.chance
    writer.run("INSERT IGNORE INTO swap VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')")
    one, two = chance.sample((1, 2, 3), 2)
    for old, new in ((one, 0), (two, one), (0, two)):
        writer.run("UPDATE swap SET id = %s WHERE id = %s", new, old)
    writer.run("DELETE FROM swap WHERE id = %s", one)
    writer.run("INSERT INTO swap VALUES (%s, %s, 'new') ON DUPLICATE KEY UPDATE w = 'twice'", one, two + 10)


def keyless(writer: Writer) -> None:
    chance = writer.chance
    writer.run(
        "INSERT INTO keyless VALUES (%s, %s), (1, 'same'), (1, 'same')", chance.randrange(50), writer.word(6)
    )
    writer.run("UPDATE keyless SET b = 'u' WHERE a = %s LIMIT 1", chance.randrange(50))
    writer.run("DELETE FROM keyless WHERE a = %s LIMIT 1", chance.randrange(50))


def burnt(writer: Writer) -> None:
    """Numbers are used that no log holds: of rolled back and of ignored rows."""
    writer.run("INSERT INTO log (what) VALUES ('rolled back')")
    writer.run("ROLLBACK")
    writer.run(
        "INSERT IGNORE INTO customer (name, email) SELECT name, email FROM customer ORDER BY id DESC LIMIT 2"
    )


def savepoint(writer: Writer) -> None:
    writer.run("INSERT INTO log (what) VALUES ('kept')")
    writer.run("SAVEPOINT `a``b`")
    writer.run("INSERT INTO log (what) VALUES ('undone')")
    writer.run("ROLLBACK TO SAVEPOINT `a``b`")
    writer.run("UPDATE log SET what = 'kept too' WHERE what = 'kept'")


def temporary(writer: Writer) -> None:
    writer.run("CREATE TEMPORARY TABLE tt (i INT, v VARCHAR(30))")
    writer.run("INSERT INTO tt SELECT id, state FROM orders ORDER BY id DESC LIMIT 5")
    writer.run("INSERT INTO log (what) SELECT CONCAT('tmp ', i) FROM tt ORDER BY i")
    writer.run("DROP TEMPORARY TABLE tt")


def xa(writer: Writer) -> None:
    """Prepared and then committed or rolled back, or committed in one go."""
    name = f"'{writer.chance.randrange(2**30)}', 'b', 3"
    ends = writer.chance.choice(
        (
            [f"XA PREPARE {name}", f"XA COMMIT {name}"],
            [f"XA COMMIT {name} ONE PHASE"],
            [f"XA PREPARE {name}", f"XA ROLLBACK {name}"],
        )
    )
    writer.run("COMMIT")
    writer.run(f"XA START {name}")
    writer.run("INSERT INTO log (what) VALUES ('xa')")
    writer.run(f"XA END {name}")
    for end in ends:
        writer.run(end)


def myisam(writer: Writer) -> None:
    """What no rollback undoes, alone and beside what one does."""
    writer.run("INSERT INTO old (v) VALUES ('m')")
    writer.run("COMMIT")
    if writer.chance.random() < 0.5:
        writer.run("INSERT INTO old (v) VALUES ('mixed')")
        writer.run("INSERT INTO log (what) VALUES ('mixed')")
        writer.run("ROLLBACK" if writer.chance.random() < 0.5 else "COMMIT")


def bulk(writer: Writer) -> None:
    """Rows of several events in one statement."""
    values = ", ".join(f"('bulk {number} {'x' * 40}')" for number in range(400))
    writer.run(f"INSERT INTO log (what) VALUES {values}")
    writer.run("UPDATE log SET what = CONCAT(LEFT(what, 20), '!') WHERE what LIKE 'bulk%'")
    writer.run("DELETE FROM log WHERE what LIKE 'bulk%' AND id % 3 = 0")


def unchecked(writer: Writer) -> None:
    """Children without a parent."""
    writer.run("SET SESSION foreign_key_checks = 0, unique_checks = 0")
    writer.run("REPLACE INTO line VALUES (%s, 1, 1)", -writer.chance.randrange(1, 99))
    writer.run("SET SESSION foreign_key_checks = 1, unique_checks = 1")


def past(writer: Writer) -> None:
    """By its own word in 2023."""
    writer.run("SET SESSION timestamp = 1700000000")
    writer.run("INSERT INTO log (what) VALUES ('past')")
    writer.run("COMMIT")
    writer.run("SET SESSION timestamp = DEFAULT")


def named_alike(writer: Writer) -> None:
    """Tables that are called as the database and as words of the language."""
    db, number = writer.names.database, writer.chance.randrange(20)
    writer.run(f"REPLACE INTO `{db}` VALUES (%s, 'alike')", number)
    writer.run("REPLACE INTO user VALUES (%s, 'u')", number)
    writer.run("REPLACE INTO event VALUES (%s, 'e')", number)


def sequence(writer: Writer) -> None:
    writer.one("SELECT NEXTVAL(sq)")
    writer.run("REPLACE INTO inet VALUES (%s, '::1', UUID())", writer.chance.randrange(30))


def versioned(writer: Writer) -> None:
    number, word = writer.chance.randrange(40), writer.word(4)
    writer.run(
        "INSERT INTO versioned (id, v) VALUES (%s, %s) ON DUPLICATE KEY UPDATE v = %s", number, word, word
    )
    if writer.chance.random() < 0.3:
        writer.run("DELETE FROM versioned WHERE id = %s", writer.chance.randrange(40))


def packed(writer: Writer) -> None:
    writer.run(
        "REPLACE INTO packed VALUES (%s, REPEAT('p', 900), REPEAT('t', %s))",
        writer.chance.randrange(20),
        writer.chance.choice([1, 5000]),
    )


def aria(writer: Writer) -> None:
    writer.run("INSERT INTO aria (v) VALUES ('a')")


def vector(writer: Writer) -> None:
    writer.run(
        "REPLACE INTO vec VALUES (%s, STRING_TO_VECTOR('[1, 2, 3.5]'), ST_GeomFromText('POINT(1 2)', 4326))",
        writer.chance.randrange(20),
    )
    writer.run("INSERT INTO hidden (a, v) VALUES (%s, 'h')", writer.chance.randrange(9))


# By name: how often, and what.
ACTS: dict[str, tuple[int, Act]] = {
    "customer": (20, customer),
    "order": (20, order),
    "note": (4, note),
    "update_orders": (10, update_orders),
    "delete_customer": (4, delete_customer),
    "renumber_customer": (2, renumber_customer),
    "update_document": (5, update_document),
    "procedure": (3, procedure),
    "beside": (4, beside),
    "other_alone": (4, other_alone),
    "partitions": (4, partitions),
    "points": (3, points),
    "kinds": (5, kinds),
    "swap": (3, swap),
    "keyless": (4, keyless),
    "burnt": (3, burnt),
    "savepoint": (3, savepoint),
    "temporary": (2, temporary),
    "xa": (3, xa),
    "myisam": (3, myisam),
    "bulk": (1, bulk),
    "unchecked": (1, unchecked),
    "past": (1, past),
    "named_alike": (3, named_alike),
}
ACTS_OF_MARIADB: dict[str, tuple[int, Act]] = {
    "sequence": (3, sequence),
    "versioned": (4, versioned),
    "packed": (2, packed),
    "aria": (2, aria),
}
ACTS_OF_MYSQL: dict[str, tuple[int, Act]] = {"vector": (3, vector)}
