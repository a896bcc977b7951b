"""The sample database: an orders tracker of any size, the same rows at every run.

The server makes the rows itself (INSERT … SELECT over a small table of numbers), so that a large
database is there as fast as the server can write it. Every value follows from the row's number:
no random functions and no clock, on MariaDB and MySQL alike.

    python -m tools.sample --size 20MB | mariadb orders_tracker
    python -m tools.sample --size 700MB --socket /run/mysqld/mysqld.sock --database orders_tracker
    python -m tools.sample --change 1 --host 127.0.0.1 --user root --database orders_tracker

A password is read from MYSQL_PWD. The database must exist and hold none of these tables. Where the
binary log is on, the function and the trigger need log_bin_trust_function_creators or SUPER.
"""
# ruff: noqa: S608 - constants and whole numbers only

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from tools.sample_shop import (
    ACTORS,
    CITIES,
    COLOURS,
    COUNTRIES,
    DOMAINS,
    FIRST_NAMES,
    INDEXES,
    LAST_NAMES,
    MATERIALS,
    PROGRAMS,
    QUALITIES,
    REMARKS,
    STREETS,
    TABLES,
    THINGS,
)

SMALL = 1.0
"""Loads in about a second."""
MEGABYTES_PER_SCALE = 7.0
"""The size of the dump at a scale of one."""

ORDERS_PER_SCALE = 10_000
BATCH = 20_000


