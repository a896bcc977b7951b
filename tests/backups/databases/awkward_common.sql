-- What a dump has to survive on every server: awkward names, types, bytes and bodies.
-- Load it with the server's own client into an empty database:
--     mariadb --binary-mode --comments --default-character-set=utf8mb4 NAME < awkward_common.sql
-- Then the server's own file, awkward_mariadb.sql or awkward_mysql.sql, into the same database.

SET NAMES utf8mb4 COLLATE utf8mb4_general_ci;
SET SESSION time_zone = '+00:00';
SET SESSION sql_mode = '';
SET SESSION foreign_key_checks = 0;

-- Names ------------------------------------------------------------------------------------------

-- Name: backtick, spaces, quotes, percent, slash, dot, semicolon, non-ASCII.
CREATE TABLE `back``tick "double" 'single' %s/..;näme ☂` (
  `col``umn; "x"` int NOT NULL COMMENT 'DELIMITER ;;\n-- Table structure for table `x`\n;',
  `select` varchar(40) DEFAULT 'it''s; "quoted" \\ `back`',
  `ünïcode 列` varchar(40) CHARACTER SET utf8mb4 DEFAULT 'größe ☂ 列',
  ` leading space` int DEFAULT NULL,
  `--` int DEFAULT NULL,
  `/*` int DEFAULT NULL,
  `#` int DEFAULT NULL,
  PRIMARY KEY (`col``umn; "x"`),
  KEY `key ``name``; -- 'x'` (`select`,`ünïcode 列` DESC)
) DEFAULT CHARSET=utf8mb4 COMMENT='-- Dumping data for table `nothing`;\nDELIMITER ;;\n/*!40000 ALTER TABLE */ ''quoted'' \\ ☂';
INSERT INTO `back``tick "double" 'single' %s/..;näme ☂` VALUES
  (1,';\nINSERT INTO `x`','-- Dump completed',1,2,3,4),
  (2,'\r\n\Z\t\0\b\\''"','🐬\n\n-- \n/*',NULL,NULL,NULL,NULL),
  (3,'','DELIMITER ;;\n',0,0,0,0);

-- Name: a newline, also in a column, an index and a constraint. Not in a column of the primary key:
-- mysqldump --order-by-primary cannot dump that.
CREATE TABLE `new
line
-- Table structure for table ``fake``` (
  `id` int NOT NULL,
  `par
ent` int DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `in
dex` (`par
ent`),
  CONSTRAINT `con
straint` FOREIGN KEY (`par
ent`) REFERENCES `new
line
-- Table structure for table ``fake``` (`id`)
);
INSERT INTO `new
line
-- Table structure for table ``fake``` VALUES (1,2),(2,1),(3,NULL);

-- Name: as long as a name may be; in characters of three bytes the file system ends it earlier.
CREATE TABLE `t234567890123456789012345678901234567890123456789012345678901234` (
  `c234567890123456789012345678901234567890123456789012345678901234` int NOT NULL,
  PRIMARY KEY (`c234567890123456789012345678901234567890123456789012345678901234`)
);
INSERT INTO `t234567890123456789012345678901234567890123456789012345678901234` VALUES (-2147483648),(2147483647);
CREATE TABLE `列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列` (
  `列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列` int NOT NULL
);
INSERT INTO `列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列列` VALUES (1);

-- Name: reserved words.
CREATE TABLE `order` (`group` int NOT NULL, `where` int, `null` int, PRIMARY KEY (`group`), KEY `key` (`where`));
INSERT INTO `order` VALUES (1,NULL,0);

-- Name: differs from another one only in case and in its accent.
CREATE TABLE `case` (`a` int);
CREATE TABLE `Case` (`a` int);
CREATE TABLE `Cäse` (`a` int);
INSERT INTO `case` VALUES (1);
INSERT INTO `Case` VALUES (2);
INSERT INTO `Cäse` VALUES (3);

-- Bytes and character sets -----------------------------------------------------------------------

