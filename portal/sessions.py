"""Sessions whose keys are kept nowhere but in their owners' browsers, and that end with what they stood for.

A row holds the SHA-256 of its key, so that a copy of the database signs nobody in. A session ends with
its owner's password (Django's own doing), role, rights, and account.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Iterable
from functools import partial
from typing import Any, cast

from django.contrib import auth
from django.contrib.auth.middleware import AuthenticationMiddleware as OfDjango
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Group, User
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.db import SessionStore as InDatabase
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connection
from django.db.models import IntegerField, Value
from django.db.models.functions import Length
from django.db.models.signals import m2m_changed, pre_delete, pre_save
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from backups.people import changes, sign_ins
from backups.people.sign_ins import Visitor

logger = logging.getLogger(__name__)

# The column takes 40 characters, of which servers may not tell A from a: 200 bits in small letters.
_KEPT_CHARACTERS, _KEPT_BYTES = 40, 25
_STANDING = "vedetta_standing"
# In the session of who signed in with a password that somebody else set.
MUST_CHANGE = "vedetta_must_change_password"
_FLAGS = ("is_active", "is_staff", "is_superuser")

AnyUser = AbstractBaseUser | AnonymousUser


def kept_as(key: str) -> str:
    """What the database knows a session's key by."""
    digest = hashlib.sha256(key.encode()).digest()
    return base64.b32encode(digest[:_KEPT_BYTES]).decode().lower()


class SessionStore(InDatabase):
    """Django's sessions in the database, but for the key of the row. The portal asks by no other calls."""

    def _get_session_from_db(self) -> Session | None:
        key = kept_as(self.session_key or "")
        found = Session.objects.filter(session_key=key, expire_date__gt=timezone.now()).first()
        if found is None:
            self._session_key = None
        return found

    def exists(self, session_key: str) -> bool:
        """Whether there is a session of this key."""
        return Session.objects.filter(session_key=kept_as(session_key)).exists()

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        """The row for what the session holds now."""
        row = cast(Session, super().create_model_instance(data))
        row.session_key = kept_as(row.session_key)
        return row

    @property
    def kept_as(self) -> str:
        """What its row is kept by; no page says more of a session."""
        return kept_as(self.session_key or "")

    def cycle_key(self) -> None:
        """Go on under another key, known as the same session."""
        before = self.kept_as
        super().cycle_key()
        sign_ins.moved(before, self.kept_as)

    def delete(self, session_key: str | None = None) -> None:
        """End this session, or the one of that key."""
        if key := session_key or self.session_key:
            Session.objects.filter(session_key=kept_as(key)).delete()


def hash_those_of_before() -> None:
    """Have rows that an earlier version wrote hold no keys any more; who is signed in by one stays so.

    Nor shall the file of SQLite hold them where it has room to spare.
    """
    try:
        SessionStore.clear_expired()
        plain = list(
            Session.objects.annotate(characters=Length("session_key"))
            .exclude(characters=_KEPT_CHARACTERS)
            .values_list("session_key", flat=True)
        )
        if not plain:
            return
        _overwrite_what_is_deleted()
        for key in plain:
            Session.objects.filter(session_key=key).update(session_key=kept_as(key))
        _write_through()
    except DatabaseError:
        # Not there, or not up to date yet: then nobody is signed in, or the set-up comes here again.
        logger.info("Sessions of an earlier version are looked at when the portal's database can be read.")


def _overwrite_what_is_deleted() -> None:
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA secure_delete = ON")


def _write_through() -> None:
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")


# ---------------------------------------------------------------- With whom they end


class AuthenticationMiddleware(OfDjango):
    """Django's, by which a session ends whose owner is no longer what they were when they signed in."""

    def process_request(self, request: HttpRequest) -> None:
        """Say who asks as soon as somebody wants to know: the gate does not."""
        super().process_request(request)
        request.user = SimpleLazyObject(partial(_who_asks, request))  # type: ignore[assignment]


