"""PING_URL is told of every backup's start and end, for a dead man's switch."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
import uuid
from base64 import b64encode
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPException
from urllib.parse import unquote, urlsplit, urlunsplit

from django.conf import settings
from django.utils import translation

from backups.alerting import subjects
from backups.choices import Action, AlertState
from backups.models import Alert, Run
from backups.notifications import channels
from backups.text.sentences import english, phrase

PING_SECONDS = 5.0


def ended(run: Run, state: AlertState) -> None:
    """Tell PING_URL of a backup's end. Its success says nothing while another database's fails."""
    if state == AlertState.GOOD and _others_fail(run):
        return
    verb = "" if state == AlertState.GOOD else "fail"
    with translation.override(settings.NOTIFY_LANGUAGE):
        why = str(run.error_told)
    complaint = _bounded(lambda: ping(verb, pair_of(run), why))
    subjects.change(
        channels.PING, subjects.Standing(AlertState.FAILED if complaint else AlertState.GOOD, complaint)
    )


def _others_fail(run: Run) -> bool:
    failing = Alert.objects.filter(
        subject__startswith=english(phrase("{action} of {whose}", action=Action.BACKUP.label, whose=""))
    ).exclude(state=AlertState.GOOD)
    return failing.exclude(database=run.database).exclude(database__backup_cron="").exists()


def _bounded(ask: Callable[[], str]) -> str:
    """What `ask` answers, or that it took too long: looking up a name has no deadline of its own."""
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(ask()), daemon=True)
    asking.start()
    asking.join(PING_SECONDS + 1)
    return answers[0] if answers else phrase("PING_URL gives no answer.")


def pair_of(run: Run) -> uuid.UUID:
    """Pairs a start with its end, also where backups of several databases overlap."""
    return uuid.uuid5(uuid.NAMESPACE_OID, f"{run.pk} {run.queued_at.isoformat()}")


def _basic(user: str, password: str) -> str:
    """The header's value for a user and password as they stand in an address."""
    pair = f"{unquote(user)}:{unquote(password)}"
    return f"Basic {b64encode(pair.encode()).decode()}"


def ping(verb: str, rid: uuid.UUID, text: str = "") -> str:
    """Request PING_URL as Healthchecks wants it; answers what went wrong, in words without the address."""
    try:
        parts = urlsplit(settings.PING_URL)
        address = parts.netloc.rpartition("@")[2]
        path = "/".join(part for part in (parts.path.rstrip("/"), verb) if part)
        query = "&".join(part for part in (parts.query, f"rid={rid}") if part)
        request = urllib.request.Request(  # noqa: S310  the operator's own address
            urlunsplit((parts.scheme, address, path, query, "")), data=text.encode()[:10_000]
        )
        if parts.username is not None:
            # Not for whomever the service sends us on to.
            request.add_unredirected_header("Authorization", _basic(parts.username, parts.password or ""))
        with closing(urllib.request.urlopen(request, timeout=PING_SECONDS)):  # noqa: S310
            return ""
    except urllib.error.HTTPError as error:
        return phrase("PING_URL answered {code}.", code=error.code)
    except (OSError, ValueError, HTTPException) as error:
        return phrase("PING_URL could not be reached ({kind}).", kind=type(error).__name__)
