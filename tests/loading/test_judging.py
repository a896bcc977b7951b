"""The judge of what is sent to a server: what dumps need passes, what reaches out does not."""

from __future__ import annotations

import pytest

from tests.loading.judging import reaches_out

HARMLESS = [
    "SET NAMES utf8mb4",
    "/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */",
    "CREATE TABLE `t` (\n `id` int\n) ENGINE=InnoDB",
    "INSERT INTO `t` VALUES (1,'shop.t; DROP DATABASE other')",
    "/*!50003 CREATE*/ /*!50003 TRIGGER `x` BEFORE INSERT ON `t` FOR EACH ROW CALL o.p() */",
    "CREATE VIEW v AS SELECT * FROM other.o",
    "SHOW CREATE TABLE `shop`.`t`",
    "SELECT @@GLOBAL.x, @@session.y",
    "SET SESSION net_write_timeout=3",
    "SET @x=@@global.max_connections",
    "ALTER TABLE `t` ADD KEY x (y)",
    "ALTER DATABASE `shop__verify_1` CHARACTER SET latin1",
    "CREATE DEFINER=`root`@`%` EVENT `e` ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM other.o",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "START TRANSACTION",
    "DO SETVAL(`s`,1,0)",
    "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA='shop'",
    "SET autocommit=0",
    "COMMIT",
    "CREATE TABLE x (a int) DEFAULT CHARSET=latin1",
    "LOCK TABLES `t` WRITE",
    "ANALYZE TABLE `t` UPDATE HISTOGRAM ON `a`",
    "CREATE PROCEDURE `p`() CALL other.p()",
    "CREATE TABLE x (`tablespace` int) /*!50100 TABLESPACE `innodb_file_per_table` */ ENGINE=InnoDB",
]
HARMFUL = [
    "SET GLOBAL x=1",
    "SET @x=1, GLOBAL max_connections=77",
    "SET @@GLOBAL.x=1",
    "SET/**/@@/**/GLOBAL/**/./**/max_connections:=77",
    "SET @@PERSIST_ONLY.max=1",
    "SET PASSWORD='x'",
    "SET GLOBAL TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",
    "/*!40000 USE shop */",
    "USE`shop`",
    "INSERT INTO goods VALUES (60+other.f(),'x')",
    "INSERT INTO goods SELECT other.f()",
    "SELECT other.f()",
    "DO other.f()",
    "CREATE TABLE f (id int) /*!50000 ENGINE = FEDERATED */ CONNECTION 'mysql://x'",
    "CREATE EVENT `DISABLE` ON SCHEDULE EVERY 1 SECOND DO SELECT 1",
    "CREATE EVENT t ON SCHEDULE EVERY 1 SECOND COMMENT ' DISABLE DO ' DO INSERT INTO other.log VALUES (1)",
    "CREATE TRIGGER shop.x AFTER INSERT ON shop.t FOR EACH ROW SET @x=1",
    "CREATE FUNCTION thief RETURNS STRING SONAME 'x.so'",
    "SELECT 1 INTO OUTFILE 'x'",
    "CREATE TABLE x (a int) UNION=(`other`.`m`)",
    "DROP/**/DATABASE/**/shop",
    "/*!DROP*/ /*!40000 DATABASE*/ /* x */ shop",
    'INSERT INTO "shop"."t" VALUES (1)',
    "/*!50000 DELETE FROM other.o */",
    "GRANT ALL ON *.* TO x",
    "/*M!100101 IF 1=1 THEN DELETE FROM shop.t; END IF */",
    "CREATE TABLE f (i int) DATA /* x */ DIRECTORY = 'x'",
    "REPLACE INTO other.o VALUES (1)",
    "CREATE TABLE x (a int) /*!50100 TABLESPACE `theirs` */ ENGINE=InnoDB",
    "CREATE TABLE x (a int) TABLESPACE=innodb_system",
]


@pytest.mark.parametrize("statement", HARMLESS)
def test_what_a_dump_needs_passes(statement: str) -> None:
    assert reaches_out(statement, "shop__verify_1") == ""


@pytest.mark.parametrize("statement", HARMFUL)
def test_what_reaches_out_does_not(statement: str) -> None:
    assert reaches_out(statement, "shop__verify_1")
