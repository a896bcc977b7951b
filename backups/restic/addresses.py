"""When two ways to write a repository's address mean the same place."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

# Of these restic cleans the path itself. In an sftp:// or http address two slashes in a row mean something.
_CLEANED = re.compile(r"(?:[^:]*|/.*|local:.*|s3:.*|(?:b2|gs|azure|swift|sftp):(?!//).*)", re.DOTALL)
_BEGINNING = re.compile(r"(?:\w+:)?(?:https?:)?//|\w+:", re.IGNORECASE)
_STORAGES = ("s3:", "rest:", "sftp:", "b2:", "gs:", "azure:", "swift:", "rclone:")
_DEFAULT_PORTS = {"http": 80, "https": 443, "sftp": 22}


def same_address(one: str, other: str) -> bool:
    """Whether they differ in nothing but how they are written.

    That is slashes that mean nothing, the case of a host's name, a port that is the default, and the two or
    three forms that restic has for an S3 or SFTP address. Nothing is looked at on this machine.
    """
    return one == other or _plain(one) == _plain(other)


def same_place(one: str, other: str) -> bool:
    """Whether both are one place: the same address, or the same folder by other names or by links.

    As whom a server is asked makes no other place of it. Folders are looked at.
    """
    return same_address(one, other) or _place(one) == _place(other)


def _place(address: str) -> str:
    if not address.startswith(_STORAGES):
        return os.path.realpath(address.removeprefix("local:"))
    plain = _plain(address)
    is_of_login = plain.startswith("sftp://") and "//" not in plain.removeprefix("sftp://")
    # Without a path from the root, a folder is one of that user's.
    return plain if is_of_login else re.sub(r"//[^/@]*@", "//", plain, count=1)


def _plain(address: str) -> str:
    if re.fullmatch(r"/+", address):
        return "/"
    text = address.removeprefix("local:")
    if _CLEANED.fullmatch(address):
        begin = "" if text.startswith("/") or ":" not in text else _beginning(text)
        text = begin + re.sub(r"/(?:\.?/)*", "/", text[len(begin) :])
    return _with_plain_host(text.rstrip("/"))


def _beginning(text: str) -> str:
    found = _BEGINNING.match(text)
    return found[0] if found else ""


def _with_plain_host(text: str) -> str:
    """An address on a server with its host in small letters, in one of the forms that restic has for it."""
    scheme, _, rest = text.partition(":")
    if scheme == "sftp":
        host, _, path = rest.partition(":")
        return _plain_url(text if rest.startswith("//") else f"sftp://{host}/{path}")
    if scheme == "s3" and not rest.startswith(("http://", "https://")):
        rest = f"https://{rest.lstrip('/')}"
    return f"{scheme}:{_plain_url(rest)}" if scheme in ("s3", "rest") else text


def _plain_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return url
    user, at, _ = parts.netloc.rpartition("@")
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    named = f":{port}" if port is not None and port != _DEFAULT_PORTS.get(parts.scheme) else ""
    return parts._replace(netloc=f"{user}{at}{host}{named}").geturl()
