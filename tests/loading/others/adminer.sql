-- Adminer 4.8.1 MySQL 8.0.36 dump

SET NAMES utf8;
SET time_zone = '+00:00';
SET foreign_key_checks = 0;
SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO';

SET NAMES utf8mb4;

DELIMITER ;;

DROP FUNCTION IF EXISTS `twice`;;
CREATE FUNCTION `twice`(`n` int) RETURNS int
    NO SQL
    DETERMINISTIC
BEGIN
  RETURN 2 * n;
END;;

DELIMITER ;

DROP TABLE IF EXISTS `customers`;
CREATE TABLE `customers` (
  `id` int NOT NULL AUTO_INCREMENT,
  `name` varchar(100) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

INSERT INTO `customers` (`id`, `name`) VALUES
(1,	'Ada'),
(2,	'Grace; -- \'quoted\''),
(3,	'Edsger');

DELIMITER ;;

CREATE TRIGGER `customers_named` BEFORE INSERT ON `customers` FOR EACH ROW
SET NEW.name = TRIM(NEW.name);;

DELIMITER ;

DROP VIEW IF EXISTS `names`;
CREATE TABLE `names` (`name` varchar(100));


DROP TABLE IF EXISTS `names`;
CREATE ALGORITHM=UNDEFINED SQL SECURITY DEFINER VIEW `names` AS select `customers`.`name` AS `name` from `customers`;

-- 2024-03-01 04:05:06
