"""Secret references: the database holds where a secret is, never the secret."""

from __future__ import annotations

import os
import re
from pathlib import Path

from environ.fileaware_mapping import FileAwareMapping

from backups import restic
from backups.errors import Problem

_REFERENCE = re.compile(r"(?:env:[A-Za-z_][A-Za-z0-9_]*|file:/[^\0]+)")
_MOST_BYTES = 16_384
# The portal's own, which no database or repository is ever shown: who sets one up chooses its address.
_PORTALS_OWN = frozenset(
    {"SECRET_KEY", "DATABASE_URL", "PORTAL_ADMIN_PASSWORD", "METRICS_TOKEN", "NOTIFY_URLS", "PING_URL"}
)
# A password is a line of text; an environment, a key or somebody's .env is not.
_NO_PASSWORD = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def is_reference(text: str) -> bool:
    """Whether `text` has the form `env:NAME` or `file:/absolute/path`."""
    return _REFERENCE.fullmatch(text) is not None


def is_portals_own(reference: str) -> bool:
    """Whether a reference means what only the portal itself may know."""
    return reference.removeprefix("env:").removesuffix("_FILE") in _PORTALS_OWN


def resolve(reference: str, *, of: str = "") -> str:
    """The secret behind `reference`, without the newline at its end; `of` says whose it is, in sentences.

    `env:NAME` is also answered by NAME_FILE. Raises Problem, never showing the value.
    """
    whose = f" ({of})" if of else ""
    if not is_reference(reference):
        raise Problem("A secret reference has a wrong form.", do="Write it as env:NAME or file:/path.")
    if is_portals_own(reference):
        raise Problem(
            f"{reference}{whose} is the portal's own secret, which is not for other servers.",
            do="Refer to the password of this server.",
        )
    kind, _, place = reference.partition(":")
    value = _from_environment(place, whose) if kind == "env" else _from_file(Path(place), whose)
    if not value:
        raise Problem(f"The secret {reference}{whose} is empty.", do="Fill it in and try again.")
    if _NO_PASSWORD.search(value):
        raise Problem(
            f"What {reference}{whose} holds is not one line of text, so it is no password.",
            do="Give it a file of its own, with the password alone in it.",
        )
    return value


def named_place(reference: str) -> str:
    """Where a secret is to be put right, for sentences: the variable that is really read, or the file."""
    kind, _, place = reference.partition(":")
    if kind == "env":
        return f"{place}_FILE" if os.environ.get(f"{place}_FILE") else place
    return f"the content of {place}"


def is_set(reference: str) -> bool:
    """Whether `reference` names a file, or a variable that is set, itself or as NAME_FILE."""
    kind, _, place = reference.partition(":")
    return kind == "file" or bool(os.environ.get(place) or os.environ.get(f"{place}_FILE"))


def resolve_optional(reference: str, *, of: str = "") -> str:
    """Like `resolve`, but an unset or empty secret is an empty text: S3 keys may come from elsewhere."""
    if not reference:
        return ""
    kind, _, place = reference.partition(":")
    if kind == "env" and not FileAwareMapping(cache=False).get(place):
        return ""
    return resolve(reference, of=of)


def for_restic() -> dict[str, str]:
    """What the environment says of storages and their keys, files read now: tokens change while we run."""
    names = restic.passed(name for name, value in os.environ.items() if value)
    found = {name: _from_environment(name).strip() for name in sorted(names)}
    return {name: value for name, value in found.items() if value}


def _from_environment(name: str, whose: str = "") -> str:
    try:
        return FileAwareMapping(cache=False)[name].rstrip("\r\n")
    except KeyError:
        raise Problem(
            f"The secret env:{name}{whose} is not set.",
            do=f"Set {name} or {name}_FILE where the portal and the worker start.",
        ) from None
    except (OSError, UnicodeError):
        raise Problem(
            f"The file that {name}_FILE names{whose} cannot be read.", do="Check its path and mode."
        ) from None


def _from_file(path: Path, whose: str) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
        if len(raw) > _MOST_BYTES:
            raise ValueError
        return raw.decode().rstrip("\r\n")
    except FileNotFoundError:
        raise Problem(
            f"The secret file {path}{whose} is not there.", do="Put it back, or correct the reference to it."
        ) from None
    except (OSError, ValueError):
        raise Problem(
            f"The secret file {path}{whose} cannot be read as a short text.", do="Check its path and mode."
        ) from None
