"""Links that set a password: for one account, for some days, once.

Nothing of a link is kept. It is worked out from the account as it is, so that it ends with the password
that it sets, with a sign-in, and with every change of the account; and from when the newest was made.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.db import transaction
from django.utils import timezone

from backups.errors import Problem
from backups.models import Account
from backups.text.sentences import phrase, plural

_LONGEST = 300
_DAY = 24 * 3600


class _Tokens(PasswordResetTokenGenerator):
    key_salt = "backups.people.links"

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        made_at = Account.objects.filter(person=user).values_list("link_made_at", flat=True).first()
        roles = sorted(user.groups.values_list("pk", flat=True))
        flags = (user.is_active, user.is_staff, user.is_superuser)
        made = int(made_at.timestamp()) if made_at else None
        return f"{user.pk} {user.password} {user.last_login} {timestamp} {flags} {roles} {made}"


_tokens = _Tokens()


def make(person: User) -> str:
    """A link's secret part; those of before open nothing any more."""
    now = timezone.now().replace(microsecond=0)
    Account.objects.update_or_create(person=person, defaults={"link_made_at": now})
    return f"{person.pk}-{_tokens.make_token(person)}"


def withdraw(person: User) -> None:
    """Have the person's link open nothing any more."""
    Account.objects.filter(person=person).update(link_made_at=None)


def until(made_at: datetime) -> datetime:
    """When a link ends that was made then."""
    return made_at + timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT)


def days_valid() -> str:
    """How long a link opens, in words."""
    return plural("{n} day", "{n} days", n=settings.PASSWORD_RESET_TIMEOUT // _DAY)


def person_of(link: str, *, lock: bool = False) -> User:
    """Whose password a link sets; `link` is the whole address, or what is behind its #. Raises Problem."""
    secret = link.strip()[:_LONGEST].rpartition("#")[2]
    number, _, token = secret.partition("-")
    person = _active(number, lock=lock)
    if person is None or not _is_open(person) or not _tokens.check_token(person, token):
        raise Problem(
            phrase(
                "This link opens nothing any more: it was used, is older than {days}, or was replaced.",
                days=days_valid(),
            ),
            code="people.link_over",
            do=phrase("Ask an Administrator for a new one."),
        )
    return person


def _active(number: str, *, lock: bool) -> User | None:
    # Longer ones are no keys of rows, and some servers refuse to look for them.
    if not (number.isascii() and number.isdigit() and len(number) < 18):
        return None
    people = User.objects.select_for_update() if lock else User.objects.all()
    return people.filter(pk=int(number), is_active=True).first()


def _is_open(person: User) -> bool:
    return Account.objects.filter(person=person, link_made_at__isnull=False).exists()


def use(link: str, password: str) -> User:
    """Set the password that somebody chose, after which the link is over. Raises Problem."""
    with transaction.atomic():
        # Of two who use it at once, the second waits here and finds another password.
        person = person_of(link, lock=True)
        person.set_password(password)
        person.save(update_fields=["password"])
        Account.objects.filter(person=person).update(link_made_at=None, must_change_password=False)
    return person
