"""The gate as people read it, and the override that keeps it open for a while."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.views.decorators.http import require_POST

from backups.admin import gate_files
from backups.admin.base import Notice, notice_of, run_url
from backups.admin.gate_forms import DrillForm, OverrideForm
from backups.choices import Action, Trigger
from backups.errors import Problem
from backups.models import Database, Run
from backups.reports import gate_words, standing
from backups.requests import Asker, DrillRequest, read_as
from backups.text import formatting
from backups.text.sentences import phrase
from backups.verdict import State
from sentinel import heartbeat
from sentinel.environment import GateSettings
from sentinel.gate import Word, decide
from sentinel.heartbeat import Override
from sentinel.observe import observe

COLOURS = {Word.FRESH: "success", Word.GRACE: "info", Word.OVERRIDE: "warning"}
_AUDIT_REPR = "Gate"


@dataclass(frozen=True)
class GateDatabase:
    """How one database stands with the gate."""

    name: str
    word: str
    colour: str
    sentence: str


@dataclass(frozen=True)
class Gate:
    """The gate's state in words."""

    open: bool
    word: str
    colour: str
    sentence: str
    override: Override | None
    databases: list[GateDatabase]
    files: list[gate_files.File]
    # What is wrong with its process, whatever the files say.
    trouble: str = ""
    # Which age decided: backup, verified or log.
    decided_by: str = "backup"


def look(stands: standing.Standing, *, is_short: bool = False) -> Gate:
    """Say how the gate stands by the status files, and what is known of its process.

    Of each database and file only unless it `is_short`.
    """
    now = stands.now
    limits: GateSettings = settings.SENTINEL
    observation = stands.files
    found = decide(observation, limits, now)
    judged = [
        GateDatabase(one.name, one.word.value, _colour(one.word), gate_words.sentence(one, files, limits))
        for one, files in zip(found.databases, observation.databases, strict=False)
        if not is_short or one.name == found.database
    ]
    worst = next((one for one in judged if one.name == found.database), None)
    shown = observation.databases if not is_short else ()
    trouble = [each.reason for each in stands.overall.findings if each.key == "gate_process"]
    return Gate(
        open=found.open,
        word=found.word.value,
        colour="danger" if trouble else _colour(found.word),
        sentence=worst.sentence if worst else gate_words.reason(found.reason),
        override=observation.override,
        databases=judged,
        files=gate_files.of(shown, observation.first_boot, observation.override, limits, now),
        trouble=trouble[0] if trouble else "",
        decided_by=found.decided_by.value,
    )


def _colour(word: Word) -> str:
    return COLOURS.get(word, "danger")


def why(gate: Gate, stands: standing.Standing) -> list[Notice]:
    """What keeps a closed gate closed, or will close an open one, each with what to do and where."""
    keys = _CLOSE_IT | ({"log_gap"} if gate.decided_by == "log" else set())
    found = [each for each in stands.overall.findings if each.key in keys]
    is_well = gate.open and gate.word != Word.OVERRIDE
    return [notice_of(each) for each in found if each.state == State.BAD or not is_well]


def chip(found: Gate) -> str:
    """What stands above every page, for those that follow it."""
    label = _label(found.word, is_open=found.open, in_trouble=bool(found.trouble))
    return render_to_string("backups/chip.html", {"chip": label}).strip()


# What ends in a stale heartbeat, or in one that is not written; or closes it whatever the heartbeat says.
_CLOSE_IT = frozenset(
    {
        "gate_process",
        "verification",
        "no_backup",
        "repository_damaged",
        "waits_for_a_person",
        "worker",
        "environment",
        "heartbeat_withheld",
        "queue",
        "backup_failed",
        "secret_unreadable",
        "verification_failed",
        "not_scheduled",
        "schedule",
    }
)


def live_view(request: HttpRequest) -> JsonResponse:
    """What the gate's page shows now."""
    if not request.user.has_perm("backups.view_database"):
        return JsonResponse({}, status=403)
    stands = standing.read()
    found = look(stands)
    context = {"gate": found, "why": why(found, stands)}
    return JsonResponse(
        {
            "over": False,
            "every": _EVERY_SECONDS,
            "chip": chip(found),
            "html": render_to_string("backups/gate_state.html", context, request),
        }
    )


_EVERY_SECONDS = 10


def header_label(request: HttpRequest) -> Any:
    """What stands above every page while the gate is closed, overridden or in trouble: text and colour.

    It is looked at where it is shown: the first page says how the gate stands, and so it is not asked twice.
    """
    return SimpleLazyObject(partial(_header_label, request)) if request.user.is_authenticated else None


def _header_label(request: HttpRequest) -> list[str] | None:
    known: Gate | None = getattr(request, "vedetta_gate", None)
    if known is not None:
        return _label(known.word, is_open=known.open, in_trouble=bool(known.trouble))
    now = datetime.now(UTC)
    found = decide(observe(settings.SENTINEL, now), settings.SENTINEL, now)
    return _label(found.word, is_open=found.open, in_trouble=standing.gate_process() is not None)


