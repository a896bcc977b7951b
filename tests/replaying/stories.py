"""What applications do with a database, as the tests have it logged."""

from __future__ import annotations

TABLES = """
CREATE TABLE customer (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, name VARCHAR(80), note TEXT, born DATE,
  bits BIT(64), s SET('a','b','c'), e ENUM('x','y','z'), price DECIMAL(20,7), f FLOAT, d DOUBLE,
  bin BINARY(16), bl BLOB, ts TIMESTAMP(6) NULL, dt DATETIME(3), ti TIME(3), y YEAR, j JSON,
  u BIGINT UNSIGNED, latin VARCHAR(20) CHARACTER SET latin1);
CREATE TABLE orders (id BIGINT AUTO_INCREMENT PRIMARY KEY, customer INT UNSIGNED, total DECIMAL(12,2),
  state VARCHAR(20) DEFAULT 'new', twice DECIMAL(12,2) AS (total * 2) STORED,
  said VARCHAR(30) AS (CONCAT('o', state)) VIRTUAL, KEY (customer), KEY (said),
  CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES customer (id)
    ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE line (orders BIGINT, no INT, qty INT, PRIMARY KEY (orders, no),
  CONSTRAINT of_order FOREIGN KEY (orders) REFERENCES orders (id) ON DELETE CASCADE);
CREATE TABLE keyless (a INT, b VARCHAR(30));
CREATE TABLE log (id BIGINT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(60),
  at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE part (id INT, k INT, v VARCHAR(20), PRIMARY KEY (id, k)) PARTITION BY RANGE (k)
  (PARTITION p0 VALUES LESS THAN (100), PARTITION pm VALUES LESS THAN MAXVALUE);
CREATE TABLE geo (id INT PRIMARY KEY, g GEOMETRY NOT NULL);
DELIMITER ;;
CREATE TRIGGER ordered AFTER INSERT ON orders FOR EACH ROW
BEGIN
  INSERT INTO log (what) VALUES (CONCAT('order ', NEW.id));
  UPDATE {other}.counted SET n = n + 1;
END;;
CREATE PROCEDURE bump(IN p INT) BEGIN UPDATE orders SET total = total + p WHERE id % 2 = 0 LIMIT 3; END;;
CREATE FUNCTION twice(x INT) RETURNS INT DETERMINISTIC NO SQL RETURN x * 2;;
CREATE VIEW open_orders AS
  SELECT o.id, c.name, o.total FROM orders o JOIN {source}.customer c ON c.id = o.customer;;
DELIMITER ;
"""
ROWS = """
INSERT INTO customer (name, note, born, bits, s, e, price, f, d, bin, bl, ts, dt, ti, y, j, u, latin) VALUES
  ('Ada', REPEAT('x', 5000), '1999-02-03', b'1011', 'a,c', 'y', 1.5, 1e16, 0.1, UNHEX('00FF00'),
   UNHEX('0001FEFF'), NOW(6), NOW(3), '12:34:56.000', 2024, '{"a": [1, "b"]}', 18446744073709551615, 'é'),
  ('Grace\\'s `"\\\\ ☃', 'false', NULL, 0, '', 'x', 0, 0, 0, '', '', NULL, NULL, NULL, NULL, NULL, 0, NULL),
  ('Edsger', '', NULL, ~0, 'b', 'z', -7, -1, -2, REPEAT('b', 16), NULL, NULL, NULL, '-12:00:00', 1999, '[]',
   1, '');
INSERT INTO orders (customer, total) VALUES (1, 10.5), (1, 20), (2, 30), (3, 40.01);
INSERT INTO line SELECT id, 1, 2 FROM orders;
INSERT INTO line SELECT id, 2, 5 FROM orders;
START TRANSACTION;
INSERT INTO log (what) VALUES ('kept');
SAVEPOINT here;
INSERT INTO log (what) VALUES ('never was');
ROLLBACK TO SAVEPOINT here;
UPDATE orders SET state = 'paid' WHERE id = 2;
COMMIT;
START TRANSACTION; INSERT INTO log (what) VALUES ('rolled back'); ROLLBACK;
CALL bump(3);
REPLACE INTO part VALUES (1, 5, 'a'), (1, 500, 'b');
INSERT INTO geo VALUES (1, ST_GeomFromText('POINT(1 2)'));
INSERT INTO keyless VALUES (1, 'a'), (1, 'a'), (2, NULL);
UPDATE keyless SET b = 'u' WHERE a = 1 LIMIT 1;
INSERT INTO {other}.archive (v) SELECT name FROM customer;
UPDATE orders o JOIN {other}.archive a ON a.i = o.id SET o.total = o.total + 1, a.v = 'both';
DELETE FROM customer WHERE id = 2;
UPDATE customer SET id = 9 WHERE id = 3;
"""
NEIGHBOUR = """
CREATE TABLE {other}.archive (i INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(80));
CREATE TABLE {other}.counted (n INT);
INSERT INTO {other}.counted VALUES (0);
"""
# In the order of their statements; each is one of its own.
DEFINITIONS = (
    "ALTER TABLE orders ADD COLUMN extra VARCHAR(20) DEFAULT 'x'",
    "ALTER TABLE {source}.customer ADD INDEX born (born)",
    "CREATE TABLE user (id INT PRIMARY KEY, v VARCHAR(20))",
    "INSERT INTO user VALUES (1, 'a'), (2, 'b')",
    "CREATE TABLE taken AS SELECT id, total FROM orders LIMIT 2",
    "CREATE TABLE alike LIKE customer",
    "/* by us */ RENAME TABLE user TO event",
    "TRUNCATE geo",
    "CREATE INDEX at_index ON log (at)",
    "CREATE OR REPLACE VIEW dear AS SELECT id FROM {source}.orders WHERE total > 10",
    "DROP PROCEDURE bump",
    "CREATE PROCEDURE bump(IN p INT) BEGIN UPDATE {source}.orders SET total = p WHERE id = -1; END",
    "CREATE EVENT soon ON SCHEDULE EVERY 1 SECOND DO UPDATE {other}.counted SET n = n + 1000",
    "CREATE USER u_{source}@'%' IDENTIFIED BY 'Secret-1'",
    "GRANT SELECT ON {source}.* TO u_{source}@'%'",
    "DROP USER u_{source}@'%'",
    "ANALYZE TABLE orders",
    "CREATE TABLE `we``ird .x`(`a b` INT PRIMARY KEY)",
    "INSERT INTO `we``ird .x` VALUES (1)",
    "DROP TABLE {source}.alike",
    "DROP EVENT soon",
    "CREATE EVENT later ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DO DELETE FROM log",
)
FROM_ELSEWHERE = (
    "CREATE TABLE {source}.made_elsewhere (i INT PRIMARY KEY)",
    "INSERT INTO {source}.made_elsewhere VALUES (1), (2)",
    "ALTER TABLE {source}.made_elsewhere ADD v INT",
    "CREATE TABLE noise (i INT)",
    "DROP TABLE noise",
)
AFTERWARDS = """
INSERT INTO customer (name) VALUES ('late');
INSERT INTO orders (customer, total, extra) VALUES (1, 7, 'y');
UPDATE event SET v = 'once called user' WHERE id = 2;
INSERT INTO geo VALUES (1, ST_GeomFromText('POINT(3 4)'));
DELETE FROM taken LIMIT 1;
"""
