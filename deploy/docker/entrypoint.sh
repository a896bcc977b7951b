#!/bin/sh
# Starts what the container is for: portal, worker, sentinel, or any program.
set -eu

# Docker makes the folders of bind mounts as root, and the files of secrets keep the host's owner.
as_root() {
    for folder in /status /data /keys /cache /repository; do
        if [ "$(stat -c %u "$folder" 2>/dev/null)" = 0 ] && [ -w "$folder" ]; then
            chown -R vedetta:vedetta "$folder"
        fi
    done
    # Somebody's own folder: what lies in it stays theirs.
    for folder in /restore /restored; do
        if [ "$(stat -c %u "$folder" 2>/dev/null)" = 0 ] && [ -w "$folder" ]; then
            chown vedetta:vedetta "$folder"
        fi
    done
    for name in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*_FILE\)=.*/\1/p'); do
        file=$(printenv "$name")
        if [ -f "$file" ] && ! without_rights test -r "$file"; then
            mkdir -p /run/vedetta
            install -o vedetta -g vedetta -m 0400 "$file" "/run/vedetta/$name"
            export "$name=/run/vedetta/$name"
        fi
    done
}

without_rights() {
    setpriv --reuid=vedetta --regid=vedetta --clear-groups --inh-caps=-all "$@"
}

# Signs sessions and queued work, so portal and worker must have the same.
secret_key() {
    if [ -n "${SECRET_KEY:-}${SECRET_KEY_FILE:-}" ] || [ ! -w /data ]; then
        return
    fi
    if [ ! -s /data/secret_key ]; then
        draft=$(mktemp /data/.secret_key.XXXXXX)
        head -c 48 /dev/urandom | base64 -w 0 > "$draft"
        # Two containers start at once: the first one's counts.
        ln "$draft" /data/secret_key 2>/dev/null || :
        rm -f "$draft"
    fi
    unset SECRET_KEY
    export SECRET_KEY_FILE=/data/secret_key
}

# By these names `restic unlock` knows locks of earlier containers of this installation.
remember_host() {
    if [ -w /data ] && ! grep -qsx "$(uname -n)" /data/hosts; then
        uname -n >> /data/hosts
    fi
}

# A signal to stop must not wait for the program in front.
stoppable() {
    "$@" &
    child=$!
    trap 'kill -TERM "$child" 2>/dev/null; wait "$child"; exit 143' TERM INT
    code=0
    wait "$child" || code=$?
    trap - TERM INT
    return "$code"
}

migrate() {
    stoppable flock /data/.migrate.lock python manage.py migrate --no-input --verbosity 0
}

worker() {
    migrate
    # Bounded, and not a reason to keep the queue from running: the portal tells what failed.
    stoppable python manage.py bootstrap || :
    # A container that was killed could not take its locks away.
    stoppable timeout 60 restic unlock --quiet || :
    stoppable python manage.py recover --history-only --if-empty || :
    exec python manage.py worker
}

if [ "$(id -u)" = 0 ]; then
    as_root
    exec setpriv --reuid=vedetta --regid=vedetta --clear-groups --inh-caps=-all "$0" "$@"
fi
cd /app
secret_key
remember_host
case ${1:-} in
    worker) worker ;;
    portal)
        # Without its database the portal says what to do, and its gate is open while backups are fresh.
        migrate || :
        exec gunicorn -c portal/gunicorn.conf.py portal.wsgi
        ;;
    sentinel) exec gunicorn -c sentinel/gunicorn.conf.py sentinel.wsgi ;;
    *) exec "$@" ;;
esac
