"""What may stand behind the ? of DATABASE_URL: what the driver takes, checked before it is asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from sentinel.env_file import Doubt

_TEXTS = (
    "auth_plugin",
    "charset",
    "collation",
    "init_command",
    "read_default_file",
    "read_default_group",
    "server_public_key_path",
    "sql_mode",
    "unix_socket",
)
_SECONDS = ("connect_timeout", "read_timeout", "write_timeout")
_SWITCHES = ("compress", "use_unicode")
# By the driver's own names for them in a dictionary.
_OF_TLS = {
    "ssl_ca": "ca",
    "ssl_capath": "capath",
    "ssl_cert": "cert",
    "ssl_cipher": "cipher",
    "ssl_key": "key",
}
_SSL_MODES = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")
_ISOLATION = ("read uncommitted", "read committed", "repeatable read", "serializable")
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
# Django's own, which are no options of the driver.
_OF_DJANGO = ("conn_max_age", "conn_health_checks", "atomic_requests", "disable_server_side_cursors")
_PG_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# A server that is switched off refuses nobody: who waits for its answer is told after half a minute.
_WAITING = {
    "application_name": "vedetta",
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
# What the portal sets itself, whatever an address says: those of earlier versions go on.
_OVERRULED = ("autocommit", "local_infile")
# The driver's names for what stands before the ?, which earlier versions handed on and the driver went by.
_REPEATS = {
    "host": "HOST",
    "port": "PORT",
    "user": "USER",
    "password": "PASSWORD",
    "passwd": "PASSWORD",
    "database": "NAME",
    "db": "NAME",
}
# What it took besides, and the portal goes without.
_LEFT_OUT = ("binary_prefix", "client_flag", "multi_statements", "named_pipe")


class WrongOption(ValueError):
    """An option that is not taken; the text follows the variable's name in a sentence and holds no value."""


def of_mysql(address: str) -> dict[str, Any]:
    """The options of a MySQL address as the driver takes them. Raises WrongOption."""
    options: dict[str, Any] = {}
    tls: dict[str, str] = {}
    for name, value in given(address).items():
        if name in _OF_TLS:
            tls[_OF_TLS[name]] = value
        elif name in _READ:
            options[name] = _READ[name](name, value)
        elif name.lower() not in (*_OF_DJANGO, *_OVERRULED) and name not in (*_REPEATS, *_LEFT_OUT):
            taken = ", ".join(sorted([*_READ, *_OF_TLS, "conn_max_age"]))
            raise WrongOption(f"has {_named(name)}, which the portal's database does not take: of {taken}")
    if tls:
        options["ssl"] = tls
        # Whoever names an authority wants it asked, as MySQL's own clients take it.
        if "ca" in tls or "capath" in tls:
            options.setdefault("ssl_mode", "VERIFY_CA")
    return options


def of_postgresql(address: str) -> dict[str, Any]:
    """The options of a PostgreSQL address as libpq takes them. Raises WrongOption."""
    options: dict[str, Any] = dict(_WAITING)
    for name, value in given(address).items():
        if name in _READ_BY_LIBPQ:
            options[name] = _READ_BY_LIBPQ[name](name, value)
        elif name.lower() not in (*_OF_DJANGO, "autocommit"):
            taken = ", ".join(sorted([*_READ_BY_LIBPQ, "conn_max_age"]))
            raise WrongOption(f"has {_named(name)}, which the portal's database does not take: of {taken}")
    return options


def repeated(address: str) -> dict[str, str]:
    """What the options say of Django's HOST, PORT, USER, PASSWORD and NAME, as the driver took it."""
    options = given(address)
    return {field: options[name] for name, field in _REPEATS.items() if name in options}


