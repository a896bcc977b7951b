"""restic: its argument lists (`*_args`, pure), its answers (`parse_*`, pure) and its errors.

Exit codes and JSON as in https://restic.readthedocs.io/en/stable/075_scripting.html
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, TypeGuard

from backups import process
from backups.errors import Problem

# `--stdin-from-command` with a path in `--stdin-filename` fails in 0.18.0.
OLDEST_VERSION = (0, 18, 1)

# restic itself retries an unreachable backend for a quarter of an hour.
PROBE_DEADLINE_SECONDS = 25.0
_RETRY_LOCK = "20s"
# It tries each request for as long as that, and a check makes thousands of them.
PATIENCE_SECONDS = 900.0
# With these it says on standard error, and with success, that its answer is not whole.
_NO_LIST = "could not load snapshots"
_LEFT_OUT = re.compile(r'Ignoring "?([0-9a-f]{8,64})"?: failed to load')
# A storage that fails says so about once a minute; what went wrong before a longer silence is over.
_OVER_SECONDS = 300.0
_BUCKET_SECONDS = 15.0


class ResticError(Problem):
    """restic ended without success."""


class NoRepository(ResticError):
    """There is no repository at the location (exit status 10)."""


class WrongPassword(ResticError):
    """The password opens no key of the repository (exit status 12)."""


class RepositoryLocked(ResticError):
    """Another restic holds a lock (exit status 11)."""


class RepositoryUnreachable(ResticError):
    """The repository's storage gave no answer or refused."""


class NoBucket(RepositoryUnreachable):
    """The storage answers, but has no such bucket."""


class AccessDenied(RepositoryUnreachable):
    """The storage refuses our keys."""


class RepositoryFull(ResticError):
    """No space is left where the repository (or restic's cache) lies."""


class UnreadableSnapshots(ResticError):
    """Snapshots (`ids`) are in the repository, and restic answered (`completed`) without them."""

    def __init__(self, ids: Sequence[str], completed: process.Completed) -> None:
        self.ids = tuple(ids)
        self.completed = completed
        named = ", ".join(snapshot_id[:8] for snapshot_id in ids[:10])
        super().__init__(
            f"The repository holds snapshots that cannot be read now: {named}.",
            do="See whether the storage works, then check the repository.",
        )


class AlreadyInitialised(ResticError):
    """There is a repository already."""


class Interrupted(ResticError):
    """restic was stopped, or stopped itself because its source failed (exit status 130)."""


class IncompleteSource(ResticError):
    """restic could not read all of its source (exit status 3)."""


class CommandFailed(ResticError):
    """The command whose output restic was to store ended without success."""


class Killed(ResticError):
    """A signal ended restic."""


class DamagedData(ResticError):
    """The repository's data is not what was written."""


