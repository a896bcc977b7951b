/*
 Navicat Premium Data Transfer

 Source Server         : shop; "old"
 Source Server Type    : MySQL
 Source Schema         : shop

 Target Server Type    : MySQL
 File Encoding         : 65001

 Date: 01/03/2024 04:05:06
*/

SET NAMES utf8mb4;
SET FOREIGN_KEY_CHECKS = 0;

-- ----------------------------
-- Table structure for customers
-- ----------------------------
DROP TABLE IF EXISTS `customers`;
CREATE TABLE `customers`  (
  `id` int NOT NULL,
  `name` varchar(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL,
  PRIMARY KEY (`id`) USING BTREE
) ENGINE = InnoDB CHARACTER SET = utf8mb4 COLLATE = utf8mb4_general_ci ROW_FORMAT = Dynamic;

-- ----------------------------
-- Records of customers
-- ----------------------------
BEGIN;
INSERT INTO `customers` VALUES (1, 'Ada');
INSERT INTO `customers` (`id`, `name`) VALUES (2, 'Grace; -- \'quoted\'');
INSERT INTO `customers` VALUES (3, 'Edsger');
COMMIT;

-- ----------------------------
-- View structure for names
-- ----------------------------
DROP VIEW IF EXISTS `names`;
CREATE ALGORITHM = UNDEFINED SQL SECURITY DEFINER VIEW `names` AS select `customers`.`name` AS `name` from `customers`;

-- ----------------------------
-- Function structure for twice
-- ----------------------------
DROP FUNCTION IF EXISTS `twice`;
delimiter ;;
CREATE FUNCTION `twice`(n INT)
 RETURNS int
  NO SQL
  DETERMINISTIC
BEGIN
  RETURN 2 * n;
END
;;
delimiter ;

-- ----------------------------
-- Triggers structure for table customers
-- ----------------------------
DROP TRIGGER IF EXISTS `customers_named`;
delimiter ;;
CREATE TRIGGER `customers_named` BEFORE INSERT ON `customers` FOR EACH ROW SET NEW.name = TRIM(NEW.name)
;;
delimiter ;

SET FOREIGN_KEY_CHECKS = 1;
