#!/bin/bash
# As the mysql image does: make the data folder, the database and the user, read initdb.d, serve.
set -euo pipefail

docker_process_sql() {
    MYSQL_PWD=$password mysql --protocol=socket --user=root --socket=/var/run/mysqld/mysqld.sock "$@"
}

password=
if [ ! -d /var/lib/mysql/mysql ]; then
    chown mysql:mysql /var/lib/mysql
    setpriv --reuid=mysql --regid=mysql --clear-groups mysqld --initialize-insecure
    # Not by the function: the number would be that of the shell around the server.
    setpriv --reuid=mysql --regid=mysql --clear-groups "$@" --skip-networking \
        --socket=/var/run/mysqld/mysqld.sock &
    server=$!
    until docker_process_sql -e "SELECT 1" > /dev/null 2>&1; do kill -0 "$server"; sleep 0.2; done
    docker_process_sql <<SQL
ALTER USER 'root'@'localhost' IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';
CREATE USER 'root'@'%' IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';
GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;
CREATE DATABASE \`$MYSQL_DATABASE\`;
CREATE USER '$MYSQL_USER'@'%' IDENTIFIED BY '$MYSQL_PASSWORD';
GRANT ALL ON \`${MYSQL_DATABASE//_/\\_}\`.* TO '$MYSQL_USER'@'%';
SQL
    password=$MYSQL_ROOT_PASSWORD
    for file in /docker-entrypoint-initdb.d/*.sh; do
        # shellcheck source=/dev/null
        if [ -x "$file" ]; then "$file"; else . "$file"; fi
    done
    kill "$server"
    wait "$server"
fi
exec setpriv --reuid=mysql --regid=mysql --clear-groups "$@" --socket=/var/run/mysqld/mysqld.sock
