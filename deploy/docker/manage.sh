#!/bin/sh
# manage.py without root's rights: `docker compose exec db_backup manage snapshots`.
exec entrypoint python /app/manage.py "$@"
