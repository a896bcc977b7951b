"""Rules: what is in doubt."""

from __future__ import annotations

from datetime import timedelta

from backups.text import formatting
from backups.text.sentences import capitalized, phrase, plural
from backups.verdict.facts import DatabaseFacts, Facts
from backups.verdict.findings import Finding, Page, State
from backups.verdict.wording import FOUND_WORDS, Found, ended, typed, typed_of

NOBODY_WATCHES = (
    phrase("Nobody watches: if backups fail or the worker stops, nobody is told."),
    phrase("Add a channel in the portal, or set NOTIFY_URLS to the addresses to be told, or PING_URL."),
)


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
                "look_failed",
                State.DOUBTFUL if each.name in used else State.GOOD,
                phrase(
                    "The last look into repository {name} failed: {error}",
                    name=each.name,
                    error=each.failed_look.error,
                ),
                "",
                repository=each.name,
                page=Page("run", each.failed_look.pk),
            )


def secret(facts: Facts) -> Found:
    """What the worker cannot read: told before the next run fails of it."""
    for each in facts.databases:
        if each.unreadable_secret:
            yield Finding(
                "secret_unreadable",
                State.DOUBTFUL,
                phrase(
                    "The next run with {name} will fail: {unreadable_secret}",
                    name=each.name,
                    unreadable_secret=each.unreadable_secret,
                ),
                "",
                each.name,
                page=Page("database", each.pk),
            )
    for repository in facts.repositories:
        if repository.unreadable_secret:
            yield Finding(
                "secret_unreadable",
                State.DOUBTFUL,
                phrase(
                    "The next run with repository {repository} will fail: {unreadable_secret}",
                    repository=repository.name,
                    unreadable_secret=repository.unreadable_secret,
                ),
                "",
                repository=repository.name,
                page=Page("repository", repository.pk),
            )


def maintenance(facts: Facts) -> Found:
    """Old snapshots are not forgotten any more, which nobody misses until the disk is full."""
    for each in facts.repositories:
        if each.tended_at is None or each.tending_allowed is None:
            continue
        if facts.now - each.tended_at > each.tending_allowed:
            yield Finding(
                "maintenance_overdue",
                State.DOUBTFUL,
                phrase(
                    "Repository {name} was last tended {age}: since then no old snapshot was forgotten, "
                    "and no room was freed. {allowed} are allowed.",
                    name=each.name,
                    age=formatting.age(each.tended_at, facts.now),
                    allowed=formatting.approximate_duration(each.tending_allowed),
                ),
                phrase(
                    "See what its newest forget says, or start one ({command}).",
                    command=typed_of("forget", each, facts),
                ),
                repository=each.name,
                page=Page("repository", each.pk),
            )


# So long before a disk is full somebody is told.
_FULL_SOON = timedelta(days=14)


def disk_fills(facts: Facts) -> Found:
    """A disk that will be full: told while there is time to do something about it."""
    for each in facts.repositories:
        if each.disk_full_at is None or each.disk_full_at - facts.now > _FULL_SOON:
            continue
        yield Finding(
            "disk_fills",
            State.DOUBTFUL,
            phrase(
                "The disk of repository {name} has {free} left. As it went in the last weeks, it is full on "
                "{day}.",
                name=each.name,
                free=formatting.size(each.disk_free),
                day=formatting.calendar_day(each.disk_full_at),
            ),
            phrase(
                "Make room on that disk, keep fewer snapshots, or move the repository to a larger one. "
                "Backups fail once it is full; those that are there stay."
            ),
            repository=each.name,
            page=Page("repository", each.pk),
        )


def suspect(facts: Facts) -> Found:
    """A snapshot in it was found bad, and no check has told more."""
    for each in facts.repositories:
        if each.health == "suspect":
            yield Finding(
                "repository_suspect",
                State.DOUBTFUL,
                phrase(
                    "Repository {name} is suspect: {ended} Nothing is withheld by that alone.",
                    name=each.name,
                    ended=ended(each.found),
                ),
                phrase(
                    "See its size, then check all of its data: only that tells that it is sound "
                    "({command}, then {command_2}).",
                    command=typed_of("stats", each, facts),
                    command_2=typed_of("check --read-data", each, facts),
                ),
                repository=each.name,
                page=Page("repository", each.pk),
            )


