"""Set-up as a list of steps, from nothing to a database whose backup was proved, and somebody who is told.

Each step says how it stands and has one button. What a step waits for is done first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from backups import verdict
from backups.admin.base import may_start, page_url, run_url
from backups.choices import ACTIVE, DRILL, Action, Status
from backups.models import Database, Repository, Run, Server, Snapshot
from backups.reports import standing
from backups.reports.standing import Standing
from backups.text.sentences import phrase
from backups.verdict import Overall

# The first page has the list as long as this after the first backup; then it is under Set up.
_YOUNG = timedelta(days=1)
# Of further databases and repositories that are still to be finished.
_MOST = 10
_EVERY_SECONDS = 3


@dataclass(frozen=True)
class Button:
    """What to press for a step: a page to go to, or a dialog that asks first."""

    text: str
    href: str
    icon: str = ""
    is_dialog: bool = False


@dataclass(frozen=True)
class Step:
    """One step, how it stands, and what to press. `run` is the page of one that runs or failed."""

    title: str
    words: str
    is_done: bool = False
    has_failed: bool = False
    is_running: bool = False
    run: str = ""
    button: Button | None = None
    # The first that is still to be done; its button is the main one.
    is_next: bool = False

    @property
    def state(self) -> str:
        """In a word, for who sees no colours."""
        if self.is_done:
            return phrase("Done")
        if self.is_running:
            return phrase("Running")
        if self.has_failed:
            return phrase("Failed")
        return phrase("Next") if self.is_next else phrase("Later")

    @property
    def colour(self) -> str:
        """How it stands, in colour."""
        if self.is_done:
            return "success"
        if self.has_failed:
            return "danger"
        return "info" if self.is_running or self.is_next else "plain"


@dataclass(frozen=True)
class Checklist:
    """The steps of one database, or of the first, which is not there yet."""

    title: str
    steps: Sequence[Step] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left."""
        return all(step.is_done for step in self.steps)


def of_first_page(request: HttpRequest, found: Standing) -> Checklist | None:
    """The list of an installation that is new; None for one that has backups of before yesterday."""
    # The same of each.
    oldest = next((each.oldest_snapshot for each in found.repositories), None)
    if oldest is not None and oldest < found.now - _YOUNG:
        return None
    database = _databases().order_by("pk").first()
    whole = [*_steps(request, database), *_of_all(request, found.overall)]
    if database is None:
        title = phrase("Nothing is backed up yet")
    else:
        title = phrase("Set-up of {database}", database=database)
    return None if all(step.is_done for step in whole) else Checklist(title, _with_next(whole))


def set_up_view(request: HttpRequest) -> TemplateResponse:
    """The page of all that is still to be set up, and where another database or repository begins."""
    context = {
        **admin.site.each_context(request),
        "title": phrase("Set-up"),
        "every": _EVERY_SECONDS,
        **_context(request),
    }
    return TemplateResponse(request, "backups/set_up.html", context)


def live_view(request: HttpRequest) -> JsonResponse:
    """What that page shows now."""
    html = render_to_string("backups/set_up_state.html", _context(request), request)
    return JsonResponse({"over": False, "every": _EVERY_SECONDS, "html": html})


def _context(request: HttpRequest) -> dict[str, Any]:
    if not request.user.has_perm("backups.view_database"):
        raise PermissionDenied
    unproved = _databases().exclude(snapshots__in=Snapshot.objects.verified()).order_by("pk")
    lists = [
        Checklist(phrase("Set-up of {database}", database=database), _with_next(_steps(request, database)))
        for database in unproved[:_MOST]
    ]
    if not lists and not Database.objects.exists():
        lists = [Checklist(phrase("The first database"), _with_next(_steps(request, None)))]
    lists += [
        Checklist(
            phrase("Repository {repository}, to which no database is backed up yet", repository=each),
            _with_next([_repository(request, each), _server(request, None, each)]),
        )
        for each in Repository.objects.filter(databases=None).order_by("pk")[:_MOST]
        if Database.objects.exists()
    ]
    for_all = Checklist(phrase("For all databases"), _with_next(_of_all(request, standing.read().overall)))
    return {
        "lists": [*lists, for_all],
        "proved": Database.objects.count() - unproved.count(),
        "may_set_up": request.user.has_perm("backups.add_database"),
    }


def _databases() -> Any:
    return Database.objects.select_related("repository", "server")


def _with_next(steps: Sequence[Step]) -> list[Step]:
    """The first that is still to be done is the next; those after it that wait for it have no button."""
    at = next((number for number, step in enumerate(steps) if not step.is_done), None)
    return [replace(step, is_next=number == at and not step.is_running) for number, step in enumerate(steps)]


# ---------------------------------------------------------------- The steps of a database


def _steps(request: HttpRequest, database: Database | None) -> list[Step]:
    repository = database.repository if database else Repository.objects.order_by("pk").first()
    place, server = _repository(request, repository), _server(request, database)
    backup = _backup(request, database)
    if not place.is_done:
        backup = replace(backup, button=None)
    return [place, server, backup, _verification(request, database)]


