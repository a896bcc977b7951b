"""The first page: could we restore, is the gate open, what needs a look, what runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.paginator import Page, Paginator
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

from backups import marks
from backups.admin import alerts, attention, checklist, gate, live, verifications
from backups.admin.base import STATE_COLOURS, STATE_WORDS, Notice, may_start, notice_of
from backups.admin.charts import charts, legend_of
from backups.admin.sparks import Spark, sparks_of
from backups.admin.strips import Day, left_out_days, recent_runs, strip_words, strips_of
from backups.choices import ACTIVE, STATUS_COLOURS, Action, Health, Status
from backups.models import Database, Repository, Run
from backups.reports import maintenance, standing, stored_logs
from backups.reports.newest_rows import NewestRun, NewestSnapshot
from backups.reports.standing import Standing
from backups.scheduling import schedules
from backups.text.sentences import phrase, plural, template
from backups.verdict import Finding, Overall, State

_ACTIVE_SHOWN = 16
# So many have a card each; of more, so many are on a page.
_CARDS, _ON_A_PAGE = 6, 50
# What somebody types who looks for one.
_LONGEST_SEARCH = 200


@dataclass(frozen=True)
class Card:
    """How a database stands."""

    database: Database
    state: State
    good: NewestRun | None
    snapshot: NewestSnapshot | None
    proved: NewestSnapshot | None
    next_backup: datetime | None
    next_verify: datetime | None
    notices: list[Notice]
    strip: list[Day]
    # Up to when its log is stored, in a line; empty where it is not.
    log: str = ""

    @property
    def colour(self) -> str:
        """How it stands, in colour."""
        return STATE_COLOURS[self.state]

    @property
    def word(self) -> str:
        """The same in words."""
        return STATE_WORDS[self.state]

    @property
    def strip_words(self) -> str:
        """The strip for who does not see it."""
        return strip_words(self.strip, _STRIP)


_STRIP = template("The last {days} days: {good} with good backups only, {bad} with failures")


@dataclass(frozen=True)
class Line:
    """How one of many databases stands that needs no look of its own."""

    database: Database
    state: State
    snapshot: NewestSnapshot | None
    # What is found of its repository.
    why: str
    spark: Spark

    @property
    def colour(self) -> str:
        """How it stands, in colour."""
        return STATE_COLOURS[self.state]

    @property
    def word(self) -> str:
        """The same in words."""
        return STATE_WORDS[self.state]


@dataclass(frozen=True)
class Asked:
    """What of the page is asked for."""

    search: str
    page: str

    @classmethod
    def by(cls, request: HttpRequest) -> Asked:
        """As the address says it."""
        search = request.GET.get("q", "").strip()[:_LONGEST_SEARCH]
        return cls(search, request.GET.get("page", "")[:20])

    @property
    def query(self) -> str:
        """For the address from which the page is kept up to date."""
        said = {"q": self.search, "page": self.page}
        return urlencode({name: value for name, value in said.items() if value})


def state(request: HttpRequest, versions: marks.Versions) -> dict[str, Any]:
    """Everything on the first page."""
    asked = Asked.by(request)
    found = standing.read(versions=versions)
    gate_now = gate.look(found, is_short=True)
    # For what stands around each page, for which all of it would be looked through once more.
    request.vedetta_bad_proofs = _bad_proofs(found.overall)  # type: ignore[attr-defined]
    request.vedetta_gate = gate_now  # type: ignore[attr-defined]
    alerts.note_failing(request, found.failing)
    shown = _shown(asked, found)
    databases = list(shown.object_list)
    looks = attention.of_databases(request, databases, found)
    has_cards = len(found.databases) <= _CARDS
    context = {
        "gate": gate_now,
        "answer": _WORDS[found.overall.state],
        "hero": _hero(found.overall),
        "looks": attention.in_order(found, [*_looks_of_all(asked, shown, found), *looks]),
        "others": [*_unbelieved(request), *_notes(found.overall)],
        "is_set_up": bool(found.databases),
        "asked": asked,
        "shown": shown,
        "tended": maintenance.told((each for each in found.repositories if each.is_used), found.now),
        "checklist": checklist.of_first_page(request, found),
        "may_back_up": may_start(request, Action.BACKUP),
        "may_verify": may_start(request, Action.VERIFY),
        "may_restore": request.user.has_perm("backups.run_restore"),
        "may_search": not has_cards,
        **running(found.now),
    }
    return context | (_cards(databases, found) if has_cards else _lines(databases, looks, found, versions))


def badges(request: HttpRequest) -> dict[str, str]:
    """What the sidebar counts, by the name that it has there."""
    return {f"{each.__module__}.badge": each(request) for each in (alerts.badge, verifications.badge)}


def tab_title(context: dict[str, Any]) -> str:
    """The answer first: it is all that a tab has room for."""
    return phrase("{answer} · Dashboard", answer=context["answer"])


def _bad_proofs(overall: Overall) -> int:
    return sum(each.key == "verification" for each in overall.findings)


def _shown(asked: Asked, found: Standing) -> Page:
    """The databases on this page, what needs a look first; all of a few."""
    databases = list(found.databases)
    if len(databases) > _CARDS:
        wanted = asked.search.casefold()
        databases = attention.worst_first(found, (each for each in databases if _fits(each, wanted)))
    return Paginator(databases, _ON_A_PAGE).get_page(asked.page)


def _looks_of_all(asked: Asked, shown: Page, found: Standing) -> list[attention.Item]:
    """What is of no single database: who looks for one, or further down, sees that nothing goes on at all."""
    items = attention.of_all(found)
    if shown.number == 1 and not asked.search:
        return items
    return [each for each in items if each.finding.key == "worker"]


def _fits(database: Database, wanted: str) -> bool:
    names = (database.name, database.database, database.server.name, database.repository.name)
    return any(wanted in name.casefold() for name in names)


# ---------------------------------------------------------------- The verdict

_WORDS = {State.GOOD: phrase("Yes, proved"), State.DOUBTFUL: phrase("Doubtful"), State.BAD: phrase("No")}


def _hero(overall: Overall) -> Notice:
    """The question that the page is there for, answered by the worst of all."""
    if not overall.findings:
        return Notice("success", overall.all_well)
    count = sum(1 for name in overall.databases if overall.of_database(name))
    every = len(overall.databases)
    if not count:
        told = phrase("No database is in doubt by itself. See below what is.")
    elif every == 1:
        told = phrase("The database needs a look.")
    else:
        told = plural(
            "{n} of {all} databases needs a look.", "{n} of {all} databases need a look.", n=count, all=every
        )
    return Notice(STATE_COLOURS[overall.state], told)


def _notes(overall: Overall) -> list[Notice]:
    """What nothing is the worse for, and is of no single database."""
    return [notice_of(each) for each in overall.notes if not each.database]


def _unbelieved(request: HttpRequest) -> list[Notice]:
    """That the reader's own request came by a proxy whose word is not taken, as the portal noted of it."""
    if before := request.META.get("vedetta.unlisted_proxy"):
        return [
            Notice(
                "warning",
                phrase(
                    "You come by {before}, which says that it asks for somebody else. If it is a "
                    "proxy of yours, add {before} to TRUSTED_PROXIES and start the portal anew. Until "
                    "then, all who come by it count as one when passwords are guessed. Backups go on.",
                    before=before,
                ),
            )
        ]
    proxy = request.META.get("vedetta.unbelieved_proxy")
    if not proxy:
        return []
    return [
        Notice(
            "warning",
            phrase(
                "You come by a proxy at {proxy} that is not believed. When passwords are guessed, all "
                "who come by it count as one. It also cannot say which path you use, or that you use "
                "HTTPS. If it is yours, add its address to the settings as TRUSTED_PROXIES={proxy} "
                "and start the portal anew. Backups go on.",
                proxy=proxy,
            ),
        )
    ]


