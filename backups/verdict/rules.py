"""The rules, one function for each thing that can be wrong: facts in, findings out."""

from __future__ import annotations

from collections.abc import Callable

from backups.text import formatting
from backups.text.sentences import phrase
from backups.verdict.doubts import (
    disk_fills,
    env_file,
    failed_backup,
    failed_look,
    failed_verification,
    key,
    maintenance,
    overruled,
    portal_database,
    portal_secrets,
    proof,
    schedule,
    secret,
    suspect,
    undecided,
    undeclared,
    watched,
)
from backups.verdict.facts import Facts
from backups.verdict.findings import Finding, Overall, State, by_severity
from backups.verdict.standstill import (
    backup_age,
    environment,
    gate,
    gate_process,
    queue,
    strange_order,
    withheld,
    worker,
)
from backups.verdict.stood_down import muted, paused
from backups.verdict.stored_logs import log_not_provable, stored_log
from backups.verdict.unrestorable import damaged, no_backup, no_database, verification, waits_for_a_person
from backups.verdict.wording import Found

# Keys of what tells nobody, known before there is anything to tell.
_SILENT = frozenset({"nobody_watches", "channel_unknown", "channel_failing", "ping_failed"})


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
        paused={each.name: each.paused for each in facts.databases if each.paused},
        muted={each.name: each.muted for each in facts.databases if each.muted},
        retired=facts.retired,
    )


def _all_well(facts: Facts) -> str:
    proved = phrase("has a backup that was restored in full and compared")
    oldest = min((each.proved_at for each in facts.databases if each.proved_at), default=None)
    if oldest is None:
        return ""  # then something was found
    age = formatting.age(oldest, facts.now)
    if len(facts.databases) == 1:
        return phrase(
            "{databases} {proved}; it was made {age}.",
            databases=facts.databases[0].name,
            proved=proved,
            age=age,
        )
    return phrase(
        "Each of the {count} databases {proved}; the oldest of them was made {age}.",
        count=len(facts.databases),
        proved=proved,
        age=age,
    )


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
    maintenance,
    disk_fills,
    proof,
    failed_verification,
    schedule,
    stored_log,
    log_not_provable,
    paused,
    undecided,
    env_file,
    overruled,
    muted,
    key,
    undeclared,
    portal_database,
    portal_secrets,
    watched,
]
