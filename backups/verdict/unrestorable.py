"""Rules: what cannot be restored."""

from __future__ import annotations

from backups.text import formatting
from backups.text.sentences import joined, phrase
from backups.verdict.facts import DatabaseFacts, Facts, RepositoryFacts
from backups.verdict.findings import Finding, Page, State
from backups.verdict.wording import FOUND_WORDS, Found, ended, page_of, typed, typed_of


def verification(facts: Facts) -> Found:
    """The newest verification counts: a later failure takes back what an earlier one proved."""
    for each in facts.databases:
        if each.proof and each.proof.verdict in FOUND_WORDS:
            yield Finding(
                "verification",
                State.BAD,
                phrase(
                    "The newest verification of {name} failed {at}: snapshot {snapshot} {found_words}.",
                    name=each.name,
                    at=formatting.age(each.proof.at, facts.now),
                    snapshot=each.proof.snapshot,
                    found_words=FOUND_WORDS[each.proof.verdict],
                ),
                _verify_again(each, facts),
                each.name,
                page=Page("verification", each.proof.pk),
            )
        elif each.newest_verdict in FOUND_WORDS:
            yield Finding(
                "known_bad",
                State.BAD,
                phrase(
                    "The newest backup of {name}, {newest_id}, {found_words}, as a verification found.",
                    name=each.name,
                    newest_id=each.newest_id,
                    found_words=FOUND_WORDS[each.newest_verdict],
                ),
                _verify_again(each, facts),
                each.name,
                page=page_of("snapshot", each.newest_pk),
            )


def _verify_again(each: DatabaseFacts, facts: Facts) -> str:
    """What to do about a bad one. A snapshot to restore meanwhile is named only where there is one."""
    again = phrase(
        "Back up now and verify that ({command}, {command_2});",
        command=typed("backup", each, facts),
        command_2=typed("verify", each, facts),
    )
    if each.proved_at is not None:
        return phrase(
            "{again} to restore before that, take {proved_id}, which is verified.",
            again=again,
            proved_id=each.proved_id,
        )
    if not each.has_another:
        return phrase("{again} there is no other snapshot to restore before that.", again=again)
    return phrase(
        "{again} no other snapshot is verified: to restore an earlier one, verify it first.", again=again
    )


def no_database(facts: Facts) -> Found:
    """An empty portal is a new one, or has lost what it looked after; nothing of it is good."""
    if not facts.databases:
        yield Finding(
            "no_database", State.BAD, phrase("No database is set up, so nothing is backed up."),
            phrase("Set MYSQL_* and RESTIC_* and run `manage.py bootstrap`, or add a database in the portal. "
"If there was one, see whether DATABASE_URL names the portal's own database."),
        )  # fmt: skip


def no_backup(facts: Facts) -> Found:
    """What was never backed up cannot come back."""
    for each in facts.databases:
        if each.newest_at is None:
            yield Finding(
                "no_backup",
                State.BAD,
                phrase("There is no backup of {name} yet.", name=each.name),
                phrase(
                    "Press Back up now, or run {command}, to make the first.",
                    command=typed("backup", each, facts),
                ),
                each.name,
                page=Page("database", each.pk),
            )


def damaged(facts: Facts) -> Found:
    """Damage that a check found."""
    for each in facts.repositories:
        if each.health == "damaged":
            yield Finding(
                "repository_damaged",
                State.BAD,
                phrase(
                    "Repository {name} is damaged: {ended} Backups go on, but they do not count for "
                    "the gate.",
                    name=each.name,
                    ended=ended(each.found),
                ),
                phrase(
                    "Repair the index, then the snapshots, then check all data. If that check is "
                    "good, back up: that backup counts for the gate ({command}, {command_2}, "
                    "{command_3}, {backing_up}).",
                    command=typed_of("repair-index", each, facts),
                    command_2=typed_of("repair-snapshots", each, facts),
                    command_3=typed_of("check --read-data", each, facts),
                    backing_up=_backing_up(each, facts),
                ),
                repository=each.name,
                page=Page("repository", each.pk),
            )


def _backing_up(repository: RepositoryFacts, facts: Facts) -> str:
    """The commands that back up all that lies in a repository."""
    its = [each for each in facts.databases if each.repository == repository.name]
    return ", ".join(typed("backup", each, facts) for each in its) or "`manage.py backup`"


def waits_for_a_person(facts: Facts) -> Found:
    """A backup of a database that had suddenly lost its tables."""
    for each in facts.databases:
        if each.waiting:
            yield Finding(
                "waits_for_a_person",
                State.BAD,
                phrase(
                    "The newest backup of {name} waits for a person: {waiting} Until then the heartbeat "
                    "stays where it was and nothing is forgotten.",
                    name=each.name,
                    waiting=joined(each.waiting),
                ),
                phrase(
                    "Say whether it is right. If so, use `manage.py accept {waiting_run} --reason …`, "
                    "or its page in the portal. If not, mend the database and back up again.",
                    waiting_run=each.waiting_run,
                ),
                each.name,
                page=page_of("snapshot", each.waiting_pk),
            )