# ---------------------------------------------------------------- Databases


def _cards(databases: Sequence[Database], found: Standing) -> dict[str, Any]:
    """Of a few databases all that is worth telling, and the charts."""
    recent = recent_runs(databases, found.now)
    strips = strips_of(databases, recent, found.now, left_out_days(databases, found.now))
    return {
        "cards": [_card(database, found, strips[database.pk]) for database in databases],
        "charts": charts(databases, recent, found.now),
        "legend": legend_of(databases),
    }


def _card(database: Any, found: Standing, strip: list[Day]) -> Card:
    pause = found.overall.paused.get(database.name)
    begins = found.now if pause is None else pause.until
    return Card(
        database=database,
        state=found.overall.state_of(database.name),
        good=found.good(database),
        snapshot=found.newest(database),
        proved=found.proved(database),
        next_backup=_next(database.backup_cron, begins),
        next_verify=_next(database.verify_cron, begins),
        notices=_notices(database, found.overall),
        strip=strip,
        log=stored_logs.short(database.log_state, database.log_stored_until, found.now),
    )


def _notices(database: Database, overall: Overall) -> list[Notice]:
    """What else is found of it and of its repository, and notes; the worst of itself stands above."""
    own = [notice_of(each) for each in overall.of_database(database.name)[1:]]
    of_repository = overall.of_repository(database.repository.name)
    if of_repository and len(overall.databases) > 1:
        words = _of_repository(database.repository, of_repository[0])
        href = reverse("admin:backups_repository_change", args=[database.repository_id])
        own.append(Notice(STATE_COLOURS[of_repository[0].state], words, href, phrase("See why")))
    return [*own, *(notice_of(each) for each in overall.notes if each.database == database.name)]


