"""Tickets: the portal issues one for what a person may download now, and the worker spends it, once."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.utils import timezone

from backups.choices import Action, may_still, right_to_start
from backups.errors import Problem
from backups.models import DownloadTicket, Snapshot
from backups.text.sentences import phrase

VALID_SECONDS = 60
# For whoever looks into what happened.
_KEPT = timedelta(days=1)
_FILE = "file of run"


def of_rows(run_id: int) -> str:
    """What a ticket is for that rows are asked with which a run keeps."""
    return f"rows of run {run_id}"


def of_file(run_id: int) -> str:
    """What a ticket is for that the file of a restore is downloaded with."""
    return f"{_FILE} {run_id}"


def of_log(database_id: int) -> str:
    """What a ticket is for that the stored log of a database is searched with."""
    return f"log of database {database_id}"


def issue(
    person: User,
    snapshot: Snapshot,
    tables: Collection[str] = (),
    *,
    purpose: str = "",
    now: datetime | None = None,
) -> str:
    """The token of a new ticket, for who was found to have the right; tickets of long ago go.

    With a `purpose` it is spent for that only, and else for a download.
    """
    now = now or timezone.now()
    token = secrets.token_urlsafe(32)
    DownloadTicket.objects.exclude(until__range=(now - _KEPT, now + _KEPT)).delete()
    DownloadTicket.objects.create(
        digest=_digest(token, purpose),
        person=person,
        snapshot=snapshot,
        tables=sorted(tables),
        until=now + timedelta(seconds=VALID_SECONDS),
    )
    return token


def spend(token: str, *, purpose: str = "", now: datetime | None = None) -> DownloadTicket:
    """The ticket, used up from here on. Raises Problem where what it is for may not be had any more."""
    now = now or timezone.now()
    good = DownloadTicket.objects.filter(
        digest=_digest(token, purpose), used_at=None, until__range=(now, now + _KEPT)
    )
    if good.update(used_at=now) != 1:
        raise Problem(
            phrase("The ticket of this download is not valid: it was used, or is too old."),
            code="downloads.no_ticket",
            do=phrase("Begin the download again."),
        )
    with_rows = DownloadTicket.objects.select_related("person", "snapshot__repository", "snapshot__database")
    ticket = with_rows.get(digest=_digest(token, purpose))
    person = ticket.person
    if not may_still(person, right_to_start(Action.RESTORE)):
        raise Problem(
            phrase("{person} may not download any more.", person=person.get_username()),
            code="downloads.may_not",
        )
    # A file that was made of it lies there all the same.
    if ticket.snapshot.forgotten_at is not None and not purpose.startswith(_FILE):
        raise Problem(
            phrase("Snapshot {snapshot} was forgotten.", snapshot=ticket.snapshot.short_id),
            code="downloads.forgotten",
            do=phrase("Choose another one."),
        )
    return ticket


def _digest(token: str, purpose: str) -> str:
    # A token ends where its line does, so none that is made up holds a purpose.
    told = f"{token}\n{purpose}" if purpose else token
    return hashlib.sha256(told.encode()).hexdigest()
