"""Where people are signed in: noted as they come, listed, ended.

A session is known here by what its row is kept by, a digest of its key: that opens nothing.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock

from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import DatabaseError, transaction
from django.db.models import Count, Max, Q, QuerySet
from django.utils import timezone

from backups.models import SignIn

# An open page asks every few seconds; so often it is written down.
_EVERY_SECONDS = 300.0
_MOST_KNOWN = 2000
_noted: dict[str, float] = {}
_noting = Lock()


@dataclass(frozen=True)
class Visitor:
    """Where a request is from."""

    address: str
    browser: str

    def as_kept(self) -> dict[str, str]:
        """The fields of a row, no longer than they may be."""
        return {"address": self.address[:60], "browser": self.browser[:300]}


def began(key: str, person_id: int, visitor: Visitor) -> None:
    """Note a new session, and leave out those of this person's that are over."""
    now = timezone.now()
    with suppress(DatabaseError), transaction.atomic():
        # They were here at least as lately as now.
        SignIn.objects.filter(person_id=person_id).exclude(key__in=_open_keys()).delete()
        fields = {"person_id": person_id, "since": now, "seen_at": now, **visitor.as_kept()}
        SignIn.objects.update_or_create(key=key, defaults=fields)
    _is_due(key)


def seen(key: str, person_id: int, visitor: Visitor) -> None:
    """Note that somebody was here, every few minutes. What cannot be written down stops no page."""
    if not _is_due(key):
        return
    fields = {"seen_at": timezone.now(), **visitor.as_kept()}
    with suppress(DatabaseError), transaction.atomic():
        if not SignIn.objects.filter(key=key, person_id=person_id).update(**fields):
            SignIn.objects.update_or_create(key=key, defaults={"person_id": person_id, **fields})


def _is_due(key: str) -> bool:
    now = time.monotonic()
    with _noting:
        last = _noted.get(key)
        if last is not None and now - last < _EVERY_SECONDS:
            return False
        if len(_noted) >= _MOST_KNOWN:
            _noted.clear()
        _noted[key] = now
        return True


def moved(before: str, now: str) -> None:
    """Have a session known by its new key."""
    SignIn.objects.filter(key=before).update(key=now)


def _open_keys() -> QuerySet[Session, str]:
    return Session.objects.filter(expire_date__gt=timezone.now()).values_list("session_key", flat=True)


def of(person: User) -> list[SignIn]:
    """The sessions that are open, the one that was seen last first."""
    return list(SignIn.objects.filter(person=person, key__in=_open_keys()).order_by("-seen_at", "-pk"))


def with_visits(people: QuerySet[User]) -> QuerySet[User]:
    """These, each with `seen_at` and with how many sessions are open (`open_sessions`)."""
    is_open = Q(sign_ins__key__in=_open_keys())
    return people.annotate(
        seen_at=Max("sign_ins__seen_at"), open_sessions=Count("sign_ins", filter=is_open, distinct=True)
    )


def end(person: User, key: str) -> bool:
    """End one session of this person; answers whether there was such a one."""
    if not SignIn.objects.filter(person=person, key=key).exists():
        return False
    ended, _ = Session.objects.filter(session_key=key).delete()
    return bool(ended)


def end_all(person: User, *, but: str = "") -> int:
    """End all that are listed, but for the one of this key; answers how many there were."""
    keys = SignIn.objects.filter(person=person).exclude(key=but).values_list("key", flat=True)
    ended, _ = Session.objects.filter(session_key__in=list(keys)).delete()
    return ended