@dataclass(frozen=True)
class Access:
    """How to reach a repository. The secrets are shown to restic alone, in its environment."""

    program: str
    url: str
    password: str = field(repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    cache_dir: str = ""
    # In which times among the arguments are read; empty is that of this process.
    zone: str = ""
    patience_seconds: float = PATIENCE_SECONDS

    def argv(self, args: Sequence[str]) -> tuple[str, ...]:
        """restic with `args`; a request without an answer is given up after a third of the patience."""
        if self.patience_seconds >= PATIENCE_SECONDS:
            return (self.program, *args)  # its own five minutes
        return (self.program, "--stuck-request-timeout", f"{self.patience_seconds / 3:.1f}s", *args)

    def environment(self) -> dict[str, str]:
        """All that restic gets to see."""
        own = {
            "RESTIC_REPOSITORY": self.url,
            "RESTIC_PASSWORD": self.password,
            # Two progress messages a second are read, and at most one is stored.
            "RESTIC_PROGRESS_FPS": "2",
        }
        if self.cache_dir:
            own["RESTIC_CACHE_DIR"] = self.cache_dir
        if self.zone:
            own["TZ"] = self.zone
        return {**process.base_environment(), **self.secrets, **own}

    def environment_secrets(self) -> tuple[str, ...]:
        """The names in the environment that restic's own children must not see."""
        return ("RESTIC_REPOSITORY", "RESTIC_PASSWORD", *self.secrets)

    def secret_values(self) -> tuple[str, ...]:
        """What must never appear in a log."""
        return (self.password, *(value for name, value in self.secrets.items() if _is_secret(name)))


@dataclass(frozen=True)
class SnapshotInfo:
    """A snapshot as `restic snapshots --json` lists it."""

    id: str
    time: datetime
    hostname: str
    paths: tuple[str, ...]
    tags: tuple[str, ...]
    total_bytes_processed: int | None = None
    data_added: int | None = None
    data_added_packed: int | None = None
    backup_start: datetime | None = None
    backup_end: datetime | None = None


@dataclass(frozen=True)
class BackupSummary:
    """The closing message of `restic backup --json`; sizes in bytes."""

    snapshot_id: str
    total_bytes_processed: int
    data_added: int
    data_added_packed: int


@dataclass(frozen=True)
class Lock:
    """A lock in the repository."""

    id: str
    time: datetime
    exclusive: bool
    hostname: str
    username: str
    pid: int


@dataclass(frozen=True)
class Selection:
    """Which snapshots a policy is asked about, and how they are grouped."""

    group_by: str
    tag: str = ""
    path: str = ""


@dataclass(frozen=True)
class Kept:
    """A snapshot that the retention policy keeps, and restic's reasons."""

    id: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class ForgetPlan:
    """What `restic forget --dry-run` would do."""

    keep: tuple[Kept, ...]
    remove: tuple[str, ...]


@dataclass(frozen=True)
class CheckSummary:
    """The closing message of `restic check --json`."""

    num_errors: int
    broken_packs: tuple[str, ...]
    suggest_repair_index: bool
    suggest_prune: bool


# Argument lists


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

    With `utc` the snapshot is dated so, by a restic whose Access says that its zone is UTC.
    """
    return (
        "backup", "--json", "--retry-lock", _RETRY_LOCK, "--host", host,
        *(argument for tag in tags for argument in ("--tag", tag)),
        *(["--time", f"{utc:%Y-%m-%d %H:%M:%S}"] if utc else []),
        "--stdin-filename", path, "--stdin-from-command", "--", *command,
    )  # fmt: skip


def snapshots_args(*ids: str) -> tuple[str, ...]:
    """List the snapshots, or the ones with these ids."""
    return ("snapshots", "--json", "--no-lock", "--", *ids)


def dump_args(snapshot_id: str, path: str) -> tuple[str, ...]:
    """Write the file at `path` of a snapshot to standard output."""
    return ("dump", "--retry-lock", _RETRY_LOCK, "--", snapshot_id, path)


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


def check_args(*, read_data: bool = False, read_data_subset: str = "") -> tuple[str, ...]:
    """Check the repository's structure, and its data in whole or in part."""
    if read_data:
        data = ["--read-data"]
    else:
        data = ["--read-data-subset", read_data_subset] if read_data_subset else []
    return ("check", "--json", "--retry-lock", _RETRY_LOCK, *data)


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


# Answers

# An answer that is no JSON, other JSON, too deep, or with numbers that are none.
_NOT_UNDERSTOOD = (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)


def parse_version(stdout: bytes) -> str:
    """The version number in `restic version --json`. Raises ResticError."""
    try:
        return str(json.loads(stdout)["version"])
    except _NOT_UNDERSTOOD:
        raise ResticError(
            "restic did not say its version as JSON, so it is too old.", do=_get_restic()
        ) from None


def parse_snapshots(stdout: bytes) -> tuple[SnapshotInfo, ...]:
    """The answer of `restic snapshots --json`, oldest first. Raises ResticError."""
    try:
        return tuple(sorted((_snapshot(item) for item in json.loads(stdout) or []), key=lambda s: s.time))
    except _NOT_UNDERSTOOD:
        raise ResticError(
            "restic's list of snapshots could not be understood.", do="Run preflight."
        ) from None


def parse_status(line: str) -> int | None:
    """The bytes done in a status message of `restic backup --json`, None for other lines."""
    message = _message(line)
    if message.get("message_type") != "status":
        return None
    done = message.get("bytes_done", 0)
    return done if _is_size(done) else None


def parse_backup_summary(line: str) -> BackupSummary | None:
    """The closing message of `restic backup --json`, None for other lines."""
    message = _message(line)
    if message.get("message_type") != "summary" or not message.get("snapshot_id"):
        return None
    return BackupSummary(
        snapshot_id=str(message["snapshot_id"]),
        total_bytes_processed=_number(message, "total_bytes_processed"),
        data_added=_number(message, "data_added"),
        data_added_packed=_number(message, "data_added_packed"),
    )


def parse_forget_plan(stdout: bytes) -> ForgetPlan:
    """The answer of `restic forget --dry-run --json`. Raises ResticError."""
    try:
        groups = json.loads(stdout or b"[]") or []
        keep = tuple(
            Kept(id=reason["snapshot"]["id"], reasons=tuple(reason.get("matches") or ()))
            for group in groups
            for reason in group.get("reasons") or []
        )
        remove = tuple(item["id"] for group in groups for item in group.get("remove") or [])
    except _NOT_UNDERSTOOD:
        raise ResticError("restic's plan of what to forget could not be understood.") from None
    return ForgetPlan(keep=keep, remove=remove)


def parse_check_summary(stdout: bytes) -> CheckSummary | None:
    """The closing message of `restic check --json`, None when there is none."""
    for line in reversed(stdout.decode(errors="replace").splitlines()):
        message = _message(line)
        if message.get("message_type") == "summary":
            return CheckSummary(
                num_errors=_number(message, "num_errors"),
                broken_packs=tuple(map(str, _list(message, "broken_packs"))),
                suggest_repair_index=bool(message.get("suggest_repair_index")),
                suggest_prune=bool(message.get("suggest_prune")),
            )
    return None


def parse_total_size(stdout: bytes) -> int:
    """The bytes that `restic stats --json --mode raw-data` counted. Raises ResticError."""
    try:
        return int(json.loads(stdout)["total_size"])
    except _NOT_UNDERSTOOD:
        raise ResticError("restic's statistics could not be understood.") from None


def broken_packs(lines: Sequence[str]) -> list[str]:
    """The ids of the packs that a check found damaged."""
    text = "\n".join(lines)
    return sorted(set(re.findall(r"\bpack ([0-9a-f]{64})\b(?=.*(?:contains \d+ error|does not))", text)))


def parse_lock(lock_id: str, stdout: bytes) -> Lock:
    """The answer of `restic cat lock`. Raises ResticError."""
    try:
        item = json.loads(stdout)
        return Lock(
            id=lock_id,
            time=parse_time(item["time"]),
            exclusive=bool(item.get("exclusive", False)),
            hostname=str(item.get("hostname", "")),
            username=str(item.get("username", "")),
            pid=int(item.get("pid", 0)),
        )
    except _NOT_UNDERSTOOD:
        raise ResticError(f"The lock {lock_id[:8]} could not be read.") from None


def parse_time(text: str) -> datetime:
    """An RFC 3339 time with nanoseconds, as Go writes it. Raises ValueError.

    So do times without a zone, and years that cannot be told in every zone.
    """
    time = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text).replace("Z", "+00:00"))
    if time.tzinfo is None or not 1 < time.year < 9999:
        raise ValueError(text)
    return time


