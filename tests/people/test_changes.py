"""What is refused of what people do with accounts, each in one sentence, and what the audit says of it."""

from __future__ import annotations

import html
from collections.abc import Callable

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.utils.html import strip_tags
from pytest_django import Settings

from backups.errors import Problem
from backups.models import Account
from backups.people import changes, roles
from tests.admin.conftest import PASSWORD, Login

Person = Callable[[str], User]


def text_of(client: Client, url: str) -> str:
    """A page as people read it."""
    return " ".join(html.unescape(strip_tags(client.get(url).content.decode())).split())


def page_of(person: User) -> str:
    return f"/admin/auth/user/{person.pk}/change/"


def told(client: Client, url: str, said: dict[str, str] | None = None) -> str:
    """What the page says that an answer leads to."""
    answer = client.post(url, said or {}, follow=True)
    return " ".join(html.unescape(strip_tags(answer.content.decode())).split())


# ---------------------------------------------------------------- In our words


def test_no_page_speaks_of_staff_superusers_hashes_and_raw_rights(login: Login, person: Person) -> None:
    somebody = person("Restorer")
    client = login("superuser")
    urls = ["/admin/auth/user/", "/admin/auth/user/add/", page_of(somebody)]
    urls += [
        f"/admin/auth/user/{somebody.pk}/{page}/" for page in ("link", "password", "deactivate", "delete")
    ]
    for url in urls:
        page = client.get(url).content.decode().lower()
        for jargon in (
            "staff",
            "superuser status",
            "permission",
            "date joined",
            "can add",
            "md5$",
            "icon-no",
        ):
            assert jargon not in page, (url, jargon)
    for role in roles.CHOICES:
        assert role.may in text_of(client, page_of(somebody))
        assert role.may in text_of(client, "/admin/auth/user/add/")


def test_a_superuser_is_shown_as_administrator_with_a_word_and_keeps_every_right(login: Login) -> None:
    client = login("superuser")
    superuser = User.objects.get(username="superuser")
    assert "with every right there is" in text_of(client, "/admin/auth/user/")
    assert "Administrator, with every right there is." in text_of(client, page_of(superuser))
    assert "Nothing was changed." in told(client, page_of(superuser), {"role": "Administrator"})
    assert User.objects.get(pk=superuser.pk).is_superuser


def test_who_has_an_account_but_no_role_cannot_open_a_page_and_it_says_so(
    login: Login, person: Person
) -> None:
    """Whom an earlier version let be made by hand: one role, and they are in."""
    nobody = person("nobody")
    entered = Client().post("/admin/login/", {"username": "nobody", "password": PASSWORD})
    assert "Your account has no role yet: ask an Administrator for one." in entered.content.decode()
    wrong = Client().post("/admin/login/", {"username": "nobody", "password": "wrong"}).content.decode()
    assert "Name or password is wrong." in wrong
    assert "staff" not in wrong
    client = login("Administrator")
    assert "nobody No role never" in text_of(client, "/admin/auth/user/")
    assert "nobody is Viewer now" in told(client, page_of(nobody), {"role": "Viewer"})
    assert Client().post("/admin/login/", {"username": "nobody", "password": PASSWORD}).status_code == 302


# ---------------------------------------------------------------- Roles


def test_a_role_is_given_and_nothing_beside_it_and_the_audit_says_from_what(
    login: Login, person: Person
) -> None:
    viewer = person("Viewer")
    viewer.user_permissions.add(Permission.objects.get(codename="run_restore"))
    viewer.groups.add(Group.objects.create(name="by hand"))
    theirs = Client()
    theirs.force_login(viewer, backend="django.contrib.auth.backends.ModelBackend")
    client = login("superuser")

    assert "viewer is Operator now, and was signed out everywhere." in told(
        client, page_of(viewer), {"role": "Operator"}
    )

    viewer = User.objects.get(pk=viewer.pk)
    assert [each.name for each in viewer.groups.all()] == ["Operator"]
    assert not viewer.has_perm("backups.run_restore")
    assert theirs.get("/admin/").status_code == 302
    assert LogEntry.objects.get().change_message == (
        "Role from Viewer with rights given outside the portal's pages to Operator."
    )


