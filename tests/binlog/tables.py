"""What a workload writes to: most kinds of columns, keys and objects, on either flavour."""

from __future__ import annotations

# {db} is the database, {other} one beside it.
TABLES = """
CREATE TABLE customer (
  id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, name VARCHAR(80) CHARACTER SET utf8mb4, note TEXT, born DATE,
  email VARCHAR(100) UNIQUE, bits BIT(9), s SET('a','b','c'), e ENUM('x','y','z'), price DECIMAL(20,7),
  f FLOAT, d DOUBLE, bin VARBINARY(40), bl BLOB, ts TIMESTAMP(6) NULL, dt DATETIME(3), ti TIME(2), y YEAR,
  j JSON, u BIGINT UNSIGNED, j2 JSON);
CREATE TABLE orders (
  id BIGINT AUTO_INCREMENT PRIMARY KEY, customer_id INT UNSIGNED, total DECIMAL(12,2),
  state VARCHAR(20) DEFAULT 'new',
  created TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  gen DECIMAL(12,2) AS (total * 2) STORED, gv VARCHAR(30) AS (CONCAT('o', state)) VIRTUAL, KEY (customer_id),
  CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES customer (id)
    ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE line (
  order_id BIGINT, no INT, qty INT, PRIMARY KEY (order_id, no),
  CONSTRAINT line_order FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE);
CREATE TABLE note (
  id INT AUTO_INCREMENT PRIMARY KEY, customer_id INT UNSIGNED, v VARCHAR(20), KEY (customer_id),
  CONSTRAINT note_customer FOREIGN KEY (customer_id) REFERENCES customer (id)
    ON DELETE SET NULL ON UPDATE CASCADE);
CREATE TABLE keyless (a INT, b VARCHAR(30));
CREATE TABLE log (
  id BIGINT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(60), at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE part (id INT, k INT, v VARCHAR(20), PRIMARY KEY (id, k)) PARTITION BY RANGE (k) (
  PARTITION p0 VALUES LESS THAN (100), PARTITION p1 VALUES LESS THAN (200),
  PARTITION pm VALUES LESS THAN MAXVALUE);
CREATE TABLE geo (id INT PRIMARY KEY, g GEOMETRY NOT NULL);
CREATE TABLE kinds (
  id BINARY(16) PRIMARY KEY, b64 BIT(64), many SET({many}), e ENUM('one','two','three'), zero DATE,
  zt DATETIME, f FLOAT, t3 TIME(3), d2 DATETIME(6), word TEXT, nothing VARCHAR(10), ti TINYINT,
  si SMALLINT UNSIGNED, mi MEDIUMINT, big DECIMAL(65,30), c CHAR(255) CHARACTER SET utf8mb4, mt MEDIUMTEXT,
  lb LONGBLOB, tb TINYBLOB,
  made DATETIME DEFAULT CURRENT_TIMESTAMP, l1 VARCHAR(300) CHARACTER SET latin1,
  sj VARCHAR(50) CHARACTER SET sjis, b BOOLEAN);
CREATE TABLE swap (id INT PRIMARY KEY, v INT UNIQUE, w VARCHAR(10));
CREATE TABLE old (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20)) ENGINE=MyISAM;
CREATE TABLE user (id INT PRIMARY KEY, v VARCHAR(10));
CREATE TABLE event (id INT PRIMARY KEY, v VARCHAR(10));
CREATE TABLE `{db}` (id INT PRIMARY KEY, `{db}` VARCHAR(10));
"""
OBJECTS = """
DELIMITER ;;
CREATE TRIGGER ins_order AFTER INSERT ON orders FOR EACH ROW
BEGIN INSERT INTO log (what) VALUES (CONCAT('order ', NEW.id)); END;;
CREATE PROCEDURE bump(IN p INT)
BEGIN /* a comment */ UPDATE orders SET total = total + p WHERE id % 7 = 0 ORDER BY id LIMIT 3; END;;
CREATE FUNCTION twice(x INT) RETURNS INT DETERMINISTIC RETURN x * 2;;
CREATE VIEW v_orders AS SELECT o.id, c.name, o.total FROM orders o JOIN customer c ON c.id = o.customer_id;;
CREATE EVENT ev1 ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 00:00:00' DO
INSERT INTO log (what) VALUES ('event');;
DELIMITER ;
"""
OF_MARIADB = """
CREATE SEQUENCE sq START WITH 5 INCREMENT BY 3 CACHE 10;
CREATE TABLE versioned (id INT PRIMARY KEY, v VARCHAR(20)) WITH SYSTEM VERSIONING;
CREATE TABLE inet (id INT PRIMARY KEY, a INET6, u UUID);
CREATE TABLE packed (id INT PRIMARY KEY, v VARCHAR(1000) COMPRESSED, t TEXT COMPRESSED);
CREATE TABLE aria (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20)) ENGINE=Aria PAGE_CHECKSUM=1;
"""
OF_MYSQL = """
CREATE TABLE vec (id INT PRIMARY KEY, v VECTOR(3), g GEOMETRY SRID 4326);
CREATE TABLE hidden (a INT, v VARCHAR(10), pk INT AUTO_INCREMENT INVISIBLE PRIMARY KEY);
"""
BESIDE = """
CREATE TABLE arch (id BIGINT AUTO_INCREMENT PRIMARY KEY, oid BIGINT, v VARCHAR(50));
CREATE TABLE x (i INT PRIMARY KEY, v INT);
INSERT INTO x VALUES (1, 1), (2, 2), (3, 3);
"""

