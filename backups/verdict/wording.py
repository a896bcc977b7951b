"""What the rules' sentences have in common."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from backups.text.sentences import phrase
from backups.verdict.facts import DatabaseFacts, Facts, RepositoryFacts
from backups.verdict.findings import Finding, Page

Found = Iterator[Finding]
# From then on hours say more.
IN_MINUTES = 240
FOUND_WORDS = {
    "different": phrase("restores, but not to what was backed up"),
    "unreadable": phrase("cannot be restored"),
}


def typed(verb: str, each: DatabaseFacts, facts: Facts) -> str:
    """A command for a database, which is named where there are several."""
    named = f" --database {shlex.quote(each.name)}" if facts.has_several else ""
    return f"`manage.py {verb}{named}`"


def typed_of(verb: str, each: RepositoryFacts, facts: Facts) -> str:
    """A command for a repository, which is named where there are several."""
    named = f" --repository {shlex.quote(each.name)}" if len(facts.repositories) > 1 else ""
    return f"`manage.py repository{named} {verb}`"


def page_of(kind: str, pk: int | None) -> Page | None:
    """The page of what a row is about; None where there is no row."""
    return None if pk is None else Page(kind, pk)


def ended(sentence: str) -> str:
    """A sentence with its full stop."""
    return sentence if sentence.endswith((".", "!", "?", "…")) else f"{sentence}."


def in_brackets(said: str) -> str:
    """What a person said, within a sentence of ours: its own full stop stays out."""
    return said.rstrip(" .")
