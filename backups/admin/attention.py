"""What needs a look on the first page, the worst first: each thing with its reason and one next step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from backups.admin.base import STATE_COLOURS, STATE_WORDS, may_start, notice_of
from backups.choices import Action
from backups.models import Database
from backups.reports.standing import Standing
from backups.text.sentences import phrase, plural
from backups.verdict import Finding

# By what is found of a database, what is done about it at once.
_BACK_UP = frozenset(
    {"no_backup", "backup_age", "backup_failed", "verification", "known_bad", "heartbeat_withheld"}
)
_VERIFY = frozenset({"never_verified", "verification_age", "verification_failed"})
_SAID_BY_BUTTON = frozenset({"no_backup", "backup_age", "never_verified", "verification_age"})
_LONGEST_STEP = 400
# These have a card of their own.
_WITH_A_CARD = frozenset({"gate", "no_database"})


@dataclass(frozen=True)
class Step:
    """A button that opens a dialog, or a link to the page where it is done."""

    words: str
    href: str
    is_dialog: bool = False


@dataclass(frozen=True)
class Item:
    """A database, a repository or the whole, and the worst that was found of it."""

    key: str
    finding: Finding
    # What it is of; without, it is of all.
    name: str
    href: str
    newest: Any
    step: Step | None
    # How much else was found of it.
    more: int

    @property
    def colour(self) -> str:
        """How bad it is, in colour."""
        return STATE_COLOURS[self.finding.state]

    @property
    def word(self) -> str:
        """The same in words."""
        return STATE_WORDS[self.finding.state]

    @property
    def todo(self) -> str:
        """What to do, where the button does not say it all, nor its page more than has room here."""
        if self.finding.key in _SAID_BY_BUTTON and self.step is not None and self.step.is_dialog:
            return ""
        return self.finding.next_step if len(self.finding.next_step) <= _LONGEST_STEP else ""

    @property
    def and_more(self) -> str:
        """That it is not all."""
        return plural("{n} more thing was found", "{n} more things were found", n=self.more)


def of_all(found: Standing) -> list[Item]:
    """What is of no single database: of the whole, and of each repository, in any order."""
    overall = found.overall
    of_whole = [each for each in overall.of_all() if not each.repository and each.key not in _WITH_A_CARD]
    items = [_item(f"all-{number}", [each], "", "") for number, each in enumerate(of_whole)]
    keys = {each.repository.name: each.repository_id for each in found.databases}
    for name in overall.repositories:
        if findings := overall.of_repository(name):
            page = findings[0].page
            pk = keys.get(name) or (page.pk if page and page.kind == "repository" else None)
            href = reverse("admin:backups_repository_change", args=[pk]) if pk else ""
            items.append(_item(f"repository-{name}", findings, name, href))
    return items


def in_order(found: Standing, items: Iterable[Item]) -> list[Item]:
    """Whatever they are of, the worst first."""
    order = {id(each): number for number, each in enumerate(found.overall.findings)}
    return sorted(items, key=lambda item: order[id(item.finding)])


def of_databases(request: HttpRequest, databases: Iterable[Any], found: Standing) -> list[Item]:
    """Of each of these databases of which something was found, the worst."""
    rights = {action: may_start(request, action) for action in (Action.BACKUP, Action.VERIFY)}
    return [
        _item(
            f"database-{each.pk}",
            findings,
            each.name,
            reverse("admin:backups_database_change", args=[each.pk]),
            newest=found.newest(each),
            step=_at_once(each, findings[0], rights, has_backup=found.newest(each) is not None),
        )
        for each in databases
        if (findings := found.overall.of_database(each.name))
    ]


def worst_first(found: Standing, databases: Iterable[Any]) -> list[Any]:
    """The databases in the order in which they want a look: first those of which something was found."""
    overall = found.overall
    first: dict[str, int] = {}
    for number, each in enumerate(overall.findings):
        if each.database:
            first.setdefault(each.database, number)
    rest = len(overall.findings)
    # Of the others those first whose repository wants one.
    return sorted(
        databases,
        key=lambda each: (first.get(each.name, rest), not overall.of_repository(each.repository.name)),
    )


def _item(key: str, findings: Sequence[Finding], name: str, href: str, **more: Any) -> Item:
    worst = findings[0]
    notice = notice_of(worst)
    link = Step(notice.link, notice.href) if notice.href else None
    step = more.get("step") or link
    return Item(key, worst, name, href, more.get("newest"), step, len(findings) - 1)


def _at_once(
    database: Database, finding: Finding, rights: Mapping[Action, bool], *, has_backup: bool
) -> Step | None:
    """The dialog in which it is done, for who may; nothing where its page tells more."""
    if finding.key in _BACK_UP and rights[Action.BACKUP]:
        url = reverse("admin:backups_database_back_up", args=[database.pk])
        return Step(phrase("Back up now"), url, is_dialog=True)
    if finding.key in _VERIFY and rights[Action.VERIFY] and has_backup:
        url = reverse("admin:backups_database_verify", args=[database.pk])
        return Step(phrase("Verify newest"), url, is_dialog=True)
    return None
