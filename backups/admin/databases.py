"""Databases: what is backed up, when, and how long it is kept."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, RelatedDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from backups.admin import database_page, hints, live
from backups.admin.base import (
    STATE_COLOURS,
    STATE_WORDS,
    QuickList,
    first_reason,
    get_or_none,
    redirect,
)
from backups.admin.dialogs import FactsForm, dialog, waits_for_worker
from backups.admin.log_proof import ProvingAdmin
from backups.admin.secret_fields import SecretsForm, Typed, described
from backups.admin.servers import question_of
from backups.admin.standing_down import ACTIONS, StandingDownAdmin
from backups.admin.trying import SecretsAdmin
from backups.choices import Action, StandDownKind
from backups.configuration import bootstrap
from backups.models import Database, Run, Snapshot, StandDown
from backups.reports import standing
from backups.requests import BackupRequest, PreflightRequest, VerifyRequest
from backups.requests.set_up_questions import ServerQuestion
from backups.text import formatting
from backups.text.sentences import phrase
from backups.verdict.findings import by_severity

_MORE = ("verify", "prove_log", "preview_retention", "test_connection")
_TEST_RESTORES = 2  # of the sets of fields


def _where_by_default() -> str:
    """What holds for a database that names no server for test restores."""
    if settings.VERIFY_MYSQL_HOST:
        place = f"{settings.VERIFY_MYSQL_HOST}:{settings.VERIFY_MYSQL_PORT}"
        return phrase(
            "Without a host they go to the server that VERIFY_MYSQL_HOST names, {place}.", place=place
        )
    return phrase(
        "Without a host they go to the database's own server, beside the live database. They are "
        "safer on one that holds nothing else; VERIFY_MYSQL_HOST names one for all databases."
    )


class BackUpForm(FactsForm):
    """What a backup of this database will be like."""

    def facts(self, object_id: str) -> list[tuple[str, Any]]:
        """Where it goes and how long it usually takes."""
        database = get_or_none(Database.objects.select_related("repository", "server"), object_id)
        if database is None:
            raise Http404
        newest = database.snapshots.newest_first().only("time", "total_bytes_processed").first()
        usual = live.typical(live.earlier(Run(action=Action.BACKUP, database=database)))
        return [
            (
                phrase("Database"),
                phrase("{database} on {host}", database=database.database, host=database.server.host),
            ),
            (phrase("Repository"), database.repository),
            (
                phrase("Newest snapshot"),
                formatting.time_with_age(newest.time) if newest else phrase("none yet"),
            ),
            (
                phrase("Size then"),
                formatting.size(newest.total_bytes_processed) if newest else formatting.EMPTY,
            ),
            (phrase("Usually takes"), formatting.duration(usual.seconds)),
            *waits_for_worker(),
        ]


class StandDownFilter(DropdownFilter):
    """Those in service, unless asked otherwise."""

    title = _("in service")
    parameter_name = "stand_down"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """What can be chosen beside the default."""
        return [*StandDownKind.every(), ("all", phrase("All of them"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Database]) -> QuerySet[Database]:
        """The rows for what was chosen."""
        if self.value() == "all":
            return queryset
        if self.value() not in StandDownKind.values:
            return queryset.filter(pk__in=Database.objects.in_service())
        stands = StandDown.objects.standing(timezone.now()).filter(kind=self.value())
        return queryset.filter(pk__in=stands.values("database"))


class _StandingList(QuickList):
    """As on the first page, in one look for all rows."""

    def get_results(self, request: HttpRequest) -> None:
        """The rows, each with its state."""
        super().get_results(request)
        overall = standing.read().overall
        self.result_list = list(self.result_list)
        stood_down = {
            StandDownKind.RETIREMENT: overall.retired,
            StandDownKind.PAUSE: overall.paused,
            StandDownKind.MUTE: overall.muted,
        }
        for row in self.result_list:
            row.stood_down = {
                kind: found[row.name] for kind, found in stood_down.items() if row.name in found
            }
            row.stands = overall.state_of(row.name) if row.name in overall.databases else None
            row.findings = (*overall.of_database(row.name), *overall.of_repository(row.repository.name))


class DatabaseForm(SecretsForm):
    """With a password for test restores that may be typed."""

    verify_password_typed = Typed(_("Its password"))


@admin.register(Database)
class DatabaseAdmin(ProvingAdmin, StandingDownAdmin, SecretsAdmin):
    """What is backed up."""

    form = DatabaseForm
    tried_fields = ("server", "database")

    list_display = (
        "state",
        "called",
        "why",
        "address",
        "last_backup",
        "last_verified",
        "schedule",
        "repository",
        "gates",
    )
    list_display_links = ("called",)
    change_form_template = "backups/database.html"
    list_select_related = ("repository", "server")
    # A row is as large as six of another list, and tells how its database stands.
    list_per_page = 25
    list_filter = (StandDownFilter, ("labels", RelatedDropdownFilter))
    search_fields = ("name", "database", "server__name", "server__host")
    actions = None
    actions_detail = (
        "back_up", "restore",
        {"title": _("More"), "icon": "more_horiz", "items": list(_MORE)},
        {"title": _("Pause or retire"), "icon": "pause_circle", "items": list(ACTIONS)},
    )  # fmt: skip
    hinted = {
        "verify_password_ref": "hint_secret", "backup_cron": "hint_cron", "verify_cron": "hint_cron",
        "heartbeat_threshold": "hint_threshold",
    }  # fmt: skip
    hinted_beside = {"heartbeat_threshold": "backup_cron"}
    fieldsets = (
        (None, {"fields": (("name", "repository"), ("gates_app", "heartbeat_threshold"), "labels")}),
        (_("Server"), {"fields": (("server", "database"),)}),
        (
            _("Where test restores go"),
            {
                "fields": (
                    ("verify_host", "verify_port"),
                    ("verify_user", "verify_password_ref"),
                    ("verify_ssl_mode", "verify_ssl_ca"),
                ),
            },
        ),
        (_("Schedule"), {"fields": (("backup_cron", "verify_cron"), "dump_format")}),
        (_("Retention"), {"fields": (("keep_daily", "keep_weekly", "keep_monthly"),)}),
    )

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Labels to be ticked: a list of which one is taken with Ctrl nobody finds out about."""
        return super().formfield_for_manytomany(
            db_field, request, widget=UnfoldAdminCheckboxSelectMultipleWidget, **kwargs
        )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Database]:
        """Databases with the times of their newest good and newest verified snapshots."""
        held = Snapshot.objects.trusted().present().filter(database=OuterRef("pk")).newest_first()
        proved = held.verified()
        return super().get_queryset(request).prefetch_related("labels").annotate(
            newest=Subquery(held.values("time")[:1]), proved=Subquery(proved.values("verified_at")[:1])
        )  # fmt: skip

    def get_fieldsets(self, request: HttpRequest, obj: Database | None = None) -> Any:
        """With a preview of the retention for one that is there."""
        fieldsets = list(super().get_fieldsets(request, obj))
        name, options = fieldsets[_TEST_RESTORES]
        fieldsets[_TEST_RESTORES] = (name, described(options, _where_by_default()))
        if obj is None:
            return fieldsets
        if obj.is_primary:
            name, options = fieldsets[1]
            fieldsets[1] = (name, {**options, "description": bootstrap.decided_words(Database)})
        name, options = fieldsets[-1]
        if self.has_change_permission(request, obj):
            options = {**options, "description": hints.retention_place(obj)}
        return [*fieldsets[:-1], (name, options)]

    def get_readonly_fields(self, request: HttpRequest, obj: Database | None = None) -> Any:
        """The names too, once something was done under them: heartbeat, tags and alerts, paths go by them.

        Another database on the server is another row.
        """
        fields = super().get_readonly_fields(request, obj)
        settled = obj is not None and (obj.runs.exists() or obj.snapshots.exists())
        return (*fields, "name", "database") if settled else fields

    def question(self, row: Database, database: str) -> ServerQuestion:
        """Whether its server has it, and what the user lacks there."""
        return question_of(row.server, row.database)

    def get_urls(self) -> list[URLPattern]:
        """The hints of the forms."""
        view = self.admin_site.admin_view
        return [
            path("hints/cron/", view(hints.cron_view), name="backups_database_hint_cron"),
            path("hints/threshold/", view(hints.threshold_view), name="backups_database_hint_threshold"),
            path("hints/secret/", view(hints.secret_view), name="backups_database_hint_secret"),
            path(
                "<int:pk>/hints/retention/", view(hints.retention_view),
                name="backups_database_hint_retention",
            ),
            *super().get_urls(),
        ]  # fmt: skip

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The database's own page; the form is its last tab."""
        database = kwargs.get("obj")
        if database is not None:
            may_edit = self.has_change_permission(request, database)
            context |= database_page.context(request, database, may_edit=may_edit)
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description=_("Name"), ordering="name")
    def called(self, database: Database) -> str:
        """Its name, with its labels."""
        return formatting.two_lines(database.name, ", ".join(map(str, database.labels.all())))

    @display(description=_("Server"))
    def address(self, database: Database) -> str:
        """Where it lies."""
        return formatting.two_lines(database.database, database.server.address)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """A list whose rows know how they stand."""
        return _StandingList

    @display(description=_("State"))
    def state(self, database: Any) -> str:
        """The worst of all that is known of it."""
        stood_down = [formatting.label(kind.label) for kind in database.stood_down]
        if database.stands is None:
            shown = []
        else:
            shown = [formatting.label(STATE_WORDS[database.stands], STATE_COLOURS[database.stands])]
        return format_html_join(" ", "{}", ((each,) for each in [*shown, *stood_down]))

    @display(description=_("Why"))
    def why(self, database: Any) -> str:
        """The reason, where it is not well."""
        retired = database.stood_down.get(StandDownKind.RETIREMENT)
        return retired.reason if retired else first_reason(by_severity(database.findings))

    @display(description=_("Gates"), ordering="gates_app")
    def gates(self, database: Database) -> str:
        """Whether the gate closes when its backups are stale; neither is a fault."""
        return phrase("Yes") if database.gates_app else formatting.EMPTY

    @display(description=_("Newest backup"), ordering="newest")
    def last_backup(self, database: Any) -> str:
        """How long ago."""
        return formatting.relative_time(database.newest)

    @display(description=_("Newest verified"), ordering="proved")
    def last_verified(self, database: Any) -> str:
        """How long ago."""
        return formatting.relative_time(database.proved)

    @display(description=_("Schedule"))
    def schedule(self, database: Database) -> str:
        """When backups and verifications are due."""
        verified = phrase("Verified: {schedule}", schedule=hints.cron_words(database.verify_cron))
        return formatting.two_lines(hints.cron_words(database.backup_cron), verified)

    @action(
        description=_("Back up now"),
        icon="backup",
        variant=ActionVariant.PRIMARY,
        permissions=["back_up"],
        dialog=dialog(
            phrase("Back up now?"),
            phrase(
                "The database is dumped into the repository as it is at this moment. The application "
                "can go on meanwhile; its server has more to do."
            ),
            phrase("Back up now"),
            form_class=BackUpForm,
        ),
    )
    def back_up(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Start a backup."""
        database = self.found(request, object_id)
        return self.start(request, database, BackupRequest(database))

    @action(
        description=_("Verify newest"), icon="fact_check", permissions=["run_verify"],
        dialog=dialog(
            phrase("Verify the newest snapshot?"),
            phrase("It is restored in full into a scratch database and compared byte for byte. The live "
"database is not touched, but its server may have more to do meanwhile."),
            phrase("Verify"),
        ),
    )  # fmt: skip
    def verify(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Start a verification of the newest snapshot."""
        database = self.found(request, object_id)
        return self.start(request, database, VerifyRequest(database))

    @action(
        description=_("Restore as it was at …"), icon="settings_backup_restore", permissions=["run_restore"]
    )
    def restore(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to the page where a moment is chosen."""
        return redirect(request, reverse("database-restore", args=[self.found(request, object_id).pk]))

    @action(description=_("Retention"), icon="auto_delete", permissions=["view"])
    def preview_retention(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to the page that shows what the next forget would remove, and why the rest stays."""
        return redirect(request, reverse("database-retention", args=[self.found(request, object_id).pk]))

    @action(
        description=_("Test connection"), icon="cable", permissions=["run_backup"],
        dialog=dialog(
            phrase("Test the connection?"),
            phrase("The worker looks at everything that a backup needs, as it is saved: server, "
"privileges, repository, programs. Its page shows each check as it comes."),
            phrase("Test"),
        ),
    )  # fmt: skip
    def test_connection(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Have the worker look, which is where backups are made, and follow it on the run's page."""
        database = self.found(request, object_id)
        return self.start(request, database, PreflightRequest(database))
