"""What people are, in words: their role, what it may do, and who may change whose account."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.db.models import Q

from backups.configuration.roles import ROLES
from backups.text.sentences import phrase

ADMINISTRATOR = "Administrator"


@dataclass(frozen=True)
class Role:
    """A role as people read of it. Its name is no word of any language."""

    name: str
    may: str


CHOICES = (
    Role("Viewer", phrase("Sees backups, logs and settings, and cannot start anything.")),
    Role(
        "Operator",
        phrase("May do what a Viewer may, and back up, verify, check, pin and forget. Cannot restore."),
    ),
    Role("Restorer", phrase("May do what an Operator may, and restore, download data and read the audit.")),
    Role(
        ADMINISTRATOR,
        phrase("May do what a Restorer may, and set up databases, hold the gate open and invite people."),
    ),
)
_BY_NAME = {role.name: role for role in CHOICES}
_RANKS = {name: rank for rank, name in enumerate(ROLES, start=1)}


@dataclass(frozen=True)
class Held:
    """What somebody is. `name` is empty without a role."""

    name: str
    is_superuser: bool = False
    # By rights or groups that were given outside these pages.
    has_more: bool = False

    @property
    def called(self) -> str:
        """The role's name, or that there is none."""
        return self.name or phrase("No role")

    @property
    def may(self) -> str:
        """What the role may do, in a sentence."""
        return _BY_NAME[self.name].may if self.name else phrase("May not open any page.")

    @property
    def word(self) -> str:
        """What there is beside the role; empty where there is nothing."""
        if self.is_superuser:
            return phrase("with every right there is")
        return phrase("with rights given outside the portal's pages") if self.has_more else ""

    @property
    def told(self) -> str:
        """All of it, for the audit."""
        if not self.word:
            return self.called
        return phrase("{role} {word}", role=self.called, word=self.word)

    @property
    def rank(self) -> int:
        """How high it stands: 0 without a role, above all of them with every right."""
        return len(_RANKS) + 1 if self.is_superuser else _RANKS.get(self.name, 0)


def held_by(person: User) -> Held:
    """What somebody is. Of lists that prefetch `groups` and `user_permissions` it takes no query."""
    groups = [group.name for group in person.groups.all()]
    roles = sorted((name for name in groups if name in _RANKS), key=_RANKS.__getitem__)
    has_more = len(roles) < len(groups) or bool(person.user_permissions.all())
    if not person.is_staff:  # without which no page opens, whatever else they may
        return Held("", person.is_superuser, has_more or bool(roles))
    if person.is_superuser:
        return Held(ADMINISTRATOR, is_superuser=True)
    return Held(roles[-1] if roles else "", has_more=has_more)


def rank_of_role(name: str) -> int:
    """How high a role stands, from 1 on. Raises KeyError for what is none."""
    return _RANKS[name]


def is_way_in(person: User) -> bool:
    """Whether it is the account of PORTAL_ADMIN_USER, the way in when all else is lost."""
    return person.is_superuser and person.get_username() == settings.PORTAL_ADMIN_USER


def may_change(actor: User, person: User) -> bool:
    """Whether `actor` may do all that `person` may: else they could become more than they are by them."""
    if actor.is_superuser:
        return True
    if person.is_superuser or held_by(person).rank > held_by(actor).rank:
        return False
    # Asked of the rows, because Django says that who is deactivated has no rights.
    theirs = Permission.objects.filter(Q(user=person) | Q(group__user=person))
    named = {f"{app}.{name}" for app, name in theirs.values_list("content_type__app_label", "codename")}
    return named <= actor.get_all_permissions()


def who_administer() -> Q:
    """Who, of users, can let others in: they can sign in, and are Administrators or may do everything."""
    can_sign_in = Q(is_active=True, is_staff=True) & ~Q(password__startswith="!") & ~Q(password="")  # noqa: S106
    return can_sign_in & (Q(is_superuser=True) | Q(groups__name=ADMINISTRATOR))
