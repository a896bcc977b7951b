"""What opens a server or a repository is the worker's: the web process goes without it.

Only names are kept here. deploy/systemd/vedetta.py imports it too, with the machine's own Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path

from backups.text.secret_names import PORTALS_OWN, may_be_referred_to, without_file

# The web process's own: it signs sessions, keeps its rows, and tells when the worker falls silent.
_WEBS_OWN = PORTALS_OWN - {"VEDETTA_KEY"}
_SECRET = re.compile(
    r"VEDETTA_KEY|MYSQL_PWD|\w+_PASSWORD[0-9]?"
    # Of storages, as restic and rclone know them.
    r"|\w+_(?:SECRET_ACCESS_KEY|ACCOUNT_KEY|ACCOUNT_SAS|CREDENTIALS?|CREDENTIAL_SECRET|CLIENT_SECRET)"
    r"|(?:AWS|AZURE|GOOGLE|MINIO|OS)_\w*(?:TOKEN|SECRET_KEY)|ST_KEY|MSI_SECRET|RCLONE_CONFIG_\w+"
)
# What the web process itself reads, though rows might refer to it: to MYSQL_* always, to all else by a wide
# entry of SECRET_REFERENCES.
SETTINGS = frozenset((
    "ALLOWED_HOSTS", "ARCHIVE_LOGS", "BACKUP_CHECK_INTERVAL", "BACKUP_CHECK_TABLES", "BACKUP_CRON",
    "BACKUP_DUMP_FORMAT",
    "BACKUP_HOST", "BACKUP_KEEP_ALL", "BACKUP_KEEP_DAILY", "BACKUP_KEEP_MONTHLY", "BACKUP_KEEP_WEEKLY",
    "BACKUP_PORTAL", "CSRF_TRUSTED_ORIGINS", "DEBUG", "DOWNLOADS_SOCKET", "DUMP_CONNECTIONS",
    "DUMP_SPOOL_DIR", "DUMP_SPOOL_MB", "FORGET_AFTER", "FORWARDED_ALLOW_IPS", "HSTS_SECONDS",
    "LOG_KEEP_DAYS", "MAINTENANCE_CRON", "MYSQL_CLIENT_DIR", "MYSQL_DATABASE", "MYSQL_HOST", "MYSQL_PORT",
    "MYSQL_QUESTION_SECONDS", "MYSQL_SSL_CA", "MYSQL_SSL_MODE", "MYSQL_USER", "NOTIFY_LANGUAGE",
    "PORTAL_ADMIN_USER", "PORTAL_BIND", "REPLAY_CRON", "REPLAY_MYSQL_USER",
    "REPLAY_ON_LIVE", "REPORT_RTO_MINUTES", "RESTIC_CACHE_DIR", "RESTIC_COMPRESSION",
    "RESTIC_PACK_SIZE", "RESTIC_REPOSITORY",
    "RESTORE_CONNECTIONS", "RESTORE_MYSQL_USER", "RETENTION_OBJECT_DAYS", "ROWS_BACK_LIMIT",
    "RUNS_AT_ONCE", "RUN_KEEP_DAYS",
    "SECRETS_DIR", "SECRET_REFERENCES", "SENTINEL_ADDRESS",
    "SENTINEL_BIND", "SENTINEL_BOOT_GRACE_SECONDS", "SENTINEL_HEARTBEAT_PATH",
    "SENTINEL_LOG_THRESHOLD_SECONDS", "SENTINEL_THRESHOLD_SECONDS",
    "SENTINEL_VERIFIED_THRESHOLD_SECONDS", "STORAGE_PATIENCE_SECONDS", "TIME_ZONE", "TRUSTED_PROXIES",
    "VEDETTA_HOME", "VEDETTA_KEY_MADE", "VEDETTA_RESTIC", "VERIFY_CRON", "VERIFY_MAX_MB",
    "VERIFY_MYSQL_HOST", "VERIFY_MYSQL_PORT", "VERIFY_MYSQL_SSL_CA", "VERIFY_MYSQL_SSL_MODE",
    "VERIFY_MYSQL_USER", "WEB_CONCURRENCY",
))  # fmt: skip
# Of these families what opens nothing: a warning about it would be wrong.
_OPENS_NOTHING = frozenset((
    "AWS_ACCESS_KEY_ID", "AWS_CA_BUNDLE", "AWS_DEFAULT_REGION", "AWS_EC2_METADATA_DISABLED",
    "AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_REGION", "MYSQL_IMAGE", "MYSQL_ROOT_HOST", "RESTIC_CACERT",
    "RESTIC_IMAGE", "RESTIC_PROGRESS_FPS", "RESTIC_REST_USERNAME",
))  # fmt: skip
# What a process needs to start, to find its files and to reach others, whatever P* or H* stands for.
_OF_PROCESSES = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|PWD|LANG|LANGUAGE|LC_[A-Z]+|TZ|TZDIR|TERM|TMPDIR|HOSTNAME|VIRTUAL_ENV"
    r"|PYTHON[A-Z]+|LD_(?:LIBRARY_PATH|PRELOAD)|DJANGO_SETTINGS_MODULE|GUNICORN_(?:CMD_ARGS|FD|PID)"
    r"|SSL_CERT_(?:FILE|DIR)|OPENSSL_CONF|REQUESTS_CA_BUNDLE|(?:HTTPS?|NO|ALL)_PROXY|NOTIFY_SOCKET"
    r"|LISTEN_(?:FDS|FDNAMES|PID)|XDG_(?:RUNTIME_DIR|(?:CACHE|CONFIG|DATA|STATE)_HOME)"
    r"|(?:CACHE|CONFIGURATION|CREDENTIALS|LOGS|RUNTIME|STATE)_DIRECTORY"
)
_LONGEST_FILE = 100_000


def is_one(name: str, declared: Iterable[str] = ()) -> bool:
    """Whether a variable holds such a secret, or NAME_FILE; `declared` is as in SECRET_REFERENCES.

    All to which a row may refer is one, but for what the web process itself reads.
    """
    whole = without_file(name)
    if whole in _WEBS_OWN:
        return False
    if _SECRET.fullmatch(whole):
        return True
    if whole in SETTINGS | _OPENS_NOTHING or _OF_PROCESSES.fullmatch(name):
        return False
    return may_be_referred_to(name, declared)


def declared_in(*sources: Mapping[str, str]) -> list[str]:
    """The variables of SECRET_REFERENCES, as all of `sources` together have them."""
    said = [each for source in sources for each in _said_in(source)]
    return " ".join(said).replace(",", " ").split()


def _said_in(source: Mapping[str, str]) -> list[str]:
    said = [source.get("SECRET_REFERENCES", "")]
    if place := source.get("SECRET_REFERENCES_FILE", "").strip():
        try:
            if (file := Path(place)).is_file():  # a pipe would wait for a writer
                with file.open(encoding="utf-8") as lines:
                    said.append(lines.read(_LONGEST_FILE))
        except (OSError, ValueError):
            pass  # the settings say that it cannot be read
    return said


def names_in(variables: Mapping[str, str], *beside: Mapping[str, str]) -> list[str]:
    """The names of those that are set; an empty value counts as not set. `beside` declares as well."""
    declared = declared_in(variables, *beside)
    return sorted(name for name, value in variables.items() if value.strip() and is_one(name, declared))


def without(variables: Mapping[str, str], *beside: Mapping[str, str]) -> dict[str, str]:
    """All else. What else is read beside these `variables` may declare some of them."""
    declared = declared_in(variables, *beside)
    return {name: value for name, value in variables.items() if not is_one(name, declared)}


class WebProcess:
    """Whether this process is one of the web, and which such secrets it was started with, by name."""

    def __init__(self) -> None:
        self.is_this = False
        self.found: list[str] = []
        self._given: list[str] = []
        self._declared: list[str] = []

    def begin(self, environment: MutableMapping[str, str]) -> None:
        """Say that it is, and take such secrets out of its environment. Before the settings are read."""
        self.is_this = True
        self._given = [name for name, value in environment.items() if value.strip()]
        self._declared = []
        self.hear(environment, environment)

    def hear(self, environment: MutableMapping[str, str], source: Mapping[str, str]) -> dict[str, str]:
        """What it may take of a source of settings.

        What that declares goes out of the environment too, where an earlier source had it.
        """
        if not self.is_this:
            return dict(source)
        self._declared += declared_in(source)
        self.found = sorted(name for name in self._given if is_one(name, self._declared))
        for name in [each for each in environment if is_one(each, self._declared)]:
            del environment[name]
        return {name: value for name, value in source.items() if not is_one(name, self._declared)}


WEB = WebProcess()
