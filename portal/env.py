"""The environment, typed: each reader takes NAME or NAME_FILE and says in one sentence what is wrong."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from croniter import croniter
from django.core.exceptions import ImproperlyConfigured
from environ import Env, FileAwareEnv

_ABSENT = object()
# What the portal's own database can hold.
_MOST = 2_147_483_647
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}
_ENGINES = {
    "django.db.backends.sqlite3",
    "django.db.backends.mysql",
    "django.db.backends.postgresql",
}


def read_env_files(*paths: Path) -> None:
    """Fill the environment from the files that exist; what is set already wins, then earlier files.

    A name that a file leaves empty is left to the files after it.
    """
    for path in paths:
        for name, value in env_file(path).items():
            if value.strip():
                os.environ.setdefault(name, value)


def env_file(path: Path) -> dict[str, str]:
    """What a file of NAME=value lines says; nothing where there is no such file."""

    class Copy(Env):
        ENVIRON: dict[str, str] = {}

    if path.is_file():
        Copy.read_env(str(path))
    return Copy.ENVIRON


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
        """One of the `allowed` texts."""
        value = self._raw(name) or default
        if value not in allowed:
            raise ImproperlyConfigured(f"{name} is {_shown(value)}, but must be one of {', '.join(allowed)}.")
        return value

    def words(self, name: str, default: Sequence[str] = ()) -> list[str]:
        """Texts separated by commas or blanks."""
        return self._raw(name).replace(",", " ").split() or list(default)

    def cron(self, name: str, default: str) -> str:
        """A cron expression of five fields."""
        value = self._raw(name) or default
        if len(value.split()) != 5 or not croniter.is_valid(value):
            raise ImproperlyConfigured(
                f"{name} is {_shown(value)}, but must be a cron expression such as {default!r}."
            )
        return value

    def time_zone(self, name: str, default: str) -> str:
        """A time zone's name, as in Europe/Rome."""
        value = self._raw(name) or default
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):  # an unknown zone is a KeyError
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

    def addresses(self, name: str) -> list[str]:
        """Addresses with a scheme, separated by commas or blanks, which they may hold themselves."""
        return re.split(r"[\s,]+(?=[a-zA-Z][\w+.-]*://)", self._raw(name)) if self._raw(name) else []

    def secret(self, name: str, *, least_characters: int = 1) -> str:
        """A required secret; the value is never shown."""
        value = self.text(name)
        if len(value) < least_characters:
            raise ImproperlyConfigured(f"{name} is shorter than {least_characters} characters.")
        return value

    def database(self, name: str, default: str) -> dict[str, Any]:
        """A database address, as in sqlite:////data/portal.sqlite3 or postgres://user@host/name."""
        try:
            with warnings.catch_warnings():
                # A warning about an unknown scheme would print the password.
                warnings.simplefilter("ignore")
                config = self._env.db_url_config(self.text(name, default))
        except Exception:  # noqa: BLE001  whatever the parser trips over, the answer is the same
            config = {}
        if config.get("ENGINE") not in _ENGINES:
            raise ImproperlyConfigured(f"{name} is not a database address such as {default}.")
        return dict(config)

    def _raw(self, name: str) -> str:
        try:
            value = str(self._env.ENVIRON.get(name, ""))
        except (OSError, UnicodeError):
            raise ImproperlyConfigured(
                f"{name}_FILE names a file that cannot be read; check its path and mode."
            ) from None
        return value.strip()


def _shown(value: str) -> str:
    return repr(value if len(value) <= 100 else f"{value[:100]}…")


def _is_web_address(value: str) -> bool:
    try:
        address = urlsplit(value)
    except ValueError:
        return False
    return address.scheme in {"http", "https"} and bool(address.netloc)


def stop(error: ImproperlyConfigured, status: int = 1) -> NoReturn:
    """End the process with the sentence alone: a wrong setting deserves no traceback."""
    print(f"vedetta: {error}", file=sys.stderr)
    sys.exit(status)
