#!/bin/bash
# Starts the server that test restores go to, in the mysql image: its one user may make, fill and drop the
# databases of test restores, as deploy/mysql/grants-mysql.sql lists it under [verify], and nothing else.
# The server reads that at each start, so that a changed password counts with the next one.
set -euo pipefail

user=${VERIFY_MYSQL_USER:?}
password=${VERIFY_MYSQL_PASSWORD:-}
if [ -n "${VERIFY_MYSQL_PASSWORD_FILE:-}" ]; then
    password=$(cat "$VERIFY_MYSQL_PASSWORD_FILE")
fi
if [ -z "$password" ]; then
    echo "vedetta: VERIFY_MYSQL_PASSWORD is not set in .env, so nobody could restore into this server." >&2
    exit 1
fi
if [ -z "${VERIFY_MYSQL_HOST:-}" ]; then
    echo "vedetta: .env has no VERIFY_MYSQL_HOST=db_verify, so test restores do not come here, unless a" \
        "database names this server in the portal." >&2
fi

# A text in SQL.
quoted() {
    local text=${1//\\/\\\\}
    printf "'%s'" "${text//\'/\'\'}"
}

account="$(quoted "$user")@'%'"
init=$(mktemp)
{
    echo "CREATE USER IF NOT EXISTS $account IDENTIFIED BY $(quoted "$password");"
    echo "ALTER USER $account IDENTIFIED BY $(quoted "$password");"
    sed -n '/^-- \[verify\]/,/^-- \[[^v]/s/^GRANT .* ON /&/p' "${VEDETTA_GRANTS:-/vedetta/grants.sql}" |
        while IFS= read -r grant; do
            grant=${grant//'`orders\_tracker'/'`%'}
            echo "${grant/"'vedetta'@'%'"/"$account"}"
        done
} > "$init"
chown mysql "$init"

# What is loaded here does not run, and is worth no log.
exec docker-entrypoint.sh mysqld --init-file="$init" --skip-log-bin --event-scheduler=OFF --mysqlx=OFF \
    --secure-file-priv=NULL --innodb-flush-log-at-trx-commit=2