def readable(line: str) -> str:
    """A line of standard error for a person: the message of a JSON line, other lines as they are."""
    message = _message(line)
    nested = message.get("error")
    text = message.get("message") or (nested.get("message") if isinstance(nested, dict) else None)
    return str(text or line).removeprefix("Fatal: ").strip()


def error_from(completed: process.Completed, access: Access, doing: str) -> ResticError:
    """What a restic that ended without success means; unknown ends are failures."""
    code = completed.returncode
    lines = [readable(line) for line in completed.stderr_tail if line.strip()]
    if code < 0:
        return Killed(
            f"restic was killed by signal {-code} while {doing}.",
            do="See whether the machine ran out of memory, then try again.",
        )
    by_code = {10: _no_repository, 11: _locked, 12: _wrong_password}
    if code in by_code:
        return by_code[code](access, lines)
    return _error_from_words(lines, access, doing) or _error_otherwise(code, lines, doing)


def _error_otherwise(code: int, lines: Sequence[str], doing: str) -> ResticError:
    last = lines[-1] if lines else "it gave no reason"
    if code == 130:
        return Interrupted(f"restic was interrupted while {doing}: {last}.")
    if code == 3:
        return IncompleteSource(f"restic could not read all of its source while {doing}: {last}.")
    return ResticError(
        f"restic failed while {doing} (exit status {code}): {last.rstrip('.')}.",
        do="Run preflight, which looks at storage and password one by one; then try again.",
    )