def test_nobody_raises_their_own_role_nor_gives_more_than_they_have(login: Login, person: Person) -> None:
    """Also who was let manage people by hand, without the role that does."""
    viewer, operator = person("Viewer"), person("Operator")
    viewer.user_permissions.add(Permission.objects.get(codename="manage_people"))
    client = Client()
    client.force_login(viewer, backend="django.contrib.auth.backends.ModelBackend")

    assert (
        "Administrator" not in text_of(client, page_of(viewer)).partition("Role")[2].partition("Account")[0]
    )
    told(client, page_of(viewer), {"role": "Administrator"})
    told(client, "/admin/auth/user/add/", {"name": "friend", "role": "Administrator"})
    for url in (page_of(operator), f"/admin/auth/user/{operator.pk}/link/"):
        assert "operator may do more than you" in told(client, url, {"role": "Viewer"})

    for actor in (viewer, User.objects.get(pk=viewer.pk)):
        for role in ("Administrator", "Operator"):
            with pytest.raises(Problem, match="Nobody gives a role that is above their own"):
                changes.give_role(actor, viewer.pk, role)
            with pytest.raises(Problem, match="Nobody gives a role that is above their own"):
                changes.invite(actor, "friend", role)
    assert roles.held_by(User.objects.get(pk=viewer.pk)).name == "Viewer"
    assert roles.held_by(User.objects.get(pk=operator.pk)).name == "Operator"
    assert not User.objects.filter(username="friend").exists()


def test_an_administrator_does_not_become_more_by_another_account(login: Login, person: Person) -> None:
    superuser, restorer = person("superuser"), person("Restorer")
    restorer.user_permissions.add(Permission.objects.get(codename="delete_accessattempt"))
    client = login("Administrator")
    for target in (superuser, restorer):
        before = User.objects.filter(pk=target.pk).values().get()
        for page in ("change", "link", "password", "deactivate", "activate", "delete", "sessions"):
            said = {
                "role": "Viewer",
                "new_password1": "mine alone 1",
                "new_password2": "mine alone 1",
                "all": "1",
            }
            answer = told(client, f"/admin/auth/user/{target.pk}/{page}/", said)
            assert f"{target} may do more than you, so you cannot change this account." in answer, page
        assert User.objects.filter(pk=target.pk).values().get() == before


def test_the_last_administrator_stays(person: Person) -> None:
    """Whoever was invited and has no password yet is nobody who could let others in."""
    administrator, viewer = person("Administrator"), person("Viewer")
    actor = person("superuser")
    invited, _ = changes.invite(actor, "invited", "Administrator")
    changes.give_role(actor, actor.pk, "Administrator")
    User.objects.filter(pk=actor.pk).update(is_superuser=True, is_active=False)
    assert invited.groups.filter(name="Administrator").exists()
    for refused in (
        lambda: changes.deactivate(actor, administrator.pk),
        lambda: changes.give_role(actor, administrator.pk, "Restorer"),
        lambda: changes.delete(actor, administrator.pk),
        lambda: changes.give_role(administrator, administrator.pk, "Viewer"),
    ):
        with pytest.raises(Problem, match="administrator is the last active Administrator"):
            refused()
    assert User.objects.get(pk=administrator.pk).is_active

    changes.give_role(actor, viewer.pk, "Administrator")
    changes.give_role(administrator, administrator.pk, "Viewer")
    with pytest.raises(Problem, match="viewer is the last active Administrator"):
        changes.deactivate(actor, viewer.pk)


def test_the_way_in_stays_as_it_is_and_it_is_said_why(
    login: Login, person: Person, settings: Settings
) -> None:
    way_in = User.objects.create_superuser("way-in", password=PASSWORD)
    settings.PORTAL_ADMIN_USER = "way-in"
    client = login("superuser")
    before = User.objects.filter(pk=way_in.pk).values().get()
    for page in ("change", "link", "password", "deactivate", "delete"):
        answer = told(client, f"/admin/auth/user/{way_in.pk}/{page}/", {"role": "Viewer"})
        assert "way-in is PORTAL_ADMIN_USER, the way in when all else is lost" in answer
    assert User.objects.filter(pk=way_in.pk).values().get() == before
    User.objects.filter(pk=way_in.pk).update(is_active=False)
    assert "Let in again" in text_of(client, page_of(way_in))
    assert "way-in can sign in again." in told(client, f"/admin/auth/user/{way_in.pk}/activate/")
    settings.PORTAL_ADMIN_USER = "not-made-yet"
    answer = told(client, "/admin/auth/user/add/", {"name": "not-made-yet", "role": "Viewer"})
    assert "not-made-yet is the name of PORTAL_ADMIN_USER" in answer


# ---------------------------------------------------------------- In and out