def doubt(variable: str, address: str, config: dict[str, Any]) -> Doubt | None:
    """What is to be taken out of a MySQL address of before, `config` being what stands before its ?.

    The portal that is set up with it goes on with what earlier versions went by. Nothing new is set up where
    that contradicts the rest of the address. No value is shown: one may be a password.
    """
    options = given(address)
    named = [name for name in (*_REPEATS, *_LEFT_OUT) if name in options]
    if not named:
        return None
    listed = ", ".join(named)
    others = [name for name in _REPEATS if name in options and _contradicts(config, name, options[name])]
    if others:
        return Doubt(
            f"{variable} says one thing before its ? and another one behind it ({', '.join(others)}).",
            "Write what you mean before the ? only.",
            "Until then the part behind the ? counts, as in earlier versions.",
            variable,
        )
    return Doubt(
        f"{variable} has options that the portal does not take, or that belong before its ? ({listed}).",
        "Take them out; host, user, password and name of the database stand before the ?.",
        "Backups go on as they did.",
        variable,
        stops=False,
    )


def _contradicts(config: dict[str, Any], name: str, value: str) -> bool:
    known = str(config.get(_REPEATS[name], ""))
    return known not in ("", value)


def of_django(address: str) -> None:
    """Raise WrongOption for what Django would trip over, with which kind of database ever."""
    for name, value in given(address).items():
        if name.lower() == "conn_max_age" and not re.fullmatch(r"[0-9]{1,9}|None", value):
            raise _wrong(name, "a whole number of seconds")
        if name.lower() == "autocommit" and value.lower() not in _TRUE:
            raise _wrong(name, "true: without it nothing that the portal notes would stay")


def given(address: str) -> dict[str, str]:
    """The options by name, the first value of each; an empty one counts as not set. Raises WrongOption."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(urlsplit(address).query, keep_blank_values=True):
        if "\0" in value:
            raise _wrong(name, "a text")
        if value:
            found.setdefault(name, value)
    return found


def _named(name: str) -> str:
    """An option's name, which may be a piece of a password that was not encoded."""
    return f"the option {name}" if re.fullmatch(r"[A-Za-z_]{1,40}", name) else "an option"


def _wrong(name: str, wanted: str) -> WrongOption:
    return WrongOption(f"has {_named(name)}, which must be {wanted}")


def _text(_name: str, value: str) -> str:
    return value


def _seconds(name: str, value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", value):
        raise _wrong(name, "a whole number of seconds")
    return int(value)


def _switch(name: str, value: str) -> int:
    if value.lower() not in (*_TRUE, *_FALSE) or (name == "use_unicode" and value.lower() in _FALSE):
        raise _wrong(name, "true" if name == "use_unicode" else "true or false")
    return int(value.lower() in _TRUE)


def _ssl_mode(name: str, value: str) -> str:
    if value.upper() not in _SSL_MODES:
        raise _wrong(name, f"one of {', '.join(_SSL_MODES)}")
    return value.upper()


def _pg_ssl_mode(name: str, value: str) -> str:
    if value.lower() not in _PG_SSL_MODES:
        raise _wrong(name, f"one of {', '.join(_PG_SSL_MODES)}")
    return value.lower()


def _isolation(name: str, value: str) -> str:
    if value.lower() not in _ISOLATION:
        raise _wrong(name, f"one of {', '.join(_ISOLATION)}")
    return value.lower()


_READ: dict[str, Callable[[str, str], str | int]] = {
    **dict.fromkeys(_TEXTS, _text),
    **dict.fromkeys(_SECONDS, _seconds),
    **dict.fromkeys(_SWITCHES, _switch),
    "ssl_mode": _ssl_mode,
    "isolation_level": _isolation,
}
_READ_BY_LIBPQ: dict[str, Callable[[str, str], str | int]] = {
    **dict.fromkeys(("application_name", "sslcert", "sslcrl", "sslkey", "sslrootcert"), _text),
    **dict.fromkeys(("connect_timeout", "keepalives_idle"), _seconds),
    "sslmode": _pg_ssl_mode,
}
