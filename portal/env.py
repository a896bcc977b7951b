"""The environment, typed: each reader takes NAME or NAME_FILE and says in one sentence what is wrong."""

from __future__ import annotations

import importlib
import os
import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from django.core.exceptions import ImproperlyConfigured
from environ import FileAwareEnv

from backups.text.checked import Cron, Unfit
from portal import database_options, proxies, servers_secrets
from sentinel import env_file as env_files
from sentinel.environment import home

_ABSENT = object()
# As which a client library of MariaDB's would read a host.
_LIST_OF_OPTIONS = re.compile(r"[;=,\s\x00-\x1f]")
# What the portal's own database can hold.
_MOST = 2_147_483_647
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}
_SQLITE, _MYSQL = "django.db.backends.sqlite3", "django.db.backends.mysql"
_POSTGRESQL = "django.db.backends.postgresql"
# What the servers' drivers are called when they are imported and when they are installed, and for what.
_DRIVERS = {
    _MYSQL: ("MySQLdb", "mysqlclient", "MySQL or MariaDB"),
    _POSTGRESQL: ("psycopg", "vedetta[postgresql]", "PostgreSQL"),
}
_DECLARATION = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\*?|file:/[^\0]+")


def read_env_files(*paths: Path) -> env_files.Doubt | None:
    """Fill the environment from the files that exist; what is set already wins, then earlier files.

    A name that the environment or a file leaves empty is left to the files after it. Answers what of them
    is in doubt, with which nothing new is to be set up. Raises ImproperlyConfigured.
    """
    doubts: list[env_files.Doubt] = []
    for path in paths:
        found = env_file(path)
        doubts += found.doubts
        # The web process takes no secret of a server from a file either.
        env_files.fill_in(os.environ, servers_secrets.WEB.hear(os.environ, found.values))
    return env_files.summed_up(doubts)


def in_doubt(*doubts: env_files.Doubt | None) -> env_files.Doubt | None:
    """One for all of these that are; None where none is."""
    return env_files.summed_up([each for each in doubts if each is not None])


def env_file(path: Path) -> env_files.Reading:
    """What a file of NAME=value lines says; nothing where there is no such file.

    Raises ImproperlyConfigured for one that cannot be read, unless the environment says all that is needed:
    earlier versions passed such a file over.
    """
    try:
        return env_files.read(path)
    except env_files.Unreadable as error:
        if not any(os.environ.get(name, "").strip() for name in ("SECRET_KEY", "SECRET_KEY_FILE")):
            raise ImproperlyConfigured(str(error)) from None
        doubt = env_files.Doubt(error.why, error.do, "Until then the environment alone counts.", str(path))
        return env_files.Reading({}, (doubt,))
    except env_files.EnvFileError as error:
        raise ImproperlyConfigured(str(error)) from None


# Of PostgreSQL's library, each after PG.
_READ_BY_LIBPQ = """
    HOST HOSTADDR PORT DATABASE USER PASSWORD PASSFILE REQUIREAUTH CHANNELBINDING SERVICE SERVICEFILE OPTIONS
    APPNAME SSLMODE REQUIRESSL SSLCOMPRESSION SSLCERT SSLKEY SSLCERTMODE SSLROOTCERT SSLCRL SSLCRLDIR SSLSNI
    SSLNEGOTIATION SSLMINPROTOCOLVERSION SSLMAXPROTOCOLVERSION REQUIREPEER GSSENCMODE GSSLIB GSSDELEGATION
    KRBSRVNAME CONNECT_TIMEOUT CLIENTENCODING TARGETSESSIONATTRS LOADBALANCEHOSTS DATESTYLE TZ GEQO SYSCONFDIR
    LOCALEDIR MINPROTOCOLVERSION MAXPROTOCOLVERSION
"""
# What the driver's library would read by itself: another password, another server's socket or port,
# code to load. What it is to know is said to it.
_READ_BY_DRIVERS = (
    "MYSQL_PWD",
    "MYSQL_UNIX_PORT",
    "MARIADB_UNIX_PORT",
    "MYSQL_TCP_PORT",
    "MYSQL_HOME",
    "MARIADB_HOME",
    "MYSQL_GROUP_SUFFIX",
    "MARIADB_GROUP_SUFFIX",
    "MYSQL_TEST_LOGIN_FILE",
    "LIBMYSQL_PLUGINS",
    "LIBMYSQL_PLUGIN_DIR",
    "LIBMYSQL_ENABLE_CLEARTEXT_PLUGIN",
    "MARIADB_PLUGIN_DIR",
    "MARIADB_TLS_DISABLE_PEER_VERIFICATION",
    "MYSQL_DEBUG",
    *(f"PG{name}" for name in _READ_BY_LIBPQ.split()),
)


