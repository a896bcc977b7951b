"""Vedetta's settings: the one place that reads the environment. One banner a topic."""

import sys
import warnings
from pathlib import Path

from django.contrib.messages import constants as message_levels

from portal import starting
from portal.cookies import cookie_name
from portal.env import Environment, forget_what_drivers_read, in_doubt, read_env_files
from sentinel.environment import SOURCE, gate_address, gate_settings, home

BASE_DIR = home()
VAR_DIR = BASE_DIR / "var"

# `make run` keeps in var/ what it generated, so that manage.py works beside it.
ENV_FILE_DOUBT = read_env_files(BASE_DIR / ".env", VAR_DIR / "run.env")
forget_what_drivers_read()
env = Environment()

# ---------------------------------------------------------------- Portal

SECRET_KEY = env.secret("SECRET_KEY", least_characters=32)
# What knows again what this installation made; where it is empty the first start makes one there.
VEDETTA_KEY = env.text("VEDETTA_KEY", "")
VEDETTA_KEY_MADE = env.text("VEDETTA_KEY_MADE", str(VAR_DIR / "vedetta_key"))
SECRET_KEY_FALLBACKS = env.secrets("SECRET_KEY_FALLBACKS", least_characters=32)
DEBUG = env.boolean("DEBUG", default=False)
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.origins("CSRF_TRUSTED_ORIGINS")
PORTAL_ADMIN_USER = env.text("PORTAL_ADMIN_USER", "admin")
PORTAL_ADMIN_PASSWORD = env.text("PORTAL_ADMIN_PASSWORD", "")

ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"

if starting.has_pages():
    from portal.unfold import UNFOLD  # noqa: F401  read by django-unfold

INSTALLED_APPS = starting.apps(
    [
        "unfold",
        "unfold.contrib.filters",
        "unfold.contrib.forms",
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "django.contrib.staticfiles",
        "django.contrib.humanize",
        "axes",
        "django_q",
        # After django_q, whose admin pages it takes away.
        "backups",
    ]
)