def _label(word: str, *, is_open: bool, in_trouble: bool) -> list[str] | None:
    if in_trouble:
        return [phrase("Gate in trouble"), "danger"]
    if word == Word.OVERRIDE:
        return [phrase("Gate overridden"), "warning"]
    return None if is_open else [phrase("Gate closed"), "danger"]


# ---------------------------------------------------------------- The page


def gate_view(request: HttpRequest) -> HttpResponse:
    """The gate's files, and the form of the override."""
    if not request.user.has_perm("backups.view_database"):
        raise PermissionDenied
    form = OverrideForm(request.POST or None)
    if request.method == "POST":
        _may_override(request)
        if form.is_valid():
            return _override(request, form)
    return _page(request, form)


@require_POST
def drill_view(request: HttpRequest) -> HttpResponse:
    """Have the worker hold a drill, and follow it on the run's page."""
    _may_override(request)
    assert request.user.is_authenticated  # noqa: S101  admin_view lets nobody else in
    form = DrillForm(request.POST)
    if not form.is_valid():
        return _page(request, OverrideForm(), form)
    database = _drilled_database()
    if database is None:
        messages.error(request, phrase("Not started: no database is set up yet. Run `manage.py bootstrap`."))
        return HttpResponseRedirect(reverse("gate"))
    url = form.cleaned_data["url"]
    try:
        run = DrillRequest(database, url).submit(Asker(Trigger.ADMIN, request.user))
    except Problem as refused:
        messages.error(request, refused.sentence())
        return HttpResponseRedirect(reverse("gate"))
    _audit(request, phrase("Started a drill of {url}: {run}.", url=url, run=run))
    return HttpResponseRedirect(run_url(run))


def _drilled_database() -> Database | None:
    """Whose run it is; a drill is of none, but for a worker to play it, it has to have one."""
    return Database.objects.in_service().order_by("-gates_app", "-is_primary", "pk").first()


def _last_drilled() -> str:
    """The address of the last drill, which the next one is mostly of."""
    drills = Q(request__form=DrillRequest.form) | Q(request__isnull=True, options__has_key="gate")
    run = Run.objects.filter(drills, action=Action.PREFLIGHT).first()
    return read_as(run, DrillRequest).url if run else ""


@require_POST
def clear_view(request: HttpRequest) -> HttpResponse:
    """End the override before its time."""
    _may_override(request)
    try:
        there = heartbeat.override_clear(settings.SENTINEL.heartbeat_path)
    except OSError as error:
        messages.error(
            request,
            phrase("The override could not be removed ({error}). It ends by itself.", error=error.strerror),
        )
    else:
        if there:
            _audit(request, phrase("Ended the override."))
        messages.success(request, phrase("The override is ended. The gate judges the backups again."))
    return HttpResponseRedirect(reverse("gate"))


def _may_override(request: HttpRequest) -> None:
    if not request.user.has_perm("backups.override_gate"):
        raise PermissionDenied


def _override(request: HttpRequest, form: OverrideForm) -> HttpResponse:
    until = timezone.now().replace(microsecond=0) + timedelta(hours=form.cleaned_data["hours"])
    override = Override(until=until, by=request.user.get_username(), reason=form.cleaned_data["reason"])
    try:
        heartbeat.override_write(settings.SENTINEL.heartbeat_path, override)
    except OSError as error:
        messages.error(
            request,
            phrase(
                "The override could not be written ({error}). Check the status folder's owner, mode and "
                "free space.",
                error=error.strerror,
            ),
        )
        return _page(request, form)
    _audit(
        request,
        phrase(
            "Kept the gate open until {until}: {reason}",
            until=formatting.exact(until),
            reason=override.reason,
        ),
    )
    messages.success(request, phrase("The gate stays open until {until}.", until=formatting.clock(until)))
    return HttpResponseRedirect(reverse("gate"))


def _page(request: HttpRequest, form: OverrideForm, drill_form: DrillForm | None = None) -> HttpResponse:
    stands = standing.read()
    found = look(stands)
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": phrase("Gate"),
        "gate": found,
        "why": why(found, stands),
        "form": form,
        "drill_form": drill_form or DrillForm(initial={"url": _last_drilled()}),
        "may_override": request.user.has_perm("backups.override_gate"),
        "record": LogEntry.objects.filter(
            object_repr=_AUDIT_REPR, content_type=ContentType.objects.get_for_model(Database)
        ).select_related("user")[:10],
    }
    return TemplateResponse(request, "backups/gate.html", context)


def _audit(request: HttpRequest, message: str) -> None:
    assert request.user.is_authenticated  # noqa: S101  admin_view lets nobody else in
    LogEntry.objects.create(
        user_id=request.user.pk,
        content_type=ContentType.objects.get_for_model(Database),
        object_id=None,
        object_repr=_AUDIT_REPR,
        action_flag=CHANGE,
        change_message=message,
    )
