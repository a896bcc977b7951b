"""The rules, one function for each thing that can be wrong: facts in, findings out."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from backups.text import formatting
from backups.verdict.facts import DatabaseFacts, Facts, RepositoryFacts, WorkerFacts
from backups.verdict.findings import Finding, Overall, Page, State, by_severity

Found = Iterator[Finding]
# From then on hours say more.
_IN_MINUTES = 240
# A run that waits so long while nothing runs is waited for in vain.
_WAITS_LONG = timedelta(minutes=30)
_FOUND = {
    "different": "restores, but not to what was backed up",
    "unreadable": "cannot be restored",
}
NOBODY_WATCHES = (
    "Nobody watches: if backups fail or the worker stops, nobody is told.",
    "Set NOTIFY_URLS to the addresses that should be told, or PING_URL.",
)


# Keys of what tells nobody, known before there is anything to tell.
_SILENT = frozenset({"nobody_watches", "channel_unknown", "ping_failed"})


def of_channels(found: Overall) -> list[Finding]:
    """What was found of those who should be told."""
    return [each for each in found.findings if each.key in _SILENT]


def overall(facts: Facts) -> Overall:
    """Judge all of it. Same facts, same answer."""
    found = [finding for rule in RULES for finding in rule(facts)]
    return Overall(
        findings=by_severity(each for each in found if each.state != State.GOOD),
        notes=tuple(each for each in found if each.state == State.GOOD),
        databases={each.name: each.repository for each in facts.databases},
        repositories=tuple(each.name for each in facts.repositories),
        all_well=_all_well(facts),
    )


def _all_well(facts: Facts) -> str:
    proved = "has a backup that was restored in full and compared"
    oldest = min((each.proved_at for each in facts.databases if each.proved_at), default=None)
    if oldest is None:
        return ""  # then something was found
    age = formatting.age(oldest, facts.now)
    if len(facts.databases) == 1:
        return f"{facts.databases[0].name} {proved}; it was made {age}."
    return f"Each of the {len(facts.databases)} databases {proved}; the oldest of them was made {age}."


# ---------------------------------------------------------------- What cannot be restored


def verification(facts: Facts) -> Found:
    """The newest verification counts: a later failure takes back what an earlier one proved."""
    for each in facts.databases:
        if each.proof and each.proof.verdict in _FOUND:
            yield Finding(
                "verification", State.BAD,
                f"The newest verification of {each.name} failed {formatting.age(each.proof.at, facts.now)}: "
                f"snapshot {each.proof.snapshot} {_FOUND[each.proof.verdict]}.",
                _verify_again(each, facts), each.name, page=Page("verification", each.proof.pk),
            )  # fmt: skip
        elif each.newest_verdict in _FOUND:
            yield Finding(
                "known_bad", State.BAD,
                f"The newest backup of {each.name}, {each.newest_id}, {_FOUND[each.newest_verdict]}, as a "
                "verification found.",
                _verify_again(each, facts), each.name, page=_page("snapshot", each.newest_pk),
            )  # fmt: skip


def _verify_again(each: DatabaseFacts, facts: Facts) -> str:
    """What to do about a bad one. A snapshot to restore meanwhile is named only where there is one."""
    again = f"Back up now and verify that ({_typed('backup', each, facts)}, {_typed('verify', each, facts)});"
    if each.proved_at is not None:
        return f"{again} to restore before that, take {each.proved_id}, which is verified."
    if not each.has_another:
        return f"{again} there is no other snapshot to restore before that."
    return f"{again} no other snapshot is verified: to restore an earlier one, verify it first."


def _typed(verb: str, each: DatabaseFacts, facts: Facts) -> str:
    """A command for a database, which is named where there are several."""
    named = f" --database {shlex.quote(each.name)}" if len(facts.databases) > 1 else ""
    return f"`manage.py {verb}{named}`"


def _typed_of(verb: str, each: RepositoryFacts, facts: Facts) -> str:
    """A command for a repository, which is named where there are several."""
    named = f" --repository {shlex.quote(each.name)}" if len(facts.repositories) > 1 else ""
    return f"`manage.py repository{named} {verb}`"


def no_database(facts: Facts) -> Found:
    """An empty portal is a new one, or has lost what it looked after; nothing of it is good."""
    if not facts.databases:
        yield Finding(
            "no_database", State.BAD, "No database is set up, so nothing is backed up.",
            "Set MYSQL_* and RESTIC_* and run `manage.py bootstrap`, or add a database in the portal; if "
            "there was one, see whether DATABASE_URL names the right database of the portal's own.",
        )  # fmt: skip


def no_backup(facts: Facts) -> Found:
    """What was never backed up cannot come back."""
    for each in facts.databases:
        if each.newest_at is None:
            yield Finding(
                "no_backup", State.BAD, f"There is no backup of {each.name} yet.",
                f"Press Back up now, or run {_typed('backup', each, facts)}, to make the first.", each.name,
                page=Page("database", each.pk),
            )  # fmt: skip


def damaged(facts: Facts) -> Found:
    """Damage that a check found."""
    for each in facts.repositories:
        if each.health == "damaged":
            yield Finding(
                "repository_damaged", State.BAD,
                f"Repository {each.name} is damaged: {_ended(each.found)} Backups go on, but the gate is "
                "told of none of them.",
                "Repair the index, then the snapshots, check all data; if that check is good, back up: of "
                f"that the gate is told ({_typed_of('repair-index', each, facts)}, "
                f"{_typed_of('repair-snapshots', each, facts)}, "
                f"{_typed_of('check --read-data', each, facts)}, {_backing_up(each, facts)}).",
                repository=each.name, page=Page("repository", each.pk),
            )  # fmt: skip


def _backing_up(repository: RepositoryFacts, facts: Facts) -> str:
    """The commands that back up all that lies in a repository."""
    its = [each for each in facts.databases if each.repository == repository.name]
    return ", ".join(_typed("backup", each, facts) for each in its) or "`manage.py backup`"


def waits_for_a_person(facts: Facts) -> Found:
    """A backup of a database that had suddenly lost its tables."""
    for each in facts.databases:
        if each.waiting:
            yield Finding(
                "waits_for_a_person", State.BAD,
                f"The newest backup of {each.name} waits for a person: {' '.join(each.waiting)} Until then "
                "the heartbeat stays where it was and nothing is forgotten.",
                f"Say whether it is right: if so, `manage.py accept {each.waiting_run} --reason …`, or its "
                "page in the portal; if not, mend the database and back up again.", each.name,
                page=_page("snapshot", each.waiting_pk),
            )  # fmt: skip


# ---------------------------------------------------------------- What does not go on


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
    within = f"{minutes} minutes" if minutes < _IN_MINUTES else formatting.duration(left)
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
                f"The newest backup of {each.name} is {formatting.rough(age)} old; "
                f"{formatting.rough(each.allowed)} "
                "are allowed.",
                f"Press Back up now, or run {_typed('backup', each, facts)}; if that fails, it says why.",
                each.name,
                page=_page("run", each.failed_backup.pk if each.failed_backup else None),
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
                f"Back up once more ({_typed('backup', each, facts)}), which says what still stands against "
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


# ---------------------------------------------------------------- What is in doubt


def failed_backup(facts: Facts) -> Found:
    """The last attempt failed, though there is a backup."""
    for each in facts.databases:
        if each.failed_backup is not None:
            yield Finding(
                "backup_failed", State.DOUBTFUL, each.failed_backup.error, "", each.name,
                page=Page("run", each.failed_backup.pk),
            )  # fmt: skip


def failed_look(facts: Facts) -> Found:
    """A repository that is away, before the next backup finds it; a backup that failed since says more.

    Of one that was left, for another in its place above all, that is worth no more than a word.
    """
    used = {each.repository for each in facts.databases}
    failed = {each.repository for each in facts.databases if each.failed_backup is not None}
    for each in facts.repositories:
        if each.failed_look is not None and each.name not in failed:
            yield Finding(
                "look_failed", State.DOUBTFUL if each.name in used else State.GOOD,
                f"The last look at what repository {each.name} holds failed: {each.failed_look.error}", "",
                repository=each.name, page=Page("run", each.failed_look.pk),
            )  # fmt: skip


def secret(facts: Facts) -> Found:
    """What the worker cannot read: told before the next run fails of it."""
    for each in facts.databases:
        if each.unreadable_secret:
            yield Finding(
                "secret_unreadable", State.DOUBTFUL,
                f"The next run with {each.name} will fail: {each.unreadable_secret}", "", each.name,
                page=Page("database", each.pk),
            )  # fmt: skip
    for repository in facts.repositories:
        if repository.unreadable_secret:
            yield Finding(
                "secret_unreadable", State.DOUBTFUL,
                f"The next run with repository {repository.name} will fail: {repository.unreadable_secret}",
                "", repository=repository.name, page=Page("repository", repository.pk),
            )  # fmt: skip


def suspect(facts: Facts) -> Found:
    """A snapshot in it was found bad, and no check has told more."""
    for each in facts.repositories:
        if each.health == "suspect":
            yield Finding(
                "repository_suspect", State.DOUBTFUL,
                f"Repository {each.name} is suspect: {_ended(each.found)} Nothing is withheld by that alone.",
                "See its size, then check all of its data, which alone tells that it is sound: "
                f"{_typed_of('stats', each, facts)}, then {_typed_of('check --read-data', each, facts)}.",
                repository=each.name, page=Page("repository", each.pk),
            )  # fmt: skip


def proof(facts: Facts) -> Found:
    """No backup was proved, or not for long."""
    for each in facts.databases:
        if each.newest_at is None or (each.proof and each.proof.verdict in _FOUND):
            continue
        if each.proved_at is None:
            yield Finding(
                "never_verified", State.DOUBTFUL,
                f"No backup of {each.name} was verified yet: nobody knows whether it can be restored.",
                f"Press Verify newest, or run {_typed('verify', each, facts)}.", each.name,
                page=Page("database", each.pk),
            )  # fmt: skip
        elif (age := _proof_age(each, facts)) is not None:
            unscheduled = "" if each.proof_is_scheduled else ", and no verifications are scheduled"
            see_to = "see why no scheduled verification did it" if each.proof_is_scheduled else (
                "set a schedule of verifications for it in the portal"
            )  # fmt: skip
            yield Finding(
                "verification_age", State.DOUBTFUL,
                f"The newest verified backup of {each.name} is {formatting.rough(age)} old{unscheduled}.",
                f"Press Verify newest, or run {_typed('verify', each, facts)}; and {see_to}.", each.name,
                page=Page("database", each.pk),
            )  # fmt: skip


def _proof_age(each: DatabaseFacts, facts: Facts) -> timedelta | None:
    """How long ago it was proved, where that is too long."""
    since = each.proved_on or each.proved_at
    if since is None or each.proof_allowed is None:
        return None
    age = facts.now - since
    return age if age > each.proof_allowed else None


def failed_verification(facts: Facts) -> Found:
    """The last attempt came to no verdict."""
    for each in facts.databases:
        if each.failed_verification is not None:
            yield Finding(
                "verification_failed", State.DOUBTFUL,
                f"{each.failed_verification.name} of {each.name} came to no verdict: "
                f"{each.failed_verification.error}",
                "", each.name, page=Page("run", each.failed_verification.pk),
            )  # fmt: skip


def schedule(facts: Facts) -> Found:
    """Nothing is scheduled, or so rarely that backups become stale."""
    for each in facts.databases:
        page = Page("database", each.pk)
        if not each.is_scheduled:
            yield Finding(
                "not_scheduled", State.DOUBTFUL, f"No backups of {each.name} are scheduled.",
                "Set a schedule for it in the portal.", each.name, page=page,
            )  # fmt: skip
        for conflict in each.conflicts:
            yield Finding("schedule", State.DOUBTFUL, conflict, "", each.name, page=page)


def undecided(facts: Facts) -> Found:
    """What the environment or the repository says that only a person can settle."""
    for each in facts.databases:
        for sentence in each.undecided:
            yield Finding(
                "undecided", State.DOUBTFUL, sentence, "", each.name, page=Page("database", each.pk)
            )


def env_file(facts: Facts) -> Found:
    """A line of settings that another reader, or this one on another machine, takes otherwise."""
    if facts.env_file is not None:
        yield Finding("env_file", State.DOUBTFUL, *facts.env_file)


def overruled(facts: Facts) -> Found:
    """What the environment says in vain."""
    for each in facts.databases:
        for sentence in each.overruled:
            yield Finding("overruled", State.GOOD, sentence, "", each.name, page=Page("database", each.pk))


def key(facts: Facts) -> Found:
    """Would a new machine know these backups?"""
    if facts.databases and facts.key_to_copy:
        yield Finding("key_not_copied", State.GOOD, facts.key_to_copy, "")


def undeclared(facts: Facts) -> Found:
    """Secrets of which nobody has said yet that rows may refer to them."""
    for each in facts.databases:
        page = Page("database", each.pk)
        for sentence in each.undeclared:
            yield Finding("secret_reference", State.GOOD, sentence, "", each.name, page=page)


def watched(facts: Facts) -> Found:
    """Whom does anybody tell? What is set and does not work is worse than nothing: it is relied upon."""
    page = Page("alerts")
    if facts.databases and not facts.channels and not facts.pings:
        yield Finding("nobody_watches", State.DOUBTFUL, *NOBODY_WATCHES, page=page)
    is_pinged = facts.pings and not facts.ping_error
    is_told = is_pinged or facts.channels > len(facts.unknown_channels)
    state = State.DOUBTFUL if is_told else State.BAD
    follows = "" if is_told else " If backups fail or the worker stops, nobody is told."
    for channel in facts.unknown_channels:
        yield Finding(
            "channel_unknown", state,
            f"{channel[0].upper()}{channel[1:]} is not an address that Apprise knows, so nobody is told by "
            f"it.{follows}",
            "Correct it, and start portal and worker again.", page=page,
        )  # fmt: skip
    if facts.ping_error:
        yield Finding(
            "ping_failed", state,
            f"The last ping did not get through, so nobody is told by it: {_ended(facts.ping_error)}"
            f"{follows}",
            "Correct PING_URL, or see whether its service is up; the end of the next backup is told there "
            "again.", page=page,
        )  # fmt: skip
    if facts.told_nobody and not is_pinged:
        yield Finding(
            "untold",
            State.BAD,
            f"Nobody could be told of {_alerts(facts.told_nobody)}.",
            _SAYS_WHY,
            page=page,
        )
    elif facts.untold:
        yield Finding(
            "untold", State.DOUBTFUL, f"Not everyone could be told of {_alerts(facts.untold)}.", _SAYS_WHY,
            page=page,
        )  # fmt: skip


_SAYS_WHY = "The portal's page Alerts says whom, and why."


def _alerts(count: int) -> str:
    return "1 alert" if count == 1 else f"{count} alerts"


# Of equals the first one leads: what cannot be restored, then causes before what follows from them.
RULES: list[Callable[[Facts], Found]] = [
    verification,
    no_database,
    no_backup,
    damaged,
    waits_for_a_person,
    gate_process,
    worker,
    environment,
    backup_age,
    gate,
    withheld,
    queue,
    strange_order,
    failed_backup,
    failed_look,
    secret,
    suspect,
    proof,
    failed_verification,
    schedule,
    undecided,
    env_file,
    overruled,
    key,
    undeclared,
    watched,
]


def _page(kind: str, pk: int | None) -> Page | None:
    return None if pk is None else Page(kind, pk)


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?", "…")) else f"{sentence}."
