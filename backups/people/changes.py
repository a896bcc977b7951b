"""What Administrators do with accounts, and what is refused, in a sentence each.

Each asks again under a lock, so that no two Administrators take away each other's role at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.db import transaction

from backups.errors import Problem
from backups.models import Account, Pin, Run
from backups.people import links, roles, sign_ins
from backups.people.roles import ADMINISTRATOR, Held
from backups.text.sentences import phrase


@contextmanager
def _alone(actor: User, pk: int) -> Iterator[User]:
    """The account as it is now, which nobody else changes within. Raises Problem where `actor` may not."""
    with transaction.atomic():
        list(User.objects.select_for_update().order_by("pk").values_list("pk", flat=True))
        person = User.objects.get(pk=pk)
        if why := why_not(actor, person):
            raise why
        yield person


def why_not(actor: User, person: User) -> Problem | None:
    """Why `actor` may not change this account at all."""
    if roles.is_way_in(person):
        return Problem(
            phrase(
                "{person} is PORTAL_ADMIN_USER, the way in when all else is lost, so role and account stay "
                "as they are.",
                person=person,
            ),
            code="people.way_in",
            do=phrase(
                "{person} changes the password under Change password; somebody with a shell does it with "
                "{command}.",
                person=person,
                command=f"`manage.py changepassword {person.get_username()}`",
            ),
        )
    return why_no_say(actor, person)


def why_no_say(actor: User, person: User) -> Problem | None:
    """Why `actor` may not even end this person's sessions."""
    if actor.pk == person.pk or roles.may_change(actor, person):
        return None
    return Problem(
        phrase("{person} may do more than you, so you cannot change this account.", person=person),
        code="people.may_do_more",
        do=phrase("Ask somebody who may do as much."),
    )


def invite(actor: User, name: str, role: str) -> tuple[User, str]:
    """Make an account without a password; answers it and its link's secret part. Raises Problem."""
    _refuse_above(actor, role)
    name = User.normalize_username(name)  # as `full_clean` has it: other letters may look the same
    if roles.is_way_in(User(username=name, is_superuser=True)):
        raise Problem(
            phrase("{name} is the name of PORTAL_ADMIN_USER, which the set-up makes itself.", name=name),
            code="people.way_in",
            do=phrase("Give another name."),
        )
    person = User(username=name, is_staff=True)
    person.set_unusable_password()
    with transaction.atomic():
        if User.objects.filter(username__iexact=name).exists():
            raise Problem(
                phrase("There is somebody called {name} already.", name=name),
                code="people.name_taken",
                do=phrase("Give another name."),
            )
        try:
            person.full_clean(exclude=["password"])
        except ValidationError as error:
            raise Problem(" ".join(error.messages), code="people.bad_name") from error
        person.save()
        person.groups.set([Group.objects.get(name=role)])
        return person, links.make(person)


def give_role(actor: User, pk: int, role: str) -> tuple[Held, Held]:
    """Make somebody this, and nothing beside it; answers what they were and are. Raises Problem."""
    with _alone(actor, pk) as person:
        before = roles.held_by(person)
        if (before.is_superuser and before.name == role) or before == Held(role):
            return before, before
        _refuse_above(actor, role)
        if role != ADMINISTRATOR:
            _refuse_last(person)
        person.is_staff, person.is_superuser = True, False
        person.save(update_fields=["is_staff", "is_superuser"])
        person.groups.set([Group.objects.get(name=role)])
        person.user_permissions.clear()
        return before, Held(role)


def _refuse_above(actor: User, role: str) -> None:
    if roles.rank_of_role(role) > roles.held_by(actor).rank:
        raise Problem(
            phrase("Nobody gives a role that is above their own, to others or to themselves."),
            code="people.above_own_role",
        )


def _refuse_last(person: User) -> None:
    """Raise Problem where nobody would be left who could let anybody in."""
    who = User.objects.filter(roles.who_administer())
    if who.filter(pk=person.pk).exists() and not who.exclude(pk=person.pk).exists():
        raise Problem(
            phrase(
                "{person} is the last active Administrator, so the account stays as it is.", person=person
            ),
            code="people.last_administrator",
            do=phrase("Make somebody else Administrator first."),
        )


def _refuse_oneself(actor: User, person: User) -> None:
    if actor.pk == person.pk:
        raise _own()


def _own() -> Problem:
    return Problem(
        phrase("This is your own account."),
        code="people.own_account",
        do=phrase("Ask another Administrator, or use Change password."),
    )


def deactivate(actor: User, pk: int) -> None:
    """Let somebody in no more; what they did stays known. Raises Problem."""
    with _alone(actor, pk) as person:
        _refuse_oneself(actor, person)
        _refuse_last(person)
        person.is_active = False
        person.save(update_fields=["is_active"])
        links.withdraw(person)


def let_in_again(actor: User, pk: int) -> None:
    """Undo a deactivation, of the way in as well. Raises Problem."""
    person = User.objects.get(pk=pk)
    if why := why_no_say(actor, person):
        raise why
    person.is_active = True
    person.save(update_fields=["is_active"])


def new_link(actor: User, pk: int) -> tuple[User, str]:
    """A link that sets a new password; the one of before opens nothing from now on. Raises Problem."""
    with _alone(actor, pk) as person:
        _refuse_password(actor, person)
        person.set_unusable_password()
        person.save(update_fields=["password"])
        Account.objects.filter(person=person).update(must_change_password=False)
        sign_ins.end_all(person)
        return person, links.make(person)


def set_password(actor: User, pk: int, password: str) -> None:
    """Set a password that the person has to change when they sign in with it. Raises Problem."""
    with _alone(actor, pk) as person:
        _refuse_password(actor, person)
        person.set_password(password)
        person.save(update_fields=["password"])
        said = {"must_change_password": True, "link_made_at": None}
        Account.objects.update_or_create(person=person, defaults=said)
        sign_ins.end_all(person)


def why_no_password(actor: User, person: User) -> Problem | None:
    """Why `actor` may not have this person choose a new password, nor set one."""
    if why := why_not(actor, person):
        return why
    if actor.pk == person.pk:
        return _own()
    if not person.is_active:
        return Problem(
            phrase("{person} is deactivated.", person=person),
            code="people.deactivated",
            do=phrase("Let them in again first."),
        )
    if not roles.held_by(person).name:
        return Problem(
            phrase("{person} has no role, so a password would open no page.", person=person),
            code="people.no_role",
            do=phrase("Give them a role first."),
        )
    return None


def _refuse_password(actor: User, person: User) -> None:
    if why := why_no_password(actor, person):
        raise why


def must_change(person_id: int) -> bool:
    """Whether somebody else set this person's password."""
    return Account.objects.filter(person_id=person_id, must_change_password=True).exists()


def has_changed(person_id: int) -> None:
    """Note that they chose one themselves."""
    Account.objects.filter(person_id=person_id).update(must_change_password=False)


def delete(actor: User, pk: int) -> None:
    """Delete the account of somebody who never did anything. Raises Problem."""
    with _alone(actor, pk) as person:
        _refuse_oneself(actor, person)
        if has_history(person):
            raise Problem(
                phrase("{person} did things that the record names, so the account stays.", person=person),
                code="people.has_history",
                do=phrase("Deactivate it instead."),
            )
        _refuse_last(person)
        person.delete()


def has_history(person: User) -> bool:
    """Whether something that was done is known to be theirs."""
    return (
        LogEntry.objects.filter(user=person).exists()
        or Run.objects.filter(requested_by=person).exists()
        or Pin.objects.filter(made_by=person.get_username()).exists()
    )
