"""What the rules go by, as plain values: whoever reads rows and files fills them in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from backups.text.sentences import phrase


@dataclass(frozen=True)
class RunFacts:
    """A run, and how it ended where that was badly."""

    pk: int
    name: str
    error: str = ""
    since: datetime | None = None


@dataclass(frozen=True)
class Proof:
    """What the newest verification of a database found: `verdict` is identical, different or unreadable."""

    pk: int
    verdict: str
    at: datetime
    snapshot: str


@dataclass(frozen=True)
class LogDoubt:
    """Why newer moments of a database cannot be had, whose log is stored: `key` is log_gap or log_barrier."""

    key: str
    reason: str


@dataclass(frozen=True)
class StandDownFacts:
    """Who had a database paused, muted or retired, why, and until when: None is until somebody ends it."""

    since: datetime
    by: str
    reason: str
    until: datetime | None = None

    def as_json(self) -> dict[str, str | None]:
        """For `--json`."""
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat() if self.until else None,
            "by": self.by,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class DatabaseFacts:
    """How a database's backups stand. `allowed` is how old the newest may be, None where nothing says.

    `newest_at` and `proved_at` are of backups that count and are there; `waiting` are the reasons why the
    newest one waits for a person, `waiting_run` the run that made it; `withheld` is a run of whose backup the
    gate was not told, and its error says why; `unreadable_secret` is why the worker cannot read one that it
    needs. Of the environment: how it means
    another database or repository, and what to do; what it says that wants a decision; and what it says in
    vain.
    """

    pk: int
    name: str
    repository: str = ""
    gates: bool = True
    newest_at: datetime | None = None
    newest_pk: int | None = None
    newest_verdict: str = ""
    newest_id: str = ""
    allowed: timedelta | None = None
    waiting: Sequence[str] = ()
    waiting_pk: int | None = None
    waiting_run: int | None = None
    failed_backup: RunFacts | None = None
    proof: Proof | None = None
    failed_verification: RunFacts | None = None
    proved_at: datetime | None = None
    proved_id: str = ""
    proved_on: datetime | None = None
    # One that is not known to be bad.
    has_another: bool = True
    proof_allowed: timedelta | None = None
    proof_is_scheduled: bool = True
    is_scheduled: bool = True
    conflicts: Sequence[str] = ()
    withheld: RunFacts | None = None
    unreadable_secret: str = ""
    other_environment: tuple[str, str] | None = None
    undecided: Sequence[str] = ()
    overruled: Sequence[str] = ()
    undeclared: Sequence[str] = ()
    log: LogDoubt | None = None
    # Why a stored log is never proved, and what to set.
    log_not_provable: tuple[str, str] | None = None
    paused: StandDownFacts | None = None
    muted: StandDownFacts | None = None


@dataclass(frozen=True)
class RepositoryFacts:
    """What is known of a repository: `health` as its row has it, `found` why it is no better.

    `failed_look` is the newest look at what it holds, where that failed and nothing went well since, and
    `unreadable_secret` why the worker cannot read one that it needs for it.
    """

    pk: int
    name: str
    health: str = "good"
    found: str = ""
    failed_look: RunFacts | None = None
    unreadable_secret: str = ""
    # When its old snapshots were forgotten last, and how long that may be ago; None where nothing says.
    tended_at: datetime | None = None
    tending_allowed: timedelta | None = None
    # Of a folder: what is left on its disk, and when that is over at the rate of the last weeks.
    disk_free: int | None = None
    disk_full_at: datetime | None = None


@dataclass(frozen=True)
class GateFacts:
    """Whether the application lets people in, by its word, and why."""

    is_open: bool = True
    word: str = "fresh"
    sentence: str = ""
    # Where no further backup is made; None where it is closed, or nothing closes it.
    closes_at: datetime | None = None
    # Which age decided about it: backup, verified or log.
    decided_by: str = "backup"


@dataclass(frozen=True)
class WorkerFacts:
    """When a cluster of the queue was last seen, and what it plays."""

    cluster: str
    seen_at: datetime
    # Its sign of life was seen to change just now, whatever its clock says.
    is_heard: bool = False
    plays: str = phrase("Backups and verifications")


@dataclass(frozen=True)
class Facts:
    """All of it at one moment. `start_worker` and `worker_log` are commands that fit the installation.

    `env_file` is what of the files of settings is in doubt, and what to do about it; `gate_process` is what
    is wrong with the gate's process, which visitors feel whatever its files say. `unknown_channels` are
    those of `channels` that tell nobody, by name, and `ping_error` is why the last ping did not get through;
    `told_nobody` are those of the alerts `untold` that reached no one at all.
    """

    now: datetime
    databases: Sequence[DatabaseFacts] = ()
    # How many there are, where these are not all of them.
    databases_in_all: int | None = None
    # By name: those that are backed up no more, of which nothing else is told.
    retired: Mapping[str, StandDownFacts] = field(default_factory=dict)
    repositories: Sequence[RepositoryFacts] = ()
    gate: GateFacts = field(default_factory=GateFacts)
    gate_process: tuple[str, str] | None = None
    workers: Sequence[WorkerFacts] = ()
    silent_after: timedelta = timedelta(minutes=2)
    clocks_differ: timedelta = timedelta(minutes=1)
    waiting: RunFacts | None = None
    is_busy: bool = False
    channels: int = 0
    unknown_channels: Sequence[str] = ()
    # Of the portal's, with what became of the last message.
    failing_channels: Sequence[tuple[str, str]] = ()
    pings: bool = False
    ping_error: str = ""
    env_file: tuple[str, str] | None = None
    # With which secrets the web process was started in vain, and what to do about it.
    portal_secrets: tuple[str, str] | None = None
    # What is wrong with the kind of the portal's own database, and what to do about it.
    portal_database: tuple[str, str] | None = None
    untold: int = 0
    told_nobody: int = 0
    # What is to be done so that the installation's key outlives this machine.
    key_to_copy: str = ""
    # What the queue was told to play lately that is not ours.
    strange_orders: Sequence[str] = ()
    start_worker: str = "`manage.py worker`"
    worker_log: str = phrase("its own log")

    @property
    def has_several(self) -> bool:
        """Whether a command has to name the database that it is for."""
        in_all = self.databases_in_all
        return (len(self.databases) if in_all is None else in_all) > 1
