# shellcheck shell=bash
# Read by the mysql image on its first start: grants MYSQL_USER what deploy/mysql/grants-mysql.sql lists.
# Not executable, so that it is sourced and finds the image's own docker_process_sql.

vedetta_grants() {
    local escaped short
    # In a GRANT % and _ are wild, in sed's right side a backslash escapes.
    escape() { printf '%s' "$1" | sed -e 's/[\\_%]/\\&/g' -e 's/[\\&/]/\\&/g'; }
    escaped=$(escape "$MYSQL_DATABASE")
    short=$(escape "${MYSQL_DATABASE:0:40}")
    sed -e '/^CREATE USER/d' -e '/^--/d' \
        -e "s/orders\\\\_tracker\\\\_\\\\_/$short\\\\_\\\\_/g" \
        -e "s/orders\\\\_tracker/$escaped/g" \
        -e "s/'vedetta'@'%'/'$MYSQL_USER'@'%'/g" /vedetta/grants.sql
}

if [ -n "${MYSQL_USER:-}" ] && [ -n "${MYSQL_DATABASE:-}" ]; then
    vedetta_grants | docker_process_sql --database=mysql
fi
