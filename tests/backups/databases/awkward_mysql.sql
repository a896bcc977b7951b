-- What only MySQL has. Load it after awkward_common.sql, into the same database.

SET NAMES utf8mb4;
SET SESSION time_zone = '+00:00';
SET SESSION sql_mode = '';

CREATE TABLE `functional` (
  `id` int NOT NULL,
  `name` varchar(50) DEFAULT NULL,
  `doc` json DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `lower; name` ((lower(`name`))),
  KEY `mixed` (`name`,((`id` * 2)) DESC),
  KEY `quoted` ((concat(`name`,_utf8mb4';\n-- "x" \''))),
  KEY `many values` ((cast(json_extract(`doc`,_utf8mb4'$.tags') as char(20) array))),
  KEY `unseen` (`name`) /*!80000 INVISIBLE */
);
INSERT INTO `functional` VALUES (1,'A;','{"tags": ["a", "b;"], "n": 1.0}'),(2,NULL,NULL),(3,'ß','{"tags": [], "big": 18446744073709551615, "d": 1e100}');
-- JSON may hold types that have no literal of their own. A DECIMAL that ends in a zero is left out:
-- the server shows 1.10 and reads it back as the double 1.1.
INSERT INTO `functional` VALUES (4,'json',JSON_OBJECT('d', CAST('2024-01-02' AS DATE), 't', CAST('10:11:12.5' AS TIME(1)), '🐬;\n', '\0'));

CREATE TABLE `defaults` (
  `id` binary(16) DEFAULT (uuid_to_bin('123e4567-e89b-12d3-a456-426655440000', 1)),
  `doc` json DEFAULT (json_array(1, 'it''s; -- "x"\\', NULL)),
  `text` text DEFAULT (_utf8mb4'it''s\n;'),
  `blob` blob DEFAULT (X'00275C'),
  `at` point DEFAULT (point(0, 0)),
  `n` int DEFAULT (rand() * 0)
);
INSERT INTO `defaults` () VALUES ();
INSERT INTO `defaults` VALUES (NULL,NULL,NULL,NULL,NULL,NULL);

CREATE TABLE `earth` (
  `id` int NOT NULL PRIMARY KEY,
  `at` point NOT NULL SRID 4326,
  `flat` geometry NOT NULL SRID 0,
  `any` geometrycollection DEFAULT NULL,
  SPATIAL KEY `at` (`at`),
  SPATIAL KEY `flat` (`flat`)
);
INSERT INTO `earth` VALUES
  (1,ST_GeomFromText('POINT(45.1 9.2)', 4326),ST_GeomFromText('MULTIPOINT((0 0),(1 1))'),ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1))', 3857));

CREATE TABLE `collations` (
  `ja` varchar(20) COLLATE utf8mb4_ja_0900_as_cs_ks DEFAULT NULL,
  `ai` varchar(20) COLLATE utf8mb4_0900_ai_ci DEFAULT NULL,
  `as` varchar(20) COLLATE utf8mb4_0900_as_cs DEFAULT NULL,
  `bin` varchar(20) COLLATE utf8mb4_0900_bin DEFAULT NULL,
  `gb` varchar(20) CHARACTER SET gb18030 DEFAULT NULL,
  UNIQUE KEY `bin` (`bin`), KEY `ja` (`ja`)
) COLLATE=utf8mb4_ja_0900_as_cs_ks;
INSERT INTO `collations` VALUES ('カか','a','A','a ','誠🐬'),('か','á','a','a','');

CREATE TABLE `not enforced` (
  `a` int DEFAULT NULL,
  CONSTRAINT `ch``; eck` CHECK (`a` > 10) NOT ENFORCED,
  CONSTRAINT `text; check` CHECK (json_schema_valid(_utf8mb4'{"type": "object",\n"title": "; -- x"}', '{}') or `a` is null) NOT ENFORCED
);
INSERT INTO `not enforced` VALUES (1),(NULL);

-- A key that the server made itself and hides.
SET SESSION sql_generate_invisible_primary_key = ON;
CREATE TABLE `hidden key` (`a` int DEFAULT NULL);
INSERT INTO `hidden key` VALUES (3),(1),(2);
DELETE FROM `hidden key` WHERE `a` = 1;
SET SESSION sql_generate_invisible_primary_key = OFF;

CREATE TABLE `altered in place` (`id` int NOT NULL PRIMARY KEY, `a` int);
INSERT INTO `altered in place` VALUES (1,1);
ALTER TABLE `altered in place` ADD COLUMN `b` varchar(10) DEFAULT 'it''s' AFTER `id`, ALGORITHM=INSTANT;
ALTER TABLE `altered in place` DROP COLUMN `a`, ALGORITHM=INSTANT;

CREATE TABLE `attributes` (`id` int NOT NULL PRIMARY KEY COMMENT 'x', `v` varchar(10)) AUTOEXTEND_SIZE=4M;
INSERT INTO `attributes` VALUES (1,'x');

-- Vectors: from MySQL 9 on.
/*!90000 CREATE TABLE `vectors` (`id` int NOT NULL PRIMARY KEY, `v` vector(3) DEFAULT NULL) */;
/*!90000 INSERT INTO `vectors` VALUES (1,STRING_TO_VECTOR('[1.5,-2e10,3.4e38]')),(2,NULL) */;

DELIMITER $$
CREATE DEFINER=CURRENT_USER TRIGGER `normal` BEFORE UPDATE ON `functional` FOR EACH ROW
BEGIN
  /*!80000 SET @x = 1 */;
  SET NEW.`doc` = JSON_SET(NEW.`doc`, '$."a;"', ';
DELIMITER ;
');
END$$
DELIMITER ;

CREATE VIEW `window` AS
  WITH `c;te` AS (SELECT `id`, row_number() OVER (ORDER BY `id` DESC) AS `n` FROM `functional`)
  SELECT `id`, `n`, json_extract(`id`, '$') AS `j` FROM `c;te`;
CREATE VIEW `lateral` AS
  SELECT `f`.`id`, `t`.`v` FROM `functional` `f`, JSON_TABLE(`f`.`doc`, '$.tags[*]' COLUMNS (`v` varchar(20) PATH '$' DEFAULT '";"' ON EMPTY)) AS `t`;

-- Bodies in other languages: from MySQL 9 on.
DELIMITER ;;
/*!90000 CREATE FUNCTION `it's js`(a int) RETURNS int DETERMINISTIC NO SQL LANGUAGE JAVASCRIPT AS $$
  return a; // it's `one";
$$ */;;
/*!90000 CREATE PROCEDURE `more js`() NO SQL LANGUAGE JAVASCRIPT AS $tag$
  console.log(`it's
-- Dump completed
$$ ; /* ` + "# --"); $tag$ */;;
DELIMITER ;

-- Sent as one query, MySQL keeps the semicolons behind the bodies.
DELIMITER ;;
CREATE PROCEDURE `with its semicolon`() SELECT 1; CREATE FUNCTION `f;`() RETURNS int NO SQL RETURN 1; DO 0;;
DELIMITER ;
