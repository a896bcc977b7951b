"""Rules: what does not go on."""

from __future__ import annotations

from datetime import datetime, timedelta

from backups.text import formatting
from backups.text.sentences import phrase, plural
from backups.verdict.facts import DatabaseFacts, Facts, WorkerFacts
from backups.verdict.findings import Finding, Page, State
from backups.verdict.wording import IN_MINUTES, Found, in_brackets, page_of, typed

# A run that waits so long while nothing runs is waited for in vain.
_WAITS_LONG = timedelta(minutes=30)


def worker(facts: Facts) -> Found:
    """Nothing that is queued or scheduled starts without one."""
    if not facts.workers:
        yield Finding(
            "worker",
            State.BAD,
            phrase("No worker was seen yet, so nothing that is queued or scheduled starts."),
            phrase(
                "Start the worker ({start_worker}); {worker_log} says what keeps it from starting.",
                start_worker=facts.start_worker,
                worker_log=facts.worker_log,
            ),
        )
    silent = [each for each in facts.workers if _is_silent(each, facts)]
    if silent and len(silent) == len(facts.workers):
        newest = max(each.seen_at for each in silent)
        yield _silent(
            phrase("The worker"), newest, phrase("Nothing that is queued or scheduled starts"), facts
        )
    else:
        for each in silent:
            plays = phrase("{plays} that are queued or scheduled wait", plays=each.plays)
            yield _silent(phrase("The worker “{cluster}”", cluster=each.cluster), each.seen_at, plays, facts)
    for each in facts.workers:
        if _is_of_the_future(each, facts):
            yield Finding(
                "worker",
                State.BAD,
                phrase(
                    "It is not known whether the worker “{cluster}” runs. Its last sign of life is of "
                    "{seen_at}, which is yet to come: the clock was set back. {plays} that are queued "
                    "may wait.",
                    cluster=each.cluster,
                    seen_at=formatting.clock(each.seen_at, facts.now),
                    plays=each.plays,
                ),
                phrase(
                    "If this is still here in a minute, start it ({start_worker}); {worker_log} says "
                    "why it stopped.",
                    start_worker=facts.start_worker,
                    worker_log=facts.worker_log,
                ),
            )


def _is_silent(each: WorkerFacts, facts: Facts) -> bool:
    return not each.is_heard and facts.now - each.seen_at > facts.silent_after


def _is_of_the_future(each: WorkerFacts, facts: Facts) -> bool:
    return not each.is_heard and each.seen_at > facts.now + facts.clocks_differ


def _silent(who: str, seen_at: datetime, follows: str, facts: Facts) -> Finding:
    return Finding(
        "worker",
        State.BAD,
        phrase(
            "{who} was last seen {seen_at}. {follows} until it runs again.{closing}",
            who=who,
            seen_at=formatting.age(seen_at, facts.now),
            follows=follows,
            closing=_closing(facts),
        ),
        phrase(
            "Start it ({start_worker}); {worker_log} says why it stopped.",
            start_worker=facts.start_worker,
            worker_log=facts.worker_log,
        ),
    )


def _closing(facts: Facts) -> str:
    """When the gate closes if nothing is done, as a further sentence."""
    at = facts.gate.closes_at
    if not facts.gate.is_open:
        return phrase(" The gate is closed already.")
    if at is None:
        return ""
    left = max(at - facts.now, timedelta())
    minutes = left // timedelta(minutes=1)
    within = (
        plural("{n} minute", "{n} minutes", n=minutes) if minutes < IN_MINUTES else formatting.duration(left)
    )
    return phrase(
        " The gate closes in {within}, {at}, unless a backup is made.",
        within=within,
        at=formatting.clock(at, facts.now),
    )


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
                "backup_age",
                State.BAD,
                phrase(
                    "The newest backup of {name} is {age} old; {allowed} are allowed.",
                    name=each.name,
                    age=formatting.beyond(age, each.allowed),
                    allowed=formatting.approximate_duration(each.allowed),
                ),
                _backed_up_again(each, facts),
                each.name,
                page=page_of("run", each.failed_backup.pk if each.failed_backup else None),
            )


