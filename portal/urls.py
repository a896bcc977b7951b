"""The portal's addresses: the admin, the gate beside it, and what other machines ask."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from django.views.i18n import set_language

from backups.admin import (
    asked,
    checklist,
    file_of_moment,
    first_page,
    forgetting,
    gate,
    log_search,
    log_switch,
    moments_tab,
    proof,
    restore_at,
    restoring,
    retention,
    row_choosing,
    rows_back,
    sessions,
    transactions,
    trying,
    welcome,
)
from portal import monitoring, refusals

handler400 = refusals.bad_request
handler403 = refusals.forbidden
handler404 = refusals.not_found
handler500 = monitoring.server_error

urlpatterns = [
    path("", include("sentinel.urls")),
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("admin/language/", set_language, name="set_language"),
    path("admin/welcome/", welcome.welcome_view, name="welcome"),
    path("admin/sessions/", admin.site.admin_view(sessions.own_view), name="own-sessions"),
    path("admin/live/", first_page.live_view, name="dashboard-live"),
    path("admin/gate/", admin.site.admin_view(gate.gate_view), name="gate"),
    path("admin/gate/live/", admin.site.admin_view(gate.live_view), name="gate-live"),
    path("admin/gate/clear/", admin.site.admin_view(gate.clear_view), name="gate-clear"),
    path("admin/gate/drill/", admin.site.admin_view(gate.drill_view), name="gate-drill"),
    path(
        "admin/backups/snapshot/<int:pk>/restore/",
        admin.site.admin_view(restoring.restore_view),
        name="snapshot-restore",
    ),
    path(
        "admin/backups/snapshot/<int:pk>/forget/",
        admin.site.admin_view(forgetting.forget_view),
        name="snapshot-forget",
    ),
    path(
        "admin/backups/repository/<int:pk>/retention/",
        admin.site.admin_view(retention.repository_view),
        name="repository-retention",
    ),
    path(
        "admin/backups/database/<int:pk>/retention/",
        admin.site.admin_view(retention.database_view),
        name="database-retention",
    ),
    path(
        "admin/backups/database/<int:pk>/restore/",
        admin.site.admin_view(restore_at.restore_at_view),
        name="database-restore",
    ),
    path(
        "admin/backups/restore/<int:pk>/file/",
        admin.site.admin_view(file_of_moment.download_view),
        name="restore-file",
    ),
    path(
        "admin/backups/database/<int:pk>/log/",
        admin.site.admin_view(log_switch.switch_view),
        name="database-log",
    ),
    path(
        "admin/backups/database/<int:pk>/log/acknowledge/",
        admin.site.admin_view(moments_tab.acknowledge_view),
        name="database-log-acknowledge",
    ),
    path(
        "admin/backups/database/<int:pk>/transactions/search/",
        admin.site.admin_view(log_search.search_view),
        name="database-log-search",
    ),
    path(
        "admin/backups/database/<int:pk>/transactions/",
        admin.site.admin_view(transactions.list_view),
        name="database-transactions",
    ),
    path(
        "admin/backups/database/<int:pk>/transactions/undo/",
        admin.site.admin_view(transactions.undo_view),
        name="database-transactions-undo",
    ),
    path(
        "admin/backups/questions/<int:pk>/log/",
        admin.site.admin_view(log_switch.state_view),
        name="question-log",
    ),
    path(
        "admin/backups/run/<int:pk>/rows/",
        admin.site.admin_view(row_choosing.choose_view),
        name="rows-choose",
    ),
    path(
        "admin/backups/run/<int:pk>/rows-back/", admin.site.admin_view(rows_back.story_view), name="rows-back"
    ),
    path(
        "admin/backups/run/<int:pk>/rows-back/live/",
        admin.site.admin_view(rows_back.live_view),
        name="rows-back-live",
    ),
    path(
        "admin/backups/run/<int:pk>/rows-back/script/",
        admin.site.admin_view(rows_back.script_view),
        name="rows-back-script",
    ),
    path(
        "admin/backups/run/<int:pk>/rows-back/rows/",
        admin.site.admin_view(rows_back.rows_view),
        name="rows-back-rows",
    ),
    path(
        "admin/backups/run/<int:pk>/rows-back/again/",
        admin.site.admin_view(rows_back.again_view),
        name="rows-back-again",
    ),
    path(
        "admin/backups/run/<int:pk>/rows-back/undo/",
        admin.site.admin_view(rows_back.undo_view),
        name="rows-back-undo",
    ),
    path("admin/backups/questions/<int:pk>/", admin.site.admin_view(asked.question_view), name="question"),
    path(
        "admin/backups/questions/<int:pk>/live/",
        admin.site.admin_view(asked.live_view),
        name="question-live",
    ),
    path(
        "admin/backups/questions/<int:pk>/preview/",
        admin.site.admin_view(restoring.preview_view),
        name="question-preview",
    ),
    path(
        "admin/backups/questions/<int:pk>/tried/",
        admin.site.admin_view(trying.tried_view),
        name="question-tried",
    ),
    path("admin/set-up/", admin.site.admin_view(checklist.set_up_view), name="set-up"),
    path("admin/set-up/live/", admin.site.admin_view(checklist.live_view), name="set-up-live"),
    path("admin/proof/", admin.site.admin_view(proof.proof_view), name="proof"),
    path("admin/proof/file/", admin.site.admin_view(proof.file_view), name="proof-file"),
    path("admin/", admin.site.urls),
    path("metrics", monitoring.metrics, name="metrics"),
    path("healthz", monitoring.healthz, name="healthz"),
]
