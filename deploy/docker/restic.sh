#!/bin/bash
# restic as people and the portal call it: without root's rights, with secrets from files, saying
# when there is a repository already, and removing locks of containers that are gone.
set -eu
restic=/opt/restic/restic

if [ "$(id -u)" = 0 ]; then
    exec entrypoint restic "$@"
fi

# As for the portal: other snapshots than this host's would be listed, kept and counted by this alone.
unset RESTIC_HOST

# restic itself reads only some of its variables from files, and takes an empty one for a value. A file
# comes first, as for the portal: Compose fills in a location where .env has none.
for name in RESTIC_REPOSITORY RESTIC_PASSWORD RESTIC_REST_USERNAME RESTIC_REST_PASSWORD AWS_ACCESS_KEY_ID \
    AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_DEFAULT_REGION B2_ACCOUNT_ID B2_ACCOUNT_KEY \
    AZURE_ACCOUNT_NAME AZURE_ACCOUNT_KEY AZURE_ACCOUNT_SAS; do
    eval "value=\${$name:-} file=\${${name}_FILE:-}"
    if [ "$file" ]; then
        value=$(cat "$file")
        export "$name=$value"
    fi
    if [ ! "$value" ]; then
        unset "$name"
    fi
    unset "${name}_FILE"
done

# Locked, shared, as long as a restic of this installation runs, in whichever container. The number
# is left to bash: the portal hands restic open files, which must not be hidden.
in_use=
if : 2>/dev/null >> "${RESTIC_CACHE_DIR:-/cache}/in-use"; then
    exec {in_use}>> "${RESTIC_CACHE_DIR:-/cache}/in-use"
fi

# restic takes a lock for stale when its process is gone from the same host, or after half an hour.
# A new container has a new host name. So where no restic runs at all and every lock is of one of
# our containers, none of them is needed any more.
only_dead_locks() {
    [ "$in_use" ] && flock --exclusive --wait 10 "$in_use" || return 1
    locks=$("$restic" list locks --no-lock --quiet 2>/dev/null) || return 1
    [ "$locks" ] || return 1
    for lock in $locks; do
        host=$("$restic" cat lock --no-lock --quiet -- "$lock" 2>/dev/null \
            | sed -n 's/.*"hostname": *"\([^"]*\)".*/\1/p')
        # A text, and neither a pattern nor an option: whoever holds the lock chose it.
        grep -qsxF -- "$host" /data/hosts || return 1
    done
}

case " $* " in
    *" unlock "*)
        case " $* " in
            *" --remove-all "*) ;;
            *) if only_dead_locks; then set -- "$@" --remove-all; fi ;;
        esac
        ;;
    " init "*)
        if "$restic" cat config --no-lock --quiet > /dev/null 2>&1; then
            echo "There is a repository at $RESTIC_REPOSITORY already, and the password opens it: nothing to do."
            exit 0
        fi
        ;;
esac
if [ "$in_use" ]; then
    flock --shared "$in_use"
fi
exec "$restic" "$@"
