"""From a doubtful backup straight to what changed: since the newest good one before it."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse

from backups.choices import BAD_VERDICTS, SuspicionState, Verdict
from backups.models import Snapshot, Suspicion, Verification
from backups.snapshots.selection import backups_of, latest_of
from backups.text.sentences import phrase


@dataclass(frozen=True)
class Ways:
    """The dialogs in which a comparison is started, by their words, and the snapshot that it begins at."""

    begin: Snapshot
    is_itself: bool
    dialogs: list[tuple[str, str]]


def of_suspicion(request: HttpRequest, suspicion: Suspicion | None) -> Ways | None:
    """What can be compared with a suspicious backup; None where nobody doubts it, or this person may not."""
    if suspicion is None or suspicion.state == SuspicionState.ACCEPTED:
        return None
    return _ways(request, suspicion.snapshot, is_readable=True)


def of_verification(request: HttpRequest, verification: Verification) -> Ways | None:
    """The same for a snapshot that a verification found bad."""
    if verification.verdict not in BAD_VERDICTS:
        return None
    is_readable = verification.verdict != Verdict.UNREADABLE
    return _ways(request, verification.snapshot, is_readable=is_readable)


def _ways(request: HttpRequest, doubtful: Snapshot, *, is_readable: bool) -> Ways | None:
    if doubtful.database_id is None or not request.user.has_perm("backups.run_restore"):
        return None
    comparable = Snapshot.objects.present().filter(database=doubtful.database_id, manifest__isnull=False)
    before = comparable.filter(repository=doubtful.repository_id, time__lt=doubtful.time)
    good = latest_of(backups_of(before.trusted().not_known_bad().defer("manifest")).newest_first())
    is_there = is_readable and comparable.filter(pk=doubtful.pk).exists()
    if good is None:
        return Ways(doubtful, True, [_dialog(doubtful)]) if is_there else None
    until = [_dialog(good, doubtful)] if is_there else []
    return Ways(good, False, [*until, _dialog(good)])


def _dialog(begin: Snapshot, until: Snapshot | None = None) -> tuple[str, str]:
    address = reverse("admin:backups_snapshot_what_changed", args=[begin.pk])
    if until is None:
        return phrase("What changed since {snapshot}", snapshot=begin.short_id), address
    words = phrase("What changed from {snapshot} to {until}", snapshot=begin.short_id, until=until.short_id)
    return words, f"{address}?until={until.pk}"