def statements(scale: float = SMALL) -> Iterator[str]:
    """The SQL that makes the whole sample database, one statement at a time, without delimiters."""
    orders = max(200, round(ORDERS_PER_SCALE * scale))
    customers = max(50, orders // 10)
    products = max(40, min(5_000, orders // 20))
    yield from _session()
    yield from TABLES
    yield from _numbers()
    for first, last in _batches(1, products):
        yield _products(first, last)
    for first, last in _batches(1, customers):
        yield _customers(first, last)
    for first, last in _batches(1, orders):
        yield from _orders(first, last, recent=orders - orders // 50, customers=customers, products=products)
    yield from INDEXES
    yield from PROGRAMS
    yield "DROP TEMPORARY TABLE sample_numbers"
    yield from _session_end()


def load(connection: Any, scale: float = SMALL) -> None:
    """Fill the connection's current database, which must hold none of the tables yet."""
    for statement in statements(scale):
        _execute(connection, statement)


def change(connection: Any, percent: float = 1.0) -> None:
    """What happens in a shop meanwhile: new orders at the end, open ones move on, some details change.

    A change of 1 % adds one order for each hundred and moves as many of the newest on.
    """
    orders, customers, products = (
        _maximum(connection, table) for table in ("orders", "customers", "products")
    )
    added = math.ceil(orders * percent / 100)
    newcomers = math.ceil(customers * percent / 1000)
    for statement in _change(orders, added, customers, newcomers, products):
        _execute(connection, statement)


def _change(orders: int, added: int, customers: int, newcomers: int, products: int) -> Iterator[str]:
    """The statements of `change`, given how much there is and how much to add."""
    yield from _session()
    yield from _numbers()
    for first, last in _batches(customers + 1, customers + newcomers):
        yield _customers(first, last)
    for first, last in _batches(orders + 1, orders + added):
        yield from _orders(
            first, last, recent=orders - added, customers=customers + newcomers, products=products
        )
    yield f"""\
UPDATE orders
   SET status = elt(field(status, 'pending', 'paid', 'shipped'), 'paid', 'shipped', 'delivered'),
       tracking = if(status = 'shipped', concat('TRK', lpad({_hash(37, "id")}, 12, '0')), tracking),
       updated_at = {_placed_at(str(orders + added))} + INTERVAL (id MOD 3600) SECOND
 WHERE id > {orders - added * 2} AND id <= {orders} AND id MOD 2 = 0
   AND status IN ('pending', 'paid', 'shipped')"""
    popular = math.ceil(products / 20)
    yield f"UPDATE products SET stock = stock - cast(1 + id MOD 5 AS signed) WHERE id <= {popular}"
    yield (
        "UPDATE customers SET phone = concat('+39 02 ', lpad(id * 7919 MOD 10000000, 7, '0'))"
        f" WHERE id MOD 1000 = {orders % 1000}"
    )
    yield "DROP TEMPORARY TABLE sample_numbers"
    yield from _session_end()


def _session() -> Iterator[str]:
    yield "SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci"
    yield "SET @sample_sql_mode = @@sql_mode, @sample_foreign = @@foreign_key_checks"
    yield "SET sql_mode = 'STRICT_ALL_TABLES', foreign_key_checks = 0, time_zone = '+00:00'"


def _session_end() -> Iterator[str]:
    yield "SET sql_mode = @sample_sql_mode, foreign_key_checks = @sample_foreign"
    yield "SET time_zone = @@global.time_zone"


def _numbers() -> Iterator[str]:
    """As many numbers as one batch has rows, from zero."""
    digits = " UNION ALL ".join(f"SELECT {digit}" for digit in range(1, 10))
    tens = [f"(SELECT 0 AS d UNION ALL {digits}) AS t{power}" for power in range(5)]
    number = " + ".join(f"t{power}.d * {10**power}" for power in range(5))
    yield "CREATE TEMPORARY TABLE sample_numbers (i int unsigned NOT NULL PRIMARY KEY)"
    yield (
        f"INSERT INTO sample_numbers SELECT {number} AS i FROM {' CROSS JOIN '.join(tens)}"
        f" WHERE {number} < {BATCH}"
    )


def _batches(first: int, last: int) -> Iterator[tuple[int, int]]:
    for start in range(first, last + 1, BATCH):
        yield start, min(start + BATCH - 1, last)


def _source(first: int, last: int) -> str:
    """A derived table with the numbers from first to last in its column n."""
    return f"(SELECT i + {first} AS n FROM sample_numbers WHERE i <= {last - first} ORDER BY i) AS s"


def _hash(salt: int, number: str = "n") -> str:
    """A number that looks random. CRC32 alone would give related values for related arguments."""
    return f"(crc32({number} * {salt * 7919 + 31}) DIV 977)"


def _pick(words: Sequence[str], salt: int, number: str = "n") -> str:
    quoted = ", ".join("'" + word.replace("'", "''") + "'" for word in words)
    return f"elt(1 + {_hash(salt, number)} MOD {len(words)}, {quoted})"


def _placed_at(number: str = "n") -> str:
    """Orders come in every nine minutes, give or take, and never out of order."""
    return (
        f"timestampadd(SECOND, {number} * 540 + {_hash(1, number)} MOD 500, timestamp'2019-01-07 08:00:00')"
    )


def _price(product: str) -> str:
    return f"cast(4.9 + ({product} * 7919 MOD 24000) / 100 AS decimal(10,2))"


def _customers(first: int, last: int) -> str:
    first_name, last_name = _pick(FIRST_NAMES, 2), _pick(LAST_NAMES, 3)
    return f"""\
INSERT INTO customers (id, email, name, phone, street, postcode, city, country, notes, created_at)
SELECT n, concat('customer.', n, '@', {_pick(DOMAINS, 4)}), concat({first_name}, ' ', {last_name}),
  if({_hash(5)} MOD 4 = 0, NULL,
    concat('+', 30 + {_hash(6)} MOD 19, ' ', lpad({_hash(7)} MOD 1000000000, 9, '0'))),
  concat({_pick(STREETS, 8)}, ' ', 1 + {_hash(9)} MOD 180), lpad({_hash(10)} MOD 100000, 5, '0'),
  {_pick(CITIES, 11)}, {_pick(COUNTRIES, 11)},
  if({_hash(12)} MOD 12 = 0, concat('Prefers e-mail.\\n', {_pick(REMARKS, 13)}), NULL),
  timestampadd(MINUTE, n * 90 + {_hash(14)} MOD 80, timestamp'2018-10-01 09:00:00')
FROM {_source(first, last)}"""


def _products(first: int, last: int) -> str:
    material, thing, colour = _pick(MATERIALS, 20), _pick(THINGS, 21), _pick(COLOURS, 22)
    return f"""\
INSERT INTO products (id, sku, name, description, price, stock, attributes, created_at)
SELECT n, concat('SKU-', lpad(n, 6, '0')), concat({colour}, ' ', {material}, ' ', {thing}),
  concat('A ', {thing}, ' of ', {material}, ', ', {colour}, '.\\n\\n', {_pick(QUALITIES, 23)}, ' ',
    {_pick(QUALITIES, 24)}, '\\n', {_pick(QUALITIES, 25)}),
  {_price("n")}, {_hash(26)} MOD 900,
  concat('{{"colour": "', {colour}, '", "material": "', {material},
    '", "grams": ', 100 + {_hash(27)} MOD 9000, '}}'),
  timestampadd(HOUR, n, timestamp'2018-06-01 00:00:00')
FROM {_source(first, last)}"""


def _orders(first: int, last: int, *, recent: int, customers: int, products: int) -> Iterator[str]:
    """Orders with their items and history. Those after `recent` are still on their way."""
    lines = " UNION ALL ".join(f"SELECT {line}" for line in (2, 3, 4))
    # The product of two numbers favours low ones: a few products sell most.
    one, other = _hash(30, "n * 5 + line"), _hash(31, "n * 5 + line")
    product = f"(1 + ({one} MOD {products}) * ({other} MOD 1000) DIV 1000)"
    yield f"""\
INSERT INTO order_items (order_id, line, product_id, quantity, unit_price)
SELECT n, line, product, quantity, {_price("product")} FROM (
  SELECT STRAIGHT_JOIN n, line, {product} AS product, 1 + {_hash(32, "n * 5 + line")} MOD 3 AS quantity
  FROM {_source(first, last)} JOIN (SELECT 1 AS line UNION ALL {lines}) AS l ON line <= 1 + {_hash(33)} MOD 4
) AS items"""
    customer = f"(1 + {_hash(34)} MOD {customers})"
    late = f"elt(1 + {_hash(35)} MOD 3, 'pending', 'paid', 'shipped')"
    early = f"if({_hash(36)} MOD 40 = 0, 'cancelled', if({_hash(36)} MOD 40 = 1, 'returned', 'delivered'))"
    yield f"""\
INSERT INTO orders (id, number, customer_id, status, total, shipping_address, tracking, remark,
  placed_at, updated_at)
SELECT n, concat('OT-', date_format({_placed_at()}, '%y%m'), '-', lpad(n, 8, '0')), {customer},
  if(n > {recent}, {late}, {early}), total,
  concat({_pick(FIRST_NAMES, 2, customer)}, ' ', {_pick(LAST_NAMES, 3, customer)}, ', ',
    {_pick(STREETS, 8, customer)}, ' ', 1 + {_hash(9, customer)} MOD 180, ', ',
    lpad({_hash(10, customer)} MOD 100000, 5, '0'), ' ', {_pick(CITIES, 11, customer)}, ' ',
    {_pick(COUNTRIES, 11, customer)}),
  if(n > {recent} AND {_hash(35)} MOD 3 < 2, NULL, concat('TRK', lpad({_hash(37)}, 12, '0'))),
  if({_hash(38)} MOD 5 = 0, {_pick(REMARKS, 39)}, NULL), {_placed_at()},
  timestampadd(SECOND, if(n > {recent}, 0, 200000) + {_hash(40)} MOD 80000, {_placed_at()})
FROM (SELECT order_id AS n, sum(quantity * unit_price) AS total FROM order_items
  WHERE order_id BETWEEN {first} AND {last} GROUP BY order_id ORDER BY order_id) AS totals"""
    actor = _pick(ACTORS, 41, "(id * 4 + step)")
    yield f"""\
INSERT INTO order_events (order_id, kind, actor, message, happened_at)
SELECT STRAIGHT_JOIN id, elt(step, 'placed', 'paid', 'shipped', 'closed'), {actor},
  elt(step, concat('Order ', number, ' placed by customer ', customer_id), concat('Payment of ', total, ' ',
    currency, ' received, reference ', lower(hex({_hash(42, "id")}))),
    concat('Handed to the carrier as ', tracking, '; ', 1 + {_hash(43, "id")} MOD 3, ' parcel(s)'),
    concat('Closed as ', status)),
  timestampadd(SECOND, (step - 1) * (20000 + {_hash(44, "id")} MOD 60000), placed_at)
FROM (SELECT * FROM orders WHERE id BETWEEN {first} AND {last} ORDER BY id) AS o
JOIN (SELECT 1 AS step UNION ALL {lines}) AS l
  ON step <= CASE status WHEN 'pending' THEN 1 WHEN 'paid' THEN 2 WHEN 'shipped' THEN 3 ELSE 4 END
ORDER BY id, step"""


def _execute(connection: Any, statement: str) -> None:
    cursor = connection.cursor()
    try:
        # As bytes, because the connection may have been opened with another character set.
        cursor.execute(statement.encode())
    finally:
        cursor.close()
    connection.commit()


def _maximum(connection: Any, table: str) -> int:
    cursor = connection.cursor()
    try:
        cursor.execute(f"SELECT coalesce(max(id), 0) FROM {table}")
        return int(cursor.fetchone()[0])
    finally:
        cursor.close()


def _scale(size: str) -> float:
    """The scale for a dump of about this size, such as 700MB."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([MG])B?", size, re.IGNORECASE)
    if match is None:
        raise argparse.ArgumentTypeError(f"{size!r} is no size: write 20MB or 1.5GB.")
    return float(match[1]) * (1000 if match[2] in "gG" else 1) / MEGABYTES_PER_SCALE


def main(arguments: Sequence[str] | None = None) -> int:
    """Load, change or print, as the arguments say."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.sample",
        description=__doc__ or "",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--size", type=_scale, default=SMALL, dest="scale", metavar="SIZE", help="of the dump"
    )
    parser.add_argument("--change", type=float, metavar="PERCENT", help="change a loaded database instead")
    parser.add_argument("--database", help="load into this one; without it the SQL is printed")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3306)
    parser.add_argument("--socket")
    parser.add_argument("--user", default="root")
    options = parser.parse_args(arguments)
    if options.database is None:
        if options.change is not None:
            parser.error("--change needs --database.")
        sys.stdout.write("DELIMITER ;;\n")
        sys.stdout.writelines(f"{statement};;\n" for statement in statements(options.scale))
        return 0

    import MySQLdb  # Not needed for printing.

    place = (
        {"unix_socket": options.socket} if options.socket else {"host": options.host, "port": options.port}
    )
    connection = MySQLdb.connect(
        user=options.user,
        password=os.environ.get("MYSQL_PWD", ""),
        database=options.database,
        charset="utf8mb4",
        **place,
    )
    try:
        if options.change is None:
            load(connection, options.scale)
        else:
            change(connection, options.change)
    finally:
        connection.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
