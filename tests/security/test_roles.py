"""Every address of the portal against every role. A new page without a rule here fails the tests.

The table is of what Django will answer at, so it is read from the URL configuration itself: whoever
adds a page, an action or a dialog has to say here who may open it and who may send to it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from enum import IntEnum
from itertools import pairwise

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Model
from django.http.response import HttpResponseBase
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver
from unfold.admin import ModelAdmin

from backups.choices import Action, ArchiveState
from backups.models import Database, LogArchive, Repository, Run
from tests.admin.conftest import Login
from tests.rows import a_server

Rows = dict[str, Model]


class Role(IntEnum):
    """The least that one has to be; each may do what the one before may."""

    ANYONE, SIGNED_IN, STAFF, VIEWER, OPERATOR, RESTORER, ADMINISTRATOR, SUPERUSER, NOBODY = range(9)


ANYONE, SIGNED_IN, STAFF, VIEWER, OPERATOR, RESTORER, ADMINISTRATOR, SUPERUSER, NOBODY = Role
PEOPLE = {
    ANYONE: "", SIGNED_IN: "nobody", STAFF: "staff", VIEWER: "Viewer", OPERATOR: "Operator",
    RESTORER: "Restorer", ADMINISTRATOR: "Administrator", SUPERUSER: "superuser",
}  # fmt: skip
CONFIRM = {"_form_submitted": "on", "post": "yes"}

# Address: who may open it, who may send to it. NOBODY also where there is no such method.
RULES: dict[str, tuple[Role, Role]] = {
    "": (ANYONE, ANYONE),
    # The gate and what machines ask; /metrics has a token of its own, see test_metrics.py.
    "ok": (ANYONE, NOBODY),
    "sentinel/ok": (ANYONE, NOBODY),
    "sentinel/ok/<path:database>": (ANYONE, NOBODY),
    "sentinel/status": (ANYONE, NOBODY),
    "healthz": (ANYONE, NOBODY),
    "metrics": (NOBODY, NOBODY),
    # Signing in and out, one's own password, and what Django's admin brings along.
    "admin/login/": (ANYONE, ANYONE),
    # The language of one's own pages, of the sign-in page too.
    "admin/language/": (ANYONE, ANYONE),
    "admin/logout/": (NOBODY, STAFF),
    # By the link of whoever is invited, or forgot their password.
    "admin/welcome/": (ANYONE, ANYONE),
    "admin/password_change/": (STAFF, STAFF),
    "admin/password_change/done/": (STAFF, NOBODY),
    # One's own sessions.
    "admin/sessions/": (STAFF, STAFF),
    "admin/search/": (STAFF, STAFF),
    "admin/autocomplete/": (NOBODY, NOBODY),
    "admin/jsi18n/": (STAFF, NOBODY),
    "admin/r/<path:content_type_id>/<path:object_id>/": (NOBODY, NOBODY),
    "admin/<app_label>/": (VIEWER, VIEWER),
    "admin/(?P<url>.*)$": (NOBODY, NOBODY),
    # The dashboard, the gate's page, restores.
    "admin/": (STAFF, STAFF),
    "admin/live/": (VIEWER, VIEWER),
    "admin/gate/": (VIEWER, ADMINISTRATOR),
    "admin/gate/live/": (VIEWER, VIEWER),
    "admin/gate/clear/": (NOBODY, ADMINISTRATOR),
    "admin/gate/drill/": (NOBODY, ADMINISTRATOR),
    "admin/set-up/": (VIEWER, VIEWER),
    "admin/set-up/live/": (VIEWER, VIEWER),
    "admin/proof/": (VIEWER, VIEWER),
    "admin/proof/file/": (NOBODY, VIEWER),
    "admin/backups/snapshot/<int:pk>/restore/": (RESTORER, RESTORER),
    "admin/backups/restore/<int:pk>/file/": (NOBODY, RESTORER),
    "admin/backups/snapshot/<int:pk>/forget/": (OPERATOR, OPERATOR),
    "admin/backups/repository/<int:pk>/retention/": (VIEWER, VIEWER),
    "admin/backups/database/<int:pk>/retention/": (VIEWER, VIEWER),
    "admin/backups/database/<int:pk>/restore/": (RESTORER, RESTORER),
    # Whether its log is stored, what of that was seen to be missing, and what changed when.
    "admin/backups/database/<int:pk>/log/": (ADMINISTRATOR, ADMINISTRATOR),
    "admin/backups/database/<int:pk>/log/acknowledge/": (NOBODY, OPERATOR),
    "admin/backups/database/<int:pk>/transactions/": (RESTORER, RESTORER),
    "admin/backups/database/<int:pk>/transactions/search/": (RESTORER, RESTORER),
    "admin/backups/database/<int:pk>/transactions/undo/": (NOBODY, RESTORER),
    # Of whoever asked, and nobody else.
    "admin/backups/questions/<int:pk>/": (NOBODY, NOBODY),
    "admin/backups/questions/<int:pk>/live/": (NOBODY, NOBODY),
    "admin/backups/questions/<int:pk>/preview/": (NOBODY, NOBODY),
    "admin/backups/questions/<int:pk>/tried/": (NOBODY, NOBODY),
    "admin/backups/questions/<int:pk>/log/": (NOBODY, NOBODY),
    # What a form holds, tried before it is saved.
    "admin/backups/server/test/": (NOBODY, ADMINISTRATOR),
    "admin/backups/database/test/": (NOBODY, ADMINISTRATOR),
    "admin/backups/repository/test/": (NOBODY, ADMINISTRATOR),
    # Buttons.
    "admin/backups/alert/send_test/": (OPERATOR, OPERATOR),
    "admin/backups/channel/<path:object_id>/send_test/": (OPERATOR, OPERATOR),
    "admin/backups/channel/try/": (NOBODY, ADMINISTRATOR),
    "admin/backups/database/<path:object_id>/back_up/": (OPERATOR, OPERATOR),
    "admin/backups/database/<path:object_id>/verify/": (OPERATOR, OPERATOR),
    # Of one whose log is stored.
    "admin/backups/database/<path:object_id>/prove_log/": (OPERATOR, OPERATOR),
    "admin/backups/database/<path:object_id>/test_connection/": (OPERATOR, OPERATOR),
    "admin/backups/database/<path:object_id>/restore/": (RESTORER, RESTORER),
    "admin/backups/database/<path:object_id>/preview_retention/": (VIEWER, VIEWER),
    "admin/backups/database/<path:object_id>/pause/": (ADMINISTRATOR, ADMINISTRATOR),
    "admin/backups/database/<path:object_id>/mute/": (ADMINISTRATOR, ADMINISTRATOR),
    # Of one that gates they need the right to open the gate as well.
    "admin/backups/database/<path:object_id>/retire/": (ADMINISTRATOR, ADMINISTRATOR),
    # There is nothing to end here; tests/admin/test_standing_down.py has some.
    "admin/backups/database/<path:object_id>/resume/": (NOBODY, NOBODY),
    "admin/backups/database/<path:object_id>/unmute/": (NOBODY, NOBODY),
    "admin/backups/database/<path:object_id>/take_back/": (NOBODY, NOBODY),
    "admin/backups/repository/<path:object_id>/preview_retention/": (VIEWER, VIEWER),
    "admin/backups/repository/<path:object_id>/initialise/": (OPERATOR, OPERATOR),
    "admin/backups/repository/<path:object_id>/bring_list/": (OPERATOR, OPERATOR),
    "admin/backups/repository/<path:object_id>/check_now/": (OPERATOR, OPERATOR),
    "admin/backups/repository/<path:object_id>/forget/": (OPERATOR, OPERATOR),
    "admin/backups/repository/<path:object_id>/prune/": (OPERATOR, OPERATOR),
    "admin/backups/repository/<path:object_id>/stats/": (OPERATOR, OPERATOR),
    "admin/backups/repository/<path:object_id>/unlock/": (OPERATOR, OPERATOR),
    "admin/backups/repository/<path:object_id>/repair_index/": (OPERATOR, OPERATOR),
    "admin/backups/repository/<path:object_id>/repair_snapshots/": (OPERATOR, OPERATOR),
    "admin/backups/run/<path:object_id>/accept/": (OPERATOR, OPERATOR),
    "admin/backups/run/<path:object_id>/cancel/": (OPERATOR, OPERATOR),
    "admin/backups/run/<path:object_id>/again/": (OPERATOR, OPERATOR),
    "admin/backups/snapshot/<path:object_id>/restore/": (RESTORER, RESTORER),
    "admin/backups/snapshot/<path:object_id>/what_changed/": (RESTORER, RESTORER),
    "admin/backups/snapshot/<path:object_id>/accept/": (OPERATOR, OPERATOR),
    "admin/backups/snapshot/<path:object_id>/verify/": (OPERATOR, OPERATOR),
    "admin/backups/snapshot/<path:object_id>/pin/": (OPERATOR, OPERATOR),
    "admin/backups/snapshot/<path:object_id>/unpin/": (OPERATOR, OPERATOR),
    "admin/backups/snapshot/<path:object_id>/forget/": (OPERATOR, OPERATOR),
    "admin/backups/restore/<path:object_id>/undo/": (RESTORER, RESTORER),
    "admin/backups/restore/<path:object_id>/drop_kept/": (RESTORER, RESTORER),
    "admin/backups/restore/<path:object_id>/try_again/": (RESTORER, RESTORER),
    # Parts of pages.
    "admin/backups/run/<int:pk>/live/": (VIEWER, VIEWER),
    "admin/backups/run/<int:pk>/log.txt": (VIEWER, VIEWER),
    "admin/backups/restore/<int:pk>/live/": (VIEWER, VIEWER),
    # Rows of people's tables, and scripts with them.
    "admin/backups/run/<int:pk>/rows/": (RESTORER, RESTORER),
    "admin/backups/run/<int:pk>/rows-back/": (RESTORER, RESTORER),
    "admin/backups/run/<int:pk>/rows-back/live/": (RESTORER, RESTORER),
    "admin/backups/run/<int:pk>/rows-back/script/": (RESTORER, NOBODY),
    "admin/backups/run/<int:pk>/rows-back/rows/": (RESTORER, NOBODY),
    "admin/backups/run/<int:pk>/rows-back/again/": (NOBODY, RESTORER),
    "admin/backups/run/<int:pk>/rows-back/undo/": (NOBODY, RESTORER),
    "admin/backups/database/hints/cron/": (ADMINISTRATOR, ADMINISTRATOR),
    "admin/backups/database/hints/threshold/": (ADMINISTRATOR, ADMINISTRATOR),
    "admin/backups/database/hints/secret/": (ADMINISTRATOR, ADMINISTRATOR),
    "admin/backups/database/<int:pk>/hints/retention/": (ADMINISTRATOR, ADMINISTRATOR),
    "admin/auth/user/invite/": (ADMINISTRATOR, ADMINISTRATOR),
    # What is done to a person.
    "admin/auth/user/<int:pk>/link/": (ADMINISTRATOR, ADMINISTRATOR),
    "admin/auth/user/<int:pk>/password/": (ADMINISTRATOR, ADMINISTRATOR),
    "admin/auth/user/<int:pk>/deactivate/": (ADMINISTRATOR, ADMINISTRATOR),
    "admin/auth/user/<int:pk>/activate/": (NOBODY, ADMINISTRATOR),
    "admin/auth/user/<int:pk>/sessions/": (NOBODY, ADMINISTRATOR),
}
# Kind of row: who may see its pages, add one, change one, delete one.
ROWS: dict[str, tuple[Role, Role, Role, Role]] = {
    "backups/run": (VIEWER, NOBODY, NOBODY, NOBODY),
    "backups/snapshot": (VIEWER, NOBODY, NOBODY, NOBODY),
    "backups/verification": (VIEWER, NOBODY, NOBODY, NOBODY),
    "backups/restore": (VIEWER, NOBODY, NOBODY, NOBODY),
    "backups/alert": (VIEWER, NOBODY, NOBODY, NOBODY),
    "backups/channel": (VIEWER, ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR),
    "backups/database": (VIEWER, ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR),
    "backups/server": (VIEWER, ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR),
    "backups/label": (VIEWER, ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR),
    "backups/repository": (VIEWER, ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR),
    "admin/logentry": (RESTORER, NOBODY, NOBODY, NOBODY),
    "auth/user": (ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR),
    "django_q/schedule": (ADMINISTRATOR, NOBODY, NOBODY, NOBODY),
    # Failed sign-ins; deleting an attempt unlocks who made it.
    "axes/accessattempt": (SUPERUSER, NOBODY, SUPERUSER, SUPERUSER),
    "axes/accesslog": (SUPERUSER, NOBODY, SUPERUSER, SUPERUSER),
    "axes/accessfailurelog": (SUPERUSER, NOBODY, SUPERUSER, SUPERUSER),
}


def rules() -> dict[str, tuple[Role, Role]]:
    """The whole table, with the pages that every kind of row has."""
    whole = dict(RULES)
    for kind, (see, add, change, delete) in ROWS.items():
        whole |= {
            f"admin/{kind}/": (see, see),
            f"admin/{kind}/add/": (add, add),
            f"admin/{kind}/<path:object_id>/history/": (see, see),
            f"admin/{kind}/<path:object_id>/change/": (see, change),
            f"admin/{kind}/<path:object_id>/delete/": (delete, delete),
            # Leads to the row's page, which asks for itself.
            f"admin/{kind}/<path:object_id>/": (STAFF, STAFF),
        }
    return whole


def addresses(resolver: URLResolver | None = None, before: str = "") -> Iterator[str]:
    """Every address that the portal answers at, as its URL configuration has it."""
    for pattern in (resolver or get_resolver()).url_patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield re.sub(r"\^\(\?P<app_label>[^)]*\)/\$$", "<app_label>/", route)
        else:
            yield from addresses(pattern, route)


def url_of(route: str, rows: Rows) -> str:
    """An address with a row that is there."""
    kind = "_".join(route.split("/")[1:3])
    special = {"/delete/": "to delete", "/run/<int:pk>/rows/": "of rows", "rows-back/": "of rows back"}
    of_it = next((words for part, words in special.items() if part in route), "")
    row = rows.get(f"{kind} {of_it}") or rows.get(kind)
    url = re.sub(r"<(?:path:object_id|int:pk|id)>", str(row.pk) if row else "1", route)
    url = url.replace("<path:content_type_id>", "1").replace("<path:database>", "orders_tracker")
    return "/" + url.replace("<app_label>", "backups").replace("(?P<url>.*)$", "no/such/page/")


@pytest.fixture
def rows(rows: Rows) -> Rows:
    """Also what may be deleted, because nothing was done with it yet."""
    repository = Repository.objects.create(name="unused", url="/nowhere")
    without_any = Repository.objects.create(name="without any", url="/nowhere/else")
    database = Database.objects.create(
        name="unused", database="unused", server=a_server("h"), repository=repository
    )
    shop = Database.objects.get(pk=rows["backups_database"].pk)
    LogArchive.objects.create(database=shop, state=ArchiveState.FOLLOWING)
    of_rows = {
        action: Run.objects.create(
            action=action, database=shop, repository=shop.repository, trigger="admin", status="succeeded",
            result={"rows_back": {"tables": [{"table": "orders", "gone": 1}]}},
        )
        for action in (Action.DIFF, Action.ROWS_BACK)
    }  # fmt: skip
    return rows | {
        "backups_run of rows": of_rows[Action.DIFF],
        "backups_run of rows back": of_rows[Action.ROWS_BACK],
        "backups_database to delete": database,
        "backups_repository to delete": without_any,
        "backups_server to delete": a_server("unused"),
    }


def is_refusal(response: HttpResponseBase) -> bool:
    """Whether a page was not shown: to the sign-in page, forbidden, not there, or no such method."""
    if response.status_code == 302:
        # Who is not signed in cannot sign out.
        asked = response.wsgi_request.path  # type: ignore[attr-defined]
        return "/login/" in response.headers["Location"] or asked == "/admin/logout/"
    return response.status_code in {403, 404, 405}


def test_every_address_has_a_rule_and_every_rule_an_address() -> None:
    assert set(addresses()) == set(rules())


# Who is signed in and no more is nearly anyone; who may do all is nearly the administrator.
ALWAYS = [role for role in PEOPLE if role not in (SIGNED_IN, SUPERUSER)]


def is_bound(role: Role, least: Role) -> bool:
    """Whether `role` is the first of these that gets something, or the last that does not.

    Who is not signed in is asked for everything: a page may have forgotten to ask who somebody is.
    """
    at = ALWAYS.index(role)
    return role == ANYONE or ALWAYS[at - 1] < least <= [*ALWAYS, NOBODY][at + 1]


# Of each address the last is asked for that is refused, and the first that is not, as each role's rights are
# those of the one before and more: that is seen below. `make soak` asks each for all.
@pytest.mark.parametrize(
    "role",
    [pytest.param(role, marks=pytest.mark.larger if role in ALWAYS else pytest.mark.soak) for role in PEOPLE],
    ids=lambda role: role.name.lower(),
)
def test_each_role_gets_what_it_may_have_and_no_more(rows: Rows, login: Login, role: Role) -> None:
    session = session_of(login, role)
    told: list[str] = []
    for route, (may_open, may_send) in rules().items():
        for method, least in (("GET", may_open), ("POST", may_send)):
            refuse = role < least
            if "VEDETTA_SOAK" not in os.environ and not is_bound(role, least):
                continue
            with transaction.atomic(), CaptureQueriesContext(connection) as captured:
                response = ask(session, method, url_of(route, rows), confirmed=refuse)
                if is_refusal(response) != refuse:
                    told.append(f"{method} {route}: {response.status_code}, but {least.name} may")
                if refuse and (written := writes(captured)):
                    told.append(f"{method} {route} was refused, and did {written}")
                transaction.set_rollback(True)
    assert told == []


def test_each_roles_rights_are_those_of_the_one_before_and_more(person: Callable[[str], User]) -> None:
    rights = [person(PEOPLE[role]).get_all_permissions() for role in ALWAYS if role != ANYONE]
    assert all(fewer < more for fewer, more in pairwise(rights))


def session_of(login: Login, role: Role) -> str:
    """The cookie of somebody of this role."""
    return login(PEOPLE[role]).cookies[settings.SESSION_COOKIE_NAME].value if role else ""


def ask(session: str, method: str, url: str, *, confirmed: bool) -> HttpResponseBase:
    """A request of a browser of its own, as signing out ends a session.

    What may be sent is sent unconfirmed: here it is asked who may, and not what it does.
    """
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = session
    return client.get(url) if method == "GET" else client.post(url, CONFIRM if confirmed else {})


def writes(captured: CaptureQueriesContext) -> list[str]:
    """The statements that changed something."""
    return [sql for query in captured if (sql := query["sql"]).startswith(("INSERT", "UPDATE", "DELETE"))]


# ---------------------------------------------------------------- Buttons


def actions() -> dict[str, tuple[str, bool]]:
    """The address of each button, the kind of row that it belongs to, and whether it is on the row's page."""
    found: dict[str, tuple[str, bool]] = {}
    for model, page in admin.site._registry.items():
        if isinstance(page, ModelAdmin):
            kind = f"{model._meta.app_label}/{model._meta.model_name}"
            of_row = [*page._get_base_actions_detail(), *page._get_base_actions_row()]
            found |= {f"admin/{kind}/<path:object_id>/{one.path}/": (kind, True) for one in of_row}
            found |= {f"admin/{kind}/{one.path}/": (kind, False) for one in page._get_base_actions_list()}
    return found


