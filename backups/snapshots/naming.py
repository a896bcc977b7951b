"""What snapshots are called in a repository: by tag and path a database's are found again, years later."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote, unquote

from backups.models import Database

_OF_A_DATABASE = "database:"
# Of pieces of a database's binary log, which are no dumps.
LOG_TAG = "log"


def tag_of(database: Database) -> str:
    """The tag that marks a database's snapshots; restic splits tags at commas."""
    return f"{_OF_A_DATABASE}{quote(database.name, safe=' ')}"


def has_our_tag(tags: Iterable[str]) -> bool:
    """Whether Vedetta made the snapshot, and not one of the old scripts."""
    return any(tag.startswith(_OF_A_DATABASE) for tag in tags)


def database_in(tags: Iterable[str]) -> str:
    """The database that our tag names; empty without such a tag."""
    found = (tag.removeprefix(_OF_A_DATABASE) for tag in tags if tag.startswith(_OF_A_DATABASE))
    return unquote(next(found, ""))


def path_of(database: Database) -> str:
    """Where the dump lies in its snapshots; `Snapshot.source` reads the name back."""
    return f"/mysql/{_as_file(database.database)}.{database.dump_format}"


def path_of_portal(name: str) -> str:
    """Where the portal's copy lies in its snapshots, by the database that `recover` is told to look for."""
    return f"/portal/{_as_file(name) or 'portal'}.jsonl"


def _as_file(name: str) -> str:
    """The one character that a file's name cannot have is written otherwise."""
    return name.replace("/", "%2F")