_NO_SUCH_FILE = "specified key does not exist|nosuchkey|no such file or directory"


def _error_from_words(lines: Sequence[str], access: Access, doing: str) -> ResticError | None:
    text = "\n".join(lines).lower()
    if "no space left on device" in text or "disk quota exceeded" in text:
        return RepositoryFull(
            f"No space is left on the disk that holds the repository or restic's cache ({doing}).",
            do="Free some space, then try again.",
        )
    if "command failed" in text:
        said = next(line for line in lines if "command failed" in line.lower())
        return CommandFailed(
            f"The program whose output restic was to store did not end well: {said.rstrip('.')}.",
            do="Try again.",
        )
    if "config file already exists" in text:
        return AlreadyInitialised(
            f"There is a repository at {access.url} already.", do="Nothing needs to be done."
        )
    if re.search(rf"failed to find snapshot: (?:.*(?:{_NO_SUCH_FILE})|no matching id found)", text):
        return ResticError(
            f"The repository at {access.url} holds that snapshot no more ({doing}): {lines[-1].rstrip('.')}.",
            do="Run `manage.py snapshots`, which brings the list up to date, and choose another one.",
        )
    if re.search(_NO_SUCH_FILE, text):
        return ResticError(
            f"The storage of {access.url} lacks a file that restic needs ({doing}).",
            do="See whether somebody or a lifecycle rule removes files there, then check the repository.",
        )
    return _unreachable_from_words(text, access, lines)


def _unreachable_from_words(text: str, access: Access, lines: Sequence[str]) -> RepositoryUnreachable | None:
    if "bucket does not exist" in text or "nosuchbucket" in text:
        return _no_bucket(access)
    if re.search(r"access denied|accessdenied|invalidaccesskeyid|signaturedoesnotmatch|403 forb", text):
        return AccessDenied(
            f"The storage of {access.url} refuses our keys.",
            do="Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the bucket's policy.",
        )
    if re.search(r"returned error, retrying|connection refused|no such host|i/o timeout|dial tcp", text):
        return unreachable(access, lines)
    return None


def _no_bucket(access: Access) -> NoBucket:
    return NoBucket(
        f"The storage answers, but has no bucket as {access.url} names it.",
        do="Make the bucket, or correct RESTIC_REPOSITORY.",
    )


def unreachable(access: Access, lines: Sequence[str] = ()) -> RepositoryUnreachable:
    """The storage gives no answer; `lines` are restic's last words about it."""
    last = next((line for line in reversed(lines) if line.strip()), "")
    said = re.sub(r" returned error, retrying after [\w.]+:", " failed:", readable(last))
    reason = f" (restic: {said[:300]})" if last else ""
    return RepositoryUnreachable(
        f"The repository {access.url} cannot be reached{reason}.",
        do="Check the network and the storage, then try again.",
    )


def _no_repository(access: Access, _lines: Sequence[str]) -> NoRepository:
    return NoRepository(
        f"There is no repository at {access.url}.",
        do="If it is a new one, run `manage.py repository init`; if not, correct "
        "RESTIC_REPOSITORY or see why its files are gone.",
    )


def _wrong_password(access: Access, _lines: Sequence[str]) -> WrongPassword:
    return WrongPassword(
        f"The password does not open the repository {access.url}.",
        do="Set RESTIC_PASSWORD to the one that it was made with.",
    )


def _locked(access: Access, lines: Sequence[str]) -> RepositoryLocked:
    holder = next((line for line in lines if "lock" in line.lower()), "by another restic")
    return RepositoryLocked(
        f"The repository {access.url} is locked: {holder}.",
        do="Wait for the other restic to end; if it died, run `manage.py repository unlock`.",
    )


