"""Rules: what does not go on."""

from __future__ import annotations

from datetime import datetime, timedelta

from backups.text import formatting
from backups.verdict.facts import Facts, WorkerFacts
from backups.verdict.findings import Finding, Page, State
from backups.verdict.wording import IN_MINUTES, Found, page_of, typed

# A run that waits so long while nothing runs is waited for in vain.
_WAITS_LONG = timedelta(minutes=30)


def worker(facts: Facts) -> Found:
    """Nothing that is queued or scheduled starts without one."""
    if not facts.workers:
        yield Finding(
            "worker", State.BAD,
            "No worker was seen yet, so nothing that is queued or scheduled starts.",
            f"Start the worker ({facts.start_worker}); {facts.worker_log} says what keeps it from starting.",
        )  # fmt: skip
    silent = [each for each in facts.workers if _is_silent(each, facts)]
    if silent and len(silent) == len(facts.workers):
        newest = max(each.seen_at for each in silent)
        yield _silent("The worker", newest, "Nothing that is queued or scheduled starts", facts)
    else:
        for each in silent:
            plays = f"{each.plays} that are queued or scheduled wait"
            yield _silent(f"The worker “{each.cluster}”", each.seen_at, plays, facts)
    for each in facts.workers:
        if _is_of_the_future(each, facts):
            yield Finding(
                "worker", State.BAD,
                f"Whether the worker “{each.cluster}” runs is not known: its last sign of life is of "
                f"{formatting.clock(each.seen_at, facts.now)}, which is yet to come, so the clock "
                "was set back. "
                f"{each.plays} that are queued may wait.",
                f"If this is still here in a minute, start it ({facts.start_worker}); {facts.worker_log} "
                "says why it stopped.",
            )  # fmt: skip


def _is_silent(each: WorkerFacts, facts: Facts) -> bool:
    return not each.is_heard and facts.now - each.seen_at > facts.silent_after


def _is_of_the_future(each: WorkerFacts, facts: Facts) -> bool:
    return not each.is_heard and each.seen_at > facts.now + facts.clocks_differ


def _silent(who: str, seen_at: datetime, follows: str, facts: Facts) -> Finding:
    return Finding(
        "worker", State.BAD,
        f"{who} was last seen {formatting.age(seen_at, facts.now)}. {follows} until it runs again."
        f"{_closing(facts)}",
        f"Start it ({facts.start_worker}); {facts.worker_log} says why it stopped.",
    )  # fmt: skip


def _closing(facts: Facts) -> str:
    """When the gate closes if nothing is done, as a further sentence."""
    at = facts.gate.closes_at
    if not facts.gate.is_open:
        return " The gate is closed already."
    if at is None:
        return ""
    left = max(at - facts.now, timedelta())
    minutes = left // timedelta(minutes=1)
    within = f"{minutes} minutes" if minutes < IN_MINUTES else formatting.duration(left)
    return f" The gate closes in {within}, {formatting.clock(at, facts.now)}, unless a backup is made."


def environment(facts: Facts) -> Found:
    """Another database or repository is meant than the one that is backed up."""
    for each in facts.databases:
        if each.other_environment is not None:
            what, do = each.other_environment
            yield Finding("environment", State.BAD, what, do, each.name, page=Page("database", each.pk))


def backup_age(facts: Facts) -> Found:
    """Older than is allowed."""
    for each in facts.databases:
        if each.newest_at is None or each.allowed is None:
            continue
        if (age := facts.now - each.newest_at) > each.allowed:
            yield Finding(
                "backup_age", State.BAD,
                f"The newest backup of {each.name} is {formatting.approximate_duration(age)} old; "
                f"{formatting.approximate_duration(each.allowed)} "
                "are allowed.",
                f"Press Back up now, or run {typed('backup', each, facts)}; if that fails, it says why.",
                each.name,
                page=page_of("run", each.failed_backup.pk if each.failed_backup else None),
            )  # fmt: skip


def gate_process(facts: Facts) -> Found:
    """It keeps visitors out, or lets them in, against what the backups say."""
    if facts.gate_process is not None:
        yield Finding("gate_process", State.BAD, *facts.gate_process, page=Page("gate"))


def gate(facts: Facts) -> Found:
    """Closed, or open only because somebody said so."""
    if not facts.gate.is_open:
        yield Finding(
            "gate", State.BAD, f"The gate to the application is closed: {facts.gate.sentence}",
            f"A good {'verification' if facts.gate.word == 'unverified' else 'backup'} opens it. To let "
            "people in before that, open it by an override on the portal's page Gate.", page=Page("gate"),
        )  # fmt: skip
    elif facts.gate.word == "override":
        yield Finding(
            "gate", State.DOUBTFUL, f"The gate is open only because of an override: {facts.gate.sentence}",
            "Make a good backup, which opens it by itself.", page=Page("gate"),
        )  # fmt: skip


def withheld(facts: Facts) -> Found:
    """A good backup of which the gate was not told."""
    for each in facts.databases:
        if each.withheld is not None:
            yield Finding(
                "heartbeat_withheld", State.BAD if each.gates else State.DOUBTFUL,
                f"The heartbeat of the newest backup of {each.name} was withheld"
                f"{', so the gate will close in time' if each.gates else ''}{_because(each.withheld.error)}.",
                f"Back up once more ({typed('backup', each, facts)}), which says what still stands against "
                f"it. The log of {each.withheld.name} tells more.", each.name,
                page=Page("run", each.withheld.pk),
            )  # fmt: skip


def _because(why: str) -> str:
    return f", because {why}" if why else ""


def queue(facts: Facts) -> Found:
    """A run that waits while nothing runs."""
    waits = facts.waiting
    if waits is None or waits.since is None or facts.is_busy or facts.now - waits.since <= _WAITS_LONG:
        return
    yield Finding(
        "queue", State.BAD,
        f"{waits.name} was queued {formatting.age(waits.since, facts.now)} and waits, though nothing runs.",
        f"See what the worker says ({facts.worker_log}), or start it again.", page=Page("run", waits.pk),
    )  # fmt: skip


def strange_order(facts: Facts) -> Found:
    """Somebody else writes in the portal's database."""
    for sentence in facts.strange_orders:
        yield Finding("strange_order", State.DOUBTFUL, sentence, "", page=Page("alerts"))
