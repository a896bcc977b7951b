"""What opens a server or a repository is the worker's: the web process goes without it.

Only names are kept here. deploy/systemd/vedetta.py imports it too, with the machine's own Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, MutableMapping

# The web process's own: it signs sessions, keeps its rows, and tells when the worker falls silent.
_WEBS_OWN = frozenset(
    {
        "SECRET_KEY",
        "SECRET_KEY_FALLBACKS",
        "DATABASE_URL",
        "PORTAL_ADMIN_PASSWORD",
        "METRICS_TOKEN",
        "NOTIFY_URLS",
        "PING_URL",
    }
)
_SECRET = re.compile(
    r"VEDETTA_KEY|MYSQL_PWD|\w+_PASSWORD[0-9]?"
    # Of storages, as restic and rclone know them.
    r"|\w+_(?:SECRET_ACCESS_KEY|ACCOUNT_KEY|ACCOUNT_SAS|CREDENTIALS?|CREDENTIAL_SECRET|CLIENT_SECRET)"
    r"|(?:AWS|AZURE|GOOGLE|MINIO|OS)_\w*(?:TOKEN|SECRET_KEY)|ST_KEY|MSI_SECRET|RCLONE_CONFIG_\w+"
)
# Families with settings in them: of these what looks like a secret is one, whatever is declared.
_SETTINGS = (
    "AWS_", "BACKUP_", "DUMP_", "MYSQL_", "PORTAL_", "RESTIC_", "RESTORE_", "SECRET_", "SENTINEL_",
    "VEDETTA_", "VERIFY_",
)  # fmt: skip


def is_one(name: str, declared: Iterable[str] = ()) -> bool:
    """Whether a variable holds such a secret, or NAME_FILE; `declared` is as in SECRET_REFERENCES."""
    whole = name.removesuffix("_FILE")
    if whole in _WEBS_OWN:
        return False
    return _SECRET.fullmatch(whole) is not None or any(_fits(whole, each) for each in declared)


def _fits(name: str, entry: str) -> bool:
    if not entry.endswith("*"):
        return name == entry.removesuffix("_FILE")
    # PATH is no secret, though somebody declares P*.
    return "_" in entry and name.startswith(entry[:-1]) and not name.startswith(_SETTINGS)


def declared_in(*sources: Mapping[str, str]) -> list[str]:
    """The variables of SECRET_REFERENCES, as the first of `sources` has it that says anything."""
    said = next((value for each in sources if (value := each.get("SECRET_REFERENCES", "").strip())), "")
    return said.replace(",", " ").split()


def names_in(variables: Mapping[str, str]) -> list[str]:
    """The names of those that are set; an empty value counts as not set."""
    declared = declared_in(variables)
    return sorted(name for name, value in variables.items() if value.strip() and is_one(name, declared))


def without(variables: Mapping[str, str]) -> dict[str, str]:
    """All else."""
    declared = declared_in(variables)
    return {name: value for name, value in variables.items() if not is_one(name, declared)}


class WebProcess:
    """Whether this process is one of the web, and which such secrets it was started with, by name."""

    def __init__(self) -> None:
        self.is_this = False
        self.found: list[str] = []

    def begin(self, environment: MutableMapping[str, str]) -> None:
        """Say that it is, and take such secrets out of its environment. Before the settings are read."""
        self.is_this = True
        self.found = names_in(environment)
        kept = without(environment)
        for name in set(environment) - set(kept):
            del environment[name]


WEB = WebProcess()
