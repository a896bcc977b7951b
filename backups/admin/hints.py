"""What stands under the fields of a form while one types: cron in words, secrets found, retention."""

from __future__ import annotations

import calendar
import re
from functools import lru_cache
from typing import Any

from cron_descriptor import FormatException, MissingFieldException, Options, WrongArgumentException
from cron_descriptor import get_description as describe
from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dates import MONTHS, WEEKDAYS
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from backups import validators
from backups.admin import asked
from backups.keeping import suspicions
from backups.models import Database
from backups.requests.questions import SecretQuestion, ask_unless_just_asked
from backups.requests.retention_plan import plan_of
from backups.scheduling import schedules, staleness
from backups.snapshots import retention
from backups.text import checked, formatting
from backups.text.sentences import phrase

_NEXT = 3
# The library's catalogues, by our languages.
_CRON_LOCALES = {"it": "it_IT"}
_SNAPSHOTS_SHOWN = 1000
_LONGEST = 300
_MAY_BE_UNSET = frozenset({"access_key_ref", "secret_key_ref"})


def cron_words(expression: str) -> str:
    """As in "At 03:00 and 15:00"; the expression itself where it is not understood."""
    if not expression:
        return phrase("Never")
    return _cron_words(expression, get_language() or "") if schedules.usable(expression) else expression


# A list shows those of each of its rows, and the library takes as long for one as for the rest of a row.
@lru_cache(maxsize=schedules.CRONS_KEPT)
def _cron_words(expression: str, language: str) -> str:
    options = Options()
    options.use_24hour_time_format = True
    options.locale_code = _CRON_LOCALES.get(language, "en_US")
    try:
        return _with_names(str(describe(expression, options)))
    except (FormatException, MissingFieldException, WrongArgumentException):
        return expression


def _with_names(told: str) -> str:
    """The library takes the names of days and months from this machine's language, which is English."""
    if get_language() != "it":
        return told
    for english, name in (
        *zip(calendar.day_name, WEEKDAYS.values(), strict=True),
        *zip(calendar.month_name[1:], MONTHS.values(), strict=True),
    ):
        told = re.sub(rf"\b{english}\b", str(name).lower(), told)
    told = re.sub(r", (\w+) al ", r", dal \1 al ", told)
    return told.replace("il domenica", "la domenica")


def below(field: str, help_text: str, url: str, beside: str = "") -> tuple[SafeString, dict[str, str]]:
    """A field's help text with a place for its hint, and what makes its widget ask for it.

    `beside` is another field that the hint depends on.
    """
    place = f"hint-{field}"
    text = format_html('{}<span id="{}" class="v-hint" aria-live="polite"></span>', help_text, place)
    attributes = {
        "hx-get": url,
        "hx-trigger": "load, input changed delay:300ms",
        "hx-target": f"#{place}",
        "aria-describedby": place,
    }
    if beside:
        other = f"[name={beside}]"
        attributes |= {
            "hx-include": other,
            "hx-trigger": f"{attributes['hx-trigger']}, input delay:300ms from:{other}",
        }
    return text, attributes


def retention_place(database: Database) -> SafeString:
    """Where a form shows what its rules would keep."""
    return format_html(
        '<div class="v-hint" aria-live="polite" hx-get="{}" hx-include="[name^=keep_]" '
        'hx-trigger="load, input delay:300ms from:closest form"></div>',
        reverse("admin:backups_database_hint_retention", args=[database.pk]),
    )


def cron_view(request: HttpRequest) -> HttpResponse:
    """A cron expression in words, and when it is due next."""
    _may_edit(request)
    expression = _value(request)
    context: dict[str, Any] = {"words": cron_words(expression)}
    if expression:
        try:
            validators.cron(expression)
            context["times"] = [
                formatting.short_time(time) for time in schedules.next_times(expression, _NEXT)
            ]
        except (ValidationError, ValueError):
            context = {
                "problem": phrase("Not a cron expression yet: five fields, minute hour day month weekday.")
            }
    return render(request, "backups/hint.html", context)


