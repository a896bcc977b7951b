"""What the pages share: read-only lists that never count, and buttons that start runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Field, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import translation
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator

from backups.admin import changed, hints
from backups.choices import VERDICT_COLOURS, SuspicionState, Trigger, Verdict, right_to_start
from backups.configuration import bootstrap
from backups.errors import Problem
from backups.models import Run, Snapshot
from backups.requests import Asker, Request
from backups.templatetags.formatting import as_in_sidebar
from backups.text import formatting
from backups.text.sentences import english, phrase
from backups.verdict import Finding, Page, State

Row = TypeVar("Row", bound=Model)


def may_start(request: HttpRequest, action: str) -> bool:
    """Whether this person may start runs of `action`."""
    return request.user.has_perm(right_to_start(action))


def run_url(run: Run | int) -> str:
    """A run's page."""
    return reverse("admin:backups_run_change", args=[run if isinstance(run, int) else run.pk])


def page_url(obj: Model) -> str:
    """The page of any of our rows."""
    return reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change", args=[obj.pk])


def redirect(request: HttpRequest, url: str) -> HttpResponse:
    """Lead the browser on, out of a dialog too."""
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)


def refused(request: HttpRequest, obj: Model, problem: Problem) -> HttpResponse:
    """Why nothing was started, on the page of what it was to be about."""
    messages.error(request, problem.sentence())
    return redirect(request, page_url(obj))


def get_or_none(rows: QuerySet[Row], object_id: Any) -> Row | None:
    """The row that an address names; None where there is none, for an address may say anything."""
    try:
        return rows.filter(pk=object_id).first()
    except (ValueError, TypeError):
        return None


@dataclass(frozen=True)
class Notice:
    """Something that needs a look, and where to."""

    colour: str
    text: str
    href: str = ""
    link: str = ""


STATE_COLOURS = {State.GOOD: "success", State.DOUBTFUL: "warning", State.BAD: "danger"}
STATE_WORDS = {
    State.GOOD: phrase("Good"),
    State.DOUBTFUL: phrase("Needs a look"),
    State.BAD: phrase("Not safe"),
}


def proof_label(snapshot: Snapshot) -> SafeString:
    """What is known of a snapshot as a label, with the time of the proof: the newest verdict counts."""
    if snapshot.is_known_bad:
        return formatting.label(snapshot.get_verdict_display(), VERDICT_COLOURS[Verdict(snapshot.verdict)])
    suspicion = getattr(snapshot, "suspicion", None)
    if suspicion is not None and suspicion.state == SuspicionState.WAITING:
        return formatting.label(phrase("Waits for a person"), "danger")
    if snapshot.verified_at:
        return format_html(
            "{} {}",
            formatting.label(phrase("Verified"), "success"),
            formatting.relative_time(snapshot.verified_at),
        )
    return (
        formatting.label(phrase("Forgotten"))
        if snapshot.forgotten_at
        else formatting.label(phrase("Not verified"))
    )


_LINKS = {
    "snapshot": phrase("See the snapshot"),
    "verification": phrase("See what it found"),
    "run": phrase("See why"),
    "database": phrase("Go to the database"),
    "moments": phrase("See its moments"),
    "repository": phrase("Go to the repository"),
    "gate": phrase("See the gate"),
    "alerts": phrase("See the alerts"),
}


def notice_of(finding: Finding) -> Notice:
    """A finding as the page has it; in blue what nothing is the worse for."""
    page = finding.page
    return Notice(
        "info" if finding.state == State.GOOD else STATE_COLOURS[finding.state],
        finding.sentence,
        _href(page) if page else "",
        _LINKS[page.kind] if page else "",
    )


def first_reason(findings: Sequence[Finding]) -> str:
    """For a row of a list: the worst of these, shortened; all of it is on the row's page."""
    told = findings[0].reason if findings else ""
    return told if len(told) <= _SHORT else f"{told[: _SHORT - 2].rstrip()} …"


_SHORT = 120


def _href(page: Page) -> str:
    if page.kind == "gate":
        return reverse("gate")
    if page.pk is None:
        return reverse("admin:backups_alert_changelist")
    if page.kind == "moments":
        return f"{reverse('admin:backups_database_change', args=[page.pk])}?tab=moments"
    return reverse(f"admin:backups_{page.kind}_change", args=[page.pk])


class QuickList(ChangeList):
    """unfold makes all headers, with three links each, once for every row."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._links: dict[tuple[Any, ...], str] = {}
        super().__init__(*args, **kwargs)

    def get_query_string(
        self, new_params: dict[str, Any] | None = None, remove: Iterable[str] | None = None
    ) -> str:
        """The list's own address with other parameters."""
        key = (*sorted((new_params or {}).items(), key=str), *(remove or ()))
        try:
            return self._links[key]
        except KeyError:
            link = self._links[key] = super().get_query_string(new_params, remove)
            return link
        except TypeError:  # values that have no hash, as of filters with several
            return super().get_query_string(new_params, remove)


# Each word is a condition of its own, of which SQLite takes a thousand.
_LONGEST_SEARCH, _MOST_WORDS = 500, 30


if TYPE_CHECKING:
    from unfold.admin import ModelAdmin as _DjangosAdmin
else:
    _DjangosAdmin = admin.ModelAdmin


