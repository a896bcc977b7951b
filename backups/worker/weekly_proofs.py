"""Asks for the proof by replay of each database whose log is archived, once a week."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from backups.choices import Trigger
from backups.errors import Problem
from backups.models import Database, Run
from backups.requests import Asker, ReplayProofRequest
from backups.scheduling import proofs

logger = logging.getLogger(__name__)


def ask_due(now: datetime | None = None) -> list[Run]:
    """Queue the proofs whose time came, or was missed; answers the runs."""
    asked = []
    for database, planned in proofs.due(now or timezone.now()):
        with transaction.atomic():
            # Each worker looks: one asks, and those that waited for this row see that it did.
            Database.objects.select_for_update().get(pk=database.pk)
            if not proofs.is_due(database, planned):
                continue
            try:
                asked.append(ReplayProofRequest(database).submit(Asker(Trigger.SCHEDULE, slot=planned)))
            except Problem as problem:
                logger.info("the proof by replay of %s waits: %s", database, problem)
    return asked