-- Every byte, and every byte at the end of a value, where an escape could swallow the quote.
CREATE TABLE `bytes` (
  `id` int NOT NULL,
  `b` binary(4) DEFAULT NULL,
  `v` varbinary(300) DEFAULT NULL,
  `t` tinyblob DEFAULT NULL,
  `m` mediumblob DEFAULT NULL,
  `l` longblob DEFAULT NULL,
  PRIMARY KEY (`id`)
);
CREATE TEMPORARY TABLE `nibble` (`n` int NOT NULL PRIMARY KEY);
INSERT INTO `nibble` VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9),(10),(11),(12),(13),(14),(15);
CREATE TEMPORARY TABLE `nibble2` AS SELECT * FROM `nibble`;
INSERT INTO `bytes`
  SELECT a.n * 16 + b.n, UNHEX(HEX(a.n * 16 + b.n)), UNHEX(LPAD(HEX(a.n * 16 + b.n), 2, '0')),
    CONCAT(UNHEX(LPAD(HEX(a.n * 16 + b.n), 2, '0')), X'27'), CONCAT(X'5C', UNHEX(LPAD(HEX(a.n * 16 + b.n), 2, '0'))),
    CONCAT(UNHEX(LPAD(HEX(a.n * 16 + b.n), 2, '0')), X'5C')
  FROM `nibble` a, `nibble2` b;
INSERT INTO `bytes` VALUES
  (1000,'',X'',X'',X'',X''),
  (1001,NULL,NULL,NULL,NULL,NULL),
  (1002,X'00',X'000000',X'0D0A',X'27293B0A',X'293B0A2D2D20'),
  (1003,X'5C27',X'000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F202122232425262728292A2B2C2D2E2F303132333435363738393A3B3C3D3E3F404142434445464748494A4B4C4D4E4F505152535455565758595A5B5C5D5E5F606162636465666768696A6B6C6D6E6F707172737475767778797A7B7C7D7E7F808182838485868788898A8B8C8D8E8F909192939495969798999A9B9C9D9E9FA0A1A2A3A4A5A6A7A8A9AAABACADAEAFB0B1B2B3B4B5B6B7B8B9BABBBCBDBEBFC0C1C2C3C4C5C6C7C8C9CACBCCCDCECFD0D1D2D3D4D5D6D7D8D9DADBDCDDDEDFE0E1E2E3E4E5E6E7E8E9EAEBECEDEEEFF0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF',X'FFFE',X'C3',X'F09F90');
DROP TEMPORARY TABLE `nibble`, `nibble2`;
-- A row of a megabyte that holds everything at which a reader of lines or of statements might stop.
INSERT INTO `bytes` (`id`,`m`,`l`) VALUES
  (2000, REPEAT(X'00273B0A5C0D1A22', 131072), REPEAT('\');\nINSERT INTO `x` VALUES (1);\n-- Dump completed\n', 20000));