class ShortSearch(_DjangosAdmin):
    """A page whose search may be of any length."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any, Any], search_term: str
    ) -> tuple[QuerySet[Any, Any], bool]:
        """What fits a search; of one longer than any text of a row, as much as servers take to look for."""
        words = search_term[:_LONGEST_SEARCH].split()
        if len(words) > _MOST_WORDS or len(search_term) > _LONGEST_SEARCH:
            search_term = " ".join(words[:_MOST_WORDS])
        return super().get_search_results(request, queryset, search_term)


class VedettaAdmin(ShortSearch, ModelAdmin):
    """A page in the portal's look."""

    list_per_page = 50
    list_filter_submit = True
    list_fullwidth = True
    compressed_fields = True
    empty_value_display = formatting.EMPTY

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, under the name that the sidebar has for it."""
        title = capfirst(as_in_sidebar(self.opts.verbose_name_plural))
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """A list that does not work out the same links for each of its rows."""
        return QuickList

    def found(self, request: HttpRequest, object_id: str) -> Any:
        """The row that the address names. Raises Http404."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        return row

    # The audit is one text for all who read it, so it is written in English whoever acts.

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        """What a form changed, with values before and after."""
        with translation.override("en"):
            words = "" if add else english(changed.in_words(form))
        return words or super().construct_change_message(request, form, formsets, add)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Note what was added."""
        with translation.override("en"):
            return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Note what was changed or done."""
        with translation.override("en"):
            return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        """Note what was deleted."""
        with translation.override("en"):
            return super().log_deletions(request, queryset)

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> Any:
        """Django leads to the first page, whose sentence asks whether it was perhaps deleted."""
        raise Http404

    def start(self, request: HttpRequest, obj: Model, wanted: Request) -> HttpResponse:
        """Queue a run, note it in the admin log, lead to its page; a refusal is told on this one."""
        assert request.user.is_authenticated  # noqa: S101  admin_view lets nobody else in
        try:
            run = wanted.submit(Asker(Trigger.ADMIN, request.user))
        except Problem as problem:
            return refused(request, obj, problem)
        self.log_change(request, obj, phrase("Started {run}.", run=run))
        return redirect(request, run_url(run))

    def has_run_backup_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether this person may start backups."""
        return request.user.has_perm("backups.run_backup")

    def has_run_verify_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether this person may start verifications."""
        return request.user.has_perm("backups.run_verify")

    def has_run_restore_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether this person may restore, download, undo and drop."""
        return request.user.has_perm("backups.run_restore")

    def has_run_maintenance_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether this person may tend repositories."""
        return request.user.has_perm("backups.run_maintenance")


class ReadOnlyAdmin(VedettaAdmin):
    """Rows that runs write and people read. There may be very many, so they are never counted."""

    paginator = InfinitePaginator
    show_full_result_count = False
    actions = None

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False


class SetUpAdmin(VedettaAdmin):
    """What people set up: schedules and the gate's list follow each change, fields get hints."""

    # Which view tells more about what is typed into a field.
    hinted: dict[str, str] = {}
    # Which other field such a view wants to know as well.
    hinted_beside: dict[str, str] = {}

    def formfield_for_dbfield(self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any) -> Any:
        """The field with its hint."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if isinstance(getattr(field, "widget", None), RelatedFieldWidgetWrapper):
            # What a form's row refers to has a history; its own page says whether it may be deleted.
            field.widget.can_delete_related = False
        if field is not None and (view := self.hinted.get(db_field.name)):
            url = reverse(f"admin:backups_database_{view}")
            field.help_text, attributes = hints.below(
                db_field.name, str(field.help_text), url, self.hinted_beside.get(db_field.name, "")
            )
            field.widget.attrs |= attributes
        return field

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only of what nothing was done with: its history would have to go too."""
        allowed = bool(super().has_delete_permission(request, obj))
        return allowed and (obj is None or not obj.runs.exists())

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The form; few want to add another at once."""
        context["show_save_and_add_another"] = False
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        """Save, then make the rest follow. Whether a secret is found is said, before a run fails of it."""
        super().save_model(request, obj, form, change)
        transaction.on_commit(lambda: self._after_saving(request, obj, form.changed_data))

    def _after_saving(self, request: HttpRequest, obj: Model, changed: list[str]) -> None:
        for field in (name for name, view in self.hinted.items() if view == "hint_secret"):
            reference = getattr(obj, field)
            if field in changed and reference:
                label = self.opts.get_field(field).verbose_name
                with suppress(ValidationError):  # which the form has told
                    words = hints.secret_words(request, field, reference)
                    told = gettext("The worker looks for the {secret} of {row}: {answer}")
                    messages.info(request, format_html(told, secret=label, row=obj, answer=words))
        _apply(request)

    def apply(self, request: HttpRequest) -> None:
        """Make schedules and the gate's list follow what was changed; what goes wrong is told."""
        _apply(request)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        """Delete, then make the rest follow."""
        super().delete_model(request, obj)
        transaction.on_commit(lambda: _apply(request))


def _apply(request: HttpRequest) -> None:
    try:
        bootstrap.apply()
    except Problem as problem:
        messages.error(
            request, phrase("Saved, but not in force everywhere yet. {sentence}", sentence=problem.sentence())
        )