@pytest.mark.parametrize(
    "role",
    [
        # Who may press none, and some; an operator sees both kinds of page.
        VIEWER,
        OPERATOR,
        *(pytest.param(role, marks=pytest.mark.soak) for role in (RESTORER, ADMINISTRATOR)),
    ],
    ids=lambda role: role.name,
)
def test_a_button_is_shown_to_whom_may_press_it_alone(rows: Rows, login: Login, role: Role) -> None:
    session = session_of(login, role)
    told = []
    pages: dict[str, str] = {}
    assert actions()
    for route, (kind, on_row) in actions().items():
        page = f"admin/{kind}/<path:object_id>/change/" if on_row else f"admin/{kind}/"
        if page not in pages:
            response = ask(session, "GET", url_of(page, rows), confirmed=False)
            pages[page] = response.content.decode()  # type: ignore[attr-defined]
        shown = url_of(route, rows) in pages[page]
        if shown != (role >= RULES[route][1]):
            told.append(f"{route} is {'shown' if shown else 'hidden'}")
    assert told == []


@pytest.mark.parametrize(
    "pk",
    [pytest.param("999999", marks=pytest.mark.soak), pytest.param("1 OR 1=1", marks=pytest.mark.soak), "%00"],
)
def test_a_row_that_is_not_there_is_no_error_of_the_server(rows: Rows, login: Login, pk: str) -> None:
    session = session_of(login, SUPERUSER)
    told = []
    for route in rules():
        if "<" not in route or "app_label" in route or "sentinel" in route:
            continue
        url = re.sub(r"<[^>]*>", pk, "/" + route)
        for method in ("GET", "POST"):
            response = ask(session, method, url, confirmed=True)
            # A dialog may ask; to what it sends, there is nothing to do.
            if response.status_code >= 500 or (method == "POST" and response.status_code == 200):
                told.append(f"{method} {url}: {response.status_code}")
    assert told == []
