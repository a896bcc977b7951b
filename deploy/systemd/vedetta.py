#!/usr/bin/python3 -I
"""`vedetta …` is `manage.py …` as the units run it: with their user, folder and environment.

Installed as /usr/local/bin/vedetta, for root. A plain `manage.py` knows `.env` alone, and would act
on another portal than the one that runs.
"""

from __future__ import annotations

import importlib
import os
import pwd
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import NoReturn

# As in the units.
PROJECT = "/opt/vedetta"
SETTINGS = "/etc/vedetta/env"
USER = "vedetta"
KEY = "/var/lib/vedetta-worker/vedetta_key"
# What vedetta-portal.service has written before each start, and systemd alone reads.
PORTAL_SETTINGS = "/run/vedetta-portal.env"

# What belongs to the terminal; all else that root has set stays out, as it does with the units.
_OF_THE_TERMINAL = ("TERM", "COLUMNS", "LINES", "NO_COLOR", "LANG", "LC_ALL")
_ENTRY = re.compile(
    r"""\s*(?:
        [#;][^\n]*
        | (?P<name>[^\n][^=\n]*)=
          (?P<quoted>(?:[ \t]*(?:'[^']*(?:'|\Z) | "(?:[^"\\]|\\.|\\\Z)*(?:"|\Z)))*)
          [ \t]*(?P<bare>(?:[^\\\n]|\\.|\\\Z)*?)[ \t]*(?:\n|\Z)
        | [^\n]+
    )""",
    re.VERBOSE | re.DOTALL,
)
_QUOTED = re.compile(r"""'(?P<single>[^']*)'?|"(?P<double>(?:[^"\\]|\\.|\\\Z)*)"?""", re.DOTALL)


def read(text: str) -> dict[str, str]:
    """The variables of an EnvironmentFile as systemd reads it: quotes and escapes, no shell's $."""
    found = {}
    for entry in _ENTRY.finditer(text):
        name = (entry["name"] or "").strip()
        if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            found[name] = _quoted(entry["quoted"]) + _bare(entry["bare"])
    return found


def _quoted(pieces: str) -> str:
    return "".join(
        piece["single"] if piece["double"] is None else _unescaped(piece["double"])
        for piece in _QUOTED.finditer(pieces)
    )


def _unescaped(text: str) -> str:
    """Between double quotes a backslash is one, except before these and at a line's end."""
    return re.sub(r'\\(["\\`$]|\n|\Z)', lambda found: found[1].strip("\n"), text)


def _bare(text: str) -> str:
    return re.sub(r"\\(.?)", lambda found: found[1].strip("\n"), text, flags=re.DOTALL)


def write_portal_env() -> None:
    """The settings without the secrets that only the worker needs, for the portal's unit; never half."""
    file = Path(PORTAL_SETTINGS)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        draft.unlink(missing_ok=True)
        settings = read(Path(SETTINGS).read_text(encoding="utf-8"))
        # The worker reads this one too, and it may say which of them are secrets.
        other = Path(settings.get("VEDETTA_HOME", "").strip() or PROJECT) / ".env"
        beside = read(other.read_text(encoding="utf-8", errors="replace")) if other.is_file() else {}
        settings = _servers_secrets().without(settings, beside)
        draft.touch(mode=0o600, exist_ok=False)
        with draft.open("w", encoding="utf-8") as out:
            out.writelines(f"{name}={_written(value)}\n" for name, value in settings.items())
        draft.replace(file)
    except ImportError as error:
        _stop(f"{PORTAL_SETTINGS} cannot be made ({error}), so the portal is not started.")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        _stop(f"{PORTAL_SETTINGS} cannot be made of {SETTINGS} ({reason}), so the portal is not started.")


def _written(value: str) -> str:
    """A value as systemd reads it back, whatever it holds."""
    return '"' + re.sub(r'(["\\`$])', r"\\\1", value) + '"'


def _servers_secrets() -> ModuleType:
    """What is one, by the rule of the packages that are beside this file: a checkout's, or a wheel's."""
    beside = Path(__file__).resolve().parents[2]
    root = beside if (beside / "portal").is_dir() else beside.parent
    sys.path.insert(0, str(root))
    return importlib.import_module("portal.servers_secrets")


def main(command: Sequence[str] = ()) -> None:
    """Become the units' user and run the command, by what a wheel has for it or the checkout's manage.py."""
    if sys.argv[1:] == ["portal-env"]:
        write_portal_env()
        return
    try:
        user = pwd.getpwnam(USER)
        settings = read(Path(SETTINGS).read_text(encoding="utf-8"))
        if os.geteuid() != user.pw_uid:
            os.initgroups(user.pw_name, user.pw_gid)
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
        os.chdir(PROJECT)
    except KeyError:
        _stop(f"there is no user {USER}. docs/install.md says how to make it.")
    except PermissionError:
        _stop(f"this is for root and for {USER}: try it with sudo.")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        _stop(f"{SETTINGS} or {PROJECT} cannot be read ({reason}). docs/install.md says how to make them.")
    os.umask(0o022)
    environment = {name: os.environ[name] for name in _OF_THE_TERMINAL if name in os.environ} | {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": user.pw_dir,
        "USER": user.pw_name,
        "LOGNAME": user.pw_name,
        "SHELL": user.pw_shell,
        "VEDETTA_KEY_MADE": KEY,
    }
    if sys.argv[1:2] in (["bootstrap"], ["preflight"]):
        _warn_of_differences()
    python, *rest = command or (f"{PROJECT}/.venv/bin/python", "manage.py")
    try:
        os.execve(python, [python, *rest, *sys.argv[1:]], environment | settings)  # noqa: S606
    except OSError as error:
        _stop(f"{python} cannot be run ({error.strerror}). Run `make setup` in {PROJECT} as root.")


def _warn_of_differences() -> None:
    """Say which lines would not be the same settings on a machine where they are in .env, showing none."""
    sys.path.insert(0, PROJECT)
    try:
        from sentinel import env_file
    except ImportError:
        return  # what is missing is told by what is run
    try:
        for line in env_file.lines(Path(SETTINGS)):
            if line.is_none and line.otherwise:
                print(
                    f"vedetta: line {line.number} of {SETTINGS} {line.otherwise}. {line.do}", file=sys.stderr
                )
            elif line.otherwise:
                print(
                    f"vedetta: line {line.number} of {SETTINGS} ({line.name}) means something else in .env: "
                    f"{line.otherwise}. Put the value in single quotes.",
                    file=sys.stderr,
                )
    except env_file.EnvFileError as error:
        print(f"vedetta: {error}", file=sys.stderr)


def _stop(sentence: str) -> NoReturn:
    print(f"vedetta: {sentence} Nothing was done.", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
