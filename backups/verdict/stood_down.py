"""Rules: what people had left out, so that nobody forgets it."""

from __future__ import annotations

from backups.text import formatting
from backups.text.sentences import phrase
from backups.verdict.facts import DatabaseFacts, Facts
from backups.verdict.findings import Finding, Page, State
from backups.verdict.wording import Found, in_brackets


def paused(facts: Facts) -> Found:
    """Nothing starts by schedule. One that ends by itself is worth a word only."""
    for each in facts.databases:
        if each.paused is None:
            continue
        page = Page("database", each.pk)
        if each.paused.until is not None:
            reason = phrase(
                "{name} is paused until {until} ({by}: {reason}). Until then nothing starts by "
                "schedule.{closing}",
                name=each.name,
                until=formatting.clock(each.paused.until, facts.now),
                by=each.paused.by,
                reason=in_brackets(each.paused.reason),
                closing=_closing(each, facts),
            )
            yield Finding("paused", State.GOOD, reason, "", each.name, page=page)
        else:
            reason = phrase(
                "{name} is paused since {since} ({by}: {reason}). Nothing starts by schedule.{closing}",
                name=each.name,
                since=formatting.clock(each.paused.since, facts.now),
                by=each.paused.by,
                reason=in_brackets(each.paused.reason),
                closing=_closing(each, facts),
            )
            step = phrase("Press Resume on its page once backups may start again.")
            yield Finding("paused", State.DOUBTFUL, reason, step, each.name, page=page)


def _closing(each: DatabaseFacts, facts: Facts) -> str:
    """When the gate closes for it, as a further sentence, where that is yet to come."""
    if not each.gates or each.newest_at is None or each.allowed is None or each.paused is None:
        return ""
    at = each.newest_at + each.allowed
    ends_before = each.paused.until is not None and each.paused.until <= at
    if at <= facts.now or ends_before:
        return ""
    return phrase(" The gate closes {at}, unless somebody backs it up.", at=formatting.clock(at, facts.now))


def muted(facts: Facts) -> Found:
    """Messages that nobody gets, which pages show."""
    for each in facts.databases:
        if each.muted is not None and each.muted.until is not None:
            reason = phrase(
                "No messages about {name} are sent until {until} ({by}: {reason}). The page Alerts shows "
                "them.",
                name=each.name,
                until=formatting.clock(each.muted.until, facts.now),
                by=each.muted.by,
                reason=in_brackets(each.muted.reason),
            )
            yield Finding("muted", State.GOOD, reason, "", each.name, page=Page("database", each.pk))
