"""What schedules ask for becomes runs here, when its time comes: the row is there before any message.

Any number of processes may look, on any number of machines. A planned time is in its schedule's row, which
one of them moves on, and a second run of the same planned time is refused by the database.
"""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from backups import process
from backups.alerting import alerts
from backups.choices import StandDownKind, Status, Trigger
from backups.errors import Refused
from backups.models import Database, Run, StandDown
from backups.requests import Asker, BackupRequest, VerifyRequest
from backups.runs import lifecycle, notes
from backups.runs.refusals import SLOT_TAKEN, twins
from backups.scheduling import schedules
from backups.text.sentences import phrase, template

logger = logging.getLogger(__name__)

Form = type[BackupRequest] | type[VerifyRequest]
_FORMS: dict[str, Form] = {"backup": BackupRequest, "verify": VerifyRequest}
_COULD_NOT_BE_QUEUED = template(
    "Its time came, but it could not be queued ({error}). That is tried again every few seconds. Earlier "
    "backups are safe. The worker's log says more."
)


def runs_due(now: datetime | None = None) -> list[Run]:
    """Insert a run for each backup and verification whose time has come; answers those that were inserted.

    What cannot be inserted is told to people, and tried again at the next look. Raises nothing of its own.
    """
    now = now or timezone.now()
    inserted = []
    for one in schedules.due(now):
        name = schedules.in_words(one.name)
        try:
            run = _insert(one, now)
        except _AfterTheDead as dead:
            logger.info("%s waits until %s is given up, whose worker is silent", name, dead)
        except Exception as error:
            logger.exception("%s could not be queued", name)
            complaint = phrase(_COULD_NOT_BE_QUEUED, error=type(error).__name__)
            alerts.schedule_played(name, complaint, one.database)
        else:
            if run is not None:  # of a paused database nothing shows that it could be queued
                alerts.schedule_played(name, "")
                inserted.append(run)
    return inserted


@transaction.atomic
def _insert(one: schedules.Due, now: datetime) -> Run | None:
    """Both or neither: a planned time that is passed on has its run."""
    if not schedules.pass_on(one, now):
        return None
    return submit(_FORMS[one.verb], one.database, one.slot, now)


class _AfterTheDead(Exception):
    """A planned time whose twin under way has died, and does not stand for it."""


def submit(
    form: Form, database_id: int, slot: datetime | None = None, now: datetime | None = None
) -> Run | None:
    """Ask for what a schedule asks for; None where the same is under way, which is noted there."""
    database = Database.objects.filter(pk=database_id).first()
    if database is None:
        return None  # deleted just now, and its schedule with it
    if stands := _stands_down(database, now or timezone.now()):
        logger.info("scheduled %s of %s: left out, %s", form.action, database, stands)
        return None
    try:
        return form(database).submit(Asker(Trigger.SCHEDULE, slot=slot))
    except Refused as refused:
        if refused.code != SLOT_TAKEN:
            busy = twins(form.action, database, database.repository).filter(status=Status.RUNNING).first()
            if slot is not None and busy is not None and _is_dead(busy, now or timezone.now()):
                raise _AfterTheDead(str(busy)) from None
            logger.warning("scheduled %s of %s: %s", form.action, database, refused)
            notes.skipped_note(form.action, database)
        return None


def _stands_down(database: Database, now: datetime) -> str:
    """Whether somebody paused or retired it: its planned time passes, and nothing is made up for later."""
    found = StandDown.objects.standing(now).of(StandDownKind.PAUSE, StandDownKind.RETIREMENT)
    return found.filter(database=database).values_list("kind", flat=True).first() or ""


def _is_dead(run: Run, now: datetime) -> bool:
    """Whether a running run is one that will soon be given up."""
    return lifecycle.is_dead(run, now, process.is_gone, lambda _run: False)
