-- The least that Vedetta's user may do on MariaDB, for dump, verification and restore.
-- Run it as an administrator once the names are yours, for example
--     sed -e 's/orders\\_tracker/shop/g' -e "s/'vedetta'@'%'/'backup'@'10.0.0.%'/g" \
--         -e 's/change-me/…/' grants-mariadb.sql | mariadb
-- orders\_tracker is the database; in a GRANT an underscore stands for any character, so each of
-- the name's own is escaped: shop_eu reads shop\\_eu on the right side of sed's s///.
-- `manage.py preflight` says which of these are missing.

CREATE USER IF NOT EXISTS 'vedetta'@'%' IDENTIFIED BY 'change-me';

-- [dump] What `manage.py backup` needs.
-- Without one of these mariadb-dump leaves things out, mostly without a word.
-- The rows of every table.
GRANT SELECT ON `orders\_tracker`.* TO 'vedetta'@'%';
-- The text of views.
GRANT SHOW VIEW ON `orders\_tracker`.* TO 'vedetta'@'%';
-- Triggers.
GRANT TRIGGER ON `orders\_tracker`.* TO 'vedetta'@'%';
-- Events.
GRANT EVENT ON `orders\_tracker`.* TO 'vedetta'@'%';
-- Views that call functions: mariadb-dump asks for their columns, and the server runs the functions
-- to tell. A database without such views does not need it.
GRANT EXECUTE ON `orders\_tracker`.* TO 'vedetta'@'%';
-- The bodies of procedures, functions and packages. From MariaDB 11.3 the narrower
--     GRANT SHOW CREATE ROUTINE ON `orders\_tracker`.* TO 'vedetta'@'%';
-- does the same.
GRANT SELECT ON mysql.proc TO 'vedetta'@'%';

-- [verify] What `manage.py verify` needs, for the user that restores into the scratch database:
-- this one, or VERIFY_MYSQL_USER where VERIFY_MYSQL_HOST is set.
-- Making, filling, reading and dropping databases of this one name and no other.
GRANT ALL ON `orders\_tracker\_\_verify\_%`.* TO 'vedetta'@'%';
-- Optional, where the server has a binary log: without it, each scratch database goes into that log in
-- full, and every replica loads it too. Whoever has it may also delete binary
-- logs. Before MariaDB 10.5.2 it takes SUPER.
--     GRANT BINLOG ADMIN ON *.* TO 'vedetta'@'%';

-- [restore] What `manage.py restore` needs beyond that. Whoever has SET USER can become administrator
-- of the whole server. So leave all of it out, and give it in the hour of need, best to a second user
-- (RESTORE_MYSQL_USER) that has all three parts and is dropped again: docs/install.md has it.
-- Filling the live database, and swapping restored tables into it.
GRANT ALL ON `orders\_tracker`.* TO 'vedetta'@'%';
-- The shadow database that a restore fills first, and the one that keeps the tables as they were.
GRANT ALL ON `orders\_tracker\_\_%`.* TO 'vedetta'@'%';

-- Making views, triggers, routines and events that run in another user's name (DEFINER).
GRANT SET USER ON *.* TO 'vedetta'@'%';
-- The bodies of restored routines of other definers: granted under [dump] for a user that dumps as well.
GRANT SELECT ON mysql.proc TO 'vedetta'@'%';

-- Where the binary log is on, a server takes functions and triggers from users without SUPER only
-- with log_bin_trust_function_creators=1 in its own configuration.