def proof(facts: Facts) -> Found:
    """No backup was proved, or not for long."""
    for each in facts.databases:
        if each.newest_at is None or (each.proof and each.proof.verdict in FOUND_WORDS):
            continue
        if each.proved_at is None:
            yield Finding(
                "never_verified",
                State.DOUBTFUL,
                phrase(
                    "No backup of {name} was verified yet: nobody knows whether it can be restored.",
                    name=each.name,
                ),
                phrase("Press Verify newest, or run {command}.", command=typed("verify", each, facts)),
                each.name,
                page=Page("database", each.pk),
            )
        elif (age := _proof_age(each, facts)) is not None:
            unscheduled = "" if each.proof_is_scheduled else phrase(", and no verifications are scheduled")
            see_to = phrase("see why no scheduled verification did it") if each.proof_is_scheduled else (
                phrase("set a schedule of verifications for it in the portal")
            )  # fmt: skip
            yield Finding(
                "verification_age",
                State.DOUBTFUL,
                phrase(
                    "The newest verified backup of {name} is {age} old{unscheduled}.",
                    name=each.name,
                    age=formatting.approximate_duration(age),
                    unscheduled=unscheduled,
                ),
                phrase(
                    "Press Verify newest, or run {command}; and {see_to}.",
                    command=typed("verify", each, facts),
                    see_to=see_to,
                ),
                each.name,
                page=Page("database", each.pk),
            )


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
                "verification_failed",
                State.DOUBTFUL,
                phrase(
                    "{failed_verification} of {name} came to no verdict: {error}",
                    failed_verification=each.failed_verification.name,
                    name=each.name,
                    error=each.failed_verification.error,
                ),
                "",
                each.name,
                page=Page("run", each.failed_verification.pk),
            )


def schedule(facts: Facts) -> Found:
    """Nothing is scheduled, or so rarely that backups become stale."""
    for each in facts.databases:
        if not each.is_scheduled:
            yield Finding(
                "not_scheduled",
                State.DOUBTFUL,
                phrase("No backups of {name} are scheduled.", name=each.name),
                phrase("Set a schedule for it in the portal."),
                each.name,
                page=Page("database", each.pk),
            )
        for conflict in each.conflicts:
            yield Finding("schedule", State.DOUBTFUL, conflict, "", each.name, page=Page("database", each.pk))


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
        for sentence in each.undeclared:
            yield Finding(
                "secret_reference", State.GOOD, sentence, "", each.name, page=Page("database", each.pk)
            )


def portal_secrets(facts: Facts) -> Found:
    """Secrets in the environment of the web process, which does not need them."""
    if facts.portal_secrets is not None:
        yield Finding("portal_secrets", State.GOOD, *facts.portal_secrets)


def portal_database(facts: Facts) -> Found:
    """Where the portal keeps its own rows, which cannot hold all that it is given."""
    if facts.portal_database is not None:
        yield Finding("portal_database", State.DOUBTFUL, *facts.portal_database)


def watched(facts: Facts) -> Found:
    """Whom does anybody tell? What is set and does not work is worse than nothing: it is relied upon."""
    page = Page("alerts")
    if facts.databases and not facts.channels and not facts.pings:
        yield Finding("nobody_watches", State.DOUBTFUL, *NOBODY_WATCHES, page=page)
    is_pinged = facts.pings and not facts.ping_error
    is_told = is_pinged or facts.channels > len(facts.unknown_channels) + len(facts.failing_channels)
    state = State.DOUBTFUL if is_told else State.BAD
    follows = "" if is_told else phrase(" If backups fail or the worker stops, nobody is told.")
    for channel in facts.unknown_channels:
        yield Finding(
            "channel_unknown", state,
            phrase("{channel} is not an address that Apprise knows, so nobody is told by it.{follows}",
                   channel=capitalized(channel), follows=follows),
            phrase("Correct it, and start portal and worker again."), page=page,
        )  # fmt: skip
    yield from _failing_channels(facts, state, follows)
    if facts.ping_error:
        yield Finding(
            "ping_failed",
            state,
            phrase(
                "The last ping did not get through, so nobody is told by it: {ended}{follows}",
                ended=ended(facts.ping_error),
                follows=follows,
            ),
            phrase(
                "Correct PING_URL, or see whether its service is up. The end of the next backup is "
                "reported there again."
            ),
            page=page,
        )
    if facts.told_nobody and not is_pinged:
        yield Finding(
            "untold",
            State.BAD,
            phrase("Nobody could be told of {alerts}.", alerts=_alerts(facts.told_nobody)),
            _SAYS_WHY,
            page=page,
        )
    elif facts.untold:
        yield Finding(
            "untold",
            State.DOUBTFUL,
            phrase("Not everyone could be told of {alerts}.", alerts=_alerts(facts.untold)),
            _SAYS_WHY,
            page=page,
        )


def _failing_channels(facts: Facts, state: State, follows: str) -> Found:
    for name, answer in facts.failing_channels:
        yield Finding(
            "channel_failing",
            state,
            phrase(
                "The last message by the channel {name} did not get through, so nobody is told by it: "
                "{answer}{follows}",
                name=name,
                answer=answer,
                follows=follows,
            ),
            phrase("Correct the channel, and send a test by it."),
            page=Page("alerts"),
        )


_SAYS_WHY = phrase("The portal's page Alerts says whom, and why.")


def _alerts(count: int) -> str:
    return plural("{n} alert", "{n} alerts", n=count)
