"""Rules: moments that cannot be had, though the log is stored, and a log that is never proved."""

from __future__ import annotations

from backups.text.sentences import phrase
from backups.verdict.facts import DatabaseFacts, Facts
from backups.verdict.findings import Finding, Page, State
from backups.verdict.wording import Found, in_brackets, typed


def stored_log(facts: Facts) -> Found:
    """A gap that is open, or something that no replay goes past, and no backup behind it."""
    for each in facts.databases:
        if each.log is not None:
            step = _next_step(each, each.log.key, facts)
            page = Page("moments", each.pk)
            yield Finding(each.log.key, State.DOUBTFUL, each.log.reason, step, each.name, page=page)


def log_not_provable(facts: Facts) -> Found:
    """A weekly proof that would fail each week in the same way is not begun, and told of here instead."""
    for each in facts.databases:
        if each.log_not_provable is not None:
            what, do = each.log_not_provable
            page = Page("moments", each.pk)
            yield Finding("log_not_provable", State.DOUBTFUL, what, do, each.name, page=page)


def _next_step(each: DatabaseFacts, key: str, facts: Facts) -> str:
    if each.paused is not None:
        return phrase(
            "It is paused ({by}: {reason}), so no backup is made by itself. Make one: press Back up now, or "
            "run {command}.",
            by=each.paused.by,
            reason=in_brackets(each.paused.reason),
            command=typed("backup", each, facts),
        )
    if key == "log_gap":
        return phrase(
            "It goes on from the next backup with an exact position. Make one, if none is under way."
        )
    return phrase("Make a backup: moments after it can be restored again.")
