"""A copy of the portal's database signs nobody in; a session ends with what it stood for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.backends.db import SessionStore as OfBefore
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from portal import sessions

BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture
def anna(db: None, settings: Settings) -> User:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    anna = User.objects.create_user("anna", is_staff=True)
    anna.groups.add(Group.objects.create(name="Viewers of the tests"))
    return anna


def signed_in(user: User) -> Client:
    """A browser of somebody, after their first page."""
    client = Client()
    client.force_login(user, backend=BACKEND)
    assert is_in(client)
    return client


def key_of(client: Client) -> str:
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def with_key(key: str) -> Client:
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = key
    return client


def is_in(client: Client) -> bool:
    return client.get("/admin/password_change/").status_code == 200


def test_what_is_in_the_database_opens_nothing(anna: User) -> None:
    key = key_of(signed_in(anna))
    (row,) = Session.objects.all()
    assert key not in f"{row.session_key} {row.session_data} {row.get_decoded()}"
    longest = Session._meta.get_field("session_key").max_length
    assert longest is not None
    assert len(row.session_key) <= longest
    assert is_in(with_key(key))
    for other in (row.session_key, row.session_key.upper(), sessions.kept_as(row.session_key), "", "\0"):
        assert not is_in(with_key(other))


def test_all_that_django_does_with_sessions_goes_on(anna: User) -> None:
    client = signed_in(anna)
    store = sessions.SessionStore(key_of(client))
    assert store.exists(key_of(client))
    store["seen"] = "yes"
    store.save()
    assert sessions.SessionStore(key_of(client))["seen"] == "yes"
    assert Session.objects.count() == 1
    store.cycle_key()
    assert not store.exists(key_of(client))
    assert is_in(with_key(str(store.session_key)))
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert not is_in(with_key(str(store.session_key)))
    call_command("clearsessions")
    assert not Session.objects.exists()
    store = sessions.SessionStore()
    store.delete()
    store.create()
    store.delete()
    assert not Session.objects.exists()


# ---------------------------------------------------------------- Rows of before


def test_who_was_signed_in_by_the_version_before_stays_so(anna: User) -> None:
    """Whose row holds the key, and nothing of what its owner was."""
    client = signed_in(anna)
    data = sessions.SessionStore(key_of(client)).load()
    del data["vedetta_standing"]
    before = OfBefore()
    before.update(data)
    before.create()
    key = str(before.session_key)
    assert not is_in(with_key(key)), "a row as it was before is nobody's key"

    sessions.hash_those_of_before()
    sessions.hash_those_of_before()

    assert not Session.objects.filter(session_key=key).exists()
    assert is_in(with_key(key))
    anna.groups.clear()
    assert not is_in(with_key(key))


# ---------------------------------------------------------------- The end


def _flag(name: str) -> tuple[Callable[[User], object], Callable[[User], object]]:
    def turn(user: User) -> None:
        setattr(user, name, not getattr(user, name))
        user.save()

    return turn, turn


def _role(user: User) -> Group:
    return user.groups.get() if user.groups.exists() else Group.objects.get()


ENDS: dict[str, tuple[Callable[[User], object], Callable[[User], object]]] = {
    "account": _flag("is_active"),
    "staff": _flag("is_staff"),
    "superuser": _flag("is_superuser"),
    "role": (lambda user: user.groups.clear(), lambda user: user.groups.add(Group.objects.get())),
    "role, from its own side": (
        lambda user: _role(user).user_set.remove(user),
        lambda user: Group.objects.get().user_set.add(user),
    ),
    "role and all its people": (
        lambda user: _role(user).user_set.clear(),
        lambda user: user.groups.add(Group.objects.get()),
    ),
    "role deleted": (
        lambda user: _role(user).delete(),
        lambda user: user.groups.add(Group.objects.create(name="Viewers of the tests")),
    ),
    "right": (
        lambda user: user.user_permissions.add(Permission.objects.all()[0]),
        lambda user: user.user_permissions.clear(),
    ),
    "password": (lambda user: _password(user, "b"), lambda user: _password(user, "a")),
}


def _password(user: User, password: str) -> None:
    user.set_password(password)
    user.save()


@pytest.mark.parametrize("what", ENDS)
def test_a_session_ends_with_what_its_owner_was_and_does_not_come_back(what: str, anna: User) -> None:
    """Also when nobody asked by it in between: given back, it is not as if nothing had been."""
    other = signed_in(User.objects.create_user("other", is_staff=True))
    take, give_back = ENDS[what]
    key = key_of(signed_in(anna))
    take(anna)
    give_back(User.objects.get(pk=anna.pk))
    assert User.objects.get(pk=anna.pk).is_active
    assert not is_in(with_key(key))
    assert is_in(other), "others go on"


def test_what_no_row_tells_ends_it_too(anna: User) -> None:
    """As what somebody writes into the database, past the portal."""
    for change in (
        lambda: User.objects.filter(pk=anna.pk).update(is_superuser=True),
        lambda: User.groups.through.objects.filter(user=anna).delete(),
        lambda: User.objects.filter(pk=anna.pk).update(is_active=False),
    ):
        key = key_of(signed_in(User.objects.get(pk=anna.pk)))
        change()
        assert not is_in(with_key(key))
    assert not Session.objects.exists()


def test_a_deleted_account_and_one_that_has_its_number_afterwards(anna: User) -> None:
    key, pk = key_of(signed_in(anna)), anna.pk
    anna.delete()
    again = User.objects.create_user("anna", is_staff=True, pk=pk)
    User.objects.filter(pk=again.pk).update(password=anna.password)
    assert not is_in(with_key(key))


def test_a_sign_in_and_another_first_name_end_nothing(anna: User) -> None:
    client, elsewhere = signed_in(anna), signed_in(anna)
    anna.first_name = "Anna"
    anna.save()
    signed_in(anna)
    assert is_in(client)
    assert is_in(elsewhere)
