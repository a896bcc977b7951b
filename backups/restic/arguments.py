"""restic's arguments, a function for each of its commands in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

_RETRY_LOCK = "20s"


def at_once(args: Sequence[str]) -> tuple[str, ...]:
    """The same, but restic does not wait where the repository is locked."""
    wait = args.index("--retry-lock")
    return (*args[:wait], *args[wait + 2 :])


@dataclass(frozen=True)
class Selection:
    """Which snapshots a policy is asked about, and how they are grouped."""

    group_by: str
    tag: str = ""
    path: str = ""
    hosts: tuple[str, ...] = ()


def version_args() -> tuple[str, ...]:
    """Print the version as JSON."""
    return ("version", "--json")


def cat_config_args() -> tuple[str, ...]:
    """Open the repository with the password, and no more: takes no lock."""
    # Another restic may be making the same cache at this moment, which neither would survive.
    return ("cat", "config", "--no-lock", "--no-cache", "--json")


def init_args() -> tuple[str, ...]:
    """Make a new repository."""
    return ("init", "--json")


def backup_args(
    *, path: str, host: str, tags: Sequence[str], command: Sequence[str], utc: datetime | None = None
) -> tuple[str, ...]:
    """Store the output of `command` at `path`; no snapshot is made unless it exits with 0.

    Without a parent snapshot (`--force`): to find one, restic reads every snapshot of the repository. Of a
    stream all is read anyway, and what is stored already is not stored again.

    With `utc` the snapshot is dated so, by a restic whose Access says that its zone is UTC.
    """
    return (
        "backup", "--json", "--force", "--retry-lock", _RETRY_LOCK, "--host", host,
        *(argument for tag in tags for argument in ("--tag", tag)),
        *(["--time", f"{utc:%Y-%m-%d %H:%M:%S}"] if utc else []),
        "--stdin-filename", path, "--stdin-from-command", "--", *command,
    )  # fmt: skip


def snapshots_args(*ids: str) -> tuple[str, ...]:
    """List the snapshots, or the ones with these ids."""
    return ("snapshots", "--json", "--no-lock", "--", *ids)


def dump_args(snapshot_id: str, path: str) -> tuple[str, ...]:
    """Write the file at `path` of a snapshot to standard output, and nothing else.

    Unless it is quiet, restic says there that it waits for a lock, which would be taken for the dump.
    """
    return ("dump", "--quiet", "--retry-lock", _RETRY_LOCK, "--", snapshot_id, path)


def forget_dry_run_args(
    *, selection: Selection, keep_daily: int, keep_weekly: int, keep_monthly: int
) -> tuple[str, ...]:
    """Ask which of the selected snapshots the policy keeps, and why, removing nothing.

    restic refuses a policy that keeps nothing, so it is not to be asked about one.
    """
    rules: list[str] = []
    for option, number in (
        ("--keep-daily", keep_daily),
        ("--keep-weekly", keep_weekly),
        ("--keep-monthly", keep_monthly),
    ):
        if number:
            rules += [option, str(number)]
    return (
        "forget", "--dry-run", "--json", "--no-lock", "--group-by", selection.group_by,
        *(["--tag", selection.tag] if selection.tag else []),
        *(["--path", selection.path] if selection.path else []),
        *(argument for host in selection.hosts for argument in ("--host", host)),
        *rules,
    )  # fmt: skip


def forget_args(ids: Sequence[str], *, prune: bool) -> tuple[str, ...]:
    """Remove exactly these snapshots."""
    return (
        "forget",
        "--json",
        "--retry-lock",
        _RETRY_LOCK,
        *(["--prune"] if prune else []),
        "--",
        *ids,
    )


def prune_args() -> tuple[str, ...]:
    """Remove data that no snapshot refers to."""
    return ("prune", "--json", "--retry-lock", _RETRY_LOCK)


def check_args(
    *, read_data: bool = False, read_data_subset: str = "", may_lock: bool = True
) -> tuple[str, ...]:
    """Check the repository's structure, and its data in whole or in part.

    A lock that could not be taken away again would keep everybody out.
    """
    lock = ["--retry-lock", _RETRY_LOCK] if may_lock else ["--no-lock"]
    if read_data:
        data = ["--read-data"]
    else:
        data = ["--read-data-subset", read_data_subset] if read_data_subset else []
    return ("check", "--json", *lock, *data)


def stats_args() -> tuple[str, ...]:
    """Size of the data in the repository as stored."""
    return ("stats", "--json", "--no-lock", "--mode", "raw-data")


def repair_packs_args(ids: Sequence[str]) -> tuple[str, ...]:
    """Save what is readable in damaged packs, and take them out; copies go to the current folder."""
    return ("repair", "packs", "--retry-lock", _RETRY_LOCK, "--", *ids)


def repair_index_args() -> tuple[str, ...]:
    """Build the index anew from the pack files."""
    return ("repair", "index", "--retry-lock", _RETRY_LOCK)


def repair_snapshots_args() -> tuple[str, ...]:
    """Write the snapshots anew without the files whose data is damaged, and drop the old ones."""
    return ("repair", "snapshots", "--forget", "--retry-lock", _RETRY_LOCK)


def unlock_args() -> tuple[str, ...]:
    """Remove stale locks only: of processes that are gone, or older than half an hour."""
    return ("unlock", "--json")


def list_locks_args() -> tuple[str, ...]:
    """The ids of the locks, one a line."""
    return ("list", "locks", "--no-lock")


def cat_lock_args(lock_id: str) -> tuple[str, ...]:
    """What a lock says of its holder."""
    return ("cat", "lock", "--no-lock", "--", lock_id)


def list_keys_args() -> tuple[str, ...]:
    """The repository's keys as JSON, and which of them our password opens."""
    return ("key", "list", "--json", "--no-lock")
