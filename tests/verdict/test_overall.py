"""The worst of all: each thing that can be wrong, alone and together, from plain facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backups import verdict
from backups.verdict import (
    DatabaseFacts,
    Facts,
    GateFacts,
    LogDoubt,
    Proof,
    RepositoryFacts,
    RunFacts,
    State,
    WorkerFacts,
)

NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SHOP = DatabaseFacts(
    pk=1, name="shop", repository="main", newest_at=NOW - 3 * HOUR, newest_pk=9, newest_id="7e8e0a80",
    allowed=26 * HOUR, proof=Proof(4, "identical", NOW - DAY, "1a2b3c4d"), proved_at=NOW - DAY,
    proved_id="1a2b3c4d", proved_on=NOW - DAY, proof_allowed=14 * DAY,
)  # fmt: skip
WELL = Facts(
    now=NOW, databases=[SHOP], repositories=[RepositoryFacts(1, "main")],
    workers=[WorkerFacts("vedetta", NOW), WorkerFacts("restores", NOW, plays="Restores")], channels=1,
)  # fmt: skip
SILENT = WorkerFacts("vedetta", NOW - timedelta(minutes=6))
AWAY = RunFacts(7, "Read snapshots 7", "It is away. Mount it.")
FAILED = RunFacts(12, "Backup 12", "The disk is full. Make room.")


def shop(**changes: Any) -> Facts:
    """All well but for the database."""
    return replace(WELL, databases=[replace(SHOP, **changes)])


def test_all_well_says_what_was_proved() -> None:
    found = verdict.overall(WELL)

    assert (found.state, found.findings, found.next_step) == (State.GOOD, (), "")
    assert (
        found.reason == "shop has a backup that was restored in full and compared; it was made 24 hours ago."
    )


# Each thing alone: the facts, its key, its state, words of the reason and of the next step.
ALONE: dict[str, tuple[Facts, str, State, str, str]] = {
    "the newest verification differs": (
        shop(proof=Proof(5, "different", NOW - HOUR, "7e8e0a80")), "verification", State.BAD,
        "The newest verification of shop failed 60 minutes ago: snapshot 7e8e0a80 restores, but not to",
        "Back up now and verify that",
    ),
    "the newest verification could not read": (
        shop(proof=Proof(5, "unreadable", NOW - HOUR, "7e8e0a80")), "verification", State.BAD,
        "snapshot 7e8e0a80 cannot be restored",
        "to restore before that, take 1a2b3c4d, which is verified.",
    ),
    "the newest verification could not read, and nothing is verified": (
        shop(proof=Proof(5, "unreadable", NOW - HOUR, "7e8e0a80"), proved_at=None), "verification", State.BAD,
        "snapshot 7e8e0a80 cannot be restored", "no other snapshot is verified: to restore an earlier one,",
    ),
    "the only snapshot could not be read": (
        shop(proof=Proof(5, "unreadable", NOW - HOUR, "7e8e0a80"), proved_at=None, has_another=False),
        "verification", State.BAD, "snapshot 7e8e0a80 cannot be restored", "there is no other snapshot to",
    ),
    "an older one was verified since, the newest is bad": (
        shop(newest_verdict="unreadable"), "known_bad", State.BAD, "7e8e0a80, cannot be restored",
        "verify that",
    ),
    "no backup": (
        shop(newest_at=None, proof=None, proved_at=None, proved_on=None), "no_backup", State.BAD,
        "There is no backup of shop yet.", "Press Back up now",
    ),
    "stale": (
        shop(newest_at=NOW - 43 * HOUR), "backup_age", State.BAD, "is 43 hours old; 26 hours are allowed",
        "Press Back up now",
    ),
    "lost its tables": (
        shop(waiting=["The database holds no table."], waiting_run=12), "waits_for_a_person", State.BAD,
        "The database holds no table.", "If so, use `manage.py accept 12 --reason …`",
    ),
    "not tended for days": (
        replace(WELL, repositories=[
            RepositoryFacts(1, "main", tended_at=NOW - 4 * DAY, tending_allowed=3 * DAY),
        ]),
        "maintenance_overdue", State.DOUBTFUL, "Repository main was last tended 4 days ago: since then",
        "start one (`manage.py repository forget`)",
    ),
    "damaged": (
        replace(WELL, repositories=[RepositoryFacts(1, "main", "damaged", "pack 1a is gone")]),
        "repository_damaged", State.BAD, "main is damaged: pack 1a is gone.",
        "`manage.py repository check --read-data`, `manage.py backup`).",
    ),
    "suspect": (
        replace(WELL, repositories=[RepositoryFacts(1, "main", "suspect", "verification 5 found it so")]),
        "repository_suspect", State.DOUBTFUL, "Nothing is withheld by that alone", "See its size",
    ),
    "a repository that is away": (
        replace(WELL, repositories=[RepositoryFacts(1, "main", failed_look=AWAY)]),
        "look_failed", State.DOUBTFUL, "into repository main failed: It is away. Mount it.", "",
    ),
    "a secret of the database that the worker cannot read": (
        shop(unreadable_secret="It is not there. Put it back."), "secret_unreadable", State.DOUBTFUL,
        "The next run with shop will fail: It is not there. Put it back.", "",
    ),
    "a secret of the repository that the worker cannot read": (
        replace(WELL, repositories=[RepositoryFacts(1, "main", unreadable_secret="It is not there.")]),
        "secret_unreadable", State.DOUBTFUL, "with repository main will fail: It is not there.", "",
    ),
    "gate closed": (
        replace(WELL, gate=GateFacts(is_open=False, word="stale", sentence="It is old.")), "gate",
        State.BAD, "The gate to the application is closed: It is old.", "A good backup opens it",
    ),
    "gate closed for want of a proof": (
        replace(WELL, gate=GateFacts(is_open=False, word="unverified", sentence="It is old.")), "gate",
        State.BAD, "It is old.", "A good verification opens it",
    ),
    "gate closed for want of a stored log": (
        replace(WELL, gate=GateFacts(is_open=False, word="stale", sentence="It is old.", decided_by="log")),
        "gate", State.BAD, "It is old.", "opens by itself within a minute once the log is stored again",
    ),
    "a gap in a stored log": (
        shop(log=LogDoubt("log_gap", "It is not stored.")), "log_gap", State.DOUBTFUL, "It is not stored.",
        "It goes on from the next backup with an exact position.",
    ),
    "what no replay of a log goes past": (
        shop(log=LogDoubt("log_barrier", "It ends there.")), "log_barrier", State.DOUBTFUL, "It ends there.",
        "Make a backup: moments after it can be restored again.",
    ),
    "gate overridden": (
        replace(WELL, gate=GateFacts(word="override", sentence="Kept open by ada.")), "gate",
        State.DOUBTFUL, "open only because of an override: Kept open by ada.", "Make a good backup",
    ),
    "a gate whose process gives no answer": (
        replace(WELL, gate_process=("It gives no answer.", "Start it again.")), "gate_process", State.BAD,
        "It gives no answer.", "Start it again.",
    ),
    "no worker": (
        replace(WELL, workers=[]), "worker", State.BAD, "No worker was seen yet", "`manage.py worker`",
    ),
    "silent worker": (
        replace(WELL, workers=[SILENT], start_worker="`systemctl …`"),
        "worker", State.BAD, "The worker was last seen 6 minutes ago.", "Start it (`systemctl …`)",
    ),
    "worker of the future": (
        replace(WELL, workers=[WorkerFacts("vedetta", NOW + HOUR)]), "worker", State.BAD,
        "It is not known whether the worker", "start it",
    ),
    "withheld": (
        shop(withheld=RunFacts(8, "Backup 8", "the repository was damaged")), "heartbeat_withheld", State.BAD,
        "so the gate will close in time, because the repository was damaged.",
        "Back up once more (`manage.py backup`)",
    ),
    "withheld of one that does not gate": (
        shop(withheld=RunFacts(8, "Backup 8"), gates=False), "heartbeat_withheld", State.DOUBTFUL,
        "was withheld.", "The log of Backup 8 tells more.",
    ),
    "queue": (
        replace(WELL, waiting=RunFacts(13, "Verification 13", since=NOW - HOUR)), "queue", State.BAD,
        "Verification 13 was queued 60 minutes ago and waits, though nothing runs", "start it again",
    ),
    "last backup failed": (
        shop(failed_backup=FAILED), "backup_failed", State.DOUBTFUL, "The disk is full. Make room.", "",
    ),
    "never verified": (
        shop(proof=None, proved_at=None, proved_on=None), "never_verified", State.DOUBTFUL,
        "nobody knows whether it can be restored", "Verify newest",
    ),
    "verified long ago": (
        shop(proved_at=NOW - 40 * DAY, proved_on=NOW - 40 * DAY), "verification_age", State.DOUBTFUL,
        "The newest verified backup of shop is 40 days old", "Verify newest",
    ),
    "verified long ago, and nothing would do it again": (
        shop(proved_at=NOW - 40 * DAY, proved_on=NOW - 40 * DAY, proof_is_scheduled=False),
        "verification_age", State.DOUBTFUL, "is 40 days old, and no verifications are scheduled.",
        "Press Verify newest, or run `manage.py verify`; and set a schedule of verifications for it",
    ),
    "verification came to no verdict": (
        shop(failed_verification=FAILED), "verification_failed", State.DOUBTFUL, "came to no verdict", "",
    ),
    "not scheduled": (shop(is_scheduled=False), "not_scheduled", State.DOUBTFUL, "are scheduled", "Set a"),
    "scheduled too rarely": (shop(conflicts=["Too rare."]), "schedule", State.DOUBTFUL, "Too rare.", ""),
    "another database in the environment": (
        shop(other_environment=("MYSQL_DATABASE says blog.", "Set it back.")), "environment", State.BAD,
        "MYSQL_DATABASE says blog.", "Set it back.",
    ),
    "a host name of which nobody said whose it is": (
        shop(undecided=["3 snapshots of shop are of the host old."]), "undecided", State.DOUBTFUL,
        "of the host old", "",
    ),
    "a line of .env that others read otherwise": (
        replace(WELL, env_file=("Line 3 means two things. It is read as before.", "Put it in quotes.")),
        "env_file", State.DOUBTFUL, "Line 3 means two things.", "Put it in quotes.",
    ),
    "a database of its own that loses characters": (
        replace(WELL, portal_database=("It is in latin1.", "Run ALTER DATABASE.")),
        "portal_database", State.DOUBTFUL, "It is in latin1.", "Run ALTER DATABASE.",
    ),
    "nobody watches": (
        replace(WELL, channels=0), "nobody_watches", State.DOUBTFUL, "Nobody watches", "NOTIFY_URLS",
    ),
    "somebody was not told": (
        replace(WELL, untold=2), "untold", State.DOUBTFUL, "could be told of 2 alerts", "says whom",
    ),
    "nobody was told": (
        replace(WELL, untold=2, told_nobody=1), "untold", State.BAD, "Nobody could be told of 1 alert.",
        "says",
    ),
    "nobody was told but by the ping": (
        replace(WELL, untold=1, told_nobody=1, pings=True), "untold", State.DOUBTFUL, "of 1 alert.", "says",
    ),
    "the ping is the only channel and does not get through": (
        replace(WELL, channels=0, pings=True, ping_error="PING_URL answered 501."), "ping_failed", State.BAD,
        "PING_URL answered 501. If backups fail or the worker stops, nobody is told.", "Correct PING_URL",
    ),
    "the ping does not get through, and others are told": (
        replace(WELL, pings=True, ping_error="PING_URL answered 501."), "ping_failed", State.DOUBTFUL,
        "PING_URL answered 501.", "Correct PING_URL",
    ),
    "the only address is none": (
        replace(WELL, unknown_channels=["number 1 of NOTIFY_URLS (jsonn)"]), "channel_unknown", State.BAD,
        "Number 1 of NOTIFY_URLS (jsonn) is not an address that Apprise knows", "Correct it",
    ),
    "one of two addresses is none": (
        replace(WELL, channels=2, unknown_channels=["number 2 of NOTIFY_URLS (x)"]), "channel_unknown",
        State.DOUBTFUL, "so nobody is told by it.", "Correct it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ALONE)
def test_each_alone_decides(name: str) -> None:
    facts, key, state, reason, step = ALONE[name]

    found = verdict.overall(facts)

    assert [each.key for each in found.findings] == [key]
    assert found.state == state
    assert reason in found.reason
    assert step in found.next_step
    assert found.reason.endswith((".", "…"))


NOTHING_WRONG = {
    "a young wait": replace(WELL, waiting=RunFacts(13, "Backup 13", since=NOW - timedelta(minutes=5))),
    "a wait behind a run": replace(WELL, waiting=RunFacts(13, "Backup 13", since=NOW - DAY), is_busy=True),
    "grace": replace(WELL, gate=GateFacts(word="grace")),
    "only pings": replace(WELL, channels=0, pings=True),
    "exactly as old as allowed": shop(newest_at=NOW - 26 * HOUR),
    "clocks that differ a little": replace(
        WELL, workers=[WorkerFacts("vedetta", NOW + timedelta(seconds=50))]
    ),
    "an unchecked repository": replace(WELL, repositories=[RepositoryFacts(1, "main", "unknown")]),
}


@pytest.mark.parametrize("name", NOTHING_WRONG)
def test_what_is_no_reason(name: str) -> None:
    assert verdict.overall(NOTHING_WRONG[name]).findings == ()


def test_an_empty_portal_is_no_good_one() -> None:
    (found,) = verdict.overall(Facts(NOW, workers=WELL.workers)).findings

    assert (found.key, found.state) == ("no_database", State.BAD)
    assert found.reason == "No database is set up, so nothing is backed up."
    assert "If there was one, see whether DATABASE_URL" in found.next_step


def state_of(facts: Facts) -> State:
    return verdict.overall(facts).state


@pytest.mark.parametrize("first", ALONE)
def test_the_worst_of_two_databases_and_repositories_decides(first: str) -> None:
    one = ALONE[first][0]
    for other, *_ in ALONE.values():
        second = replace(WELL, databases=other.databases, repositories=other.repositories)
        both = replace(
            one,
            databases=[*one.databases, *(replace(each, pk=2, name="wiki") for each in other.databases)],
            repositories=[*one.repositories, *(replace(each, name="far") for each in other.repositories)],
        )

        found = verdict.overall(both)

        states = [each.state for each in found.findings]
        assert found.state == max(state_of(one), state_of(second), key=list(State).index)
        assert states == sorted(states, key=list(State).index, reverse=True)


def test_a_database_is_no_better_than_its_repository() -> None:
    found = verdict.overall(ALONE["damaged"][0])

    assert found.state_of("shop") == State.BAD
    assert found.of_database("shop") == ()


def test_both_halves_of_a_worker_that_is_gone_are_one_finding() -> None:
    gone = NOW - HOUR
    facts = replace(
        WELL, workers=[WorkerFacts("vedetta", gone), WorkerFacts("restores", gone, plays="Restores")],
        gate=GateFacts(closes_at=NOW + timedelta(minutes=87, seconds=30)),
    )  # fmt: skip

    (found,) = verdict.overall(facts).findings

    assert found.reason == (
        "The worker was last seen 60 minutes ago. Nothing that is queued or scheduled starts until it runs "
        "again. The gate closes in 87 minutes, today 10:27, unless a backup is made."
    )


def test_causes_come_before_what_follows_from_them() -> None:
    night = replace(
        shop(newest_at=NOW - 43 * HOUR, failed_backup=FAILED),
        workers=[WorkerFacts("vedetta", NOW - 40 * HOUR)],
        gate=GateFacts(is_open=False, word="stale", sentence="Too old."), channels=0,
    )  # fmt: skip

    keys = [each.key for each in verdict.overall(night).findings]

    assert keys == ["worker", "backup_age", "gate", "backup_failed", "nobody_watches"]


def test_a_note_makes_nothing_worse() -> None:
    found = verdict.overall(shop(overruled=["BACKUP_CRON says 0 4 * * *, and the portal has 0 3 * * *."]))

    assert (found.state, found.findings) == (State.GOOD, ())
    assert [each["key"] for each in found.as_json()["notes"]] == ["overruled"]


def test_that_a_repository_is_away_that_was_left_makes_nothing_worse() -> None:
    left = RepositoryFacts(2, "lost", failed_look=AWAY)
    found = verdict.overall(replace(WELL, repositories=[RepositoryFacts(1, "main"), left]))

    assert (found.state, [each.key for each in found.notes]) == (State.GOOD, ["look_failed"])


def test_as_json_it_names_each_database_and_repository() -> None:
    told = verdict.overall(shop(newest_at=NOW - 43 * HOUR)).as_json()

    assert told["verdict"] == "bad"
    assert told["databases"] == [{"database": "shop", "verdict": "bad", "paused": None, "muted": None}]
    assert told["repositories"] == [{"repository": "main", "verdict": "good"}]
    assert told["findings"][0]["key"] == "backup_age"
    assert "repository" not in told["findings"][0]


def test_another_rule_is_one_more_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """As later things to go by are added."""

    def copies(_facts: Facts) -> Any:
        yield verdict.Finding("copy", State.BAD, "The second place is empty.")

    monkeypatch.setattr("backups.verdict.rules.RULES", [*verdict.RULES, copies])

    assert verdict.overall(WELL).reason == "The second place is empty."