# Each with {n}, the number of the round; those after `other:` are run with that as the default database.
DEFINITIONS = (
    "ALTER TABLE orders ADD COLUMN extra{n} VARCHAR(20) DEFAULT 'x{n}'",
    "ALTER TABLE {db}.customer ADD INDEX i{n} (born)",
    "CREATE TABLE t{n} (id INT PRIMARY KEY, v VARCHAR(20))",
    "INSERT INTO t{n} VALUES (1, 'a'), (2, 'b')",
    "CREATE TABLE ct{n} (PRIMARY KEY (id)) AS SELECT id, total FROM orders LIMIT 10",
    "CREATE TABLE lk{n} LIKE customer",
    "RENAME TABLE t{n} TO r{n}",
    "TRUNCATE TABLE geo",
    "TRUNCATE user",
    "ALTER TABLE part ADD INDEX pi{n} (v)",
    "CREATE INDEX ix{n} ON log (at)",
    "CREATE OR REPLACE VIEW v{n} AS SELECT id FROM {db}.orders WHERE total > 10",
    "DROP VIEW IF EXISTS v{n}",
    "CREATE VIEW {db}.w{n} AS SELECT c.id, COUNT(*) n FROM customer c GROUP BY c.id",
    "CREATE PROCEDURE pr{n}() BEGIN SELECT 1; UPDATE {db}.orders SET total = 1 WHERE id = -1; END",
    "DROP PROCEDURE bump",
    "CREATE PROCEDURE bump(IN p INT) UPDATE orders SET total = total + p + {n} WHERE id % 7 = 0",
    "CREATE TRIGGER tr{n} BEFORE UPDATE ON orders FOR EACH ROW SET NEW.total = NEW.total + 0",
    "DROP TRIGGER tr{n}",
    "CREATE EVENT of_round_{n} ON SCHEDULE EVERY 1 WEEK STARTS '2037-01-01 00:00:00' DO DELETE FROM {db}.log",
    "ALTER EVENT ev1 RENAME TO {db}.evx{n}",
    "ALTER EVENT evx{n} RENAME TO ev1",
    "CREATE USER u{n}@'%' IDENTIFIED BY 'Secret-{n}'",
    "GRANT SELECT ON {db}.* TO u{n}@'%'",
    "DROP USER u{n}@'%'",
    "ALTER TABLE {db}.ct{n} ENGINE=InnoDB",
    "ANALYZE TABLE orders",
    "ALTER TABLE orders ALTER state SET DEFAULT 'n{n}'",
    "ALTER DATABASE {db} CHARACTER SET utf8mb4",
    "DROP TABLE ct{n}, lk{n}",
    "CREATE TABLE `we``ird {n}` (`a b` INT PRIMARY KEY)",
    "DROP TABLE {db}.`we``ird {n}`",
    "/* gh-ost */ ALTER TABLE kinds\n MODIFY e ENUM('three','one','two','n{n}')",
    "RENAME TABLE swap TO swap_{n}, keyless TO swap, swap_{n} TO keyless",
    "RENAME TABLE swap TO swap_{n}, keyless TO swap, swap_{n} TO keyless",
    "other: CREATE TABLE {db}.fo{n} (i INT PRIMARY KEY)",
    "other: DROP TABLE {db}.fo{n}",
    "other: CREATE TABLE {other}.oo{n} (i INT)",
    "other: INSERT INTO {db}.log (what) VALUES ('from the other')",
    "other: UPDATE {db}.orders o SET o.total = o.total + 1 WHERE o.id = 5",
)
DEFINITIONS_OF_MARIADB = (
    "CREATE OR REPLACE TABLE orep (id INT PRIMARY KEY, v INT DEFAULT {n})",
    "ALTER ONLINE TABLE orep ADD COLUMN w{n} INT",
    "ALTER SEQUENCE sq INCREMENT BY 5",
    "SET STATEMENT system_versioning_alter_history = KEEP FOR ALTER TABLE versioned ADD COLUMN w{n} INT",
    "DELETE HISTORY FROM versioned BEFORE SYSTEM_TIME '2001-01-01'",
    "SET STATEMENT binlog_alter_two_phase = 1 FOR ALTER TABLE geo ADD COLUMN w{n} INT",
)
MANY = ",".join(f"'m{number}'" for number in range(64))
