"""The dialogs before a change of state: what will happen, in plain words, and what can be chosen."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.db.models import Max
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminRadioSelectWidget

from backups.admin.base import get_or_none
from backups.models import Repository, WorkerPulse
from backups.runs import queue
from backups.text import formatting
from backups.text.sentences import phrase


def dialog(
    title: str,
    description: str,
    submit: str,
    *,
    form_class: type[BaseDialogForm] = BaseDialogForm,
    danger: bool = False,
) -> dict[str, Any]:
    """What unfold's `action(dialog=…)` takes; `danger` paints the button red."""
    return {
        "title": title,
        "description": description,
        "form_class": form_class,
        "form_submit_text": submit,
        "danger": danger,
    }


class FactsForm(BaseDialogForm):
    """A dialog that tells facts about its object above the form."""

    form_before_template = "backups/dialog_facts.html"

    def facts(self, object_id: str) -> list[tuple[str, Any]]:
        """Label and value of each fact."""
        raise NotImplementedError

    def get_before_template_context(
        self, request: HttpRequest, object_id: int | str | None = None
    ) -> dict[str, Any]:
        """The facts, for the template."""
        return {"facts": self.facts(str(object_id))}


def waits_for_worker() -> list[tuple[str, Any]]:
    """A fact for who starts what no worker would begin; none while one was just seen."""
    pulses = WorkerPulse.objects.exclude(cluster=settings.RESTORES_CLUSTER)
    seen_at = pulses.aggregate(at=Max("seen_at"))["at"]
    if seen_at is None:
        return [(phrase("Begins"), phrase("once a worker runs; none was seen yet"))]
    if seen_at > timezone.now() - queue.PULSE_LOST:
        return []
    age = formatting.age(seen_at)
    return [(phrase("Begins"), phrase("once a worker runs again; it was last seen {age}", age=age))]


_CHECKS = [
    ("", phrase("Structure only: seconds to minutes")),
    ("5%", phrase("Structure and 5 % of the data, chosen at random, as after backups")),
    ("100%", phrase("Structure and all data, which alone tells that damage is mended: may take hours")),
]


def _to_read(repository: Repository) -> str:
    """How much a check of all data reads, as far as is known."""
    if repository.size_bytes is None or repository.sized_at is None:
        return phrase("How much that is was not measured yet: press Measure size under More")
    return phrase(
        "It reads {size_bytes}, as measured {sized_at}",
        size_bytes=formatting.size(repository.size_bytes),
        sized_at=formatting.age(repository.sized_at),
    )


class CheckForm(BaseDialogForm):
    """How thorough an integrity check should be."""

    depth = forms.ChoiceField(
        label=_("How much to read"),
        initial="5%",
        choices=_CHECKS,
        required=False,
        widget=UnfoldAdminRadioSelectWidget,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        repository = get_or_none(Repository.objects.all(), self.object_id)
        if repository is None:
            return
        if repository.is_damaged or repository.is_suspect:
            self.initial["depth"] = "100%"
        depth = self.fields["depth"]
        assert isinstance(depth, forms.ChoiceField)  # noqa: S101
        depth.choices = [*_CHECKS[:-1], (_CHECKS[-1][0], f"{_CHECKS[-1][1]}. {_to_read(repository)}")]

    @property
    def subset(self) -> str:
        """How much of the data is to be read, as restic takes it; empty is the structure alone."""
        return str(self.cleaned_data["depth"])
