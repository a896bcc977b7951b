"""Hostile dumps, all by name: those that are kept elsewhere, and what is made of a place and a text.

A new place of a dump, or a new text to put there, is a line here; every parser reads all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.hostile.test_growth import ROWS
from tests.loading import hostile as kept

_SIZE = 200
_TABLE = b"--\n-- Table structure for table `t`\n--\n\n"
# Where a dump holds words of those who may make things in a database.
PLACES: Mapping[str, bytes] = {
    "a table's name": b"--\n-- Table structure for table `%b`\n--\n\nCREATE TABLE `%b` (\n  `a` int\n);\n",
    "a column's name": _TABLE + b"CREATE TABLE `t` (\n  `%b` int\n);\n",
    "a column's default": _TABLE + b"CREATE TABLE `t` (\n  `a` text DEFAULT '%b'\n);\n",
    "a column's comment": _TABLE + b"CREATE TABLE `t` (\n  `a` int COMMENT '%b'\n);\n",
    "a table's comment": _TABLE + b"CREATE TABLE `t` (\n  `a` int\n) ENGINE=InnoDB COMMENT='%b';\n",
    "a check": _TABLE + b"CREATE TABLE `t` (\n  `a` int,\n  CONSTRAINT `c` CHECK (`a` <> '%b')\n);\n",
    "a row": _TABLE + b"INSERT INTO `t` VALUES (1,'%b'),(2,'x');\n",
    "a definer": (
        b"DELIMITER ;;\n/*!50003 CREATE*/ /*!50020 DEFINER=`%b`@`%%`*/ /*!50003 TRIGGER `g` BEFORE INSERT ON "
        b"`t` FOR EACH ROW SET @a = 1 */;;\nDELIMITER ;\n"
    ),
    "a trigger's name": b"DELIMITER ;;\nCREATE TRIGGER `%b` BEFORE INSERT ON `t` FOR EACH ROW SET @a = 1;;\n",
    "a routine's name": b"DELIMITER ;;\nCREATE PROCEDURE `%b`() SELECT 1 ;;\nDELIMITER ;\n",
    "a routine's parameters": b"DELIMITER ;;\nCREATE PROCEDURE `p`(`%b` int) SELECT 1 ;;\nDELIMITER ;\n",
    "a routine's body": b"DELIMITER ;;\nCREATE PROCEDURE `p`() BEGIN %b END ;;\nDELIMITER ;\n",
    "an event's comment": (
        b"DELIMITER ;;\nCREATE EVENT `e` ON SCHEDULE EVERY 1 DAY COMMENT '%b' DO SELECT 1 ;;\nDELIMITER ;\n"
    ),
    "a view": b"/*!50001 CREATE VIEW `v` AS select '%b' AS `a` */;\n",
    "a delimiter": b"DELIMITER %b\nCREATE PROCEDURE `p`() SELECT 1 %b\nDELIMITER ;\n",
    "a comment": b"/* %b */\n-- %b\n# %b\nSELECT 1;\n",
    "a comment of a version": b"/*!50001 %b */;\n/*M!100100 /*!50001 %b */ */;\n",
    "a setting": b"/*!50003 SET sql_mode = '%b' */ ;\nSET NAMES %b;\n",
    "a database's name": b"CREATE DATABASE `%b`;\nUSE `%b`;\nALTER DATABASE `%b` CHARACTER SET utf8mb4;\n",
    "a line": b"%b\n",
}  # fmt: skip
TEXTS: Mapping[str, bytes] = {
    "nothing": b"",
    "a backtick": b"`",
    "backticks": b"``" * _SIZE,
    "a quote": b"'",
    "escaped quotes": b"\\'" * _SIZE,
    "half an escape": b"\\",
    "ends of comments": b"*/" * _SIZE,
    "beginnings of comments": b"/*" * _SIZE,
    "comments of versions": b"/*!50000 " * _SIZE,
    "comments of MariaDB's versions": b"/*M!100100 /*!99999999 " * _SIZE,
    "dashes": b"-- " * _SIZE,
    "delimiters": b";;" * _SIZE,
    "a delimiter of nothing": b"\nDELIMITER \n",
    "another section": b"\n--\n-- Table structure for table `mysql`\n--\n\n",
    "another statement": b"; DROP DATABASE shop; --",
    "a statement behind a quote": b"'); DROP DATABASE shop; -- ",
    "brackets": b"(" * _SIZE,
    "formats": b"%s%n{0}${x}{{x}}",
    "no character": b"\xff\xfe\x80",
    "half a character of gbk": b"\xbf",
    "zeros": b"\0" * _SIZE,
    "what steers": "\u202e\x1b[2J\r\n".encode(),
    "a long line": b"x" * (16 << 10),
    "many lines": b"\n" * (4 << 10),
}


def made() -> Iterator[tuple[str, bytes]]:
    """Each text in each place."""
    for place, written in PLACES.items():
        for name, text in TEXTS.items():
            yield f"{name} as {place}", written.replace(b"%b", text).replace(b"%%", b"%")


def gathered() -> Iterator[tuple[str, bytes]]:
    """Those that were thought of before: attacks on what is loaded, and texts that take long to read."""
    for flavour in ("mariadb", "mysql"):
        for name, dump in kept.hostile(flavour).items():
            yield f"{name} ({flavour})", dump.dump
    for name, (_, text) in ROWS.items():
        yield name, text(_SIZE)
