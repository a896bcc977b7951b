"""The dialogs that pause, mute and retire a database: what they say, who may, and what is written down."""

from __future__ import annotations

import html
from collections.abc import Callable
from datetime import timedelta

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from backups.choices import StandDownKind
from backups.gate import heartbeat_files
from backups.models import Database, StandDown
from tests.admin.conftest import Login
from tools.history import History


def url_of(database: Database, name: str) -> str:
    return reverse(f"admin:backups_database_{name}", args=[database.pk])


def text(client: Client, url: str) -> str:
    return html.unescape(client.get(url).content.decode())


def press(client: Client, database: Database, name: str, **fields: str) -> str:
    """Send a dialog; answers where it leads, or what it says against it."""
    response = client.post(url_of(database, name), {"_form_submitted": "on", **fields})
    return response["Location"] if response.status_code == 302 else html.unescape(response.content.decode())


def page(client: Client, database: Database) -> str:
    return text(client, url_of(database, "change"))


def test_the_dialog_of_a_pause_says_when_the_gate_closes(past: History, login: Login) -> None:
    database, client = past.databases[0], login("Administrator")
    heartbeat_files.folder().mkdir(parents=True)
    heartbeat_files.write_last_ok(database, timezone.now() - timedelta(hours=1))

    said = text(client, url_of(database, "pause"))

    assert "It goes by the age of the backups as always: it closes" in said
    assert "overrides it on the page Gate" in said
    Database.objects.filter(pk=database.pk).update(gates_app=False)
    assert "It does not look at this database." in text(client, url_of(database, "pause"))


def test_a_pause_is_begun_shown_audited_and_ended(past: History, login: Login) -> None:
    database, client = past.databases[0], login("Administrator")
    assert press(client, database, "pause", length="24", reason="The server moves.").endswith("/change/")

    (made,) = StandDown.objects.all()
    assert made.until is not None
    assert timedelta(hours=23) < made.until - timezone.now() <= timedelta(hours=24)
    shown = page(client, database)
    assert 'v-label v-plain">Paused<' in shown
    assert "is paused until" in shown
    assert "(administrator: The server moves)" in shown
    assert "Paused" in text(client, "/admin/backups/database/?stand_down=pause")
    assert "is paused until" in text(client, "/admin/")
    assert "The server moves." in LogEntry.objects.latest("pk").get_change_message()
    assert client.get(url_of(database, "pause")).status_code == 403

    press(client, database, "resume")
    assert LogEntry.objects.latest("pk").get_change_message() == "Resumed."
    assert "is paused until" not in page(client, database)


def test_days_of_a_pause_are_not_called_missed(past: History, login: Login) -> None:
    database, now = past.databases[0], timezone.now()
    lately = database.runs.filter(action="backup", queued_at__gt=now - timedelta(days=6))
    lately.update(queued_at=now - timedelta(days=60))
    client = login("Viewer")
    missed = "without the backup that was due"
    assert missed in page(client, database)
    StandDown.objects.create(
        database=database, kind=StandDownKind.PAUSE, reason="The server moves.", made_by="anna",
        made_at=now - timedelta(days=8), ended_at=now,
    )  # fmt: skip
    assert missed not in page(client, database)


def test_a_moment_of_ones_own_is_by_the_portals_clock_and_yet_to_come(past: History, login: Login) -> None:
    database, client = past.databases[0], login("Administrator")
    own = {"length": "own", "reason": "The server moves."}
    assert "Say until when." in press(client, database, "mute", **own)
    assert "That moment is over." in press(client, database, "mute", moment="2020-01-01T10:00", **own)
    assert not StandDown.objects.exists()

    press(client, database, "mute", moment="2090-01-01T10:30", **own)

    (made,) = StandDown.objects.all()
    assert made.until is not None
    assert f"{timezone.localtime(made.until):%Y-%m-%d %H:%M}" == "2090-01-01 10:30"
    assert "No messages about" in page(client, database)


def test_a_mute_has_an_end(past: History, login: Login) -> None:
    database, client = past.databases[0], login("Administrator")
    assert "Select a valid choice" in press(
        client, database, "mute", length="never", reason="The server moves."
    )


def test_a_retired_database_leaves_the_first_page_and_can_be_taken_back(past: History, login: Login) -> None:
    database, client = past.databases[0], login("Administrator")
    change = url_of(database, "change")
    assert change in text(client, "/admin/")
    press(client, database, "retire", reason="The shop is closed.")

    assert change not in text(client, "/admin/")
    assert change not in text(client, "/admin/backups/database/")
    assert change in text(client, "/admin/backups/database/?stand_down=retirement")
    shown = page(client, database)
    assert 'v-label v-plain">Retired<' in shown
    assert "The shop is closed." in shown
    assert "Restore or download" in shown
    assert "/back_up/" not in shown
    assert client.get(url_of(database, "back_up")).status_code == 403

    press(client, database, "take_back")
    assert change in text(client, "/admin/")
    assert not StandDown.objects.standing(timezone.now()).exists()


def test_retiring_what_gates_takes_the_right_to_open_the_gate_too(
    past: History, login: Login, person: Callable[[str], User]
) -> None:
    database = past.databases[0]
    editor = person("Restorer")
    editor.user_permissions.add(Permission.objects.get(codename="change_database"))
    client = Client()
    client.force_login(editor, backend="django.contrib.auth.backends.ModelBackend")

    assert client.get(url_of(database, "retire")).status_code == 403
    assert (
        client.post(
            url_of(database, "retire"), {"_form_submitted": "on", "reason": "It is over."}
        ).status_code
        == 403
    )
    assert client.get(url_of(database, "pause")).status_code == 200
    Database.objects.filter(pk=database.pk).update(gates_app=False)
    press(client, database, "retire", reason="It is over.")
    assert StandDown.objects.get().kind == StandDownKind.RETIREMENT


def test_the_last_database_that_gates_is_said_to_be_it(database: Database, login: Login) -> None:
    assert "This is the last database that it looks at." in text(
        login("Administrator"), url_of(database, "retire")
    )