def test_who_did_something_is_deactivated_and_who_did_nothing_is_deleted(
    login: Login, person: Person
) -> None:
    did, idle = person("Operator"), person("Viewer")
    LogEntry.objects.create(user=did, action_flag=2, object_repr="Gate")
    client = login("Administrator")
    assert "Delete" not in text_of(client, page_of(did))
    answer = told(client, f"/admin/auth/user/{did.pk}/delete/")
    assert "operator did things that the record names, so the account stays. Deactivate it instead." in answer
    assert "operator cannot sign in any more." in told(client, f"/admin/auth/user/{did.pk}/deactivate/")
    assert Client().post("/admin/login/", {"username": "operator", "password": PASSWORD}).status_code == 200
    assert "operator can sign in again." in told(client, f"/admin/auth/user/{did.pk}/activate/")
    assert Client().post("/admin/login/", {"username": "operator", "password": PASSWORD}).status_code == 302
    assert "viewer was deleted." in told(client, f"/admin/auth/user/{idle.pk}/delete/")
    assert not User.objects.filter(pk=idle.pk).exists()


def test_nobody_locks_themselves_out(login: Login, person: Person) -> None:
    person("superuser")
    client = login("Administrator")
    me = User.objects.get(username="administrator")
    for page in ("link", "password", "deactivate", "delete"):
        said = {"new_password1": "mine alone 1", "new_password2": "mine alone 1"}
        assert "This is your own account." in told(client, f"/admin/auth/user/{me.pk}/{page}/", said)
    assert User.objects.get(pk=me.pk).check_password(PASSWORD)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Viewer", "There is somebody called Viewer already."),
        ("\uff36iewer", "There is somebody called Viewer already."),
        ("a b", "Enter a valid username"),
        ("", "Give a name."),
        ("x" * 151, "at most 150"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, why: str, login: Login, person: Person) -> None:
    person("Viewer")
    client = login("Administrator")
    people = User.objects.count()
    answer = client.post("/admin/auth/user/add/", {"name": name, "role": "Viewer"})
    assert why in html.unescape(answer.content.decode())
    assert client.post("/admin/auth/user/add/", {"name": "anna", "role": "King"}).status_code == 200
    assert (User.objects.count(), Account.objects.count()) == (people, 0)


# ---------------------------------------------------------------- A password that somebody else set


def test_whoever_gets_a_password_from_somebody_else_changes_it_first(login: Login, person: Person) -> None:
    viewer, client = person("Viewer"), login("Administrator")
    theirs = Client()
    theirs.force_login(viewer, backend="django.contrib.auth.backends.ModelBackend")
    given = "given by another 3"

    answer = told(
        client, f"/admin/auth/user/{viewer.pk}/password/", {"new_password1": given, "new_password2": given}
    )

    assert "viewer signs in with it, and has to choose another one first." in answer
    assert "Has to change the password" in text_of(client, "/admin/auth/user/")
    assert given not in str(list(LogEntry.objects.values()))
    assert theirs.get("/admin/").status_code == 302
    assert theirs.post("/admin/login/", {"username": "viewer", "password": given}).status_code == 302
    for url in ("/admin/", "/admin/backups/run/", "/admin/live/", "/admin/search/", "/admin/no/such/page/"):
        assert theirs.get(url)["Location"] == "/admin/password_change/", url
    assert theirs.get("/admin/", headers={"HX-Request": "true"})["HX-Redirect"] == "/admin/password_change/"
    assert theirs.get("/ok").status_code in {200, 503}
    assert "Somebody else set the password" in theirs.get("/admin/password_change/").content.decode()

    def change(new: str) -> str:
        said = {"old_password": given, "new_password1": new, "new_password2": new}
        return str(theirs.post("/admin/password_change/", said).headers.get("Location"))

    assert change(given) == "/admin/password_change/"
    assert "Choose another one." in theirs.get("/admin/password_change/").content.decode()
    assert change("1") == "None"
    assert theirs.get("/admin/").status_code == 302
    assert change("of their own choice 2") == "/admin/password_change/done/"
    assert theirs.get("/admin/").status_code == 200
    assert "Has to change the password" not in text_of(client, "/admin/auth/user/")


def test_a_password_that_is_too_easy_is_set_for_nobody(login: Login, person: Person) -> None:
    viewer, client = person("Viewer"), login("Administrator")
    answer = told(
        client,
        f"/admin/auth/user/{viewer.pk}/password/",
        {"new_password1": "viewer", "new_password2": "viewer"},
    )
    assert "too similar" in answer
    assert User.objects.get(pk=viewer.pk).check_password(PASSWORD)