def _who_asks(request: HttpRequest) -> AnyUser:
    user: AnyUser = auth.get_user(request)
    if not isinstance(user, User):
        if auth.SESSION_KEY in request.session:  # of somebody who may not sign in any more
            request.session.flush()
        return user
    held = _held(user, *getattr(request, "vedetta_asks", ()))
    standing = _standing(user, held)
    request.vedetta_answers = held  # type: ignore[attr-defined]
    # A session of before this was noted goes on.
    if request.session.setdefault(_STANDING, standing) == standing:
        sign_ins.seen(kept_as(request.session.session_key or ""), user.pk, _visitor(request))
        return user
    request.session.flush()
    return AnonymousUser()


def standing_of(user: User) -> list[Any]:
    """What somebody is and may: account, roles, and rights of their own. In one query a page."""
    return _standing(user, _held(user))


# Numbers in the query, where what others ask for stands beside them; words in sessions.
_KINDS = {1: "role", 2: "right"}
Held = Iterable[tuple[int, int]]


def _held(user: User, *others: Any) -> list[tuple[int, int]]:
    """Roles and rights by their keys, each with its kind, and the rows of the same form of `others`.

    A page that is asked for every few seconds may have a question of its own answered with them: it puts
    such querysets into `vedetta_asks` of a request before anybody wants to know who asks.
    """
    number = partial(Value, output_field=IntegerField())
    roles = User.groups.through.objects.filter(user_id=user.pk).values_list(number(1), "group_id")
    rights = User.user_permissions.through.objects.filter(user_id=user.pk)
    return list(roles.union(rights.values_list(number(2), "permission_id"), *others))


def _standing(user: User, held: Held) -> list[Any]:
    ours = sorted([_KINDS[kind], pk] for kind, pk in held if kind in _KINDS)
    return [*(getattr(user, flag) for flag in _FLAGS), *ours]


def end_sessions_of(people: Iterable[int]) -> None:
    """End all sessions of these users, by their keys, for good: also where what was taken is given back."""
    theirs = {str(pk) for pk in people}
    if not theirs:
        return
    store = SessionStore()
    ended = [
        row.pk
        for row in Session.objects.iterator()
        if store.decode(row.session_data).get(auth.SESSION_KEY) in theirs
    ]
    Session.objects.filter(pk__in=ended).delete()


def _note_standing(request: HttpRequest, user: AnyUser, **_: Any) -> None:
    request.session[_STANDING] = standing_of(cast(User, user))
    if changes.must_change(cast(User, user).pk):
        request.session[MUST_CHANGE] = True
    if request.session.session_key is None:  # somebody else was signed in here
        request.session.create()
    sign_ins.began(kept_as(request.session.session_key or ""), cast(User, user).pk, _visitor(request))


def _visitor(request: HttpRequest) -> Visitor:
    return Visitor(request.META.get("REMOTE_ADDR", ""), request.META.get("HTTP_USER_AGENT", ""))


def _account_saved(instance: User, update_fields: Iterable[str] | None, **_: Any) -> None:
    # Each sign-in notes its time so.
    if update_fields is not None and not {*update_fields} & {*_FLAGS}:
        return
    was = User.objects.filter(pk=instance.pk).values_list(*_FLAGS).first()
    if was is not None and was != tuple(getattr(instance, flag) for flag in _FLAGS):
        end_sessions_of([instance.pk])


def _account_goes(instance: User, **_: Any) -> None:
    end_sessions_of([instance.pk])


def _role_goes(instance: Group, **_: Any) -> None:
    end_sessions_of(instance.user_set.values_list("pk", flat=True))


def _rights_changed(instance: Any, action: str, reverse: bool, pk_set: set[int] | None, **_: Any) -> None:
    """Of a user, or of all users that are added to or taken from a role or a right."""
    if action not in {"post_add", "post_remove", "pre_clear"}:
        return
    if not reverse:
        end_sessions_of([instance.pk])
    else:
        end_sessions_of(instance.user_set.values_list("pk", flat=True) if pk_set is None else pk_set)


user_logged_in.connect(_note_standing, dispatch_uid="portal.note_standing")
pre_save.connect(_account_saved, sender=User, dispatch_uid="portal.account_saved")
pre_delete.connect(_account_goes, sender=User, dispatch_uid="portal.account_goes")
pre_delete.connect(_role_goes, sender=Group, dispatch_uid="portal.role_goes")
for _through in (User.groups.through, User.user_permissions.through):
    m2m_changed.connect(_rights_changed, sender=_through, dispatch_uid="portal.rights_changed")
