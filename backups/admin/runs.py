"""Runs: the history, and a page each that follows the run while it goes."""

from __future__ import annotations

from textwrap import indent
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import (
    MultipleChoicesDropdownFilter,
    RelatedDropdownFilter,
)
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from backups import requests
from backups.admin import doubtful, live
from backups.admin.accepting import AcceptRunForm, accept_dialog, may_accept, say_so
from backups.admin.base import ReadOnlyAdmin, get_or_none, page_url, redirect, refused, run_url
from backups.admin.comparing import difference_of
from backups.admin.dialogs import dialog
from backups.admin.filters import DaysFilter
from backups.admin.restore_story import kept_words, tables_words
from backups.choices import (
    ACTIVE,
    REPLAY_COLOURS,
    RESTORE_ACTIONS,
    STATUS_COLOURS,
    VERDICT_COLOURS,
    Action,
    Level,
    Status,
)
from backups.errors import Problem
from backups.models import Restore, Run, RunLine, Suspicion
from backups.restoring import kept_states
from backups.runs import lifecycle
from backups.runs.asked import right_of
from backups.text import formatting
from backups.text.checked import row_number
from backups.text.sentences import phrase, plural, told_again_within
from backups.text.terminal import escape_control_characters

_LINES_SHOWN = 500
# No snapshot is larger.
_SIZE_BITS = 64
# What a restore overwrites has to be read and typed anew; a repository is made once.
_NOT_AGAIN = frozenset({*RESTORE_ACTIONS, Action.INIT, Action.RECOVER})


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    """The history of everything that was done."""

    list_display = ("what", "state", "queued", "took", "bytes", "asked_by", "why")
    list_display_links = ("what",)
    list_filter = (
        ("database", RelatedDropdownFilter),
        ("database__labels", RelatedDropdownFilter),
        ("action", MultipleChoicesDropdownFilter),
        ("status", MultipleChoicesDropdownFilter),
        ("trigger", MultipleChoicesDropdownFilter),
        ("queued_at", DaysFilter),
    )
    list_select_related = ("database", "repository", "requested_by")
    search_fields = ("snapshot__snapshot_id__startswith",)
    search_help_text = _("Snapshot id")
    ordering = ("-queued_at", "-pk")
    actions_detail = ("accept", "cancel", "again")
    change_form_template = "backups/run.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        """Runs with what their pages show."""
        return super().get_queryset(request).select_related(
            "database", "repository", "requested_by", "snapshot", "parent__database", "verification"
        )  # fmt: skip

    def get_fieldsets(self, request: HttpRequest, obj: Run | None = None) -> list[Any]:
        """None: the page has a template of its own."""
        return []

    def get_urls(self) -> list[URLPattern]:
        """The page's own addresses: what changed since, and the whole log."""
        return [
            path("<int:pk>/live/", self.admin_site.admin_view(self.live_view), name="backups_run_live"),
            path("<int:pk>/log.txt", self.admin_site.admin_view(self.log_view), name="backups_run_log"),
            *super().get_urls(),
        ]

    # ------------------------------------------------------------ The list

    @display(description=_("Run"), ordering="pk")
    def what(self, run: Run) -> str:
        """What was done to what."""
        return formatting.two_lines(run, run.database or run.repository)

    @display(description=_("Status"), ordering="status")
    def state(self, run: Run) -> str:
        """The status as a coloured label."""
        return formatting.label(run.get_status_display(), STATUS_COLOURS[Status(run.status)])

    @display(description=_("Queued"), ordering="queued_at")
    def queued(self, run: Run) -> str:
        """How long ago."""
        return formatting.relative_time(run.queued_at)

    @display(description=_("Duration"))
    def took(self, run: Run) -> str:
        """How long it took, or has been running."""
        return formatting.duration(run.duration())

    @display(description=_("Size"), ordering="bytes_done")
    def bytes(self, run: Run) -> str:
        """Bytes handled."""
        return formatting.size(run.bytes_done or None)

    @display(description=_("Asked by"), ordering="trigger")
    def asked_by(self, run: Run) -> str:
        """What or who asked for it."""
        return formatting.two_lines(run.get_trigger_display(), run.requested_by or "")

    @display(description=_("Remark"))
    def why(self, run: Run) -> str:
        """The error, shortened; all of it is on the run's page. Before, its phase, or what it waits for."""
        if run.status == Status.RUNNING:
            return gettext(run.phase) if run.phase else ""
        if run.status == Status.QUEUED:
            return run.detail
        told = str(run.error_told)
        return told if len(told) <= 90 else f"{told[:88].rstrip()} …"

    # ------------------------------------------------------------ The page

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The run's own page."""
        run: Run = kwargs["obj"]
        lines = _newest_lines(run)
        context |= {
            **_page_for(request, run),
            "title": str(run),
            "subtitle": None,
            "lines": lines,
            "last_line": lines[-1].pk if lines else 0,
            "lines_left_out": len(lines) == _LINES_SHOWN,
            "show_history": False,
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def live_view(self, request: HttpRequest, pk: int) -> JsonResponse:
        """What the page shows now, and the log's lines after `after`."""
        run = self._seen(request, pk)
        after = row_number(request.GET.get("after", "")) or 0
        lines = list(run.lines.filter(pk__gt=after).order_by("pk")[:_LINES_SHOWN])
        return JsonResponse(
            {
                "over": run.is_over and len(lines) < _LINES_SHOWN,
                "status": run.status,
                "title": str(phrase("{status}: {run}", status=run.get_status_display(), run=run)),
                "html": render_to_string("backups/run_state.html", _page_for(request, run)),
                "log": render_to_string("backups/run_lines.html", {"lines": lines}),
                "last_line": lines[-1].pk if lines else after,
            }
        )

    def log_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The whole log as plain text."""
        run = self._seen(request, pk)
        text = "".join(
            f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S} {Level(level).label:<8}{_in_log(line)}\n"
            for at, level, line in run.lines.order_by("pk").values_list("at", "level", "text").iterator()
        )
        return HttpResponse(text, content_type="text/plain; charset=utf-8")

    def _seen(self, request: HttpRequest, pk: int | str) -> Run:
        if not self.has_view_permission(request):
            raise PermissionDenied
        run = get_or_none(self.get_queryset(request), pk)
        if run is None:
            raise Http404
        return run

    # ------------------------------------------------------------ What can be done

    def has_cancel_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Whether this person may cancel runs."""
        return request.user.has_perm("backups.cancel_run")

    def has_again_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Whether this person may start what this run was."""
        run = get_or_none(Run.objects.only("action", "options", "request"), object_id)
        return run is not None and run.action not in _NOT_AGAIN and request.user.has_perm(right_of(run))

    def has_accept_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Whether this person may say that this backup is right, and it waits for that."""
        return may_accept(request, AcceptRunForm.by_field, object_id)

    @action(
        description=_("It is right"), icon="task_alt", variant=ActionVariant.PRIMARY, permissions=["accept"],
        dialog=accept_dialog(AcceptRunForm),
    )  # fmt: skip
    def accept(self, request: HttpRequest, form: AcceptRunForm, object_id: str) -> HttpResponse:
        """Accept the suspicious backup that this run made."""
        run = self._seen(request, object_id)
        return say_so(self, request, run, AcceptRunForm.by_field, form.cleaned_data["reason"])

    @action(
        description=_("Cancel"), icon="stop_circle", variant=ActionVariant.DANGER, permissions=["cancel"],
        attrs={"data-when": "active"},
        dialog=dialog(
            phrase("Cancel this run?"),
            phrase("What it is doing stops within seconds. A backup that is cancelled leaves no snapshot; "
"earlier snapshots stay as they are."),
            phrase("Cancel the run"), danger=True,
        ),
    )  # fmt: skip
    def cancel(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Ask the run to stop."""
        run = self._seen(request, object_id)
        try:
            lifecycle.run_cancel(run)
        except lifecycle.IllegalTransition:
            messages.warning(request, phrase("{run} is over already; there is nothing to cancel.", run=run))
        else:
            self.log_change(request, run, phrase("Asked to cancel."))
        return redirect(request, run_url(run))

    @action(
        description=_("Run again"), icon="replay", permissions=["again"], attrs={"data-when": "over"},
        dialog=dialog(
            phrase("Run this again?"),
            phrase("The same is started once more, as a new run with the same choices."),
            phrase("Run again"),
        ),
    )  # fmt: skip
    def again(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Start the same once more."""
        run = self._seen(request, object_id)
        try:
            wanted = requests.read(run)
        except Problem as problem:
            return refused(request, run, problem)
        return self.start(request, run, wanted)


def _page_for(request: HttpRequest, run: Run) -> dict[str, Any]:
    """That, with what not everybody who sees the run may see."""
    context = page_context(run)
    return {
        **context,
        "difference": difference_of(request, run),
        "compare": doubtful.of_suspicion(request, context["suspicion"]),
        "rows_back_url": _rows_back_url(request, run),
    }


def _rows_back_url(request: HttpRequest, run: Run) -> str:
    """The story of the rows that a run gives back; empty for other runs, and for who may not see rows."""
    may = run.action == Action.ROWS_BACK and request.user.has_perm("backups.run_restore")
    return reverse("rows-back", args=[run.pk]) if may else ""


def page_context(run: Run) -> dict[str, Any]:
    """What the changing part of a run's page shows."""
    now = timezone.now()
    usual = live.typical(live.earlier(run)) if not run.is_over else live.Typical(None, {})
    verification = getattr(run, "verification", None)
    replay = getattr(run, "replay_proof", None)
    restore = _restore_of(run)
    return {
        "run": run,
        "restore": restore,
        "suspicion": Suspicion.objects.filter(snapshot__made_by=run).first() if run.is_over else None,
        "url": run_url(run),
        "colour": STATUS_COLOURS[Status(run.status)],
        "is_active": run.status in ACTIVE,
        "is_running": run.status == Status.RUNNING,
        "waits_because": live.waits_because(run, now),
        "is_over": run.is_over,
        "took": run.duration(now),
        "phases": live.phases(run, now),
        "progress": live.progress(run, usual, now),
        "usual_seconds": usual.seconds,
        "facts": _facts(run, restore),
        "checks": _checks(run),
        "verification": verification,
        "verdict_colour": VERDICT_COLOURS.get(verification.verdict) if verification else "",
        "replay": replay,
        "replay_colour": REPLAY_COLOURS.get(replay.verdict) if replay else "",
        "relatives": _relatives(run),
    }


def _checks(run: Run) -> Any:
    """What a preflight looked at, in the reader's language where the worker kept what that takes."""
    result = run.result if isinstance(run.result, dict) else {}
    return told_again_within(result.get("checks"), result.get("checks_parts"))


def _facts(run: Run, restore: Restore | None) -> list[tuple[str, Any]]:
    """What the run found out, for a person: label and value."""
    result = run.result if isinstance(run.result, dict) else {}
    snapshot = run.snapshot and formatting.link(page_url(run.snapshot), run.snapshot.short_id)
    known = [
        (phrase("Snapshot"), snapshot),
        (phrase("Restore"), restore and formatting.link(page_url(restore), restore)),
        (phrase("Mode"), restore and restore.get_mode_display()),
        (phrase("Target"), restore and restore.target),
        (phrase("Tables"), restore and restore.tables and tables_words(restore)),
        (phrase("Why"), restore and restore.reason),
        (phrase("Old tables"), restore and restore.kept_in and kept_words(restore)),
        (phrase("Dump size"), _size_in(result, "dump_bytes")),
        (phrase("Added to the repository"), _size_in(result, "data_added_packed", "data_added")),
        (phrase("Dump digest (SHA-256)"), result.get("sha256")),
        (phrase("Dumped over"), _connections_in(result, "dump_connections")),
        (phrase("Loaded over"), _connections_in(result, "load_connections")),
        (phrase("Heartbeat"), result.get("heartbeat")),
        (phrase("Result"), result.get("sentence")),
        (phrase("Binary log"), run.in_binary_log),
        (phrase("Server"), run.server_version),
        (phrase("Client"), run.client_version),
        ("restic", _restic(run, result)),
        (phrase("Worker"), run.worker),
    ]
    return [(name, value) for name, value in known if value]


def _restic(run: Run, result: dict[str, Any]) -> str:
    """Its version and where it is from, which runs of earlier versions do not tell."""
    known = result.get("restic")
    origin = known.get("origin") if isinstance(known, dict) else None
    return f"{run.restic_version}, {origin}" if origin else run.restic_version


def _restore_of(run: Run) -> Restore | None:
    """The restore that this run plays or is about, without what is large in its row and its neighbours'."""
    if run.action not in RESTORE_ACTIONS:
        return None
    plays = run.action in {Action.RESTORE, Action.UNDO}
    options = run.options if isinstance(run.options, dict) else {}
    which = Q(run=run) if plays else Q(pk=row_number(str(options.get("restore"))) or 0)
    found = Restore.objects.filter(which).select_related("run", "snapshot", "undo_of")
    of_undone = [f"undo_of__{name}" for name in kept_states.LARGE]
    return found.defer("snapshot__manifest", *kept_states.LARGE, *of_undone).first()


def _size_in(result: dict[str, Any], *names: str) -> str:
    """The first of these sizes that a run told, compressed where restic said so; what is none is left out."""
    told = [result[name] for name in names if name in result]
    found = next((size for size in told if size), told[-1] if told else None)
    return formatting.size(found) if type(found) is int and found.bit_length() < _SIZE_BITS else ""


def _connections_in(result: dict[str, Any], name: str) -> str:
    """Over how many connections, and why, which runs of earlier versions do not tell."""
    number, because = result.get(name), result.get(f"{name}_because")
    if type(number) is not int:
        return ""
    return f"{plural('{n} connection', '{n} connections', n=number)}{f': {because}' if because else ''}"


def _relatives(run: Run) -> list[Run]:
    """The run that this one followed, and those that followed it."""
    children = run.children.select_related("database", "repository").order_by("pk")[:20]
    return [*([run.parent] if run.parent else []), *children]


def _in_log(text: str) -> str:
    """A line of the log, what follows its first line indented: no text can pass for a line of ours."""
    return indent(escape_control_characters(text), "    ").removeprefix("    ")


def _newest_lines(run: Run) -> list[RunLine]:
    return list(run.lines.order_by("-pk")[:_LINES_SHOWN])[::-1]