CREATE TABLE `charsets` (
  `id` int NOT NULL,
  `latin1` varchar(64) CHARACTER SET latin1 DEFAULT NULL,
  `sjis` varchar(64) CHARACTER SET sjis DEFAULT NULL,
  `gbk` varchar(64) CHARACTER SET gbk DEFAULT NULL,
  `big5` varchar(64) CHARACTER SET big5 DEFAULT NULL,
  `utf8mb3` varchar(64) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin DEFAULT NULL,
  `utf8mb4` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci DEFAULT NULL,
  `ucs2` varchar(64) CHARACTER SET ucs2 DEFAULT NULL,
  `utf16` varchar(64) CHARACTER SET utf16 DEFAULT NULL,
  `ascii` char(10) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
  `binary` char(10) CHARACTER SET binary DEFAULT NULL,
  `koi8r` tinytext CHARACTER SET koi8r DEFAULT NULL,
  PRIMARY KEY (`id`)
) DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
INSERT INTO `charsets` VALUES
  (1,'Größe €ÿ\\''','表示ソ十 \\','誠誠誤運','功許蓋','Größe 列','🐬 Größe 列 e\u0301','列','🐬','\\','a\0','Привет'),
  (2,'','','','','','','','','','',''),
  (3,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO `charsets` (`id`,`latin1`,`sjis`,`gbk`,`utf8mb4`) VALUES
  (4,X'8081A0E4F6FC',X'955C8F5C835C',X'955C815C',CONCAT('a', CHAR(8232 USING utf16), CHAR(133 USING utf16), 'b'));

-- Types ------------------------------------------------------------------------------------------

CREATE TABLE `types` (
  `id` bigint unsigned NOT NULL,
  `bit1` bit(1) DEFAULT b'1',
  `bit7` bit(7) DEFAULT b'1011100',
  `bit64` bit(64) DEFAULT NULL,
  `tiny` tinyint DEFAULT NULL,
  `medium` mediumint unsigned DEFAULT NULL,
  `big` bigint DEFAULT NULL,
  `zero` int(10) unsigned zerofill DEFAULT NULL,
  `dec` decimal(65,30) DEFAULT NULL,
  `float` float DEFAULT NULL,
  `double` double DEFAULT NULL,
  `date` date DEFAULT '0000-00-00',
  `time` time(6) DEFAULT NULL,
  `datetime` datetime(6) DEFAULT NULL,
  `timestamp` timestamp(3) NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  `zerotimestamp` timestamp NOT NULL DEFAULT '0000-00-00 00:00:00',
  `year` year DEFAULT NULL,
  `set` set('a','it''s','se;mi','"','ünï','back\\slash') DEFAULT NULL,
  `enum` enum('','it''s','new\nline','-- x','`','☂') CHARACTER SET utf8mb4 DEFAULT 'it''s',
  `json` json DEFAULT NULL,
  `uuid` char(36) DEFAULT (concat('a;b', '''', '-- ', uuid())),
  `sum` int DEFAULT ((1 + 2) * 3),
  PRIMARY KEY (`id`)
);
INSERT INTO `types` VALUES
  (0,b'0',b'0',b'0',-128,0,-9223372036854775808,0,-99999999999999999999999999999999999.999999999999999999999999999999,-3.402823466e38,-1.7976931348623157e308,'0000-00-00','-838:59:59.000000','0000-00-00 00:00:00.000000',NULL,'0000-00-00 00:00:00',0,'','','{}','x',0),
  (18446744073709551615,b'1',b'1111111',X'FFFFFFFFFFFFFFFF',127,16777215,9223372036854775807,4294967295,99999999999999999999999999999999999.999999999999999999999999999999,3.402823466e38,1.7976931348623157e308,'9999-12-31','838:59:59.000000','9999-12-31 23:59:59.999999','2038-01-19 03:14:07.999','2038-01-19 03:14:07',2155,'a,it''s,se;mi,",ünï,back\\slash','☂','{"a": "\\n;\\\\ \\" 🐬", "b": [1, 2.5, null, true]}','y',-1),
  (1,b'1',X'27',X'275C000A0D1A2223',1,1,1,1,0.000000000000000000000000000001,1.17549e-38,2.2250738585072014e-308,'2024-02-00','00:00:00.000001','2024-00-15 12:00:00.000001','1970-01-01 00:00:01.001','2024-03-31 02:30:00',1901,'it''s','it''s','"a"','z',1),
  (2,NULL,NULL,X'5C',NULL,NULL,NULL,NULL,0.1,0.1,0.1,NULL,NULL,NULL,'2024-10-27 01:30:00.5','2024-10-27 00:30:00',NULL,NULL,'new\nline','[]','',NULL),
  (3,NULL,NULL,NULL,NULL,NULL,NULL,NULL,-0.0,3.14159,0.30000000000000004,NULL,NULL,NULL,NULL,'2024-10-27 00:30:00',NULL,NULL,'-- x','null','',NULL);
INSERT INTO `types` (`id`,`timestamp`,`uuid`) VALUES (4,'2024-01-01',DEFAULT);

CREATE TABLE `defaults only` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `text` varchar(40) NOT NULL DEFAULT '\\ '' ; -- \n',
  `when` datetime DEFAULT '2024-01-01 00:00:00',
  PRIMARY KEY (`id`)
) AUTO_INCREMENT=4000000000000;
SET SESSION insert_id = 7;
INSERT INTO `defaults only` () VALUES ();
INSERT INTO `defaults only` () VALUES ();

CREATE TABLE `empty or null` (`id` int NOT NULL PRIMARY KEY, `s` varchar(5), `b` blob, `t` text);
INSERT INTO `empty or null` VALUES (1,'','',''),(2,NULL,NULL,NULL),(3,'NULL','NULL','NULL'),(4,' ','\0',' \n');
-- Zero as an automatic value: it would become the next number without NO_AUTO_VALUE_ON_ZERO.
SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO';
CREATE TABLE `zero id` (`id` int NOT NULL AUTO_INCREMENT PRIMARY KEY);
INSERT INTO `zero id` VALUES (0),(-1),(1);
SET SESSION sql_mode = '';
CREATE TABLE `empty` (`id` int NOT NULL AUTO_INCREMENT PRIMARY KEY, `x` int) AUTO_INCREMENT=12345;

CREATE TABLE `places` (
  `id` int NOT NULL,
  `at` point NOT NULL,
  `shape` geometry DEFAULT NULL,
  `line` linestring DEFAULT NULL,
  PRIMARY KEY (`id`),
  SPATIAL KEY `at` (`at`)
);
INSERT INTO `places` VALUES
  (1,ST_GeomFromText('POINT(1.5 -2.5)'),ST_GeomFromText('POLYGON((0 0,10 0,10 10,0 10,0 0),(1 1,2 1,2 2,1 2,1 1))'),ST_GeomFromText('LINESTRING(0 0,1e300 -1e-300)')),
  (2,ST_GeomFromText('POINT(39 92)'),ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))'),NULL);

-- Tables -----------------------------------------------------------------------------------------

CREATE TABLE `generated` (
  `id` int NOT NULL,
  `b` int DEFAULT NULL,
  `stored` int GENERATED ALWAYS AS (`id` + `b`) STORED,
  `virtual` varchar(80) GENERATED ALWAYS AS (concat(`id`, ';\n-- ', `b`, '''')) VIRTUAL,
  `after` varchar(10) DEFAULT 'x',
  PRIMARY KEY (`id`),
  KEY `virtual` (`virtual`),
  KEY `stored` (`stored`)
);
INSERT INTO `generated` (`id`,`b`,`after`) VALUES (1,2,'a'),(2,NULL,DEFAULT),(3,-3,NULL);
-- Nothing but a generated column after the key, and no value to insert beside it.
CREATE TABLE `all generated` (`g` int GENERATED ALWAYS AS (1 + 1) STORED, `x` int, KEY (`g`));
INSERT INTO `all generated` (`x`) VALUES (1),(NULL);

CREATE TABLE `invisible` (
  `a` int NOT NULL,
  `hidden` varchar(10) INVISIBLE DEFAULT 'secret',
  `b` int DEFAULT NULL
);
INSERT INTO `invisible` (`a`,`hidden`,`b`) VALUES (1,'one',2),(2,NULL,NULL);
INSERT INTO `invisible` VALUES (3,4);

CREATE TABLE `checked` (
  `a` varchar(80) DEFAULT NULL CHECK (`a` <> 'x;\n-- Table structure for table `y`\n/*!50003 */'),
  `b` int DEFAULT NULL,
  CONSTRAINT `che``ck; -- "x"` CHECK (`b` > 0 or `a` = 'it''s \\ \n;\nDELIMITER ;;\n')
);
INSERT INTO `checked` VALUES ('it''s \\ \n;\nDELIMITER ;;\n',-1),('x',1),(NULL,NULL);

CREATE TABLE `full text` (
  `id` int NOT NULL AUTO_INCREMENT,
  `title` varchar(200) DEFAULT NULL,
  `body` longtext,
  PRIMARY KEY (`id`),
  FULLTEXT KEY `one` (`title`),
  FULLTEXT KEY `both` (`title`,`body`)
) DEFAULT CHARSET=utf8mb4;
INSERT INTO `full text` VALUES (1,'Größe','the quick brown fox'),(5,NULL,'jumps over; the lazy dog\n');

CREATE TABLE `increment elsewhere` (
  `a` int NOT NULL,
  `n` int NOT NULL AUTO_INCREMENT,
  PRIMARY KEY (`a`),
  KEY `n` (`n` DESC, `a`)
) AUTO_INCREMENT=77;
INSERT INTO `increment elsewhere` VALUES (1,70),(2,3);

CREATE TABLE `no primary key` (`a` int DEFAULT NULL, `b` varchar(10) DEFAULT NULL, KEY `prefix` (`b`(3)));
INSERT INTO `no primary key` VALUES (2,'b'),(1,'a'),(2,'b'),(NULL,NULL),(1,'a');

CREATE TABLE `isam` (`id` int NOT NULL AUTO_INCREMENT, `a` varchar(10), `n` int NOT NULL, PRIMARY KEY (`a`,`id`)) ENGINE=MyISAM PACK_KEYS=1 CHECKSUM=1;
INSERT INTO `isam` (`a`,`n`) VALUES ('x',1),('x',2),('y',3);
CREATE TABLE `memory` (`id` int NOT NULL, `v` varchar(10), PRIMARY KEY (`id`) USING HASH, KEY `tree` (`v`) USING BTREE) ENGINE=MEMORY;
INSERT INTO `memory` VALUES (1,'a'),(2,'b');
CREATE TABLE `compressed` (`id` int NOT NULL PRIMARY KEY, `t` text) ENGINE=InnoDB ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8;
INSERT INTO `compressed` VALUES (1,REPEAT('compress me; ',1000));
CREATE TABLE `dynamic` (`id` int NOT NULL PRIMARY KEY) ENGINE=InnoDB ROW_FORMAT=REDUNDANT STATS_PERSISTENT=0 MIN_ROWS=1 MAX_ROWS=1000 AVG_ROW_LENGTH=10;
INSERT INTO `dynamic` VALUES (1);

CREATE TABLE `by range` (`id` int NOT NULL, `at` date NOT NULL, PRIMARY KEY (`id`,`at`))
PARTITION BY RANGE (year(`at`)) SUBPARTITION BY HASH (`id`) SUBPARTITIONS 2
(PARTITION `p``old` VALUES LESS THAN (2000) COMMENT = 'before; -- 2000',
 PARTITION `p new` VALUES LESS THAN (2020),
 PARTITION `pmax` VALUES LESS THAN MAXVALUE);
INSERT INTO `by range` VALUES (3,'2024-01-01'),(1,'1999-12-31'),(2,'2010-05-05'),(4,'1970-01-01');
CREATE TABLE `by list` (`id` int NOT NULL, `kind` varchar(20) NOT NULL)
PARTITION BY LIST COLUMNS (`kind`)
(PARTITION `pa` VALUES IN ('it''s','b;'), PARTITION `pb` VALUES IN ('c','größe'));
INSERT INTO `by list` VALUES (1,'c'),(2,'it''s'),(3,'b;');
CREATE TABLE `by key` (`id` int NOT NULL PRIMARY KEY, `v` int) PARTITION BY KEY () PARTITIONS 3;
INSERT INTO `by key` VALUES (1,1),(2,2),(3,3),(4,4),(5,5);

-- Foreign keys: a circle, a table that refers to itself, a parent that sorts after its child.
CREATE TABLE `circle a` (`id` int NOT NULL PRIMARY KEY, `b` int DEFAULT NULL,
  CONSTRAINT `a to b` FOREIGN KEY (`b`) REFERENCES `circle b` (`id`) ON DELETE SET NULL ON UPDATE CASCADE);
CREATE TABLE `circle b` (`id` int NOT NULL PRIMARY KEY, `a` int DEFAULT NULL,
  CONSTRAINT `b to a` FOREIGN KEY (`a`) REFERENCES `circle a` (`id`) ON DELETE RESTRICT);
INSERT INTO `circle a` VALUES (1,1),(2,NULL);
INSERT INTO `circle b` VALUES (1,1),(2,2);
CREATE TABLE `a child` (`x` int NOT NULL, `y` int NOT NULL, `boss` int, PRIMARY KEY (`x`,`y`),
  UNIQUE KEY `y x` (`y`,`x`), KEY `boss` (`boss`,`x`),
  CONSTRAINT `fk``z` FOREIGN KEY (`x`) REFERENCES `z parent` (`id`) ON DELETE CASCADE,
  CONSTRAINT `fk_boss` FOREIGN KEY (`boss`,`x`) REFERENCES `a child` (`y`,`x`));
CREATE TABLE `z parent` (`id` int NOT NULL PRIMARY KEY);
INSERT INTO `z parent` VALUES (1),(2);
INSERT INTO `a child` VALUES (1,1,2),(1,2,1),(2,1,NULL);
SET SESSION foreign_key_checks = 1;

-- Routines ---------------------------------------------------------------------------------------

DELIMITER $$

CREATE FUNCTION `fun``ction; "x"`(`a` varchar(50) CHARACTER SET utf8mb4, `b b` int) RETURNS varchar(200) CHARSET utf8mb4
    DETERMINISTIC
    NO SQL
    COMMENT 'DELIMITER ;;\n-- Dumping routines for database ''x''\n'
BEGIN
  -- Dumping data for table `orders`
  --
  -- Table structure for table `fake`
  --
  # a hash comment; with a semicolon
  /* a block
     comment; DELIMITER ;;
DELIMITER ;;
DELIMITER ;
  */
  DECLARE result varchar(200) CHARACTER SET utf8mb4 DEFAULT ';
';
  /*!50003 SET result = 'executed; comment' */;
  SET result = concat(a, ';\n', "-- Dump completed", 'it''s \\ 🐬', `b b`);

-- Dump completed on nothing

  RETURN result;   
END$$

CREATE PROCEDURE `-- Dump completed`(IN `in;` int, OUT `out` int, INOUT `in``out` json)
    MODIFIES SQL DATA
    SQL SECURITY INVOKER
BEGIN
  -- Current Database: `x`
  DECLARE done int DEFAULT 0;
  DECLARE c CURSOR FOR SELECT `group` FROM `order`;
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = 1;
  OPEN c;
  lap: LOOP
    FETCH c INTO `out`;
    IF done THEN LEAVE lap; END IF;
  END LOOP;
  CLOSE c;
  SET @sql = 'INSERT INTO `order` VALUES (?,1,1);
INSERT INTO `order` VALUES
(1,2,3);
';
/*!50003 SET @y = 1 */;
END$$

CREATE PROCEDURE `empty body`()
BEGIN
END$$

-- Lines that end in a carriage return, as an editor on Windows leaves them.
CREATE PROCEDURE `carriage return`()
BEGIN
  -- a comment
  SELECT ';
'; /* another
*/
END$$

CREATE PROCEDURE `tab
and newline`() COMMENT '' SELECT 1	AS `tab	name`, '	tab' /* the last comment */
$$

DELIMITER ;

-- A body that reads double quotes as names and a backslash as itself.
SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,STRICT_TRANS_TABLES';
DELIMITER //
CREATE PROCEDURE "ansi ""quotes"""()
BEGIN
  SELECT "group" || '\' || ';' FROM "order"; -- the string holds one backslash
END//
DELIMITER ;
SET SESSION sql_mode = '';

-- Procedures are defined before they are converted: another character set and collation in force.
SET NAMES latin1;
DELIMITER //
CREATE PROCEDURE `in latin1`() SELECT 'abc' COLLATE latin1_german1_ci//
DELIMITER ;
SET NAMES utf8mb4 COLLATE utf8mb4_general_ci;

-- Views ------------------------------------------------------------------------------------------

CREATE VIEW `the middle` AS
  SELECT `select` AS `a`, `fun``ction; "x"`(`select`, 1) AS `f`, ';
-- Final view structure for view `x`
' AS `text` FROM `back``tick "double" 'single' %s/..;näme ☂` WHERE `select` <> 'it''s \\ 🐬';
CREATE VIEW `~view on view` AS SELECT `a`, `f`, `text` FROM `the middle` WHERE `a` IS NOT NULL;
-- Sorts before its base, which is a view itself.
CREATE VIEW `!first` AS SELECT `v`.`a` AS `a;`, `v`.`f` AS `f``f` FROM `~view on view` `v`;
CREATE ALGORITHM=MERGE SQL SECURITY INVOKER VIEW `view`
  AS SELECT `id`, `s` FROM `empty or null` WHERE `id` > 0 WITH LOCAL CHECK OPTION;
CREATE ALGORITHM=TEMPTABLE VIEW `view
with newline` AS SELECT count(*) AS `count
of rows`, '列' AS `列` FROM `bytes`;
CREATE VIEW `one row` AS SELECT 1 AS `1`, 'a' AS `a`, NULL AS `null`;

-- Triggers: several for one event, in an order that is not the alphabet's ---------------------------

CREATE TABLE `log ``of`` changes` (`id` int NOT NULL AUTO_INCREMENT PRIMARY KEY, `what` text);
DELIMITER ;;
CREATE TRIGGER `z first` BEFORE INSERT ON `order` FOR EACH ROW
BEGIN
  -- Table structure for table `order`
  SET NEW.`where` = coalesce(NEW.`where`, 0);
  INSERT INTO `log ``of`` changes` (`what`) VALUES (';
');
END;;
CREATE TRIGGER `y second` BEFORE INSERT ON `order` FOR EACH ROW FOLLOWS `z first`
BEGIN
  /* closes nothing; */ SET NEW.`null` = 1; # one
  /* ;; */
END;;
CREATE TRIGGER `a third` BEFORE INSERT ON `order` FOR EACH ROW FOLLOWS `y second` SET NEW.`null` = NEW.`null` * 2;;
CREATE TRIGGER `b between` BEFORE INSERT ON `order` FOR EACH ROW PRECEDES `a third` SET @x = '/*!50003 */';;
CREATE TRIGGER `tri``gger; -- x` AFTER DELETE ON `back``tick "double" 'single' %s/..;näme ☂` FOR EACH ROW
  INSERT INTO `log ``of`` changes` (`what`) VALUES (concat('DELIMITER ;;', OLD.`col``umn; "x"`, '🐬'));;
CREATE TRIGGER `after
newline` AFTER UPDATE ON `new
line
-- Table structure for table ``fake``` FOR EACH ROW SET @`x
y` = 1;;
DELIMITER ;

-- Events -----------------------------------------------------------------------------------------

DELIMITER $$
CREATE EVENT `ev``ent; -- x` ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 03:00:00' ENDS '2037-01-01 00:00:00'
  ON COMPLETION PRESERVE DISABLE COMMENT 'DELIMITER $$\n-- it''s an event;' DO
BEGIN
  -- Dumping events for database 'x'
  /* closes nothing; */
  DELETE FROM `log ``of`` changes` WHERE `what` = ';
DELIMITER ;
'; # one
END$$
DELIMITER ;
SET SESSION time_zone = '+05:30';
CREATE EVENT `once` ON SCHEDULE AT '2037-06-01 00:00:00' ON COMPLETION PRESERVE DO SELECT 1;
SET SESSION time_zone = '+00:00';
