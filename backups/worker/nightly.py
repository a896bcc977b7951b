"""Asks for what each repository needs once a night: a forget, then what follows it, however it ended."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from backups.actions.steps import follow_ups
from backups.choices import Trigger
from backups.errors import Refused
from backups.models import Repository, Run
from backups.requests import Asker, ForgetRequest
from backups.scheduling import maintenance

logger = logging.getLogger(__name__)


def ask_due(now: datetime | None = None) -> list[Run]:
    """Queue the maintenance of each repository whose time came, or was missed; answers the runs."""
    now = now or timezone.now()
    asked = []
    for repository in Repository.objects.order_by("pk"):
        asked += _what_did_not_follow(repository, now)
        if not maintenance.is_due(repository, now):
            continue
        with transaction.atomic():
            # Each worker looks: one asks, and those that waited for this row see that it did.
            Repository.objects.select_for_update().get(pk=repository.pk)
            if not maintenance.is_due(repository, now):
                continue
            try:
                asked.append(ForgetRequest(repository).submit(Asker(Trigger.SCHEDULE)))
            except Refused as refused:
                logger.info("maintenance of %s waits: %s", repository, refused)
    return asked


def _what_did_not_follow(repository: Repository, now: datetime) -> list[Run]:
    """A copy of the portal and a check are due also where the forget failed each time."""
    asked = []
    for request in follow_ups.of_a_night(repository):
        if maintenance.is_followed_by(request.action, repository, now):
            continue
        with suppress(Refused):
            asked.append(request.submit(Asker(Trigger.SCHEDULE)))
    return asked
