"""Traps of which only newer servers know: on an older one there is nothing to be led astray by."""

from __future__ import annotations

from backups.binlog.barriers import Code
from tests.replaying.traps import MARIADB, Trap

NEWER_TRAPS = (
    Trap(
        "vectors",
        """
CREATE TABLE t (i INT PRIMARY KEY, v VECTOR(3) NOT NULL, VECTOR INDEX near (v) M=8 DISTANCE=cosine)
INSERT INTO t VALUES (1, VEC_FromText('[1,2,3]')), (2, VEC_FromText('[0.5,-2,1e3]'))
UPDATE t SET v = VEC_FromText('[3,2,1]') WHERE i = 1
DELETE FROM t WHERE i = 2
CREATE TABLE u (i INT PRIMARY KEY, v VECTOR(2) NOT NULL)
INSERT INTO u VALUES (1, VEC_FromText('[1,2]'))
CREATE VECTOR INDEX near ON u (v) DISTANCE=euclidean M=3
INSERT INTO u VALUES (2, VEC_FromText('[4,5]'))
ALTER TABLE u DROP INDEX near
""",
        flavours=MARIADB,
        since=(11, 7),
    ),
    Trap(
        "an index of vectors as its session had it",
        """
SET SESSION mhnsw_default_m = 20
CREATE TABLE t (i INT PRIMARY KEY, v VECTOR(3) NOT NULL, VECTOR INDEX (v))
""",
        Code.SETTING,
        flavours=MARIADB,
        since=(11, 7),
    ),
    Trap(
        "a transaction that becomes a file of the log",
        """
SET GLOBAL binlog_large_commit_threshold = 10485760
CREATE TABLE t (i INT PRIMARY KEY, b LONGBLOB)
INSERT INTO t SELECT seq, REPEAT('x', 1000000) FROM seq_1_to_11
INSERT INTO t VALUES (100, 'y')
DELETE FROM t WHERE i < 100
SET GLOBAL binlog_large_commit_threshold = DEFAULT
""",
        flavours=MARIADB,
        since=(11, 7),
    ),
    Trap(
        "collations of a session by default",
        """
SET SESSION character_set_collations = 'utf8mb4=utf8mb4_bin,latin1=latin1_german1_ci'
CREATE TABLE t (v VARCHAR(20) CHARACTER SET utf8mb4, w CHAR(5) CHARACTER SET latin1)
CREATE VIEW seen AS SELECT v, _latin1'x' AS x FROM t
SET SESSION character_set_collations = ''
CREATE TABLE u (v VARCHAR(20) CHARACTER SET utf8mb4)
CREATE PROCEDURE p(a VARCHAR(9) CHARACTER SET utf8mb4) SELECT _utf8mb4'x'
SET SESSION character_set_collations = DEFAULT
CREATE TABLE w (v VARCHAR(20) CHARACTER SET utf8mb4)
ALTER TABLE w CONVERT TO CHARACTER SET utf8mb3
INSERT INTO t VALUES ('ä', 'é')
""",
        flavours=MARIADB,
        since=(11, 2),
    ),
    Trap(
        "times after 2038",
        """
CREATE TABLE t (i INT PRIMARY KEY, at TIMESTAMP(6) NOT NULL) WITH SYSTEM VERSIONING
INSERT INTO t VALUES (1, '2100-01-01 00:00:00.5')
SET SESSION timestamp = 3000000000.25
INSERT INTO t VALUES (2, NOW(6))
UPDATE t SET at = '2106-01-01 00:00:00' WHERE i = 1
DELETE FROM t WHERE i = 2
CREATE TABLE u (i INT PRIMARY KEY)
INSERT INTO u VALUES (1)
ALTER TABLE u ADD made TIMESTAMP DEFAULT CURRENT_TIMESTAMP
""",
        flavours=MARIADB,
        since=(11, 5),
    ),
    Trap(
        "packages without the mode, and parameters with a default",
        """
CREATE PACKAGE counted FUNCTION one() RETURNS INT; END
CREATE PACKAGE BODY counted FUNCTION one() RETURNS INT RETURN 1; END
CREATE PROCEDURE p(a INT DEFAULT 5) SELECT a
CREATE TABLE t (i INT PRIMARY KEY)
DROP PACKAGE BODY counted
""",
        flavours=MARIADB,
        since=(11, 8),
    ),
    Trap(
        "an ALTER while others write",
        """
CREATE TABLE t (i INT PRIMARY KEY, v INT)
INSERT INTO t VALUES (1, 1), (2, 2)
SET SESSION binlog_alter_two_phase = 1
ALTER TABLE t MODIFY v BIGINT, ALGORITHM = COPY, LOCK = NONE
UPDATE t SET v = 5000000000
""",
        flavours=MARIADB,
        since=(11, 2),
    ),
    Trap(
        "partitions that come and go unlooked at",
        """
CREATE TABLE t (i INT PRIMARY KEY) PARTITION BY RANGE (i) (PARTITION p VALUES LESS THAN (10),
  PARTITION q VALUES LESS THAN (20))
CREATE TABLE u (i INT PRIMARY KEY)
INSERT INTO t VALUES (1), (11)
INSERT INTO u VALUES (2)
ALTER TABLE t EXCHANGE PARTITION p WITH TABLE u WITHOUT VALIDATION
ALTER TABLE t CONVERT TABLE u TO PARTITION r VALUES LESS THAN (30) WITHOUT VALIDATION
""",
        flavours=MARIADB,
        since=(11, 4),
    ),
    Trap(
        "addresses and identifiers",
        """
CREATE TABLE t (i INT PRIMARY KEY, u UUID DEFAULT (UUID_V7()), a INET4, b INET6)
INSERT INTO t (i, a, b) VALUES (1, '10.0.0.1', '::1'), (2, NULL, '::ffff:10.0.0.1')
UPDATE t SET a = '0.0.0.0' WHERE i = 1
""",
        flavours=MARIADB,
        since=(11, 7),
    ),
    Trap(
        "stored columns that are computed anew",
        """
CREATE TABLE t (i INT PRIMARY KEY, a INT, b INT, c DECIMAL(30, 20) AS (a / b) STORED, d INT AS (a + b))
  ENGINE = InnoDB
INSERT INTO t (i, a, b) VALUES (1, 1, 3), (2, 1, 3)
UPDATE t SET a = 2 WHERE i = 2
CREATE TABLE u LIKE t
INSERT INTO u (i, a, b) SELECT i, a, b FROM t
""",
        flavours=MARIADB,
    ),
    Trap(
        "all that may be told of columns",
        """
SET GLOBAL binlog_row_metadata = 'FULL'
CREATE TABLE t (i INT UNSIGNED PRIMARY KEY, v VARCHAR(20) CHARACTER SET latin1, e ENUM('a', 'ö'), g GEOMETRY)
INSERT INTO t VALUES (1, 'é', 'ö', POINT(1, 2)), (2, NULL, NULL, NULL)
DELETE FROM t WHERE i = 2
SET GLOBAL binlog_row_metadata = DEFAULT
""",
    ),
)
