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
    if [ -n "${MYSQL_RANDOM_ROOT_PASSWORD:-}" ]; then
        MYSQL_ROOT_PASSWORD=$(head -c 24 /dev/urandom | base64 -w 0)
    fi
    docker_process_sql <<SQL
ALTER USER 'root'@'localhost' IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';
SQL
    password=$MYSQL_ROOT_PASSWORD
    if [ "${MYSQL_ROOT_HOST:-%}" != localhost ]; then
        docker_process_sql <<SQL
CREATE USER 'root'@'${MYSQL_ROOT_HOST:-%}' IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';
GRANT ALL ON *.* TO 'root'@'${MYSQL_ROOT_HOST:-%}' WITH GRANT OPTION;
SQL
    fi
    if [ -n "${MYSQL_DATABASE:-}" ]; then
        docker_process_sql <<SQL
CREATE DATABASE \`$MYSQL_DATABASE\`;
CREATE USER '$MYSQL_USER'@'%' IDENTIFIED BY '$MYSQL_PASSWORD';
GRANT ALL ON \`${MYSQL_DATABASE//_/\\_}\`.* TO '$MYSQL_USER'@'%';
SQL
    fi
    for file in $(find /docker-entrypoint-initdb.d -name '*.sh' 2> /dev/null); do
        # shellcheck source=/dev/null
        if [ -x "$file" ]; then "$file"; else . "$file"; fi
    done
    kill "$server"
    wait "$server"
fi
exec setpriv --reuid=mysql --regid=mysql --clear-groups "$@" --socket=/var/run/mysqld/mysqld.sock