MIDDLEWARE = [
    "portal.hardening.tell_browsers",
    "portal.proxies.tell_visitors_apart",
    "django.middleware.security.SecurityMiddleware",
    "portal.proxies.in_no_circle",
    "portal.languages.of_the_reader",
    "portal.bodies.whole_or_refused",
    "portal.compression.StaticFiles",
    "portal.compression.pages_smaller",
    "portal.cookies.on_the_portals_pages_only",
    "portal.passwords.one_sign_in_at_a_time",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "portal.sessions.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "portal.must_change.no_page_but_the_change",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]

# Where a wheel has them, see setup.py; else beside the packages.
_TEMPLATES = SOURCE / "portal" / "templates"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [_TEMPLATES if _TEMPLATES.is_dir() else SOURCE / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

MESSAGE_TAGS = {message_levels.ERROR: "error"}

# ---------------------------------------------------------------- The portal's own database

DATABASES = {
    "default": env.database("DATABASE_URL", f"sqlite:///{VAR_DIR / 'portal.sqlite3'}"),
}
ENV_FILE_DOUBT = in_doubt(ENV_FILE_DOUBT, *env.doubts)
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # Portal, workers and commands write at once: take the write lock at the start and wait.
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
elif DATABASES["default"]["ENGINE"] == "django.db.backends.mysql":
    # A server that is switched off refuses nobody.
    DATABASES["default"]["OPTIONS"].setdefault("connect_timeout", 10)
# Where the portal finds the worker for downloads: in a folder that both have.
DOWNLOADS_SOCKET = env.folder(
    "DOWNLOADS_SOCKET", str(env.shared_folder(DATABASES["default"], VAR_DIR) / "run" / "downloads.socket")
)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# ---------------------------------------------------------------- Signing in

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
# So long a link opens that sets a password: for who is invited, or has forgotten theirs.
PASSWORD_RESET_TIMEOUT = 3 * 24 * 3600
# What a visitor comes by; without it, this machine's own proxies and what gunicorn was told.
TRUSTED_PROXIES = env.proxies("TRUSTED_PROXIES", before="FORWARDED_ALLOW_IPS")
AXES_CLIENT_IP_CALLABLE = "portal.proxies.counted_as"
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False
AXES_LOCKOUT_CALLABLE = "portal.refusals.locked_out"
# The time that the page tells holds, whatever is typed meanwhile.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
# The log tells the address, which it hides by default; never the name, for which some type their password.
AXES_SENSITIVE_PARAMETERS = ["username"]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
SESSION_ENGINE = "portal.sessions"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_NAME = cookie_name("session", SECRET_KEY, DATABASES["default"])
CSRF_COOKIE_NAME = cookie_name("csrf", SECRET_KEY, DATABASES["default"])
# Else in a cookie that every Django application calls the same.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
CSRF_FAILURE_VIEW = "portal.monitoring.csrf_failure"

# ---------------------------------------------------------------- HTTPS

# Whoever names an https origin serves the portal over HTTPS.
HTTPS = any(origin.startswith("https://") for origin in CSRF_TRUSTED_ORIGINS)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^sentinel/", r"^ok$", r"^healthz$", r"^metrics$"]
# It binds all that is served under the host's name, so only where it is asked for, and that name alone.
SECURE_HSTS_SECONDS = env.integer("HSTS_SECONDS", 0) if HTTPS else 0
SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W005", "security.W021"]
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"

# ---------------------------------------------------------------- Language, time, static files

# Of commands and logs, and of pages where the browser asks for none of these.
LANGUAGE_CODE = "en"
# As each calls itself; each but the first has a catalogue.
LANGUAGES = [("en", "English"), ("it", "Italiano")]
LANGUAGE_COOKIE_NAME = cookie_name("language", SECRET_KEY, DATABASES["default"])
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE = HTTPS
LOCALE_PATHS = [SOURCE / "portal" / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = env.time_zone("TIME_ZONE", "UTC")

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [SOURCE / "portal" / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "portal.static_files.PrefixedStaticFilesStorage"},
}
# Without `collectstatic` (a checkout) the files come straight from the packages.
WHITENOISE_USE_FINDERS = not STATIC_ROOT.is_dir()
warnings.filterwarnings("ignore", message="No directory at", module="portal.compression")

# unfold would keep for five minutes what a search found, in the language and of the rights of the first time.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}

# ---------------------------------------------------------------- The queue

# A run is ended by its own deadline well before the queue's, whose timeout path loses records.
RUN_DEADLINE_SECONDS = 23 * 3600
_QUEUE_TIMEOUT_SECONDS = 24 * 3600
# How many runs of the queue may be under way, and as many restores beside them.
RUNS_AT_ONCE = env.integer("RUNS_AT_ONCE", 3, least=1, most=16)
RESTORES_CLUSTER = "restores"
# So long after it was taken a message is sent once more, as its worker may have died: it only wakes somebody.
MESSAGE_SECONDS = 60

Q_CLUSTER = {
    "name": "vedetta",
    "orm": "default",
    "broker_class": "backups.worker.queue.OwnOrders",
    # One more than play, for a second small backup at one server; who wants one run at a time gets that.
    "workers": RUNS_AT_ONCE + (RUNS_AT_ONCE > 1),
    "queue_limit": 1,
    "bulk": 1,
    "timeout": _QUEUE_TIMEOUT_SECONDS,
    # django-q2 wants it to be longer than the timeout. What counts is MESSAGE_SECONDS.
    "retry": _QUEUE_TIMEOUT_SECONDS + 600,
    "max_attempts": 1,
    "ack_failures": True,
    "catch_up": False,
    "poll": 1,
    "guard_cycle": 1,
    # Nothing is kept of what was played: its rows would hold pickles that nobody signed.
    "save_limit": -1,
    "label": "Queue",
    "time_zone": TIME_ZONE,
    # One more than play, which is always free for what pages ask.
    "ALT_CLUSTERS": {RESTORES_CLUSTER: {"workers": RUNS_AT_ONCE + 1}},
}

# What starts a command of ours, and where its packages are.
_MANAGE = SOURCE / "manage.py"
COMMAND_LINE = [sys.executable, *([str(_MANAGE)] if _MANAGE.is_file() else ["-P", "-m", "portal"])]
SOURCE_DIR = SOURCE

# ---------------------------------------------------------------- The first repository and database

RESTIC_REPOSITORY = env.text("RESTIC_REPOSITORY", "")
VEDETTA_RESTIC = env.choice("VEDETTA_RESTIC", "any", ["any", "pinned"])
RESTIC_CACHE_DIR = env.text("RESTIC_CACHE_DIR", str(VAR_DIR / "restic-cache"))
STORAGE_PATIENCE_SECONDS = env.integer("STORAGE_PATIENCE_SECONDS", 900, least=1)
RESTIC_COMPRESSION = env.choice("RESTIC_COMPRESSION", "auto", ["auto", "off", "fastest", "better", "max"])
RESTIC_PACK_SIZE = env.integer("RESTIC_PACK_SIZE", 16, least=4, most=128)
# Read anew by each run; here, that a file which cannot be read stops the start.
for _secret in ("RESTIC_PASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
    env.text(_secret, "")
MYSQL_HOST = env.text("MYSQL_HOST", "")
MYSQL_PORT = env.integer("MYSQL_PORT", 3306, least=1, most=65535)
MYSQL_DATABASE = env.text("MYSQL_DATABASE", "")
MYSQL_USER = env.text("MYSQL_USER", "")
_TLS_MODES = ["DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"]
MYSQL_SSL_MODE = env.choice("MYSQL_SSL_MODE", "PREFERRED", _TLS_MODES)
MYSQL_SSL_CA = env.text("MYSQL_SSL_CA", "")
MYSQL_CLIENT_DIR = env.text("MYSQL_CLIENT_DIR", "")
MYSQL_QUESTION_SECONDS = env.integer("MYSQL_QUESTION_SECONDS", 60, least=1)

# ---------------------------------------------------------------- Secrets that rows may refer to

SECRET_REFERENCES = env.references("SECRET_REFERENCES")
SECRETS_DIR = env.folder("SECRETS_DIR", "/run/secrets" if Path("/run/secrets").is_dir() else "")

# ---------------------------------------------------------------- Backups and verifications

BACKUP_HOST = env.text("BACKUP_HOST", "vedetta")
BACKUP_CRON = env.cron("BACKUP_CRON", "0 3,15 * * *")
VERIFY_CRON = env.cron("VERIFY_CRON", "0 5 * * 0")
# In another night than the verifications: both restore in full.
REPLAY_CRON = env.cron("REPLAY_CRON", "30 5 * * 3")
# After the night's backups; what waits its turn does not mind when they take longer.
MAINTENANCE_CRON = env.cron("MAINTENANCE_CRON", "30 4 * * *")
FORGET_AFTER = env.choice("FORGET_AFTER", "night", ["night", "backup"])
BACKUP_CHECK_INTERVAL = env.integer("BACKUP_CHECK_INTERVAL", 6)
BACKUP_KEEP_DAILY = env.integer("BACKUP_KEEP_DAILY", 7)
BACKUP_KEEP_WEEKLY = env.integer("BACKUP_KEEP_WEEKLY", 4)
BACKUP_KEEP_MONTHLY = env.integer("BACKUP_KEEP_MONTHLY", 6)
# Of the first database, from its set-up on: what people switch in the portal later is theirs.
ARCHIVE_LOGS = env.boolean("ARCHIVE_LOGS", default=False)
# For how many days any moment is to be had of a database whose log is stored.
LOG_KEEP_DAYS = env.integer("LOG_KEEP_DAYS", 7, least=1, most=3650)
BACKUP_KEEP_ALL = env.boolean("BACKUP_KEEP_ALL", default=False)
# Of the portal's own history; the least is how long a failed restore holds its snapshot.
RUN_KEEP_DAYS = env.integer("RUN_KEEP_DAYS", 730, least=30, most=36_500)
# In how many minutes a restore is to be over, for the proof report alone; 0 is not set.
REPORT_RTO_MINUTES = env.integer("REPORT_RTO_MINUTES", 0, most=100_000)
# For how many days the last copy of a table that is gone is kept; 0 is not at all.
RETENTION_OBJECT_DAYS = env.integer("RETENTION_OBJECT_DAYS", 90, most=36500)
# How many rows of a table a script gives back at most; beyond, its whole table is to be restored.
ROWS_BACK_LIMIT = env.integer("ROWS_BACK_LIMIT", 50_000, least=1, most=500_000)
# 0 is not set: then cores, sizes, rights and room decide.
RESTORE_CONNECTIONS = env.integer("RESTORE_CONNECTIONS", 0, least=1, most=32)
DUMP_CONNECTIONS = env.integer("DUMP_CONNECTIONS", 0, least=1, most=32)
DUMP_SPOOL_DIR = env.text("DUMP_SPOOL_DIR", "")
DUMP_SPOOL_MB = env.integer("DUMP_SPOOL_MB", 10_000)
BACKUP_DUMP_FORMAT = env.choice("BACKUP_DUMP_FORMAT", "sql", ["sql", "sql.gz"])
BACKUP_CHECK_TABLES = env.choice("BACKUP_CHECK_TABLES", "off", ["off", "not-innodb", "all"])
BACKUP_PORTAL = env.boolean("BACKUP_PORTAL", default=True)

VERIFY_MYSQL_HOST = env.text("VERIFY_MYSQL_HOST", "")
VERIFY_MYSQL_PORT = env.integer("VERIFY_MYSQL_PORT", 3306, least=1, most=65535)
VERIFY_MYSQL_USER = env.text("VERIFY_MYSQL_USER", MYSQL_USER)
# Empty is as for the database.
VERIFY_MYSQL_SSL_MODE = env.choice("VERIFY_MYSQL_SSL_MODE", "", _TLS_MODES)
VERIFY_MYSQL_SSL_CA = env.text("VERIFY_MYSQL_SSL_CA", "")
# Empty: the user that backs up restores as well.
RESTORE_MYSQL_USER = env.text("RESTORE_MYSQL_USER", "")
# Empty: the user that restores replays the log as well.
REPLAY_MYSQL_USER = env.text("REPLAY_MYSQL_USER", "")
# MariaDB checks no right on tables when it applies a log. Nothing but our own fence keeps a replay out of the
# live database, so that it goes beside that only where somebody says so.
REPLAY_ON_LIVE = env.boolean("REPLAY_ON_LIVE", default=False)
# 0 is not set: then nobody knows.
VERIFY_MAX_MB = env.integer("VERIFY_MAX_MB", 0)

# ---------------------------------------------------------------- The gate, notifications, metrics

SENTINEL = gate_settings()
SENTINEL_ADDRESS = gate_address()
NOTIFY_URLS = env.addresses("NOTIFY_URLS")
NOTIFY_LANGUAGE = env.choice("NOTIFY_LANGUAGE", "en", [code for code, _ in LANGUAGES])
PING_URL = env.web_address("PING_URL")
METRICS_TOKEN = env.text("METRICS_TOKEN", "")

# ---------------------------------------------------------------- Logging

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "backups.text.logs.EscapingFormatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        },
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {"axes": {"level": "WARNING"}, "django-q": {"level": "WARNING"}},
}
