"""Users and roles in the portal's look."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from backups.admin.base import VedettaAdmin
from backups.text import formatting

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, VedettaAdmin):
    """Who may sign in."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "roles", "is_active", "is_staff", "is_superuser", "seen")
    list_filter = ("is_active", "is_superuser", "groups")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Users with their roles."""
        return super().get_queryset(request).prefetch_related("groups")

    @display(description=_("Roles"))
    def roles(self, user: User) -> str:
        """The roles, by name."""
        return ", ".join(group.name for group in user.groups.all()) or formatting.EMPTY

    @display(description=_("Last signed in"), ordering="last_login")
    def seen(self, user: User) -> str:
        """How long ago."""
        return formatting.relative_time(user.last_login)


@admin.register(Group)
class RoleAdmin(DjangoGroupAdmin, VedettaAdmin):
    """What each role may do."""
