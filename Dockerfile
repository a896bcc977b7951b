# One image for portal, worker and gate. What it runs is its command: portal, worker, sentinel, or
# any program, as `restic snapshots`. It starts as root only to take over the folders that Docker
# made for it, and drops all rights before anything else (deploy/docker/entrypoint.sh).

# Compose says which images they are (docker-compose.yml, x-images); without it: docker build --build-arg ….
ARG DEBIAN_IMAGE
ARG MYSQL_IMAGE
ARG RESTIC_IMAGE

FROM ${RESTIC_IMAGE} AS restic

FROM ${MYSQL_IMAGE} AS mysql
COPY deploy/docker/collect-mysql-client.sh /
RUN sh /collect-mysql-client.sh /opt/mysql

FROM ${DEBIAN_IMAGE} AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        ca-certificates gcc libc6-dev libmariadb-dev pkgconf python3-dev python3-venv \
    # Debian packs mariadb-dump with programs that need Perl.
    && cd /tmp && apt-get download mariadb-client && dpkg --extract mariadb-client_*.deb mariadb
WORKDIR /app
COPY requirements-build.txt requirements.txt ./
# What builds mysqlclient is known by its hash too; with build isolation pip would fetch the newest of it.
RUN python3 -m venv /opt/venv \
    && pip="/opt/venv/bin/python -m pip install --no-cache-dir --no-compile --require-hashes" \
    && $pip --only-binary :all: --requirement requirements-build.txt \
    && $pip --no-build-isolation --requirement requirements.txt \
    # Debian's Python makes a new one when it needs one; the image is updated by building it anew.
    && /opt/venv/bin/python -m pip uninstall --yes pip setuptools
COPY . .
# What `manage version` says of it; without it no commit is known: docker build --build-arg VEDETTA_COMMIT=….
ARG VEDETTA_COMMIT
RUN if [ "$VEDETTA_COMMIT" ]; then printf '%s\n' "$VEDETTA_COMMIT" > backups/commit.txt; fi \
    && SECRET_KEY=of-the-build-where-nothing-is-signed /opt/venv/bin/python manage.py collectstatic --noinput \
    && /opt/venv/bin/python -m compileall -q /opt/venv/lib /app \
    # Whatever the mode of the checkout's files is.
    && chmod -R a+rX /app

FROM ${DEBIAN_IMAGE}
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        ca-certificates gzip libmariadb3 mariadb-client-core openssh-client python3 tzdata \
    && rm -rf /var/lib/apt/lists/* \
    # The number is fixed, because the bind mounts keep it.
    && useradd --uid 10001 --create-home --shell /usr/sbin/nologin vedetta \
    && install --directory --owner=vedetta --group=vedetta /status /data /keys /cache /restore /restored /repository
COPY --from=restic /usr/bin/restic /opt/restic/restic
COPY --from=mysql /opt/mysql /opt/mysql
COPY --from=build /tmp/mariadb/usr/bin/mariadb-dump /usr/bin/
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
COPY deploy/docker/entrypoint.sh /usr/local/bin/entrypoint
COPY deploy/docker/restic.sh /usr/local/bin/restic
# What `manage version`, preflight and each run say of it: the program itself, not the script that calls it.
ARG RESTIC_IMAGE
RUN printf '{"source": "image", "image": "%s", "program": "%s", "sha256": "%s"}\n' \
    "$RESTIC_IMAGE" /opt/restic/restic "$(sha256sum < /opt/restic/restic | cut -c 1-64)" \
    > /usr/local/bin/restic.origin.json
COPY deploy/docker/manage.sh /usr/local/bin/manage
COPY deploy/backup.sh deploy/verify.sh /usr/local/bin/

# The flavour of the server decides which client is taken: MySQL's own, or MariaDB's from /usr/bin.
ENV PATH=/usr/local/bin:/opt/venv/bin:/opt/mysql/bin:/usr/bin:/bin \
    HOME=/home/vedetta \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DATABASE_URL=sqlite:////data/portal.sqlite3 \
    DOWNLOADS_SOCKET=/data/run/downloads.socket \
    RESTIC_CACHE_DIR=/cache \
    PORTAL_BIND=0.0.0.0:8000 \
    SENTINEL_BIND=0.0.0.0:8001
WORKDIR /app
EXPOSE 8000 8001
# As in backups/__init__.py, which a label cannot read; a test holds them together.
ARG VEDETTA_COMMIT
LABEL org.opencontainers.image.title=Vedetta \
    org.opencontainers.image.version=1.0.0 \
    org.opencontainers.image.revision=$VEDETTA_COMMIT \
    org.opencontainers.image.licenses=Apache-2.0
ENTRYPOINT ["/usr/local/bin/entrypoint"]
CMD ["worker"]
