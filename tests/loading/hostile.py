"""Dumps that mean harm: honest rows, and beside them one attempt to reach out of where they are loaded.

The live databases are called `shop` and `other`, as in attacks.txt, which holds most attempts. What a
text file cannot hold (bytes that are no characters, whole files of another shape) is made here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ATTACKS = Path(__file__).with_name("attacks.txt")
# Where in a dump an attempt may stand.
PLACES = ("at the head", "in between", "as a table", "among rows", "at the end", "after the end")
_PART = {"at the head": 1, "in between": 2, "as a table": 2, "at the end": 3}
_ROWS = "no row runs a function, a trigger or a select, or lands in another database"
_LIVE = "nothing is loaded into the live database, and it is not dropped"
_OTHER = "nothing of another database is made, changed or dropped"


@dataclass(frozen=True)
class Hostile:
    """A dump that means harm, and what must never happen when it is loaded into another database."""

    name: str
    dump: bytes
    never: str


@dataclass(frozen=True)
class _Attack:
    name: str
    text: bytes
    never: str
    places: tuple[str, ...]


def names(flavour: str) -> list[str]:
    """The names of all hostile dumps for a server of this flavour."""
    return list(hostile(flavour))


def hostile(flavour: str, **values: str) -> dict[str, Hostile]:
    """All hostile dumps by name; `values` are the test's own for {file}, {folder}, {port}, {thread}."""
    found = [*_written_down(flavour), *_in_bytes(flavour), *_as_files(flavour)]
    assert len({one.name for one in found}) == len(found), "two attacks have one name"
    return {one.name: Hostile(one.name, _filled(one.dump, values), one.never) for one in found}


def honest(flavour: str, attack: bytes = b"", place: str = "in between") -> bytes:
    """A dump of `shop` as the flavour's program writes it, with something at one place."""
    parts = [
        _HEAD[flavour],
        _table(flavour, "goods", "`id` int NOT NULL,\n  `name` text", b"(1,'bread'),(2,'it\\'s; -- x')"),
        _table(flavour, "t", "`id` int NOT NULL,\n  `v` text", b"(1,'old'),(3,'gone since')"),
        _FOOT,
        b"-- Dump completed\n",
    ]  # fmt: skip
    if place == "among rows":
        # In front of the lock, under which the server itself would refuse much of it.
        rows = b"LOCK TABLES `goods` WRITE;\n"
        parts[1] = parts[1].replace(rows, attack + b"\n" + rows)
        return b"".join(parts)
    if place == "as a table":
        attack = b"--\n-- Table structure for table `taken`\n--\n\n" + attack
    parts.insert(_PART.get(place, len(parts)), attack + b"\n")
    return b"".join(parts)


def _filled(dump: bytes, values: dict[str, str]) -> bytes:
    for name, value in values.items():
        dump = dump.replace(b"{%s}" % name.encode(), value.encode())
    return dump


def _placed(flavour: str, attacks: list[_Attack]) -> Iterator[Hostile]:
    for attack in attacks:
        for place in attack.places:
            name = attack.name if len(attack.places) == 1 else f"{attack.name}, {place}"
            yield Hostile(name, honest(flavour, attack.text, place), attack.never)


def _written_down(flavour: str) -> Iterator[Hostile]:
    """What attacks.txt holds for this flavour, each at one place in turn or at all of them."""
    never = ""
    attacks: list[_Attack] = []
    for block in re.split(r"(?m)^(?=== |# ---- )", ATTACKS.read_text()):
        title, _, text = block.partition("\n")
        if title.startswith("# ---- "):
            never = title.partition(": ")[2]
        if not title.startswith("== "):
            continue
        name, *marks = (part.strip() for part in title[3:].split("|"))
        if {"mariadb", "mysql"} & set(marks) <= {flavour}:
            places = PLACES if "all places" in marks else (PLACES[1 + len(attacks) % 4],)
            sql = re.sub(r"(?m)^#.*\n?\Z", "", text.rstrip("\n"))
            attacks.append(_Attack(name, sql.rstrip("\n").encode(), never, places))
    return _placed(flavour, attacks)


# ---------------------------------------------------------------- Bytes

