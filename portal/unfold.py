"""How the admin looks: read by django-unfold."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse, reverse_lazy
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as StrPromise

_INDIGO = {
    "50": "oklch(96.2% .018 272.314)",
    "100": "oklch(93% .034 272.788)",
    "200": "oklch(87% .065 274.039)",
    "300": "oklch(78.5% .115 274.713)",
    "400": "oklch(67.3% .182 276.935)",
    "500": "oklch(58.5% .233 277.117)",
    "600": "oklch(51.1% .262 276.966)",
    "700": "oklch(45.7% .24 277.023)",
    "800": "oklch(39.8% .195 277.366)",
    "900": "oklch(35.9% .144 278.697)",
    "950": "oklch(25.7% .09 281.288)",
}


def _file(name: str) -> Callable[[HttpRequest], str]:
    return lambda _request: static(f"vedetta/{name}")


def _may(*permissions: str) -> Callable[[HttpRequest], bool]:
    return lambda request: any(request.user.has_perm(each) for each in permissions)


def _item(title: StrPromise, icon: str, page: str, permission: str, **more: Any) -> dict[str, Any]:
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{page}"),
        "permission": _may(permission),
        **more,
    }


def _runs(title: StrPromise, icon: str, *statuses: str) -> dict[str, Any]:
    """The list of runs, of these statuses alone."""
    query = "&".join(f"status__exact={status}" for status in statuses)
    link = lazy(lambda: f"{reverse('admin:backups_run_changelist')}?{query}", str)()

    def is_shown(request: HttpRequest) -> bool:
        """unfold itself goes by the path, which all lists of runs and each run's page begin with."""
        return request.GET.getlist("status__exact") == list(statuses)

    may_see = _may("backups.view_run")
    return {"title": title, "icon": icon, "link": link, "permission": may_see, "active": is_shown}


UNFOLD = {
    "SITE_TITLE": "Vedetta",
    "SITE_HEADER": "Vedetta",
    "SITE_SYMBOL": "visibility",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _file("favicon.svg")}],
    "SITE_URL": None,
    "SHOW_VIEW_ON_SITE": False,
    "COLORS": {"primary": _INDIGO},
    "LOGIN": {"form": "portal.signing_in.SignInForm"},
    "STYLES": [_file("vedetta.css"), _file("reach.css")],
    "SCRIPTS": [_file("components.js"), _file("vedetta.js"), _file("reach.js")],
    "ENVIRONMENT": "backups.admin.gate.header_label",
    "ACCOUNT": {
        "navigation": [
            {"title": _("My sessions"), "link": reverse_lazy("own-sessions")},
            {"title": _("Change password"), "link": reverse_lazy("admin:password_change")},
        ],
    },
    "DASHBOARD_CALLBACK": "backups.admin.first_page.callback",
    "SIDEBAR": {
        "navigation": [
            {
                "items": [
                    {"title": _("Dashboard"), "icon": "dashboard", "link": reverse_lazy("admin:index")},
                    {
                        "title": _("Gate"),
                        "icon": "door_front",
                        "link": reverse_lazy("gate"),
                        "permission": _may("backups.view_database"),
                    },
                    _item(_("Runs"), "history", "backups_run_changelist", "backups.view_run"),
                    _item(
                        _("Snapshots"), "inventory_2", "backups_snapshot_changelist", "backups.view_snapshot",
                    ),
                    _item(
                        _("Verifications"), "fact_check", "backups_verification_changelist",
                        "backups.view_verification",
                        badge="backups.admin.verifications.badge", badge_title=_("Newest ones that failed"),
                    ),
                    _item(
                        _("Restores"), "settings_backup_restore", "backups_restore_changelist",
                        "backups.view_restore",
                    ),
                    {
                        "title": _("Proof report"),
                        "icon": "summarize",
                        "link": reverse_lazy("proof"),
                        "permission": _may("backups.view_verification"),
                    },
                    _item(
                        _("Alerts"), "notifications", "backups_alert_changelist", "backups.view_alert",
                        badge="backups.admin.alerts.badge", badge_title=_("Not everyone could be told"),
                    ),
                ],
            },
            {
                "title": _("Set up"),
                "separator": True,
                "items": [
                    {
                        "title": _("Checklist"),
                        "icon": "checklist",
                        "link": reverse_lazy("set-up"),
                        "permission": _may("backups.view_database"),
                    },
                    _item(
                        _("Databases"), "database", "backups_database_changelist", "backups.view_database"
                    ),
                    _item(_("Servers"), "dns", "backups_server_changelist", "backups.view_server"),
                    _item(
                        _("Repositories"), "hard_drive", "backups_repository_changelist",
                        "backups.view_repository",
                    ),
                    _item(_("Labels"), "label", "backups_label_changelist", "backups.view_label"),
                    _item(_("Channels"), "campaign", "backups_channel_changelist", "backups.view_channel"),
                ],
            },
            {
                "title": _("People"),
                "separator": True,
                "items": [
                    _item(_("People"), "person", "auth_user_changelist", "backups.manage_people"),
                    {
                        "title": _("Audit"),
                        "icon": "policy",
                        "link": reverse_lazy("admin:admin_logentry_changelist"),
                        "permission": _may("backups.run_restore", "backups.override_gate"),
                    },
                ],
            },
            {
                "title": _("Queue"),
                "separator": True,
                "collapsible": True,
                "items": [
                    _item(
                        _("Schedules"), "schedule", "django_q_schedule_changelist", "backups.override_gate",
                    ),
                    _runs(_("Waiting"), "hourglass", "queued"),
                    _runs(_("Failed"), "error", "failed", "lost"),
                ],
            },
        ],
    },
}  # fmt: skip
