"""People: the list of who may sign in."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.paginator import InfinitePaginator

from backups.admin.base import redirect
from backups.admin.people import PersonPages
from backups.people import roles, sign_ins
from backups.text import formatting
from backups.text.sentences import phrase

admin.site.unregister(User)
# What a role may do stands with each person, in sentences.
admin.site.unregister(Group)


class RoleFilter(DropdownFilter):
    """Those of one role."""

    title = _("Role")
    parameter_name = "role"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The four."""
        return [(role.name, role.name) for role in roles.CHOICES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:
        """Those whose role it is; who may do everything is an Administrator."""
        role = self.value()
        if role not in {each.name for each in roles.CHOICES}:
            return queryset
        shown = [each.pk for each in queryset if roles.held_by(each).name == role]
        return queryset.filter(pk__in=shown)


@admin.register(User)
class PeopleAdmin(PersonPages):
    """Who may sign in, and as what."""

    list_display = ("name", "role", "seen", "sessions")
    list_filter = (RoleFilter,)
    search_fields = ("username",)
    ordering = ("-is_active", "username")
    paginator = InfinitePaginator
    show_full_result_count = False
    actions = None
    actions_list = ("invite",)
    show_add_link = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """People with their roles, and when they were here."""
        people = super().get_queryset(request).select_related("account")
        return sign_ins.with_visits(people.prefetch_related("groups", "user_permissions"))

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """None: the list answers no question about what it does not show, such as hashes."""
        return False

    @action(description=_("Invite"), icon="person_add", variant=ActionVariant.PRIMARY, permissions=["add"])
    def invite(self, request: HttpRequest) -> HttpResponse:
        """Lead to the form."""
        return redirect(request, reverse("admin:auth_user_add"))

    @display(description=_("Name"), ordering="username")
    def name(self, person: User) -> str:
        """What they sign in as, and how their account stands where that needs a word."""
        return formatting.two_lines(person.get_username(), self.state_in_words(person))

    @display(description=_("Role"))
    def role(self, person: User) -> str:
        """In our words."""
        held = roles.held_by(person)
        return formatting.two_lines(held.called, held.word)

    @display(description=_("Last seen"), ordering="seen_at")
    def seen(self, person: Any) -> str:
        """How long ago, by the newest session that is known."""
        at = person.seen_at or person.last_login
        return formatting.relative_time(at) if at else phrase("never")

    @display(description=_("Sessions"))
    def sessions(self, person: Any) -> str:
        """In how many browsers they are signed in."""
        return str(person.open_sessions or formatting.EMPTY)
