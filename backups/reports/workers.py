"""Whether the queue's workers are there, by their signs of life."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings

from backups import verdict
from backups.models import WorkerPulse
from backups.runs import queue
from backups.runs.hearing import Hearing
from backups.text.sentences import phrase

# Of this process: one that runs for long knows better than clocks do.
PULSES = Hearing()


def facts(pulses: Iterable[WorkerPulse] | None = None) -> list[verdict.WorkerFacts]:
    """Each cluster of the queue, as it was seen last: by these rows, if somebody has just read them."""
    return [_of(pulse) for pulse in (WorkerPulse.objects.all() if pulses is None else pulses)]


def _of(pulse: WorkerPulse) -> verdict.WorkerFacts:
    heard = PULSES.is_heard(pulse.cluster, pulse.seen_at, queue.PULSE_LOST.total_seconds())
    plays = (
        phrase("Restores")
        if pulse.cluster == settings.RESTORES_CLUSTER
        else phrase("Backups and verifications")
    )
    return verdict.WorkerFacts(pulse.cluster, pulse.seen_at, heard, plays)