def _lines(
    databases: Iterable[Any], looks: Iterable[attention.Item], found: Standing, versions: marks.Versions
) -> dict[str, Any]:
    """A line for each that needs no look of its own."""
    above = {item.name for item in looks}
    others = [each for each in databases if each.name not in above]
    sparks = sparks_of(others, found.now, versions)
    return {"lines": [_line(each, found, sparks[each.pk]) for each in others]}


def _line(database: Any, found: Standing, spark: Spark) -> Line:
    of_repository = found.overall.of_repository(database.repository.name)
    why = _of_repository(database.repository, of_repository[0]) if of_repository else ""
    return Line(database, found.overall.state_of(database.name), found.newest(database), why, spark)


def _of_repository(repository: Repository, worst: Finding) -> str:
    if words := _WORDS_OF_REPOSITORY.get(worst.key):
        return words
    if repository.health in (Health.GOOD, Health.UNKNOWN):
        return phrase("Its repository needs a look.")  # for something that no check looks at
    return phrase("Its repository is {health}.", health=repository.get_health_display().lower())


_WORDS_OF_REPOSITORY = {
    "maintenance_overdue": phrase("Its repository was not tended for too long."),
    "look_failed": phrase("The last look at its repository failed."),
    "secret_unreadable": phrase("A secret of its repository cannot be read, so its next run will fail."),
}


def _next(cron: str, begins: datetime | None) -> datetime | None:
    """When it is due next; None also where it is paused until somebody resumes it."""
    if begins is None or not schedules.usable(cron):
        return None
    return schedules.next_times(cron, 1, after=begins)[0]


# ---------------------------------------------------------------- What runs


def running(now: datetime) -> dict[str, Any]:
    """Running and waiting work, each with how far it is; what runs comes first."""
    rows = live.with_earlier(Run.objects.filter(status__in=ACTIVE)).select_related("database", "repository")
    # "running" is after "queued".
    runs = list(rows.order_by("-status", "queued_at")[: _ACTIVE_SHOWN + 1])
    usual = live.usual_so_far(runs[:_ACTIVE_SHOWN])
    return {
        "active": [
            {
                "run": run,
                "colour": STATUS_COLOURS[Status(run.status)],
                "progress": live.progress(run, usual.get(run.pk, live.Typical(None, {})), now),
            }
            for run in runs[:_ACTIVE_SHOWN]
        ],
        "has_more_active": len(runs) > _ACTIVE_SHOWN,
    }
