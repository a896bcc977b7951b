"""Dumps in the form in which other programs, and old and odd ways of calling the usual ones, write them.

All are of our own making: a small `shop`, in `others/` where a text file can hold them. Each comes with
what a right product does: it restores just what is listed, or refuses the file by what it is.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("others")
BOTH = frozenset({"mariadb", "mysql"})
CUSTOMERS = {"customers": 3}
ORDERS = {"customers": 3, "orders": 2}


@dataclass(frozen=True)
class Other:
    """A file, and what is right to do with it.

    `rows` are the tables and how many rows each holds, `objects` what else there is; both empty where
    the file is refused. `refused` is then a word that says what it is, for whoever reads the refusal.
    """

    file: str
    rows: dict[str, int]
    objects: frozenset[str] = frozenset()
    refused: str = ""
    flavours: frozenset[str] = BOTH
    made: Callable[[bytes], bytes] = bytes
    path: str = "/mysql/shop.sql"

    @property
    def dump(self) -> bytes:
        """The bytes as they lie in the repository."""
        return self.made((FOLDER / f"{self.file}.sql").read_bytes())


def _restored(
    file: str, rows: dict[str, int], *objects: str, flavours: frozenset[str] = BOTH, **more: object
) -> Other:
    return Other(file, rows, frozenset(objects), flavours=flavours, **more)  # type: ignore[arg-type]


_MARIADB, _MYSQL = frozenset({"mariadb"}), frozenset({"mysql"})
_TWICE, _NAMES, _NAMED = "function twice", "view names", "trigger customers_named"
_CLOSE = "procedure close_orders"


def _two_members(dump: bytes) -> bytes:
    """As `gzip -c a >> b` leaves it."""
    middle = dump.index(b"INSERT INTO")
    return gzip.compress(dump[:middle]) + gzip.compress(dump[middle:])


OTHERS: dict[str, Other] = {
    "HeidiSQL": _restored("heidisql", CUSTOMERS, _TWICE, _NAMES, _NAMED),
    "Adminer": _restored("adminer", CUSTOMERS, _TWICE, _NAMES, _NAMED),
    "Adminer, TRUNCATE and ON DUPLICATE KEY": _restored("adminer_truncating", CUSTOMERS),
    "phpMyAdmin": _restored(
        "phpmyadmin", ORDERS, _TWICE, _NAMES, _CLOSE, "trigger orders_noted", "event nightly"
    ),
    "mysqlpump": _restored("mysqlpump", ORDERS, _TWICE, _NAMES),
    "Navicat": _restored("navicat", CUSTOMERS, _TWICE, _NAMES, _NAMED),
    "Sequel Pro": _restored("sequel_pro", CUSTOMERS, _TWICE, _NAMED),
    "mydumper": _restored("mydumper", CUSTOMERS),
    "mysqldump 4.1": _restored("mysqldump_4_1", CUSTOMERS),
    "mysqldump 5.1": _restored("mysqldump_5_1", CUSTOMERS, _TWICE),
    "mysqldump 5.5": _restored("mysqldump_5_5", CUSTOMERS),
    "mysqldump 8.0": _restored("mysqldump_8_0", CUSTOMERS, flavours=_MYSQL),
    "mariadb-dump 10.3": _restored("mariadb_10_3", CUSTOMERS, "sequence numbers", flavours=_MARIADB),
    "mariadb-dump 10.6": _restored("mariadb_10_6", CUSTOMERS),
    "mariadb-dump 11": _restored("mariadb_11", CUSTOMERS, flavours=_MARIADB),
    "--compact": _restored("compact", CUSTOMERS),
    "--skip-comments": _restored("skip_comments", CUSTOMERS, _TWICE),
    "--skip-quote-names": _restored("skip_quote_names", CUSTOMERS),
    "--compatible=ansi": _restored("ansi", CUSTOMERS),
    "--skip-opt --routines": _restored("routine_without_drop", CUSTOMERS, _TWICE),
    "--no-data": _restored("no_data", {"customers": 0}),
    "CRLF": _restored("mysqldump_5_5", CUSTOMERS, made=lambda dump: dump.replace(b"\n", b"\r\n")),
    "BOM": _restored("mysqldump_5_5", CUSTOMERS, made=lambda dump: b"\xef\xbb\xbf" + dump),
    "two gzip members": _restored("mysqldump_5_5", CUSTOMERS, made=_two_members, path="/mysql/shop.sql.gz"),
    "gzip named .sql": _restored("mysqldump_5_5", CUSTOMERS, made=gzip.compress),
    "plain text named .gz": _restored("mysqldump_5_5", CUSTOMERS, path="/mysql/shop.sql.gz"),
    # The client's own warning, which old scripts sent into the dump by 2>&1: no client loads it.
    "mysqldump 5.6 with a warning in it": Other("mysqldump_5_6", {}, refused="Warning: Using a password"),
    "mysqldump 5.7 with a warning in it": Other("mysqldump_5_7", {}, refused=r"\[Warning\]"),
    # The wanted database may be taken out of it as well, but never both into one.
    "two databases": Other("two_databases", {}, refused="other"),
    "cut in a row": Other("cut_in_a_row", {}, refused="cut|end"),
    "cut after a table": Other("cut_after_a_table", {}, refused="cut|end|closing line"),
    "gzip, cut": Other("mysqldump_5_5", {}, refused="gzip", path="/mysql/shop.sql.gz",
                       made=lambda dump: gzip.compress(dump)[:-40]),
    "nothing but a closing line": Other("closing_line_only", {}, refused="no table|nothing|empty"),
    "an empty file": Other("empty", {}, refused="empty"),
    "XML": Other("xml", {}, refused="XML"),
    "UTF-16": Other("mysqldump_5_5", {}, refused="UTF-16", made=lambda dump: dump.decode().encode("utf-16")),
    "the text of an error": Other("error_text", {}, refused="Got error"),
    "zstd named .gz": Other("mysqldump_5_5", {}, refused="gzip|zstd", path="/mysql/shop.sql.gz",
                            made=lambda dump: b"\x28\xb5\x2f\xfd\x04\x00" + dump),
}  # fmt: skip
