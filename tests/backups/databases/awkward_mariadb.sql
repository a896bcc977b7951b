-- What only MariaDB has. Load it after awkward_common.sql, into the same database.

SET NAMES utf8mb4 COLLATE utf8mb4_general_ci;
SET SESSION time_zone = '+00:00';
SET SESSION sql_mode = '';

-- Sequences: used and unused, downwards, cycling, in a view -------------------------------------------
-- Not as a column's default: the server stores that with the name of its database, so that the table
-- would still ask the original one's sequence when restored under another name.

CREATE SEQUENCE `seq``uence; -- "x"` START WITH 100 INCREMENT BY 10 MINVALUE 1 MAXVALUE 100000 CACHE 5 CYCLE;
DO NEXTVAL(`seq``uence; -- "x"`), NEXTVAL(`seq``uence; -- "x"`);
CREATE SEQUENCE `down` START WITH -1 INCREMENT BY -3 NOCACHE NOCYCLE;
DO SETVAL(`down`, -100);
CREATE SEQUENCE `z unused` ENGINE=Aria;
CREATE VIEW `a view of a sequence` AS SELECT `next_not_cached_value` AS `n` FROM `down`;

-- System-versioned tables, with a history at known times ----------------------------------------------

SET @@timestamp = 1700000000;
CREATE TABLE `versioned` (`id` int NOT NULL PRIMARY KEY, `v` varchar(20)) WITH SYSTEM VERSIONING;
CREATE TABLE `versioned; explicit` (
  `id` int NOT NULL,
  `v` varchar(20) DEFAULT NULL,
  `free` int DEFAULT NULL WITHOUT SYSTEM VERSIONING,
  `from` timestamp(6) GENERATED ALWAYS AS ROW START INVISIBLE,
  `to` timestamp(6) GENERATED ALWAYS AS ROW END INVISIBLE,
  PRIMARY KEY (`id`),
  PERIOD FOR SYSTEM_TIME (`from`, `to`)
) WITH SYSTEM VERSIONING;
CREATE TABLE `versioned by partition` (`id` int NOT NULL) WITH SYSTEM VERSIONING
  PARTITION BY SYSTEM_TIME (PARTITION `p_hist` HISTORY, PARTITION `p_cur` CURRENT);
INSERT INTO `versioned` VALUES (1,'first;\n'),(2,'gone');
INSERT INTO `versioned; explicit` VALUES (1,'first',1);
INSERT INTO `versioned by partition` VALUES (1),(2);
SET @@timestamp = 1700000100.25;
UPDATE `versioned` SET `v` = 'second' WHERE `id` = 1;
DELETE FROM `versioned` WHERE `id` = 2;
UPDATE `versioned; explicit` SET `v` = 'second';
DELETE FROM `versioned by partition` WHERE `id` = 1;
SET @@timestamp = 1700000200.5;
UPDATE `versioned` SET `v` = 'third';
UPDATE `versioned; explicit` SET `free` = 2;
SET @@timestamp = DEFAULT;

CREATE TABLE `period` (
  `id` int NOT NULL,
  `from` date NOT NULL,
  `to` date NOT NULL,
  PERIOD FOR `valid; period` (`from`, `to`),
  UNIQUE KEY `no overlap` (`id`, `valid; period` WITHOUT OVERLAPS)
);
INSERT INTO `period` VALUES (1,'2024-01-01','2024-02-01'),(1,'2024-02-01','2024-03-01');

-- Types and tables ------------------------------------------------------------------------------------

