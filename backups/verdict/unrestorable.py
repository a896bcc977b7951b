"""Rules: what cannot be restored."""

from __future__ import annotations

from backups.text import formatting
from backups.verdict.facts import DatabaseFacts, Facts, RepositoryFacts
from backups.verdict.findings import Finding, Page, State
from backups.verdict.wording import FOUND_WORDS, Found, ended, page_of, typed, typed_of


def verification(facts: Facts) -> Found:
    """The newest verification counts: a later failure takes back what an earlier one proved."""
    for each in facts.databases:
        if each.proof and each.proof.verdict in FOUND_WORDS:
            yield Finding(
                "verification", State.BAD,
                f"The newest verification of {each.name} failed {formatting.age(each.proof.at, facts.now)}: "
                f"snapshot {each.proof.snapshot} {FOUND_WORDS[each.proof.verdict]}.",
                _verify_again(each, facts), each.name, page=Page("verification", each.proof.pk),
            )  # fmt: skip
        elif each.newest_verdict in FOUND_WORDS:
            yield Finding(
                "known_bad", State.BAD,
                f"The newest backup of {each.name}, {each.newest_id}, {FOUND_WORDS[each.newest_verdict]}, as "
                "a verification found.",
                _verify_again(each, facts), each.name, page=page_of("snapshot", each.newest_pk),
            )  # fmt: skip


def _verify_again(each: DatabaseFacts, facts: Facts) -> str:
    """What to do about a bad one. A snapshot to restore meanwhile is named only where there is one."""
    again = f"Back up now and verify that ({typed('backup', each, facts)}, {typed('verify', each, facts)});"
    if each.proved_at is not None:
        return f"{again} to restore before that, take {each.proved_id}, which is verified."
    if not each.has_another:
        return f"{again} there is no other snapshot to restore before that."
    return f"{again} no other snapshot is verified: to restore an earlier one, verify it first."


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
                f"Press Back up now, or run {typed('backup', each, facts)}, to make the first.", each.name,
                page=Page("database", each.pk),
            )  # fmt: skip


def damaged(facts: Facts) -> Found:
    """Damage that a check found."""
    for each in facts.repositories:
        if each.health == "damaged":
            yield Finding(
                "repository_damaged", State.BAD,
                f"Repository {each.name} is damaged: {ended(each.found)} Backups go on, but the gate is "
                "told of none of them.",
                "Repair the index, then the snapshots, check all data; if that check is good, back up: of "
                f"that the gate is told ({typed_of('repair-index', each, facts)}, "
                f"{typed_of('repair-snapshots', each, facts)}, "
                f"{typed_of('check --read-data', each, facts)}, {_backing_up(each, facts)}).",
                repository=each.name, page=Page("repository", each.pk),
            )  # fmt: skip


def _backing_up(repository: RepositoryFacts, facts: Facts) -> str:
    """The commands that back up all that lies in a repository."""
    its = [each for each in facts.databases if each.repository == repository.name]
    return ", ".join(typed("backup", each, facts) for each in its) or "`manage.py backup`"


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
                page=page_of("snapshot", each.waiting_pk),
            )  # fmt: skip
