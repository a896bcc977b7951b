"""Servers: where databases live, and as whom they are backed up there."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from backups.admin.base import QuickList, SetUpAdmin, page_url, redirect, run_url
from backups.admin.secret_fields import SecretsForm, Typed, described
from backups.admin.trying import SecretsAdmin
from backups.choices import STATUS_COLOURS, Action, Status
from backups.configuration import bootstrap
from backups.models import Run, Server
from backups.requests import PreflightRequest
from backups.requests.set_up_questions import Place, ServerQuestion
from backups.runs.asked import GATE
from backups.text import formatting
from backups.text.sentences import phrase, plural

_FLAVOURS = {"mysql": "MySQL", "mariadb": "MariaDB"}


def software(server: Server) -> str:
    """Flavour and version, as the last look at it found them."""
    return f"{_FLAVOURS.get(server.flavour, server.flavour)} {server.version}".strip() or formatting.EMPTY


class _TestedList(QuickList):
    """With each server's newest connection test, all of them in one look."""

    def get_results(self, request: HttpRequest) -> None:
        """The rows, each with its test."""
        super().get_results(request)
        self.result_list = list(self.result_list)
        tests = Run.objects.in_bulk([row.tested for row in self.result_list if row.tested])
        for row in self.result_list:
            row.test = tests.get(row.tested)


class ServerForm(SecretsForm):
    """With a password that may be typed."""

    password_typed = Typed(_("Password"))


@admin.register(Server)
class ServerAdmin(SecretsAdmin):
    """Where databases live."""

    form = ServerForm
    names_database = True
    tried_fields = ("host", "port", "user", "password_typed", "password_ref", "ssl_mode", "ssl_ca")

    list_display = ("name", "address", "user", "software", "on_it", "connection")
    search_fields = ("name", "host")
    actions = None
    hinted = {"password_ref": "hint_secret"}
    readonly_fields = ("software", "on_it")
    fieldsets = (
        (None, {"fields": ("name", ("host", "port"), ("user", "password_ref"))}),
        (_("Encryption"), {"fields": (("ssl_mode", "ssl_ca"),)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Server]:
        """Servers with their databases and the newest connection test of any of these."""
        # A drill of the gate is about no database, though its run has one.
        is_test = Q(request__form=PreflightRequest.form) | Q(request__isnull=True) & ~Q(options__has_key=GATE)
        of_it = Run.objects.filter(is_test, action=Action.PREFLIGHT, database__server=OuterRef("pk"))
        tests = of_it.order_by("-pk")
        found = super().get_queryset(request).prefetch_related("databases")
        return found.annotate(tested=Subquery(tests.values("pk")[:1]))

    def get_fieldsets(self, request: HttpRequest, obj: Server | None = None) -> Any:
        """With what is on it and what was learned of it, and a word on what the environment decides."""
        (name, options), *others = super().get_fieldsets(request, obj)
        if obj is None:
            return [(name, options), *others]
        if obj.is_of_environment:
            options = described(options, _decided_words())
        return [
            (name, options),
            *others,
            (phrase("What is known of it"), {"fields": (("software", "on_it"),)}),
        ]

    def question(self, row: Server, database: str) -> ServerQuestion:
        """Whether it answers, and what its user lacks there."""
        return question_of(row, database)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """A list whose rows know their connection tests."""
        return _TestedList

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """By the right alone: what stands in its way is told when it is asked for."""
        return super(SetUpAdmin, self).has_delete_permission(request, obj)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Refuse to delete what databases are on, in a sentence."""
        server = self.get_object(request, object_id)
        if server is not None and self.has_delete_permission(request, server) and server.databases.exists():
            messages.error(
                request,
                plural(
                    "Not deleted: {names} is on {server}. Give it another server, or delete it first.",
                    "Not deleted: {names} are on {server}. Give each of them another server, or delete it "
                    "first.",
                    n=server.databases.count(),
                    names=", ".join(str(each) for each in server.databases.all()),
                    server=server,
                ),
            )
            return redirect(request, page_url(server))
        return super().delete_view(request, object_id, extra_context)

    @display(description=_("Address"), ordering="host")
    def address(self, server: Server) -> str:
        """Where it listens."""
        return server.address

    @display(description=_("Software"))
    def software(self, server: Server) -> str:
        """Flavour and version."""
        return software(server)

    @display(description=_("Databases"))
    def on_it(self, server: Server) -> str:
        """What is backed up from it."""
        return ", ".join(map(str, server.databases.all())) or formatting.EMPTY

    @display(description=_("Connection test"))
    def connection(self, server: Any) -> str:
        """How the newest test of a database on it ended, and when."""
        if server.test is None:
            return formatting.EMPTY
        shown = formatting.label(server.test.get_status_display(), STATUS_COLOURS[Status(server.test.status)])
        at = formatting.relative_time(server.test.finished_at or server.test.queued_at)
        return format_html("{} {}", formatting.link(run_url(server.test), shown), at)


def question_of(server: Server, database: str = "") -> ServerQuestion:
    """What the worker is asked of a server, saved or not."""
    names = ("host", "port", "user", "password_ref", "ssl_mode", "ssl_ca")
    place = Place(**{name: getattr(server, name) for name in names})
    return ServerQuestion(place, database)


def _decided_words() -> str:
    return phrase(
        "{decided_words} Every database on this server goes with it.",
        decided_words=bootstrap.decided_words(Server),
    )