def _repository(request: HttpRequest, repository: Repository | None) -> Step:
    title = phrase("Repository: where backups go")
    if repository is None:
        button = Button(phrase("Add a repository"), reverse("admin:backups_repository_add"), "add")
        return Step(
            title,
            phrase("A folder, or a storage such as S3. Its form tries it before it is saved."),
            button=_if(request, "backups.add_repository", button),
        )
    if repository.restic_id or repository.snapshots.exists():
        return Step(
            title, phrase("{repository} is at {url}.", repository=repository, url=repository.url), True
        )
    button = _dialog(phrase("Initialise"), "repository_initialise", repository.pk, "create_new_folder")
    step = Step(
        title,
        phrase(
            "{repository} was not opened yet. If nothing is at {url}, a new one is made there.",
            repository=repository,
            url=repository.url,
        ),
        button=button if may_start(request, Action.INIT) else None,
    )
    return _as_of(step, Run.objects.filter(repository=repository, action=Action.INIT))


def _server(request: HttpRequest, database: Database | None, into: Repository | None = None) -> Step:
    title = phrase("Server and database: what is backed up")
    if database is not None:
        words = phrase(
            "{database} is on {server}.", database=database.database, server=database.server.address
        )
        return Step(title, words, True)
    if not Server.objects.exists():
        button = Button(phrase("Add a server"), reverse("admin:backups_server_add"), "add")
        return Step(
            title,
            phrase("First the server: its form tries it, and shows the GRANT that its user still needs."),
            button=_if(request, "backups.add_server", button),
        )
    newest = {"server": Server.objects.latest("pk").pk}
    if repository := into or Repository.objects.order_by("-pk").first():
        newest["repository"] = repository.pk
    href = f"{reverse('admin:backups_database_add')}?{urlencode(newest)}"
    button = Button(phrase("Add a database"), href, "add")
    return Step(
        title,
        phrase("The server is there. Now say which of its databases is backed up."),
        button=_if(request, "backups.add_database", button),
    )


def _backup(request: HttpRequest, database: Database | None) -> Step:
    title = phrase("First backup")
    if database is None:
        return Step(title, phrase("It shows that all of the above is right."))
    newest = database.snapshots.present().newest_first().first()
    if newest is not None:
        return Step(
            title,
            phrase("The newest is of {time}.", time=f"{timezone.localtime(newest.time):%Y-%m-%d %H:%M}"),
            True,
            run=page_url(newest),
        )
    button = _dialog(phrase("Back up now"), "database_back_up", database.pk, "backup")
    words = phrase("It takes as long as the database is large. The application goes on meanwhile.")
    step = Step(title, words, button=button if may_start(request, Action.BACKUP) else None)
    return _as_of(step, Run.objects.filter(database=database, action=Action.BACKUP))


def _verification(request: HttpRequest, database: Database | None) -> Step:
    title = phrase("First verification")
    why = phrase("The backup is restored in full beside the live database, compared, and dropped again.")
    if database is None or not database.snapshots.present().exists():
        return Step(title, why)
    if database.snapshots.verified().exists():
        return Step(title, phrase("A backup was restored in full and compared."), True)
    button = _dialog(phrase("Verify newest"), "database_verify", database.pk, "fact_check")
    step = Step(title, why, button=button if may_start(request, Action.VERIFY) else None)
    return _as_of(step, Run.objects.filter(database=database, action=Action.VERIFY))


def _as_of(step: Step, runs: Any) -> Step:
    """As its newest run stands: one that was played and did not do it has failed."""
    newest = runs.order_by("-pk").only("pk", "status").first()
    if newest is None:
        return step
    if newest.status in ACTIVE:
        return replace(step, is_running=True, run=run_url(newest), button=None)
    has_failed = newest.status != Status.SUCCEEDED
    return replace(step, has_failed=has_failed, run=run_url(newest) if has_failed else "")


# ---------------------------------------------------------------- For all of them


def _of_all(request: HttpRequest, overall: Overall) -> list[Step]:
    return [_told(request, overall), _drill(request)]


def _told(request: HttpRequest, overall: Overall) -> Step:
    title = phrase("Who is told when something fails")
    silent = verdict.of_channels(overall)
    add = Button(phrase("Add a channel"), reverse("admin:backups_channel_add"), "campaign")
    if silent or not overall.databases:
        # Of an installation without a database nobody judges yet who is told of it.
        words = silent[0].sentence if silent else phrase("By mail, Telegram, Slack, Teams and many others.")
        return Step(title, words, button=_if(request, "backups.add_channel", add))
    return Step(title, phrase("Somebody is told. A test message shows that it arrives."), True)


def _drill(request: HttpRequest) -> Step:
    title = phrase("Gate drill")
    databases = Database.objects.all()
    if databases.exists() and not databases.filter(gates_app=True).exists():
        return Step(title, phrase("No database gates the application, so there is nothing to drill."), True)
    drills = Run.objects.filter(action=Action.PREFLIGHT, request__form=DRILL)
    if drills.filter(status=Status.SUCCEEDED).exists():
        return Step(title, phrase("The gate was seen to close and to open again."), True)
    button = Button(phrase("Go to the gate"), reverse("gate"), "door_front")
    words = phrase("It shows that the application closes when backups are too old, and opens again.")
    step = Step(title, words, button=_if(request, "backups.view_database", button))
    return _as_of(step, drills)


def _dialog(text: str, address: str, pk: int, icon: str) -> Button:
    return Button(text, reverse(f"admin:backups_{address}", args=[pk]), icon, is_dialog=True)


def _if(request: HttpRequest, right: str, button: Button) -> Button | None:
    return button if request.user.has_perm(right) else None