CREATE TABLE `mariadb types` (
  `id` uuid NOT NULL DEFAULT uuid(),
  `six` inet6 DEFAULT NULL,
  `four` inet4 DEFAULT NULL,
  `squeezed` longtext COMPRESSED DEFAULT NULL,
  `a` int DEFAULT 1,
  `b` int DEFAULT (`a` + length('it''s; -- "x"\\')),
  `dynamic` blob DEFAULT NULL,
  `json` json DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `ignored` (`a`) IGNORED
);
INSERT INTO `mariadb types` VALUES
  ('123e4567-e89b-12d3-a456-426655440000','2001:db8::ff00:42:8329','10.0.0.1',REPEAT('squeeze; me\n',500),1,2,COLUMN_CREATE('a', 1, 'b;', '\'\n'),'{"a":  1 }'),
  ('00000000-0000-0000-0000-000000000000','::ffff:1.2.3.4',NULL,NULL,DEFAULT,DEFAULT,NULL,'"\\n"');
CREATE TABLE `aria` (`id` int NOT NULL AUTO_INCREMENT PRIMARY KEY, `v` text) ENGINE=Aria TRANSACTIONAL=1 PAGE_CHECKSUM=1 ROW_FORMAT=PAGE;
INSERT INTO `aria` VALUES (3,'x;\n'),(1,NULL);
CREATE TABLE `page compressed` (`id` int NOT NULL PRIMARY KEY, `v` text) ENGINE=InnoDB PAGE_COMPRESSED=1;
INSERT INTO `page compressed` VALUES (1,REPEAT('a',5000));
CREATE TABLE `unique text` (`t` text, UNIQUE KEY `u` (`t`) USING HASH);
INSERT INTO `unique text` VALUES ('x'),(NULL),(REPEAT('long',3000));
CREATE TABLE `same constraint name` (`id` int NOT NULL, `p` int, PRIMARY KEY (`id`), KEY `p` (`p`),
  CONSTRAINT `1` CHECK (`p` > 0), CONSTRAINT `self` FOREIGN KEY (`p`) REFERENCES `same constraint name` (`id`));
INSERT INTO `same constraint name` VALUES (1,1),(2,NULL);

-- Foreign key to columns that are not unique.
CREATE TABLE `not unique` (`a` int, `b` int, KEY `a` (`a`), KEY `b` (`b`), CONSTRAINT `loose` FOREIGN KEY (`b`) REFERENCES `not unique` (`a`));
INSERT INTO `not unique` VALUES (1,1),(1,1),(2,1);

-- Packages, in Oracle's mode and in MariaDB's own -----------------------------------------------------

SET SESSION sql_mode = 'ORACLE';
DELIMITER $$
CREATE PACKAGE "pack""age; x" COMMENT 'DELIMITER ;;' AS
  -- Dumping routines for database 'x'
  -- A package body may follow; DELIMITER ;;
  FUNCTION f(a INT) RETURN INT;
  PROCEDURE p();
END$$
CREATE PACKAGE BODY "pack""age; x" AS
  counter INT := 0;
  FUNCTION f(a INT) RETURN INT AS
  BEGIN
    counter := counter + a; /* ';;' */
    RETURN counter;
  END;
  PROCEDURE p() AS
  BEGIN
    SELECT f(1), ';
DELIMITER ;
' FROM DUAL;
  END;
BEGIN
  counter := 1;
END$$
CREATE FUNCTION "oracle function"(a VARCHAR2(10)) RETURN VARCHAR2(20) AS
BEGIN
  RETURN a || ';;';
END$$
CREATE TRIGGER "oracle trigger" BEFORE INSERT ON "aria" FOR EACH ROW
BEGIN
  :NEW.v := :NEW.v || '"';
END$$
DELIMITER ;
SET SESSION sql_mode = '';

DELIMITER $$
CREATE AGGREGATE FUNCTION `aggregate;`(x int) RETURNS int
BEGIN
  DECLARE total int DEFAULT 0;
  DECLARE CONTINUE HANDLER FOR NOT FOUND RETURN total;
  LOOP
    FETCH GROUP NEXT ROW;
    SET total = total + coalesce(x, 0);
  END LOOP;
END$$
CREATE PROCEDURE `for loop`()
BEGIN
  FOR r IN (SELECT `a` FROM `Case`) DO
    /*M!100300 SET @x = r.`a` */;
    /*! SET @y = 1 */;
  END FOR;
END$$
DELIMITER ;