class Patience:
    """How long a storage has been failing, by what restic says of its own attempts.

    Each request that fails is tried again for a quarter of an hour, and then comes the next one.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._failing_since: float | None = None
        self._last = 0.0
        self._lines: deque[str] = deque(maxlen=2)

    def hear(self, line: str) -> None:
        """Take a line of restic's standard error. Raises RepositoryUnreachable when it is enough."""
        text, now = readable(line), time.monotonic()
        if "operation successful after" in text:
            self._failing_since = None
        if "returned error, retrying after" not in text:
            return
        was_over = now - self._last > _OVER_SECONDS + self._access.patience_seconds / 3
        if self._failing_since is None or was_over:
            self._failing_since = now
        self._last = now
        self._lines.append(text)
        if now - self._failing_since > self._access.patience_seconds:
            raise unreachable(self._access, self._lines)


# Calls


def find(program: str = "") -> str:
    """The path of restic. Raises ResticError when there is none."""
    found = program or process.find_program("restic")
    if not found:
        raise ResticError("restic is not installed.", do=_get_restic())
    return found


def _mend_cache(access: Access) -> None:
    """Take away what a full disk left of a cache begun, over which restic would stumble for ever."""
    if access.cache_dir:
        with suppress(OSError):
            for version in Path(access.cache_dir).glob("*/version"):
                if not version.stat().st_size:
                    version.unlink()


def call(
    access: Access,
    args: Sequence[str],
    *,
    doing: str,
    on_stdout: Callable[[str], None] | None = None,
    on_stderr: Callable[[str], None] | None = None,
    tick: process.Tick | None = None,
    deadline: float | None = None,
    pass_fds: Sequence[int] = (),
    folder: str | None = None,
) -> process.Completed:
    """Run restic to success. `doing` is for sentences ("reading the list of snapshots").

    Raises ResticError, by what the exit status and the last lines say, and when the storage goes
    on failing; UnreadableSnapshots for snapshots that restic left out; whatever `tick` raises.
    """
    patience = Patience(access)
    left_out: list[str] = []

    def hear(line: str) -> None:
        if on_stderr:
            on_stderr(line)
        if found := _LEFT_OUT.match(readable(line)):
            left_out.append(found[1])
        patience.hear(line)

    _mend_cache(access)
    with _in_time(access):
        completed = process.run(
            access.argv(args),
            env=access.environment(),
            on_stdout=on_stdout,
            on_stderr=hear,
            tick=tick,
            deadline=deadline,
            pass_fds=pass_fds,
            folder=folder,
        )
    if completed.returncode != 0 or any(_NO_LIST in line for line in completed.stderr_tail):
        _unlock_after(completed.returncode, access, args)
        raise error_from(completed, access, doing)
    if left_out:
        raise UnreadableSnapshots(left_out, completed)
    return completed


@contextmanager
def _in_time(access: Access) -> Iterator[None]:
    """Turn the ends of which restic itself says nothing into sentences."""
    try:
        yield
    except process.DeadlineExceeded as late:
        raise unreachable(access, late.stderr_tail) from None
    except process.NotInstalled:
        raise ResticError("restic is not installed.", do=_get_restic()) from None


def call_of_snapshots(
    access: Access,
    args: Sequence[str],
    *,
    doing: str,
    tick: process.Tick | None = None,
    deadline: float | None = None,
) -> process.Completed:
    """As `call`, and once more where another restic removed a snapshot just as it was read."""
    for _ in range(2):
        try:
            return call(access, args, doing=doing, tick=tick, deadline=deadline)
        except UnreadableSnapshots as error:
            unreadable = error
    raise unreadable


def version(access: Access) -> str:
    """The version of restic, which must be new enough. Raises ResticError."""
    found = parse_version(call(access, version_args(), doing="asking its version", deadline=10).stdout)
    if version_tuple(found) < OLDEST_VERSION:
        wanted = ".".join(map(str, OLDEST_VERSION))
        raise ResticError(f"restic {found} is too old, {wanted} is needed.", do=_get_restic())
    return found


def version_tuple(text: str) -> tuple[int, ...]:
    """The numbers in a version text, for comparison."""
    return tuple(int(number) for number in re.findall(r"\d+", text.split("-")[0])[:3])


def probe(access: Access, *, tick: process.Tick | None = None) -> None:
    """Make sure within seconds that the repository is there and the password opens it."""
    with _probing(access) as begun:
        begun.settle(tick)


