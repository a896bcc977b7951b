"""When two ways to write a repository's address mean the same place."""

from __future__ import annotations

import re

# Of these restic cleans the path itself. In an sftp:// or http address two slashes in a row mean something.
_CLEANED = re.compile(r"(?:[^:]*|/.*|local:.*|s3:.*|(?:b2|gs|azure|swift|sftp):(?!//).*)", re.DOTALL)
_BEGINNING = re.compile(r"(?:\w+:)?(?:https?:)?//|\w+:", re.IGNORECASE)


def same_address(one: str, other: str) -> bool:
    """Whether they differ in nothing but slashes that mean nothing."""
    return one == other or _plain(one) == _plain(other)


def _plain(address: str) -> str:
    if re.fullmatch(r"/+", address):
        return "/"
    text = address.removeprefix("local:")
    if _CLEANED.fullmatch(address):
        begin = "" if text.startswith("/") or ":" not in text else _beginning(text)
        text = begin + re.sub(r"/(?:\.?/)*", "/", text[len(begin) :])
    return text.rstrip("/")


def _beginning(text: str) -> str:
    found = _BEGINNING.match(text)
    return found[0] if found else ""
