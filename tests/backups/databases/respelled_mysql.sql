-- Tables that MySQL restores exactly but spells differently afterwards. It remembers whether a
-- column's collation was written down or came from the table. A dump always writes it down, so the
-- restored column is shown with CHARACTER SET in front of COLLATE, and one of a foreign character
-- set with COLLATE behind it. Rows and meaning are the same; only CREATE TABLE differs, once.

SET NAMES utf8mb4;

CREATE TABLE `from the table` (
  `a` varchar(10),
  `b` varchar(10) CHARACTER SET latin1,
  `c` varchar(10) COLLATE utf8mb4_bin,
  `d` text,
  `generated` varchar(80) GENERATED ALWAYS AS (concat(`a`, ' CHARACTER SET utf8mb4 COLLATE x')) STORED,
  `text` varchar(80) DEFAULT ' CHARACTER SET utf8mb4 COLLATE y' COMMENT ' COLLATE utf8mb4_general_ci ''`',
  ` COLLATE utf8mb4_general_ci` varchar(10)
) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci COMMENT=' CHARACTER SET utf8mb4 COLLATE z';
INSERT INTO `from the table` (`a`,`b`,`c`,`d`) VALUES ('a','b','c',' CHARACTER SET utf8mb4 COLLATE utf8mb4_bin');

CREATE TABLE `table changed later` (`a` varchar(10), `b` enum('x',' CHARACTER SET latin1 '), `c` set('a')) DEFAULT CHARSET=latin1;
ALTER TABLE `table changed later` DEFAULT CHARSET=utf8mb4;
INSERT INTO `table changed later` VALUES ('ä','x','a');

CREATE TABLE `column added later` (`a` varchar(10) COLLATE utf8mb4_unicode_ci) COLLATE=utf8mb4_unicode_ci;
ALTER TABLE `column added later` ADD `b` varchar(4);
INSERT INTO `column added later` VALUES ('a','b');