def forget_what_drivers_read() -> None:
    """Take out of the environment what changes to which server a database driver connects, and as whom.

    Before the first driver is imported, whose library looks once.
    """
    for name in _READ_BY_DRIVERS:
        os.environ.pop(name, None)


class Environment:
    """Typed readers over the environment. All raise ImproperlyConfigured naming the variable."""

    def __init__(self) -> None:
        self._env = FileAwareEnv()
        # What of it goes on as it did before there was a rule.
        self.doubts: list[env_files.Doubt] = []

    def text(self, name: str, default: str | object = _ABSENT) -> str:
        """A text without blanks around it; an empty one counts as unset."""
        value = self._raw(name)
        if value:
            return value
        if default is _ABSENT:
            raise ImproperlyConfigured(
                f"{name} is not set: give it in the environment, as {name}_FILE or in .env."
            )
        return str(default)

    def integer(self, name: str, default: int, *, least: int = 0, most: int = _MOST) -> int:
        """A whole number from `least` to `most`."""
        value = self._raw(name)
        if not value:
            return default
        if not value.isdecimal() or len(value) > 12 or not least <= int(value) <= most:
            raise ImproperlyConfigured(
                f"{name} is {_shown(value)}, but must be a whole number from {least} to {most}."
            )
        return int(value)

    def boolean(self, name: str, *, default: bool) -> bool:
        """true or false, in the usual spellings."""
        value = self._raw(name).lower()
        if not value:
            return default
        if value not in _TRUE | _FALSE:
            raise ImproperlyConfigured(f"{name} is {_shown(value)}, but must be true or false.")
        return value in _TRUE

    def choice(self, name: str, default: str, allowed: Sequence[str]) -> str:
        """One of the `allowed` texts, or the default."""
        value = self._raw(name) or default
        if value not in (default, *allowed):
            raise ImproperlyConfigured(f"{name} is {_shown(value)}, but must be one of {', '.join(allowed)}.")
        return value

    def words(self, name: str, default: Sequence[str] = ()) -> list[str]:
        """Texts separated by commas or blanks."""
        return self._raw(name).replace(",", " ").split() or list(default)

    def cron(self, name: str, default: str) -> str:
        """A cron expression of five fields that comes due, as a row's own schedule has to be."""
        value = self._raw(name) or default
        try:
            return Cron(value)
        except Unfit as why:
            raise ImproperlyConfigured(
                f"{name} is {_shown(value)}, but must be a cron expression such as {default!r}. {why}"
            ) from None

    def time_zone(self, name: str, default: str) -> str:
        """A time zone's name, as in Europe/Rome."""
        value = self._raw(name) or default
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):  # an unknown zone is a KeyError
            if not available_timezones():
                raise ImproperlyConfigured(
                    f"{name} cannot be looked up: this machine knows no time zones. Install tzdata."
                ) from None
            raise ImproperlyConfigured(
                f"{name} is {_shown(value)}, but must be a time zone such as Europe/Rome."
            ) from None
        return value

    def origins(self, name: str) -> list[str]:
        """Addresses with their scheme, as in https://backups.example.com."""
        values = self.words(name)
        for value in values:
            if not _is_web_address(value):
                raise ImproperlyConfigured(
                    f"{name} holds {_shown(value)}, but each must be an address such as https://host."
                )
        return values

    def proxies(self, name: str, before: str) -> proxies.Trusted:
        """Whose word counts about a visitor; where `name` says nothing, what the variable `before` says."""
        words = self.words(name)
        try:
            return proxies.trusted(words) if words else proxies.trusted_before(self.words(before))
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{name if words else before} holds {_shown(str(error))}, but each must be an address such "
                "as 203.0.113.7, a network such as 10.1.2.0/24, or neighbours."
            ) from None

    def addresses(self, name: str) -> list[str]:
        """Addresses with a scheme, separated by commas or blanks, which they may hold themselves."""
        between = r"(?<![\s,])[\s,]++(?=[a-zA-Z][\w+.-]*+://)"
        return re.split(between, self._raw(name)) if self._raw(name) else []

    def web_address(self, name: str) -> str:
        """An address of http or https, which is never shown: it may hold a password. Empty where unset."""
        value = self._raw(name)
        if value and not _is_request_address(value):
            raise ImproperlyConfigured(
                f"{name} is not an address such as https://host/path. Percent-encode each "
                "@ : / # ? % in its user or password, as in %40 for @."
            )
        return value

    def secret(self, name: str, *, least_characters: int = 1) -> str:
        """A required secret; the value is never shown."""
        value = self.text(name)
        if len(value) < least_characters:
            raise ImproperlyConfigured(f"{name} is shorter than {least_characters} characters.")
        return value

    def secrets(self, name: str, *, least_characters: int) -> list[str]:
        """Secrets separated by commas or blanks; none is ever shown.

        They may hold such themselves, so the whole text is taken for one too, and what is too short for none.
        """
        value = self._raw(name)
        if value and len(value) < least_characters:
            raise ImproperlyConfigured(f"{name} is shorter than {least_characters} characters.")
        parts = (part for part in self.words(name) if len(part) >= least_characters)
        return list(dict.fromkeys([value, *parts])) if value else []

    def folder(self, name: str, default: str) -> str:
        """A folder's whole path, empty for none."""
        value = self._raw(name) or default
        if value and not value.startswith("/"):
            raise ImproperlyConfigured(
                f"{name} is {_shown(value)}, but must be a whole path, as /run/secrets."
            )
        return value

    def shared_folder(self, database: dict[str, Any], otherwise: Path) -> Path:
        """What portal and worker have in common: the folder of the portal's own database where it is a file,
        else the state that systemd keeps for both.
        """
        if database["ENGINE"] == _SQLITE:
            return Path(database["NAME"]).parent
        of_systemd = self._raw("STATE_DIRECTORY").partition(":")[0]
        return Path(of_systemd) if of_systemd.startswith("/") else otherwise

    def references(self, name: str) -> list[str]:
        """Names of variables, of which a * at the end stands for any ending, and files as file:/path."""
        values = self.words(name)
        for number, value in enumerate(values, 1):
            if not _DECLARATION.fullmatch(value):
                # Unshown, lest it be the secret itself.
                raise ImproperlyConfigured(
                    f"{name} has a wrong entry {number}: it is neither the name of a variable, such as "
                    "SHOP_PASSWORD or SHOP_*, nor a file, such as file:/etc/vedetta/shop."
                )
        return values

    def database(self, name: str, default: str) -> dict[str, Any]:
        """A database address, as in sqlite:////data/portal.sqlite3, postgres:// or mysql://user@host/name.

        A relative path counts from the project folder, wherever the process was started.
        """
        # The same servers, the same driver: MariaDB's own word for it.
        address = re.sub(r"(?i)^mariadb://", "mysql://", self.text(name, default))
        try:
            with warnings.catch_warnings():
                # A warning about an unknown scheme would print the password.
                warnings.simplefilter("ignore")
                config = dict(self._env.db_url_config(address))
        except Exception:  # noqa: BLE001  whatever the parser trips over, the answer is the same
            config = {}
        engine = config.get("ENGINE")
        is_known = engine == _SQLITE or engine in _DRIVERS
        if is_known and not _can_be_taken_apart(address, is_file=engine == _SQLITE):
            raise ImproperlyConfigured(
                f"{name} cannot be taken apart: percent-encode each @ : / # ? % in its user, password or "
                "path, as in %40 for @."
            )
        if not is_known or config["NAME"] in ("", ":memory:"):
            raise ImproperlyConfigured(f"{name} is not a database address such as {default}.")
        if any("\0" in str(config[part]) for part in ("NAME", "USER", "PASSWORD", "HOST") if part in config):
            raise ImproperlyConfigured(f"{name} holds a control character (%00): write it anew.")
        if engine == _SQLITE:
            config["NAME"] = str(home() / config["NAME"])
        self._take_options(name, address, config)
        if engine in _DRIVERS:
            _make_sure_of_the_driver(name, engine)
        return config

    def _take_options(self, name: str, address: str, config: dict[str, Any]) -> None:
        """What stands behind the ? of an address, as its driver takes it."""
        engine = config["ENGINE"]
        try:
            database_options.of_django(address)
            config["OPTIONS"] = {}
            if engine == _POSTGRESQL:
                config["OPTIONS"] = database_options.of_postgresql(address)
            elif engine == _MYSQL:
                config["OPTIONS"] = database_options.of_mysql(address)
                if doubt := database_options.doubt(name, address, config):
                    self.doubts.append(doubt)
                    config |= database_options.repeated(address)
                # A server may ask a client for its files in answer to any query.
                config["OPTIONS"]["local_infile"] = 0
        except database_options.WrongOption as wrong:
            raise ImproperlyConfigured(f"{name} {wrong}.") from None
        if engine != _SQLITE and _LIST_OF_OPTIONS.search(str(config.get("HOST", ""))):
            raise ImproperlyConfigured(f"{name} names no host, but a list of options or of hosts.")

    def _raw(self, name: str) -> str:
        try:
            value = str(self._env.ENVIRON.get(name, ""))
        except (OSError, UnicodeError):
            raise ImproperlyConfigured(
                f"{name}_FILE names a file that cannot be read; check its path and mode."
            ) from None
        return value.strip()


