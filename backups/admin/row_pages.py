"""What the pages of a database and of a repository share: tabs, and what was done, newest first.

Each tab is an address of its own, so that it works without JavaScript and only what is shown is read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse

from backups.admin.base import Notice, may_start, notice_of, proof_label
from backups.choices import (
    REPLAY_COLOURS,
    STATUS_COLOURS,
    VERDICT_COLOURS,
    Action,
    ReplayVerdict,
    Status,
    Verdict,
)
from backups.models import ReplayProof, Repository, Restore, Run, Snapshot, Verification
from backups.text.sentences import phrase
from backups.verdict import Finding

SETTINGS, MOMENTS = "settings", "moments"
# Which rights a tab's rows need, beside the one to see the page.
_TABS = {
    "backups": (phrase("Backups"), "backups.view_snapshot"),
    "verifications": (phrase("Verifications"), "backups.view_verification"),
    "restores": (phrase("Restores"), "backups.view_restore"),
    MOMENTS: (phrase("Moments"), "backups.view_snapshot"),
    "log": (phrase("Log"), "backups.view_run"),
    SETTINGS: (phrase("Settings"), ""),
}
_ROWS = 20


@dataclass(frozen=True)
class Tab:
    """A part of the page with an address of its own."""

    key: str
    title: str
    is_here: bool


def tabs(request: HttpRequest, *, may_edit: bool, without: Collection[str] = ()) -> list[Tab]:
    """Those that this person may see; the form is the last one. What is sent belongs to the form."""
    seen = [
        key
        for key, (_, right) in _TABS.items()
        if key not in without
        if (may_edit if key == SETTINGS else request.user.has_perm(right))
    ]
    asked = SETTINGS if request.method == "POST" else request.GET.get("tab", "")
    here = asked if asked in seen else next(iter(seen), "")
    return [Tab(key, _TABS[key][0], key == here) for key in seen]


def here(shown: Iterable[Tab]) -> str:
    """Which of them is open."""
    return next((each.key for each in shown if each.is_here), "")


@dataclass(frozen=True)
class Row:
    """Something that was done: when, how it ended in words and colour, and whose it is."""

    at: datetime
    word: str
    colour: str
    run: Run | None = None
    snapshot: Snapshot | None = None
    proof: str = ""
    verification: Verification | None = None
    restore: Restore | None = None
    replay: ReplayProof | None = None

    @property
    def took(self) -> timedelta | None:
        """How long its run took; None where no run of this portal made it."""
        return self.run.duration() if self.run else None


def rows_of(row: Model, tab: str) -> dict[str, Any]:
    """What a tab shows of a database or repository, and the list that has all of it."""
    kind = "repository" if isinstance(row, Repository) else "database"
    make = {"backups": _backups, "verifications": _verifications, "restores": _restores, "log": _log}.get(tab)
    if make is None:
        return {}
    found = sorted(make(row, kind), key=lambda each: each.at, reverse=True)[:_ROWS]
    model, field = _LISTS[tab]
    # What is of one repository has no filter of its own in every list.
    filtered = {"restore": "", "verification": ""}.get(model, f"?{kind}__id__exact={row.pk}")
    if kind == "database":
        filtered = f"?{field}__id__exact={row.pk}"
    return {"rows": found, "whole_list": reverse(f"admin:backups_{model}_changelist") + filtered}


_LISTS = {
    "backups": ("snapshot", "database"),
    "verifications": ("verification", "run__database"),
    "restores": ("restore", "database"),
    "log": ("run", "database"),
}


def _backups(row: Model, kind: str) -> Iterable[Row]:
    """What the repository holds, and attempts that made nothing."""
    held = Snapshot.objects.present().filter(**{kind: row}).newest_first()
    for snapshot in held.select_related("database", "made_by", "suspicion").defer("manifest")[:_ROWS]:
        yield Row(
            snapshot.time, Status.SUCCEEDED.label, STATUS_COLOURS[Status.SUCCEEDED], snapshot.made_by,
            snapshot, proof_label(snapshot),
        )  # fmt: skip
    attempts = Run.objects.filter(action=Action.BACKUP, **{kind: row}).exclude(status=Status.SUCCEEDED)
    yield from _of_runs(attempts)


def _verifications(row: Model, kind: str) -> Iterable[Row]:
    """What came to a verdict, of snapshots and of the log between them, and attempts that came to none."""
    proofs = Verification.objects.filter(**{f"snapshot__{kind}": row}).order_by("-finished_at", "-pk")
    for each in proofs.select_related("snapshot__database", "run").defer("snapshot__manifest")[:_ROWS]:
        colour = VERDICT_COLOURS[Verdict(each.verdict)]
        yield Row(
            each.finished_at, each.get_verdict_display(), colour, each.run, each.snapshot, verification=each
        )
    yield from _of_runs(Run.objects.filter(action=Action.VERIFY, verification=None, **{kind: row}))
    replays = ReplayProof.objects.filter(**{f"base__{kind}": row}).order_by("-finished_at", "-pk")
    related = replays.select_related("base__database", "next", "run")
    for replay in related.defer("base__manifest", "next__manifest")[:_ROWS]:
        colour = REPLAY_COLOURS[ReplayVerdict(replay.verdict)]
        yield Row(
            replay.finished_at, replay.get_verdict_display(), colour, replay.run, replay.base, replay=replay
        )
    yield from _of_runs(Run.objects.filter(action=Action.REPLAY, replay_proof=None, **{kind: row}))


def _restores(row: Model, kind: str) -> Iterable[Row]:
    restores = Restore.objects.filter(**{"database" if kind == "database" else "run__repository": row})
    related = restores.select_related("run__requested_by", "snapshot", "database").order_by("-pk")
    shown = related.only(
        "mode", "target", "tables", "reason", "undo_of", "restore_seconds", "database__name", "run",
        "snapshot__snapshot_id",
    )  # fmt: skip
    for each in shown[:_ROWS]:
        status = Status(each.run.status)
        yield Row(
            each.run.queued_at, status.label, STATUS_COLOURS[status], each.run, each.snapshot, restore=each
        )


def _log(row: Model, kind: str) -> Iterable[Row]:
    return _of_runs(Run.objects.filter(**{kind: row}))


def _of_runs(runs: QuerySet[Run]) -> Iterable[Row]:
    shown = runs.select_related("database", "requested_by", "snapshot").defer("snapshot__manifest")
    for run in shown.order_by("-queued_at", "-pk")[:_ROWS]:
        status = Status(run.status)
        yield Row(run.queued_at, status.label, STATUS_COLOURS[status], run)


def done_by_people(row: Model) -> QuerySet[LogEntry]:
    """What people did with a row by its pages, newest first."""
    entries = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(row), object_id=str(row.pk)
    )
    return entries.select_related("user").order_by("-pk")[:_ROWS]


def notices_of(findings: Sequence[Finding], row: Model) -> list[Notice]:
    """What needs a look, worst first; a link that leads to this very page is none."""
    own = reverse(f"admin:backups_{row._meta.model_name}_change", args=[row.pk])
    found = [notice_of(each) for each in findings]
    return [
        Notice(each.colour, each.text) if each.href == own else each for each in found
    ]  # fmt: skip


def waiting_or_running(runs: Q) -> QuerySet[Run]:
    """What is under way, what runs first."""
    shown = Run.objects.filter(runs, status__in=[Status.RUNNING, Status.QUEUED])
    return shown.select_related("database", "repository").order_by("-status", "queued_at")[:5]


def rights(request: HttpRequest) -> dict[str, bool]:
    """Which buttons stand beside rows."""
    return {
        "may_verify": may_start(request, Action.VERIFY),
        "may_restore": request.user.has_perm("backups.run_restore"),
    }