def _backed_up_again(each: DatabaseFacts, facts: Facts) -> str:
    command = typed("backup", each, facts)
    if each.paused is not None:
        return phrase(
            "It is paused ({by}: {reason}). Resume it, or press Back up now, or run {command}.",
            by=each.paused.by,
            reason=in_brackets(each.paused.reason),
            command=command,
        )
    return phrase("Press Back up now, or run {command}; if that fails, it says why.", command=command)


def gate_process(facts: Facts) -> Found:
    """It keeps visitors out, or lets them in, against what the backups say."""
    if facts.gate_process is not None:
        yield Finding("gate_process", State.BAD, *facts.gate_process, page=Page("gate"))


def gate(facts: Facts) -> Found:
    """Closed, or open only because somebody said so."""
    if not facts.gate.is_open:
        yield Finding(
            "gate",
            State.BAD,
            phrase("The gate to the application is closed: {sentence}", sentence=facts.gate.sentence),
            _opens(facts),
            page=Page("gate"),
        )
    elif facts.gate.word == "override":
        yield Finding(
            "gate",
            State.DOUBTFUL,
            phrase("The gate is open only because of an override: {sentence}", sentence=facts.gate.sentence),
            phrase("It opens by itself once the log is stored again.")
            if facts.gate.decided_by == "log"
            else phrase("Make a good backup, which opens it by itself."),
            page=Page("gate"),
        )


def _opens(facts: Facts) -> str:
    if facts.gate.decided_by == "log":
        return phrase(
            "It opens by itself within a minute once the log is stored again; the tab Moments of the "
            "database's page says why it is not, and so does the worker ({worker_log}). To let people in "
            "before that, open it by an override on the portal's page Gate.",
            worker_log=facts.worker_log,
        )
    return phrase(
        "A good {more} opens it. To let people in before that, open it by an override on the portal's page "
        "Gate.",
        more=(phrase("verification") if facts.gate.word == "unverified" else phrase("backup")),
    )


def withheld(facts: Facts) -> Found:
    """A good backup of which the gate was not told."""
    for each in facts.databases:
        if each.withheld is not None:
            yield Finding(
                "heartbeat_withheld",
                State.BAD if each.gates else State.DOUBTFUL,
                phrase(
                    "The heartbeat of the newest backup of {name} was withheld{more}{because}.",
                    name=each.name,
                    more=(phrase(", so the gate will close in time") if each.gates else ""),
                    because=_because(each.withheld.error),
                ),
                phrase(
                    "Back up once more ({command}). That backup says what still stands against it. "
                    "The log of {withheld} tells more.",
                    command=typed("backup", each, facts),
                    withheld=each.withheld.name,
                ),
                each.name,
                page=Page("run", each.withheld.pk),
            )


def _because(why: str) -> str:
    return phrase(", because {why}", why=why) if why else ""


def queue(facts: Facts) -> Found:
    """A run that waits while nothing runs."""
    waits = facts.waiting
    if waits is None or waits.since is None or facts.is_busy or facts.now - waits.since <= _WAITS_LONG:
        return
    yield Finding(
        "queue",
        State.BAD,
        phrase(
            "{waits} was queued {since} and waits, though nothing runs.",
            waits=waits.name,
            since=formatting.age(waits.since, facts.now),
        ),
        phrase("See what the worker says ({worker_log}), or start it again.", worker_log=facts.worker_log),
        page=Page("run", waits.pk),
    )


def strange_order(facts: Facts) -> Found:
    """Somebody else writes in the portal's database."""
    for sentence in facts.strange_orders:
        yield Finding("strange_order", State.DOUBTFUL, sentence, "", page=Page("alerts"))
