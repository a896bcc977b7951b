"""By name alone: to which variables a row may refer as env:NAME, each also as NAME_FILE.

The worker answers for what a row refers to, and the web process goes without the same variables. It is read
by deploy/systemd/vedetta.py too, with the machine's own Python, so it imports the standard library alone.
"""

from __future__ import annotations

from collections.abc import Iterable

# The portal's own, which no database or repository is ever shown.
PORTALS_OWN = frozenset(
    {
        "SECRET_KEY",
        "VEDETTA_KEY",
        "SECRET_KEY_FALLBACKS",
        "DATABASE_URL",
        "PORTAL_ADMIN_PASSWORD",
        "METRICS_TOKEN",
        "NOTIFY_URLS",
        "PING_URL",
    }
)
# Of Compose's own database server, in whose environment alone it is.
ROOT = "MYSQL_ROOT_PASSWORD"
# What may be referred to without being declared.
_DECLARED_BY_THEMSELVES = ("MYSQL_*", "RESTIC_*", "AWS_*", "VERIFY_*", "RESTORE_*", "REPLAY_*")


def may_be_referred_to(name: str, declared: Iterable[str]) -> bool:
    """Whether a row may newly refer to this variable; `declared` is as in SECRET_REFERENCES."""
    whole = without_file(name)
    if whole in PORTALS_OWN or whole == ROOT:
        return False
    return any(_fits(name, each) for each in (*_DECLARED_BY_THEMSELVES, *declared))


def without_file(name: str) -> str:
    """NAME, also of NAME_FILE."""
    return name.removesuffix("_FILE")


def _fits(name: str, entry: str) -> bool:
    if entry.endswith("*"):
        return name.startswith(entry[:-1])
    return without_file(name) == without_file(entry)