# Whoever takes the backslash for an escape sees one text here; the server sees a row that calls.
# The second semicolon ends it for a reader to whom the first is part of a comment.
_CALLING = b"INSERT INTO `goods` VALUES (5,'%s\\'),(60+other.f(),0x78) -- ');\n;"
# The other way round: whoever takes it for a plain character sees two texts.
_CALLING_TOO = b"INSERT INTO `goods` VALUES (5,'\\',') ,(60+other.f(),0x78) -- \\');\n;"
# Character sets in which a backslash may be the second byte of a character.
_LEADS = {"gbk": b"\xbf", "sjis": b"\x83", "cp932": b"\x83", "big5": b"\xa5"}
_CHARSET_SETTINGS = (
    "SET NAMES {}; ", "/*!40101 SET NAMES {} */;\n", "SET NAMES '{}' COLLATE {}_bin; ",
    "SET CHARACTER SET {};\n",
    "SET character_set_client={};\n", "SET @@session.character_set_client := '{}';\n",
    "SET @c='{}'; SET character_set_client=@c;\n", "SET @x=1, character_set_client={};\n",
    "SET @saved_cs_client = @@character_set_client;\n/*!50503 SET character_set_client = {} */;\n",
)  # fmt: skip
_MODE_SETTINGS = (
    "SET sql_mode='NO_BACKSLASH_ESCAPES';", "SET SESSION sql_mode = 'no_backslash_escapes';",
    "SET @@sql_mode='NO_BACKSLASH_ESCAPES';", "SET LOCAL `sql_mode` := 'ANSI,NO_BACKSLASH_ESCAPES';",
    "SET @@session.sql_mode=CONCAT(@@sql_mode,',NO_BACKSLASH_ESCAPES');",
    "SET @m='NO_BACKSLASH_ESCAPES'; SET sql_mode=@m;", "SET sql_mode=1048576;",
    "SELECT 'NO_BACKSLASH_ESCAPES' INTO @m; SET sql_mode=@m;",
    "SET sql_mode=x'4E4F5F4241434B534C4153485F45534341504553';",
    "/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO,NO_BACKSLASH_ESCAPES' */;",
    "SET @OLD_SQL_MODE='NO_BACKSLASH_ESCAPES'; /*!40101 SET SQL_MODE=@OLD_SQL_MODE */;",
    "SET @saved_sql_mode='NO_BACKSLASH_ESCAPES';\n/*!50003 SET sql_mode = @saved_sql_mode */ ;",
)  # fmt: skip
_BYTES = {
    "a NUL in front": b"\0USE shop;",
    "a NUL behind a statement": b"DO 0;\0USE shop;",
    "a NUL in the middle": b"USE\0shop;",
    "a NUL and a delete": b"DO 0;\0\0DELETE FROM other.o;",
    "a byte order mark in the middle": b"\xef\xbb\xbfUSE shop;",
    "a blank that is none": b"\xc2\xa0DROP DATABASE shop;",
    "a vertical tab": b"\x0bUSE\x0bshop;",
    "a form feed": b"DELETE\x0cFROM\x0cother.o;",
    "an end of file of old": b"\x1aUSE shop;",
    "a lone carriage return": b"-- x\rDELETE FROM other.o;\r\nDELETE FROM other.o;\r",
    "a dash comment by a control character": b"--\x01 '\nDELETE FROM other.o; -- '",
    "two dashes that are no comment": b"DO 1--1; DELETE FROM other.o;",
    "a comment in a conditional one": b"/*!40000 /* x */ DELETE FROM other.o */;",
    "a comment that is two": b"/*/ */ DELETE FROM other.o; /*/ */",
    "empty conditional comments": b"/*!*/DELETE/*!*/FROM/*!*/other/*!*/./*!*/o/*!*/;",
    "a conditional comment in each word": b"/**//*!DELETE*//*!50000FROM*/other./**/o;",
    "a version next to the word": b"/*!50000DELETE FROM other.o*/;",
    "a conditional comment without its end": b"/*!50000 DELETE FROM other.o;",
    "a comment without its end": b"DELETE FROM other.o; /* '",
    "a quote in a comment": b"/* ' */ DELETE FROM other.o; /* ' */",
    "a quote in a dash comment": b"-- it's\nDELETE FROM other.o; -- it's",
    "a quote in a name": b"DROP TABLE IF EXISTS `it's`; DELETE FROM other.o; DROP TABLE IF EXISTS `it's`;",
    "a backslash in a name": b"DROP TABLE IF EXISTS `\\`; DELETE FROM other.o; DROP TABLE IF EXISTS `\\`;",
    "a backslash in a name in quotes":
        b'SET sql_mode=ANSI_QUOTES; DROP TABLE IF EXISTS "\\"; DELETE FROM other.o; DO "\\";',
    "a text of another character set": b"DO _gbk'\xbf\\'; DELETE FROM other.o; DO '';",
    "a closing line before the attack": b"-- Dump completed on 2024-01-01  0:00:00\nDELETE FROM other.o;",
    "a million blanks in front": b" " * 1_000_000 + b"DELETE FROM other.o;",
    "comments in front": b"/* x */\n-- y\n" * 2_000 + b"DELETE FROM other.o;",
}  # fmt: skip