def _can_be_taken_apart(address: str, *, is_file: bool) -> bool:
    """Whether each part of an address is what was meant: as in a password with an @ it may not be."""
    if "#" in address or re.search(r"%(?![0-9A-Fa-f]{2})", address):
        return False
    beside_host = urlsplit(address)._replace(netloc="").geturl()
    return is_file or (address.count("@") <= 1 and "@" not in beside_host)


def _make_sure_of_the_driver(name: str, engine: str) -> None:
    """Django itself would end in a traceback of forty lines."""
    module, package, server = _DRIVERS[engine]
    try:
        importlib.import_module(module)
    except ImportError as error:
        # It is there, and a library that it needs is not.
        why = "is not installed" if error.name == module else f"cannot be loaded ({_one_line(error)})"
        raise ImproperlyConfigured(
            f"{name} names a {server} server, but its driver {module} {why}: install {package} into "
            "Vedetta's Python."
        ) from None


def _one_line(error: ImportError) -> str:
    return " ".join(str(error).split())[:150]


def _shown(value: str) -> str:
    return repr(value if len(value) <= 100 else f"{value[:100]}…")


def _is_web_address(value: str) -> bool:
    try:
        address = urlsplit(value)
    except ValueError:
        return False
    return address.scheme in {"http", "https"} and bool(address.netloc)


def _is_request_address(value: str) -> bool:
    try:
        address = urlsplit(value)
        named = bool(address.hostname) and (address.port is None or address.port > 0)
    except ValueError:
        return False
    is_plain = value.isascii() and value.isprintable() and " " not in value
    return named and is_plain and address.scheme in {"http", "https"} and address.netloc.count("@") <= 1


def stop(error: ImproperlyConfigured, status: int = 1) -> NoReturn:
    """End the process with the sentence alone: a wrong setting deserves no traceback."""
    print(f"vedetta: {error}", file=sys.stderr)
    sys.exit(status)