def probed_call(
    access: Access,
    args: Sequence[str],
    *,
    doing: str,
    on_stdout: Callable[[str], None],
    on_stderr: Callable[[str], None],
    tick: process.Tick,
    pass_fds: Sequence[int],
) -> process.Completed:
    """`call`, with a `probe` beside it until restic says the first word about its work.

    Then it has opened the repository itself. One after the other, both would take half a second to
    derive the key from the password.
    """
    opened = False

    def read(line: str) -> None:
        nonlocal opened
        opened = True
        on_stdout(line)

    with _probing(access) as begun:

        def look() -> None:
            if not opened:
                begun.look()
            tick()

        try:
            return call(
                access, args, doing=doing, on_stdout=read, on_stderr=on_stderr, tick=look, pass_fds=pass_fds
            )
        except RepositoryUnreachable:
            raise  # the probe would say so too, and later
        except ResticError:
            if not opened:
                begun.settle(tick)
            raise


@contextmanager
def _probing(access: Access) -> Iterator[_Probe]:
    with ExitStack() as stack:
        with _in_time(access):
            begun = process.beside(access.argv(cat_config_args()), env=access.environment())
            running = stack.enter_context(begun)
        yield _Probe(access, running)


class _Probe:
    """A `probe` that is under way."""

    def __init__(self, access: Access, running: process.Beside) -> None:
        self._access = access
        self._running = running
        self._until = time.monotonic() + PROBE_DEADLINE_SECONDS
        self._settled = False

    def look(self) -> None:
        """Raise what `probe` would as soon as that is known; does not wait for it."""
        if not self._settled and (self._running.is_over or time.monotonic() > self._until):
            self.settle()

    def settle(self, tick: process.Tick | None = None) -> None:
        """Wait for the answer, and raise what `probe` would unless that was raised before."""
        if self._settled:
            return
        self._settled = True
        with _in_time(self._access):
            completed = self._running.completed(
                tick, self._until - time.monotonic(), on_stderr=Patience(self._access).hear
            )
        if completed.returncode == 0:
            return
        error = error_from(completed, self._access, "opening the repository")
        if isinstance(error, NoRepository) and _bucket_is_missing(self._access.url):
            error = _no_bucket(self._access)
        raise error


def _unlock_after(code: int, access: Access, args: Sequence[str]) -> None:
    """A restic that was killed could not take its lock away; nobody waits for it where we cannot."""
    if code < 0 and tuple(args) != unlock_args():
        with suppress(ResticError):
            remove_stale_locks(access)


def _bucket_is_missing(url: str) -> bool:
    """Ask an S3 storage by name, since restic is told of a missing bucket as of a missing file.

    Without keys: a storage that answers strangers with "denied" leaves the question open.
    """
    found = re.fullmatch(r"s3:(?:(https?)://)?([^/]+)/([^/]+).*", url)
    if found is None:
        return False
    scheme, host, bucket = found.groups()
    kind = HTTPConnection if scheme == "http" else HTTPSConnection
    try:
        with closing(kind(host, timeout=_BUCKET_SECONDS)) as connection:
            connection.request("GET", f"/{bucket}?location")
            answer = connection.getresponse()
            return answer.status == HTTPStatus.NOT_FOUND and b"NoSuchBucket" in answer.read(4096)
    except (OSError, HTTPException, ValueError):
        return False


def snapshots(
    access: Access,
    *ids: str,
    tick: process.Tick | None = None,
    deadline: float | None = None,
    on_unreadable: Callable[[UnreadableSnapshots], object] | None = None,
) -> tuple[SnapshotInfo, ...]:
    """The snapshots in the repository, oldest first; `on_unreadable` is told of those left out.

    Raises ResticError like `call`.
    """
    try:
        completed = call_of_snapshots(
            access, snapshots_args(*ids), doing="reading the list of snapshots", tick=tick,
            deadline=deadline,
        )  # fmt: skip
    except UnreadableSnapshots as error:
        if on_unreadable is None:
            raise
        on_unreadable(error)
        completed = error.completed
    return parse_snapshots(completed.stdout)


def remove_stale_locks(access: Access, *, tick: process.Tick | None = None) -> None:
    """Remove the locks of processes that are gone, and no others. Raises ResticError."""
    call(
        access,
        unlock_args(),
        doing="removing stale locks",
        tick=tick,
        deadline=PROBE_DEADLINE_SECONDS,
    )