def _in_bytes(flavour: str) -> Iterator[Hostile]:
    attacks = [_Attack(name, text, _OTHER, ("in between",)) for name, text in _BYTES.items()]
    leads = _LEADS | ({"gb18030": b"\xbf"} if flavour == "mysql" else {})
    for charset, lead in leads.items():
        for number, setting in enumerate(_CHARSET_SETTINGS if charset == "gbk" else _CHARSET_SETTINGS[:1]):
            set_it = setting.replace("{}", charset).encode()
            name = f"half a character of {charset}, {number}"
            attacks += _calling(name, set_it, lead)
    for number, mode in enumerate(_MODE_SETTINGS):
        name = f"a backslash that escapes nothing, {number}"
        attacks += _calling(name, mode.encode() + b"\n", b"")
    for number, untrue in enumerate(("/*!99999 {} */;", "-- {}\n", "DO '{}';", "SET @x='{}';")):
        said = untrue.replace("{}", "SET sql_mode=NO_BACKSLASH_ESCAPES").encode()
        name = f"a mode that is only said, {number}"
        attacks.append(_Attack(name, said + b"\n" + _CALLING_TOO, _ROWS, ("in between",)))
    return _placed(flavour, attacks)


def _calling(name: str, setting: bytes, lead: bytes) -> list[_Attack]:
    """A row that calls, and a second statement, both within what looks like a text."""
    two = setting + b"DO '%s\\'; DELETE FROM other.o; -- ';" % lead
    return [
        _Attack(name, setting + _CALLING % lead, _ROWS, ("in between",)),
        _Attack(f"{name}, two statements", two, _OTHER, ("in between",)),
    ]


# ---------------------------------------------------------------- Whole files


def _as_files(flavour: str) -> Iterator[Hostile]:
    """Dumps as old scripts and other programs made them, which their own clients load over `shop`."""
    plain = honest(flavour)
    choose = b"--\n-- Current Database: `shop`\n--\n\n"
    choose += b"CREATE DATABASE /*!32312 IF NOT EXISTS*/ `shop`;\n\nUSE `shop`;\n"
    drop = choose.replace(b"CREATE", b"/*!40000 DROP DATABASE IF EXISTS `shop`*/;\n\nCREATE")
    for name, begins in (("--databases", choose), ("--databases --add-drop-database", drop)):
        dump = honest(flavour, begins, "at the head")
        yield Hostile(f"a dump of {name}", dump, _LIVE)
        yield Hostile(f"a dump of {name} --skip-comments", _without_comments(dump), _LIVE)
    small = honest(flavour, choose.replace(b"USE", b"use"), "at the head")
    yield Hostile("a dump with use in small letters", small, _LIVE)
    yield Hostile("a dump with use in small letters, no comments", _without_comments(small), _LIVE)
    for table in (b"goods", b"t"):
        plain = plain.replace(b"`%s`" % table, b"`shop`.`%s`" % table)
    yield Hostile("a dump with the database in front of each table", plain, _LIVE)
    yield Hostile("a dump with the database in front of rows alone", _rows_qualified(honest(flavour)), _LIVE)
    second = b"\n--\n-- Current Database: `other`\n--\n\nUSE `other`;\n\n"
    second += _table(flavour, "o", "`id` int", b"(9)")
    both = honest(flavour, choose, "at the head").replace(_FOOT, second + _FOOT)
    yield Hostile("two databases", both, _OTHER)
    hidden = second.replace(b"USE `other`", b"/*!40000 uSe\tother */")
    yield Hostile("two databases, the second hidden", honest(flavour).replace(_FOOT, hidden + _FOOT), _OTHER)
    yield Hostile("phpMyAdmin's, dropping the database", _PHPMYADMIN, _LIVE)


