"""The gate's settings, read from the environment once and checked."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

from sentinel import env_file
from sentinel.gate import Limits

# Of a wheel, all packages' folder.
SOURCE = Path(__file__).resolve().parent.parent
WITHOUT_VENV = Path("/var/lib/vedetta")


def home() -> Path:
    """The folder of `.env` and `var/`: VEDETTA_HOME, a checkout, or what holds a wheel's virtual environment.

    Never the folder in which somebody happens to be: from another one the same command would be for another
    portal.
    """
    if named := os.environ.get("VEDETTA_HOME", "").strip():
        return Path(named).absolute()
    if (SOURCE / "manage.py").is_file():
        return SOURCE
    return Path(sys.prefix).parent if sys.prefix != sys.base_prefix else WITHOUT_VENV


PROJECT = home()
ENV_FILES = (PROJECT / ".env", PROJECT / "var" / env_file.OF_MAKE_RUN)
CONTAINER_STATUS = Path("/status")
LONGEST_SECONDS = 100 * 366 * 86400


@dataclass(frozen=True)
class GateSettings(Limits):
    """The limits, the main heartbeat file, and the name of the database that it stands for.

    `database` may be empty: then `/sentinel/ok/<name>` knows the first database from the
    portal's list only.
    """

    heartbeat_path: Path = Path("/status/last_ok")
    database: str = ""


def gate_settings(env: environ.Env | None = None) -> GateSettings:
    """Read SENTINEL_* and MYSQL_DATABASE; empty values count as not set.

    Raises ImproperlyConfigured with one sentence that names the variable.
    """
    env = env or environ.Env()
    return GateSettings(
        threshold_seconds=_seconds(env, "SENTINEL_THRESHOLD_SECONDS", 93600),
        boot_grace_seconds=_seconds(env, "SENTINEL_BOOT_GRACE_SECONDS", 86400),
        verified_threshold_seconds=_seconds(env, "SENTINEL_VERIFIED_THRESHOLD_SECONDS", 0),
        log_threshold_seconds=_seconds(env, "SENTINEL_LOG_THRESHOLD_SECONDS", 0),
        heartbeat_path=_heartbeat_path(env),
        database=env.str("MYSQL_DATABASE", default="").strip(),
    )


_LISTENS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*):([0-9]{1,5})")
_SOCKET = re.compile(r"unix:/[!-~]{1,106}")
# What listens on all addresses is asked at this machine's own.
_ALL_ADDRESSES = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104


def gate_address(env: environ.Env | None = None) -> str:
    """Where the portal asks the gate's process, `address:port` or `unix:/path`; empty is nowhere.

    That is SENTINEL_ADDRESS, and without it where SENTINEL_BIND lets it listen, the first place of several,
    which may be written in more ways, for gunicorn. Raises ImproperlyConfigured.
    """
    env = env or environ.Env()
    said = env.str("SENTINEL_ADDRESS", default="").strip()
    if said.lower() == "off":
        return ""
    if said and not _readable(said):
        raise ImproperlyConfigured(
            f"SENTINEL_ADDRESS must be an address and port, unix:/path, or off, not {said[:40]!r}."
        )
    listens = env.str("SENTINEL_BIND", default="").strip() or "127.0.0.1:8001"
    return _readable(said or listens.partition(",")[0].strip())


def _readable(address: str) -> str:
    if _SOCKET.fullmatch(address):
        return address
    found = _LISTENS.fullmatch(address)
    if found is None or len(found[1]) > 100 or not 0 < int(found[2]) < 65536:
        return ""
    return f"{_ALL_ADDRESSES.get(found[1], found[1])}:{found[2]}"


def env_with_files(tell: Callable[[str], None] = lambda _sentence: None) -> environ.Env:
    """The environment, and below it the project's .env and what `make run` wrote.

    So that the stand-alone process and the portal, which reads the same files, agree. They hold
    secrets too, so they are read into a copy and the process's own environment stays without.
    What others read otherwise is told, and gone by. Raises ImproperlyConfigured.
    """

    class Copy(environ.Env):
        ENVIRON = dict(os.environ)

    for path in ENV_FILES:
        found = _read(path)
        if doubt := env_file.summed_up(found.doubts):
            tell(doubt.sentence)
        env_file.fill_in(Copy.ENVIRON, found.values)
    return Copy()


def _read(path: Path) -> env_file.Reading:
    try:
        return env_file.read(path, concerns=env_file.is_of_gate)
    except env_file.Unreadable as error:
        # A gate with a user of its own is told what it needs, and shall not see the secrets.
        if any(env_file.is_of_gate(name) and value for name, value in os.environ.items()):
            return env_file.Reading({}, ())
        raise ImproperlyConfigured(str(error)) from None
    except env_file.EnvFileError as error:
        raise ImproperlyConfigured(str(error)) from None


def _seconds(env: environ.Env, name: str, default: int) -> int:
    text = env.str(name, default="").strip()
    if not text:
        return default
    readable = text.isascii() and text.isdigit() and len(text) < 20
    if not readable or int(text) > LONGEST_SECONDS:
        allowed = f"a whole number of seconds from 0 to {LONGEST_SECONDS}"
        raise ImproperlyConfigured(f"{name} must be {allowed}, not {text[:40]!r}.")
    return int(text)


def _heartbeat_path(env: environ.Env) -> Path:
    """A relative path counts from the project folder, wherever the process was started."""
    text: str = env.str("SENTINEL_HEARTBEAT_PATH", default="").strip()
    if not text:
        return default_status_folder() / "last_ok"
    if text.endswith("/") or "\0" in text:
        raise ImproperlyConfigured(f"SENTINEL_HEARTBEAT_PATH must name a file, not {text!r}.")
    return PROJECT / text


def default_status_folder() -> Path:
    """`/status`, the volume of the container image, where there is one; else `var/status`."""
    return CONTAINER_STATUS if CONTAINER_STATUS.is_dir() else PROJECT / "var" / "status"