def threshold_view(request: HttpRequest) -> HttpResponse:
    """How long a backup may get old, in words, and whether the schedule keeps within that."""
    _may_edit(request)
    database = Database(backup_cron=request.GET.get("backup_cron", "").strip()[:_LONGEST])
    try:
        if database.backup_cron:
            checked.Cron(database.backup_cron)
        typed = request.GET.get("heartbeat_threshold", "").strip()
        database.heartbeat_threshold = int(typed) if typed else None
        allowed = formatting.approximate_duration(staleness.backup_allowed(database))
        if conflict := next(staleness.conflicts(database), None):
            return render(request, "backups/hint.html", {"problem": conflict})
    except (ValueError, OverflowError):
        # Each field says so itself.
        return render(request, "backups/hint.html", {})
    words = phrase("Stale after {allowed}", allowed=allowed)
    if database.backup_cron:
        gap = formatting.approximate_duration(schedules.longest_gap(database.backup_cron))
        words = phrase("{words}; backups are due at most {gap} apart", words=words, gap=gap)
    return render(request, "backups/hint.html", {"words": words})


def secret_view(request: HttpRequest) -> HttpResponse:
    """Whether the worker finds a secret where a reference leads; never the secret.

    Of what may not be referred to, whoever asks learns nothing: the worker is not even asked.
    """
    _may_edit(request)
    reference = _value(request)
    field = next((name for name in request.GET if name in _MAY_BE_UNSET), "")
    if not reference:
        return render(request, "backups/hint.html", {})
    try:
        return HttpResponse(secret_words(request, field, reference))
    except ValidationError as error:
        return render(request, "backups/hint.html", {"problem": " ".join(error.messages)})


def secret_words(request: HttpRequest, field: str, reference: str) -> SafeString:
    """Whether the worker finds a field's secret, for within a line.

    Raises ValidationError for what may not be referred to.
    """
    validators.secret_reference(reference)
    validators.declared_reference(reference)
    question = SecretQuestion(reference, may_be_unset=field in _MAY_BE_UNSET)
    return asked.answered(ask_unless_just_asked(question, asked.person_of(request)))


def retention_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Which of the snapshots that are there the rules would keep."""
    _may_edit(request)
    database = get_object_or_404(Database, pk=pk)
    try:
        counts = {rule: int(request.GET.get(f"keep_{rule}", "")) for rule in ("daily", "weekly", "monthly")}
    except ValueError:
        return render(request, "backups/hint.html", {"problem": phrase("Give a whole number for each.")})
    if min(counts.values()) < 0:
        return render(request, "backups/hint.html", {"problem": phrase("Give a whole number for each.")})
    present = database.snapshots.filter(repository=database.repository_id, forgotten_at=None)
    # The run that forgets goes by the same plan.
    plan = plan_of(database, present.defer("manifest"), retention.Policy(**counts), timezone.now())
    times = present.values_list("snapshot_id", "time")
    kept = [(at, plan.keep[found]) for found, at in times if found in plan.keep][:_SNAPSHOTS_SHOWN]
    context = {
        "total": len(plan.keep) + len(plan.forget),
        "stay": len(plan.keep),
        "gone": len(plan.forget),
        "kept": [
            (formatting.short_time(timezone.localtime(at)), retention.in_short(reasons))
            for at, reasons in kept
        ],
        "is_empty_policy": not any(counts.values()),
        "waits": bool(suspicions.waiting(database)),
        "keeps_all": settings.BACKUP_KEEP_ALL,
    }
    return render(request, "backups/hint_retention.html", context)


def _value(request: HttpRequest) -> str:
    """What the field holds, whatever it is called."""
    return str(next(iter(request.GET.values()), "")).strip()[:_LONGEST]


def _may_edit(request: HttpRequest) -> None:
    if not any(
        request.user.has_perm(f"backups.{verb}_{model}")
        for verb in ("add", "change")
        for model in ("database", "server", "repository")
    ):
        raise PermissionDenied