def _without_comments(dump: bytes) -> bytes:
    return re.sub(rb"(?m)^--.*\n", b"", dump)


def _rows_qualified(dump: bytes) -> bytes:
    return dump.replace(b"INSERT INTO `t`", b"INSERT INTO `shop`.`t`")


def _table(flavour: str, name: str, columns: str, rows: bytes) -> bytes:
    collate = " COLLATE=utf8mb4_general_ci" if flavour == "mariadb" else " COLLATE=utf8mb4_0900_ai_ci"
    quoted = b"`%s`" % name.encode()
    return b"".join(
        [
            b"\n--\n-- Table structure for table %s\n--\n\nDROP TABLE IF EXISTS %s;\n" % (quoted, quoted),
            b"/*!40101 SET @saved_cs_client     = @@character_set_client */;\n",
            b"/*!40101 SET character_set_client = utf8mb4 */;\n",
            b"CREATE TABLE %s (\n  %s,\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4%s;\n"
            % (quoted, columns.encode(), collate.encode()),
            b"/*!40101 SET character_set_client = @saved_cs_client */;\n",
            b"\n--\n-- Dumping data for table %s\n--\n\nLOCK TABLES %s WRITE;\n" % (quoted, quoted),
            b"/*!40000 ALTER TABLE %s DISABLE KEYS */;\nINSERT INTO %s VALUES %s;\n" % (quoted, quoted, rows),
            b"/*!40000 ALTER TABLE %s ENABLE KEYS */;\nUNLOCK TABLES;\n" % quoted,
        ]
    )


_SETTINGS = b"""
/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET @OLD_CHARACTER_SET_RESULTS=@@CHARACTER_SET_RESULTS */;
/*!40101 SET @OLD_COLLATION_CONNECTION=@@COLLATION_CONNECTION */;
/*!40101 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;
"""
_HOST = b"""--
-- Host: localhost    Database: shop
-- ------------------------------------------------------
"""
_HEAD = {
    "mariadb": b"/*M!999999\\- enable the sandbox mode */ \n"
    b"-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)\n"
    + _HOST + b"-- Server version\t10.11.19-MariaDB-0+deb12u1-log\n" + _SETTINGS,
    "mysql": b"-- MySQL dump 10.13  Distrib 9.7.0, for Linux (x86_64)\n"
    + _HOST + b"-- Server version\t9.7.0\n" + _SETTINGS,
}  # fmt: skip
_FOOT = b"""/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;

/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
/*!40014 SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS */;
/*!40014 SET UNIQUE_CHECKS=@OLD_UNIQUE_CHECKS */;
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;
/*!40101 SET CHARACTER_SET_RESULTS=@OLD_CHARACTER_SET_RESULTS */;
/*!40101 SET COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION */;
/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;

"""
_PHPMYADMIN = b"""-- phpMyAdmin SQL Dump
-- version 5.2.1

SET SQL_MODE = "NO_AUTO_VALUE_ON_ZERO";
START TRANSACTION;
SET time_zone = "+00:00";

DROP DATABASE IF EXISTS `shop`;
CREATE DATABASE IF NOT EXISTS `shop` DEFAULT CHARACTER SET utf8mb4;
USE `shop`;

CREATE TABLE `t` (
  `id` int(11) NOT NULL,
  `v` text
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

INSERT INTO `t` (`id`, `v`) VALUES
(1, 'old');

ALTER TABLE `t`
  ADD PRIMARY KEY (`id`);
COMMIT;
"""