def locks(access: Access, *, tick: process.Tick | None = None) -> tuple[Lock, ...]:
    """Who holds locks in the repository. Raises ResticError."""
    listed = call(
        access, list_locks_args(), doing="listing locks", tick=tick,
        deadline=PROBE_DEADLINE_SECONDS,
    )  # fmt: skip
    found: list[Lock] = []
    for lock_id in listed.stdout.decode().split():
        try:
            answer = call(
                access, cat_lock_args(lock_id), doing="reading a lock", tick=tick,
                deadline=PROBE_DEADLINE_SECONDS,
            )  # fmt: skip
        except ResticError:
            continue  # gone since it was listed
        found.append(parse_lock(lock_id, answer.stdout))
    return tuple(found)


@contextmanager
def dump(access: Access, snapshot_id: str, path: str) -> Iterator[process.Child]:
    """Stream a file out of a snapshot: read `stdout`, then see `finished`."""
    _mend_cache(access)
    with process.child(
        access.argv(dump_args(snapshot_id, path)),
        env=access.environment(),
        stdout=process.PIPE,
    ) as running:
        try:
            yield running
        finally:
            running.stop()
            _unlock_after(running.wait(), access, ())


def patiently(running: process.Child, access: Access, tick: process.Tick) -> process.Tick:
    """`tick` for a `dump`, which also gives up on a storage that goes on failing."""
    patience = Patience(access)
    said = process.NewLines(running)

    def patient_tick() -> None:
        tick()
        for line in said.read():
            patience.hear(line)

    return patient_tick


@contextmanager
def within_patience(running: process.Child, access: Access) -> Iterator[None]:
    """For who reads a `dump` in a thread that cannot look at the clock meanwhile.

    Where its storage goes on failing, restic is ended, and that raised whatever came of it.
    """
    over = threading.Event()
    given_up: list[ResticError] = []
    tick = patiently(running, access, lambda: None)

    def watch() -> None:
        try:
            while not over.wait(process.TICK_SECONDS):
                tick()
        except ResticError as error:
            given_up.append(error)
            running.stop()

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    except Problem:
        if not given_up:
            raise
    finally:
        over.set()
        watching.join()
    if given_up:
        raise given_up[0]


def finished(running: process.Child, access: Access, doing: str, tick: process.Tick | None = None) -> None:
    """Raise what restic's end means, after all of its output was read."""
    code = running.wait(tick)
    if code != 0:
        raise error_from(process.Completed(code, b"", running.stderr_tail()), access, doing)


def _snapshot(item: Mapping[str, Any]) -> SnapshotInfo:
    summary = item.get("summary") or {}
    return SnapshotInfo(
        id=_text(item["id"]),
        time=parse_time(item["time"]),
        hostname=_text(item.get("hostname", "")),
        paths=tuple(map(_text, item.get("paths") or ())),
        tags=tuple(map(_text, item.get("tags") or ())),
        total_bytes_processed=_size(summary.get("total_bytes_processed")),
        data_added=_size(summary.get("data_added")),
        data_added_packed=_size(summary.get("data_added_packed")),
        backup_start=_time_or_none(summary.get("backup_start")),
        backup_end=_time_or_none(summary.get("backup_end")),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _size(value: Any) -> int | None:
    if value is None or _is_size(value):
        return value
    raise ValueError


def _is_size(value: Any) -> TypeGuard[int]:
    """Whether it is a number that the portal's database can hold."""
    return isinstance(value, int) and 0 <= value < 1 << 63


def _time_or_none(text: str | None) -> datetime | None:
    return parse_time(text) if text else None


def _message(line: str) -> dict[str, Any]:
    if not line.startswith("{"):
        return {}
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def _number(message: Mapping[str, Any], name: str) -> int:
    value = message.get(name)
    return value if _is_size(value) else 0


def _list(message: Mapping[str, Any], name: str) -> list[Any]:
    value = message.get(name)
    return value if isinstance(value, list) else []


def _is_secret(name: str) -> bool:
    return re.search(r"SECRET|PASSWORD|TOKEN|KEY", name) is not None


def _get_restic() -> str:
    wanted = ".".join(map(str, OLDEST_VERSION))
    return f"Install restic {wanted} or newer; `make setup` does it on Debian."
