"""The first page: could we restore, is the gate open, what runs, what needs a look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.paginator import Page, Paginator
from django.http import HttpRequest, JsonResponse
from django.template.loader import render_to_string
from django.urls import reverse

from backups.admin import checklist, gate, live
from backups.admin.base import STATE_COLOURS, STATE_WORDS, Notice, may_start, notice_of
from backups.admin.charts import charts, legend_of
from backups.admin.strips import DAYS, Day, Recent, recent_runs, strips_of
from backups.choices import ACTIVE, STATUS_COLOURS, Action, Health, Status
from backups.models import Database, Repository, Run, Snapshot
from backups.reports import maintenance, standing
from backups.reports.standing import Standing
from backups.scheduling import schedules
from backups.text.sentences import phrase
from backups.verdict import Finding, Overall, State

_ACTIVE_SHOWN = 8
# On a page.
_CARDS = 20
_EVERY_BUSY, _EVERY_IDLE = 2, 15


@dataclass(frozen=True)
class Card:
    """How a database stands."""

    database: Database
    state: State
    good: Run | None
    snapshot: Snapshot | None
    proved: Snapshot | None
    next_backup: datetime | None
    next_verify: datetime | None
    notices: list[Notice]
    strip: list[Day]

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
        good = sum(day.colour == "success" for day in self.strip)
        missed = sum(day.is_missed for day in self.strip)
        bad = sum(day.colour in {"warning", "danger"} for day in self.strip) - missed
        sentence = phrase(
            "The last {days} days: {good} with good backups only, {bad} with failures",
            days=DAYS,
            good=good,
            bad=bad,
        )
        return (
            phrase("{sentence}, {missed} without the backup that was due", sentence=sentence, missed=missed)
            if missed
            else sentence
        )


def callback(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What unfold asks for the first page."""
    context |= {"title": phrase("Dashboard"), "may_see": request.user.has_perm("backups.view_run")}
    if context["may_see"]:
        found = standing.read()
        shown = _shown(request, found)
        databases = list(shown.object_list)
        recent = recent_runs(databases, found.now)
        context |= state(request, found, shown, recent)
        context["charts"] = charts(databases, recent, found.now)
        context["legend"] = legend_of(databases)
    return context


def live_view(request: HttpRequest) -> JsonResponse:
    """What the first page shows now."""
    if not request.user.has_perm("backups.view_run"):
        return JsonResponse({}, status=403)
    found = standing.read()
    shown = _shown(request, found)
    context = state(request, found, shown, recent_runs(list(shown.object_list), found.now))
    return JsonResponse(
        {
            "over": False,
            "every": _EVERY_BUSY if context["active"] else _EVERY_IDLE,
            "chip": gate.chip(context["gate"]),
            "html": render_to_string("backups/dashboard.html", context, request),
        }
    )


def _shown(request: HttpRequest, found: Standing) -> Page:
    """The databases that have a card: all of a few, of more a page, what needs a look first."""
    databases = list(found.databases)
    if len(databases) > _CARDS:
        databases.sort(key=lambda each: _NEEDS_A_LOOK.index(found.overall.state_of(each.name)))
    return Paginator(databases, _CARDS).get_page(request.GET.get("page"))


_NEEDS_A_LOOK = (State.BAD, State.DOUBTFUL, State.GOOD)


def state(request: HttpRequest, found: Standing, shown: Page, recent: Sequence[Recent]) -> dict[str, Any]:
    """Everything on the first page but the charts."""
    databases = list(shown.object_list)
    strips = strips_of(databases, recent, found.now)
    return {
        "gate": gate.look(found, is_short=True),
        "answer": _WORDS[found.overall.state],
        "hero": _hero(found.overall),
        "others": [*_unbelieved(request), *_others(found.overall)],
        "cards": [_card(database, found, strips[database.pk]) for database in databases],
        "shown": shown,
        "active": _active(found.now),
        "tended": maintenance.tended(now=found.now),
        "checklist": checklist.of_first_page(request, found.overall),
        "may_back_up": may_start(request, Action.BACKUP),
        "may_verify": may_start(request, Action.VERIFY),
        "may_restore": request.user.has_perm("backups.run_restore"),
    }


# ---------------------------------------------------------------- The verdict

_WORDS = {State.GOOD: phrase("Yes, proved"), State.DOUBTFUL: phrase("Doubtful"), State.BAD: phrase("No")}


def _hero(overall: Overall) -> Notice:
    """The question that the page is there for, answered by the worst of all."""
    if not overall.findings:
        return Notice("success", overall.all_well)
    return notice_of(overall.findings[0])


def _others(overall: Overall) -> list[Notice]:
    """What is of no database and stands nowhere else: the first is the answer, the gate has its card.

    That there is no database has a card of its own as well.
    """
    shown = overall.findings[:1] if overall.databases else ()
    found = [each for each in overall.of_all() if each not in shown and each.key not in _WITH_A_CARD]
    notes = [each for each in overall.notes if not each.database]
    return [notice_of(each) for each in (*found, *notes)]


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


_WITH_A_CARD = frozenset({"gate", "no_database"})


# ---------------------------------------------------------------- Databases


def _card(database: Any, found: Standing, strip: list[Day]) -> Card:
    return Card(
        database=database,
        state=found.overall.state_of(database.name),
        good=found.good(database),
        snapshot=found.newest(database),
        proved=found.proved(database),
        next_backup=_next(database.backup_cron, found.now),
        next_verify=_next(database.verify_cron, found.now),
        notices=_notices(database, found.overall),
        strip=strip,
    )


def _notices(database: Database, overall: Overall) -> list[Notice]:
    """What needs a look, the worst first; of a lone database not what is the answer above already."""
    above = overall.findings[:1] if len(overall.databases) == 1 else ()
    own = [notice_of(each) for each in overall.of_database(database.name) if each not in above]
    of_repository = overall.of_repository(database.repository.name)
    if of_repository and len(overall.databases) > 1:
        words = _of_repository(database.repository, of_repository[0])
        href = reverse("admin:backups_repository_change", args=[database.repository_id])
        own.append(Notice(STATE_COLOURS[of_repository[0].state], words, href, phrase("See why")))
    return [*own, *(notice_of(each) for each in overall.notes if each.database == database.name)]


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


def _next(cron: str, now: datetime) -> datetime | None:
    return schedules.next_times(cron, 1, after=now)[0] if schedules.usable(cron) else None


# ---------------------------------------------------------------- What runs, what is wrong


def _active(now: datetime) -> list[dict[str, Any]]:
    """Running and waiting work, each with how far it is."""
    runs = Run.objects.filter(status__in=ACTIVE).select_related("database", "repository", "requested_by")
    found = []
    for run in sorted(
        runs.order_by("queued_at")[:_ACTIVE_SHOWN], key=lambda run: run.status != Status.RUNNING
    ):
        usual = live.typical(live.earlier(run)) if run.status == Status.RUNNING else live.Typical(None, {})
        found.append(
            {
                "run": run,
                "colour": STATUS_COLOURS[Status(run.status)],
                "progress": live.progress(run, usual, now),
            }
        )
    return found
