"""A person's pages: invited, given a role, a new password, signed out, deactivated."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from backups.admin import sessions
from backups.admin.base import VedettaAdmin, page_url
from backups.admin.people_forms import InviteForm, PasswordForm, RoleForm
from backups.errors import Problem
from backups.people import changes, links, roles, sign_ins
from backups.text import formatting
from backups.text.sentences import phrase, plural

View = Callable[[HttpRequest, User], HttpResponse]
LIST = "admin:auth_user_changelist"


class PersonPages(VedettaAdmin):
    """The pages of one person. Each asks for the right again; what is refused is told in a sentence."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may manage people sees them."""
        return request.user.has_perm("backups.manage_people")

    def has_module_permission(self, request: HttpRequest) -> bool:
        """The same."""
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The same."""
        return self.has_view_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The same."""
        return self.has_view_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The same; of whom there is a record, a sentence says why not."""
        return self.has_view_permission(request)

    def get_urls(self) -> list[URLPattern]:
        """With what is done to a person."""
        views: dict[str, View] = {
            "link": self._link, "password": self._password, "deactivate": self._deactivate,
            "activate": self._activate, "sessions": self._sessions,
        }  # fmt: skip
        own = [
            path(
                f"<int:pk>/{name}/",
                self.admin_site.admin_view(partial(self._of_person, view)),
                name="auth_user_password_change" if name == "password" else f"auth_user_{name}",
            )
            for name, view in views.items()
        ]
        return [*own, *super().get_urls()]

    def _of_person(self, view: View, request: HttpRequest, pk: int) -> HttpResponse:
        if not self.has_change_permission(request):
            raise PermissionDenied
        return self._shown(view, request, self.found(request, str(pk)))

    def _shown(self, view: View, request: HttpRequest, person: User) -> HttpResponse:
        """A view's answer; what it refuses is told on the person's page."""
        try:
            response = view(request, person)
        except Problem as problem:
            messages.error(request, problem.sentence())
            response = HttpResponseRedirect(page_url(person))
        return response

    def _page(self, request: HttpRequest, name: str, title: str, **context: Any) -> HttpResponse:
        shown = {**self.admin_site.each_context(request), "title": title, **context}
        response = TemplateResponse(request, f"backups/people_{name}.html", shown)
        response["Cache-Control"] = "no-store"
        return response

    # ------------------------------------------------------------ Invited

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Name and role, then the link."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        highest = roles.held_by(_actor(request)).rank
        form = InviteForm(request.POST or None, highest=highest)
        if request.method == "POST" and form.is_valid():
            said = form.cleaned_data
            try:
                person, secret = changes.invite(_actor(request), said["name"], said["role"])
            except Problem as problem:
                form.add_error(
                    None if problem.code == "people.above_own_role" else "name", problem.sentence()
                )
            else:
                called = roles.held_by(person).called
                self.log_addition(request, person, phrase("Invited as {role}.", role=called))
                return self._link_page(request, person, secret)
        return self._page(request, "invite", phrase("Invite somebody"), form=form)

    def _link_page(self, request: HttpRequest, person: User, secret: str) -> HttpResponse:
        """The link, this once: it is kept nowhere, so no other page can show it."""
        address = f"{request.build_absolute_uri(reverse('welcome'))}#{secret}"
        title = phrase("Link for {person}", person=person)
        held = roles.held_by(person)
        return self._page(
            request, "link", title, person=person, address=address, days=links.days_valid(), held=held
        )

    def _link(self, request: HttpRequest, person: User) -> HttpResponse:
        """Ask whether a new link is wanted, then show it."""
        if request.method != "POST":
            if why := changes.why_no_password(_actor(request), person):
                raise why
            return self._page(
                request, "ask", phrase("New link for {person}", person=person),
                person=person, submit=phrase("Make the link"),
                told=[
                    phrase("With the link {person} chooses a new password.", person=person),
                    phrase("The password of now opens nothing from then on, and all sessions end."),
                ],
            )  # fmt: skip
        person, secret = changes.new_link(_actor(request), person.pk)
        self.log_change(request, person, phrase("Made a link that sets a new password; all sessions ended."))
        return self._link_page(request, person, secret)

    # ------------------------------------------------------------ The account

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A person: role, account, sessions."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return self._shown(self._person, request, self.found(request, object_id))

    def _person(self, request: HttpRequest, person: User) -> HttpResponse:
        actor, held = _actor(request), roles.held_by(person)
        form = RoleForm(
            request.POST if request.method == "POST" else None,
            initial={"role": held.name}, highest=roles.held_by(actor).rank,
        )  # fmt: skip
        if request.method == "POST" and form.is_valid():
            before, after = changes.give_role(actor, person.pk, form.cleaned_data["role"])
            if before == after:
                messages.info(request, phrase("Nothing was changed."))
            else:
                words = phrase("Role from {before} to {after}.", before=before.told, after=after.told)
                self.log_change(request, person, words)
                messages.success(request, self._role_given(person, after))
            return HttpResponseRedirect(page_url(person))
        title = phrase("Account of {person}", person=person)
        return self._page(request, "person", title, **self._facts(request, person, form))

    def _role_given(self, person: User, held: roles.Held) -> str:
        if not person.has_usable_password():
            return phrase(
                "{person} is {role} now. The link of before opens nothing any more: make a new one.",
                person=person,
                role=held.called,
            )
        return phrase(
            "{person} is {role} now, and was signed out everywhere.", person=person, role=held.called
        )

    def _facts(self, request: HttpRequest, person: Any, form: RoleForm) -> dict[str, Any]:
        actor = _actor(request)
        why = changes.why_not(actor, person)
        return {
            "person": person,
            "held": roles.held_by(person),
            "form": form,
            "why_not": why.sentence() if why else "",
            "may_let_in": not person.is_active and changes.why_no_say(actor, person) is None,
            "is_oneself": actor.pk == person.pk,
            "has_history": changes.has_history(person),
            "state": self.state_in_words(person) or phrase("Active"),
            "seen_at": person.seen_at or person.last_login,
            "sessions": sessions.listed(request, person),
            "audit": f"{reverse('admin:admin_logentry_changelist')}?user__id__exact={person.pk}",
        }

    def state_in_words(self, person: User) -> str:
        """What is to be said of an account; empty where it is as any other."""
        if not person.is_active:
            return phrase("Deactivated")
        account = getattr(person, "account", None)
        if not person.has_usable_password():
            if account is None or account.link_made_at is None:
                return phrase("Has no password, and no link")
            until = links.until(account.link_made_at)
            if until < timezone.now():
                return phrase("Has not used the link, which ended {age}", age=formatting.age(until))
            return phrase("Has a link, which opens until {time}", time=formatting.clock(until))
        if account is not None and account.must_change_password:
            return phrase("Has to change the password")
        return ""

    def _deactivate(self, request: HttpRequest, person: User) -> HttpResponse:
        if request.method != "POST":
            return self._page(
                request, "ask", phrase("Deactivate {person}", person=person),
                person=person, submit=phrase("Deactivate"), danger=True,
                told=[
                    phrase("{person} is signed out everywhere and cannot sign in.", person=person),
                    phrase("What waits of theirs is not started. What they did stays in the record."),
                ],
            )  # fmt: skip
        changes.deactivate(_actor(request), person.pk)
        self.log_change(request, person, phrase("Deactivated."))
        messages.success(request, phrase("{person} cannot sign in any more.", person=person))
        return HttpResponseRedirect(page_url(person))

    def _activate(self, request: HttpRequest, person: User) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        changes.let_in_again(_actor(request), person.pk)
        self.log_change(request, person, phrase("Let in again."))
        messages.success(request, phrase("{person} can sign in again.", person=person))
        return HttpResponseRedirect(page_url(person))

    def _password(self, request: HttpRequest, person: User) -> HttpResponse:
        """Set a password for somebody whom no link reaches."""
        if why := changes.why_no_password(_actor(request), person):
            raise why
        form = PasswordForm(person, request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            changes.set_password(_actor(request), person.pk, form.cleaned_data["new_password1"])
            self.log_change(
                request, person, phrase("Set a password that has to be changed; all sessions ended.")
            )
            told = phrase("{person} signs in with it, and has to choose another one first.", person=person)
            messages.success(request, told)
            return HttpResponseRedirect(page_url(person))
        title = phrase("Password for {person}", person=person)
        return self._page(request, "password", title, person=person, form=form)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Delete who never did anything."""
        if not self.has_delete_permission(request):
            raise PermissionDenied
        return self._shown(self._delete, request, self.found(request, object_id))

    def _delete(self, request: HttpRequest, person: User) -> HttpResponse:
        if request.method != "POST":
            return self._page(
                request, "ask", phrase("Delete {person}", person=person),
                person=person, submit=phrase("Delete"), danger=True,
                told=[phrase("The account goes for good. Nothing that was done is known to be theirs.")],
            )  # fmt: skip
        changes.delete(_actor(request), person.pk)
        self.log_deletions(request, [person])
        messages.success(request, phrase("{person} was deleted.", person=person))
        return HttpResponseRedirect(reverse(LIST))

    # ------------------------------------------------------------ Sessions

    def _sessions(self, request: HttpRequest, person: User) -> HttpResponse:
        """End one, or all of them."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        actor, current = _actor(request), sessions.current_key(request)
        if why := changes.why_no_say(actor, person):
            raise why
        is_all, key = "all" in request.POST, request.POST.get("key", "")
        ended = sign_ins.end_all(person) if is_all else int(sign_ins.end(person, key))
        if not ended:
            messages.info(request, phrase("That session was over already."))
            return HttpResponseRedirect(page_url(person))
        self.log_change(request, person, plural("Ended {n} session.", "Ended {n} sessions.", n=ended))
        if actor.pk == person.pk and (is_all or key == current):
            logout(request)
            return HttpResponseRedirect(reverse("admin:login"))
        messages.success(request, plural("{n} session ended.", "{n} sessions ended.", n=ended))
        return HttpResponseRedirect(page_url(person))


def _actor(request: HttpRequest) -> User:
    return cast(User, request.user)
