"""Restores as people start them: who may, what is shown first, what has to be typed, what is recorded."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.http import StreamingHttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from backups.actions.steps.swapping import way_back_words
from backups.admin.base import page_url, run_url
from backups.admin.restore_story import kept_words
from backups.choices import Action, DefinerPolicy, RestoreMode, Status, Swap, Trigger
from backups.downloads.asking import MOST_PER_PORTAL
from backups.models import Database, DownloadTicket, Restore, Run, Server, Snapshot
from backups.runs.restores import restore_note
from backups.worker import executor
from tests.admin.conftest import Login
from tests.backups.conftest import MakeDatabase
from tests.backups.kept_backup import KeptBackup
from tests.backups.worlds import Shop, children_of, command_of, wait_until
from tests.downloads.serving import downloads_served
from tests.restoring.conftest import back_up, empty_repository, make_database, repository
from tests.restoring.stories import LATER, content, databases_of, drop_all, make_restorable, quoted, stored
from tests.servers import DatabaseServer
from tools.history import History

__all__ = ["back_up", "downloads_served", "empty_repository", "make_database", "repository"]

LOOK, START = {"look": "1"}, {"start": "1"}
REASON = "A wrong price import."
CONFIRM = {"_form_submitted": "on", "reason": REASON}


@pytest.fixture(scope="module")
def kept(mariadb_server: DatabaseServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeptBackup]:
    shop = make_restorable(mariadb_server)
    yield KeptBackup(shop, tmp_path_factory.mktemp("kept") / "repository")
    drop_all(shop)


@pytest.fixture
def mariadb_shop(kept: KeptBackup) -> Iterator[Shop]:
    """The small database; a test may do with it what it likes."""
    kept.make_shop_anew()
    yield kept.shop
    for name in databases_of(kept.shop):
        kept.shop.server.execute(f"DROP DATABASE {quoted(name)}")


@pytest.fixture
def backed_up(
    kept: KeptBackup,
    mariadb_shop: Shop,
    make_database: MakeDatabase,
    back_up: Callable[[Database], Run],
) -> Snapshot:
    """A backup of a real database."""
    return kept.snapshot(make_database(mariadb_shop), back_up)


@pytest.fixture
def snapshot(backed_up: Snapshot, mariadb_shop: Shop) -> Snapshot:
    """A backup of a real database, of which several things changed since."""
    mariadb_shop.server.load(LATER, mariadb_shop.name)
    return backed_up


def url_of(snapshot: Snapshot) -> str:
    """Where its restore is begun."""
    return reverse("snapshot-restore", args=[snapshot.pk])


def wish(mode: RestoreMode, **more: Any) -> dict[str, Any]:
    """A form that is filled in."""
    return {
        "mode": mode, "target": "shop_restored", "definers": DefinerPolicy.KEEP, "reason": REASON, **more
    }  # fmt: skip


def shown_on(page: bytes) -> dict[str, str]:
    """What the page knows that it shows, where there is something to start."""
    found = re.search(rb'name="shown" value="([0-9a-f]+)"', page)
    return {"shown": found[1].decode()} if found else {}


def look_and_start(client: Client, snapshot: Snapshot, filled: dict[str, Any], **options: Any) -> Any:
    """See what will happen, then press the button below it."""
    shown = shown_on(client.post(url_of(snapshot), filled | LOOK).content)
    return client.post(url_of(snapshot), filled | shown | START, **options)


def told(response: Any) -> str:
    """What a page says, without its tags and runs of blanks."""
    assert response.status_code == 200
    return " ".join(html.unescape(strip_tags(response.content.decode().replace("<", " <"))).split())


# ---------------------------------------------------------------- Who may


@pytest.mark.parametrize("role", ["Viewer", "Operator", "staff"])
def test_who_may_not_restore_is_refused_everywhere(past: History, login: Login, role: str) -> None:
    client, snapshot = login(role), Snapshot.objects.filter(forgotten_at=None)[0]
    kept = Restore.objects.get(mode=RestoreMode.REPLACE)
    runs = Run.objects.count()
    for url in (
        url_of(snapshot),
        reverse("database-restore", args=[past.databases[0].pk]),
        reverse("admin:backups_restore_undo", args=[kept.pk]),
        reverse("admin:backups_restore_drop_kept", args=[kept.pk]),
        reverse("admin:backups_restore_try_again", args=[kept.pk]),
    ):
        assert client.get(url).status_code == 403, url
        assert client.post(url, wish(RestoreMode.FILE) | START | CONFIRM).status_code == 403, url
        assert Client().get(url)["Location"].startswith("/admin/login/"), url
    assert (Run.objects.count(), LogEntry.objects.count()) == (runs, 0)


def test_only_who_may_restore_sees_the_buttons(past: History, login: Login) -> None:
    snapshot = Snapshot.objects.filter(forgotten_at=None)[0]
    kept = Restore.objects.get(mode=RestoreMode.REPLACE)
    buttons = {
        page_url(snapshot): url_of(snapshot),
        page_url(past.databases[0]): "/restore",
        page_url(kept): "drop_kept",
    }
    operator, restorer = login("Operator"), login("Restorer")
    for page, button in buttons.items():
        main = operator.get(page).content.decode().partition('id="main"')[2]
        assert f'{button}"' not in main.replace('/"', '"'), page
        assert button in restorer.get(page).content.decode(), page


def test_nothing_starts_without_the_token(past: History, login: Login) -> None:
    snapshot = Snapshot.objects.filter(forgotten_at=None)[0]
    client = login("Restorer", enforce_csrf_checks=True)
    assert client.post(url_of(snapshot), wish(RestoreMode.FILE) | START).status_code == 403


# ---------------------------------------------------------------- What is shown first


def test_what_a_replace_will_do_is_shown_first(snapshot: Snapshot, login: Login) -> None:
    page = told(login("Restorer").post(url_of(snapshot), wish(RestoreMode.REPLACE) | LOOK))
    assert f"Snapshot {snapshot.short_id}" in page
    assert "What was written later is not in it." in page
    assert "just now" in page
    assert "Not verified nobody has seen it restore" in page
    assert "This snapshot has not been verified" in page
    assert "Tables replaced 3: customers, journal, orders" in page
    assert "Tables that will vanish 1: parcels" in page
    assert "Tables that are new none" in page
    assert f"Type {snapshot.database} to go on" in page
    assert f"First A backup of {snapshot.database} as it is now. If it fails, nothing is restored." in page
    assert f"What was written to {snapshot.database} since today" in page
    assert "It stays in that backup, and in the present tables, which are kept." in page
    assert "Restore now" in page
    assert not Restore.objects.exists()
    assert not LogEntry.objects.exists()


def test_a_verified_snapshot_is_said_to_be(snapshot: Snapshot, login: Login) -> None:
    Snapshot.objects.update(verified_at=timezone.now())
    page = told(login("Restorer").post(url_of(snapshot), wish(RestoreMode.NEW) | LOOK))
    assert "Verified Verified" in page
    assert "not been verified" not in page
    assert "Tables that are new 3: customers, journal, orders" in page
    assert "to go on" not in page


def test_a_target_that_is_not_free_stands_in_the_way(
    snapshot: Snapshot, mariadb_shop: Shop, login: Login
) -> None:
    taken = f"{mariadb_shop.name}_taken"
    mariadb_shop.server.create_database(taken)
    mariadb_shop.server.execute("CREATE TABLE t (id INT)", taken)
    client, filled = login("Restorer"), wish(RestoreMode.NEW, target=taken)
    page = told(client.post(url_of(snapshot), filled | LOOK))
    assert f"{taken} holds tables already: choose a name that is free." in page
    assert "Restore now" not in page
    look_and_start(client, snapshot, filled)
    assert not Restore.objects.exists()


def test_a_server_that_is_away_stands_in_the_way(snapshot: Snapshot, login: Login) -> None:
    Server.objects.update(port=1)
    page = told(login("Restorer").post(url_of(snapshot), wish(RestoreMode.REPLACE) | LOOK))
    assert "The database server at" in page
    assert "Restore now" not in page


def test_what_is_lost_is_said_as_it_will_be(snapshot: Snapshot, login: Login) -> None:
    """In each way to overwrite, with and without a backup before; nothing where nothing is overwritten."""
    client = login("Restorer")
    for mode, more, wanted in (
        (
            RestoreMode.REPLACE,
            {"without_safety": "on"},
            "the present tables, which are kept, and nowhere else",
        ),
        (RestoreMode.IN_PLACE, {}, "It stays in that backup alone."),
        (RestoreMode.IN_PLACE, {"without_safety": "on"}, "It is gone for good: nothing keeps it."),
    ):
        response = client.post(url_of(snapshot), wish(mode, **more) | LOOK)
        assert wanted in told(response)
        assert 'class="v-button v-main v-danger"' in response.content.decode()
    response = client.post(url_of(snapshot), wish(RestoreMode.NEW) | LOOK)
    assert "will not be there any more" not in told(response)
    assert 'class="v-button v-main v-danger"' not in response.content.decode()
    # A foreign key of orders stands in the way, so nothing is lost.
    customers = wish(RestoreMode.REPLACE) | {"mode": "tables", "tables": ["customers"]}
    page = told(client.post(url_of(snapshot), customers | LOOK))
    assert "Choose both tables" in page
    assert "will not be there any more" not in page
    assert "What refers to it" not in page


def test_tables_are_put_back_into_the_live_database_by_one_choice(
    snapshot: Snapshot, mariadb_shop: Shop, login: Login
) -> None:
    """With their sizes, and with what refers to them; none chosen is not all of them here."""
    live = mariadb_shop.name
    mariadb_shop.execute("CREATE VIEW written AS SELECT what FROM journal")
    client = login("Restorer")
    page = client.get(url_of(snapshot) + "?table=journal&table=nothing_such").content.decode()
    chosen = r'value="journal" checked><span>journal</span><span class="v-subtle">[\d.]+ (B|kB)<'
    assert re.search(chosen, page)
    assert re.search(r'value="tables"[^>]*checked', page)
    assert 'value="orders"><span>' in page
    assert 'value="nothing_such"' not in page
    back = f"{url_of(snapshot)}?table=journal"
    assert f'href="{back}"' in client.get(page_url(snapshot)).content.decode()

    filled = wish(RestoreMode.REPLACE, confirm=live) | {"mode": "tables"}
    refused = told(client.post(url_of(snapshot), filled | LOOK))
    assert "Choose the tables that are to be put back." in refused
    assert "Restore now" not in refused

    both = told(client.post(url_of(snapshot), filled | {"tables": ["orders", "customers"]} | LOOK))
    assert "A foreign key of orders refers to customers: both come back." in both
    one = told(client.post(url_of(snapshot), filled | {"tables": ["orders"]} | LOOK))
    assert "Choose both tables" in one
    assert "Restore now" not in one, "a swap would cut the key"

    page = told(client.post(url_of(snapshot), filled | {"tables": ["journal"]} | LOOK))
    assert f"What was written to journal of {live} since" in page
    assert "These views read journal, and will read what comes back: written." in page
    assert "Tables replaced 1: journal" in page
    look_and_start(client, snapshot, filled | {"tables": ["journal"]})
    restore = Restore.objects.get()
    assert (restore.mode, restore.tables) == (RestoreMode.REPLACE, ["journal"])


# ---------------------------------------------------------------- What starts


@pytest.mark.parametrize(
    "typed", [*(pytest.param(each, marks=pytest.mark.soak) for each in ("", "shop")), "SHOP_X"]
)
def test_a_wrong_name_typed_starts_nothing(snapshot: Snapshot, login: Login, typed: str) -> None:
    for mode in (RestoreMode.REPLACE, RestoreMode.IN_PLACE):
        page = told(look_and_start(login_once(login), snapshot, wish(mode, confirm=typed)))
        assert "This is not the database's name. Nothing was started." in page
    assert not Restore.objects.exists()
    assert not LogEntry.objects.exists()


def test_another_databases_snapshot_takes_this_ones_place_only_where_both_are_named(
    snapshot: Snapshot, mariadb_shop: Shop, login: Login
) -> None:
    """As a row has them that became another's."""
    Snapshot.objects.update(manifest={**(snapshot.manifest or {}), "database": "other"})
    client, live = login("Restorer"), mariadb_shop.name
    page = told(client.post(url_of(snapshot), wish(RestoreMode.REPLACE) | LOOK))
    assert f"This snapshot is of other: it would take the place of {live}." in page
    assert f"Type other over {live} to go on" in page
    refused = look_and_start(client, snapshot, wish(RestoreMode.REPLACE, confirm=live))
    assert "This is not what is to be typed. Nothing was started." in told(refused)
    assert not Restore.objects.exists()

    look_and_start(client, snapshot, wish(RestoreMode.REPLACE, confirm=f"other over {live}"))
    assert Restore.objects.get().target == live


def test_what_was_not_shown_does_not_start(snapshot: Snapshot, login: Login) -> None:
    """Without JavaScript the button stays below the old preview when a choice is changed."""
    assert snapshot.database
    client, live = login("Restorer"), snapshot.database.database
    seen = wish(RestoreMode.REPLACE, tables=["journal"], confirm=live)
    shown = shown_on(client.post(url_of(snapshot), seen | LOOK).content)
    others: list[dict[str, Any]] = [
        {"tables": []}, {"tables": ["orders", "customers"]}, {"definers": DefinerPolicy.CURRENT_USER},
        {"without_safety": "on"}, {"mode": RestoreMode.IN_PLACE}, {"shown": ""}, {"shown": "0" * 64},
    ]  # fmt: skip
    for other in others:
        response = client.post(url_of(snapshot), seen | shown | other | START)
        assert "Nothing was started, because this is not what was shown before." in told(response), other
        assert shown_on(response.content)
    assert not Restore.objects.exists()
    assert not LogEntry.objects.exists()

    response = client.post(url_of(snapshot), seen | {"tables": []} | shown | START)
    page = told(response)
    assert "Tables that will vanish 1: parcels" in page
    client.post(url_of(snapshot), seen | {"tables": []} | shown_on(response.content) | START)
    assert Restore.objects.get().tables == []


def test_what_one_was_shown_is_for_them_soon_and_once(
    snapshot: Snapshot, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another's page, one of two hours ago, and one from which a restore was begun start nothing."""
    anna, now = login("Restorer"), timezone.now()
    shown = shown_on(anna.post(url_of(snapshot), wish(RestoreMode.NEW) | LOOK).content)

    def refused(client: Client) -> bool:
        page = client.post(url_of(snapshot), wish(RestoreMode.NEW) | shown | START)
        return "this is not what was shown before" in told(page)

    assert refused(login("Administrator"))
    with monkeypatch.context() as later:
        later.setattr("backups.admin.restoring.timezone.now", lambda: now + timedelta(hours=2))
        assert refused(anna)
    assert not Run.objects.filter(action=Action.RESTORE).exists()
    assert anna.post(url_of(snapshot), wish(RestoreMode.NEW) | shown | START).status_code == 302
    Run.objects.filter(action=Action.RESTORE).update(status=Status.FAILED)
    assert refused(anna)
    assert Run.objects.filter(action=Action.RESTORE).count() == 1


def test_a_second_click_leads_to_what_the_first_one_started(snapshot: Snapshot, login: Login) -> None:
    """So does the button of a page that the back button brought; nobody reads that nothing was started."""
    client, filled = login("Restorer"), wish(RestoreMode.NEW)
    shown = shown_on(client.post(url_of(snapshot), filled | LOOK).content)
    first = client.post(url_of(snapshot), filled | shown | START)
    second = client.post(url_of(snapshot), filled | shown | START, follow=True)
    assert [first["Location"]] == [where for where, _ in second.redirect_chain]
    assert "Not started a second time: this restore was started already" in told(second)
    assert "Nothing was started" not in told(second)
    assert Restore.objects.count() == 1


def test_the_choices_of_one_tab_start_nothing_that_the_other_showed(
    snapshot: Snapshot, mariadb_shop: Shop, login: Login
) -> None:
    """Also where the mode was changed and changed back, with the name typed."""
    client = login("Restorer")
    whole = wish(RestoreMode.REPLACE, confirm=mariadb_shop.name)
    part = wish(RestoreMode.REPLACE, tables=["journal"], confirm=mariadb_shop.name)
    new = wish(RestoreMode.NEW)
    shown = {
        name: shown_on(client.post(url_of(snapshot), filled | LOOK).content)
        for name, filled in {"whole": whole, "part": part, "new": new}.items()
    }
    for filled, of in ((whole, "part"), (part, "whole"), (whole, "new"), (new, "whole")):
        page = told(client.post(url_of(snapshot), filled | shown[of] | START))
        assert "Nothing was started, because this is not what was shown before." in page
    assert not Restore.objects.exists()
    # Each tab starts its own, and once a restore was begun the other tab's is looked at anew.
    client.post(url_of(snapshot), part | shown["part"] | START)
    assert Restore.objects.get().tables == ["journal"]
    page = told(client.post(url_of(snapshot), whole | shown["whole"] | START))
    assert "Nothing was started, because this is not what was shown before." in page
    assert Restore.objects.count() == 1


def test_a_server_that_changed_since_it_was_shown_is_shown_anew(
    snapshot: Snapshot, mariadb_shop: Shop, login: Login
) -> None:
    client, filled = login("Restorer"), wish(RestoreMode.REPLACE, confirm=mariadb_shop.name)
    shown = shown_on(client.post(url_of(snapshot), filled | LOOK).content)
    mariadb_shop.execute("CREATE TABLE born_meanwhile (id INT)")

    page = told(client.post(url_of(snapshot), filled | shown | START))

    assert "Nothing was started" in page
    assert "Tables that will vanish 2: born_meanwhile, parcels" in page
    assert not Restore.objects.exists()


def test_the_reason_may_still_be_changed(snapshot: Snapshot, mariadb_shop: Shop, login: Login) -> None:
    client, filled = login("Restorer"), wish(RestoreMode.REPLACE, confirm=mariadb_shop.name)
    shown = shown_on(client.post(url_of(snapshot), filled | LOOK).content)
    client.post(url_of(snapshot), filled | shown | {"reason": "Said better."} | START)
    assert Restore.objects.get().reason == "Said better."


def login_once(login: Login, role: str = "Restorer") -> Client:
    """The person of a role, made when first asked for."""
    from django.contrib.auth.models import User

    if not User.objects.filter(username=role.lower()).exists():
        return login(role)
    client = Client()
    client.force_login(
        User.objects.get(username=role.lower()), backend="django.contrib.auth.backends.ModelBackend"
    )
    return client


def test_the_right_name_starts_it_with_all_that_was_chosen(snapshot: Snapshot, login: Login) -> None:
    assert snapshot.database
    filled = wish(
        RestoreMode.REPLACE, tables=["orders", "customers"], definers=DefinerPolicy.CURRENT_USER,
        without_safety="on", confirm=snapshot.database.database,
    )  # fmt: skip
    response = look_and_start(login("Restorer"), snapshot, filled)
    restore = Restore.objects.get()
    assert response["Location"] == page_url(restore)
    assert (restore.mode, restore.target) == (RestoreMode.REPLACE, snapshot.database.database)
    assert (restore.tables, restore.definers) == (["customers", "orders"], DefinerPolicy.CURRENT_USER)
    assert (restore.without_safety, restore.reason) == (True, REASON)
    assert (restore.run.action, restore.run.status) == (Action.RESTORE, Status.QUEUED)
    assert str(restore.run.requested_by) == "restorer"
    entry = LogEntry.objects.get()
    assert entry.object_id == str(snapshot.pk)
    assert str(entry.user) == "restorer"
    assert REASON in entry.change_message
    assert str(restore.run) in entry.change_message


def test_nothing_left_to_save_counts_only_where_something_is_overwritten(
    snapshot: Snapshot, login: Login
) -> None:
    client = login("Restorer")
    target = f"{snapshot.database}_copy"
    filled = wish(RestoreMode.NEW, target=target, without_safety="on")
    look_and_start(client, snapshot, filled)
    restore = Restore.objects.get()
    assert (restore.target, restore.without_safety) == (target, False)
    again = look_and_start(client, snapshot, filled, follow=True)
    assert "Not started" in told(again)
    assert Restore.objects.count() == 1


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"target": ""}, "Give the new database a name."),
        ({"target": "{live}"}, "That is the live database: choose another name."),
        ({"target": "a" * 65}, "at most 64 characters"),
        ({"target": "mysql"}, "is the server's own"),
        ({"target": "shop__before_9"}, "for databases that Vedetta makes"),
        ({"tables": ["nothing_such"]}, "is not one of the available choices"),
        ({"definers": "root"}, "is not one of the available choices"),
        ({"mode": "undo"}, "is not one of the available choices"),
        ({"reason": ""}, "This field is required."),
    ],
)
def test_what_makes_no_sense_is_told_and_starts_nothing(
    past: History, login: Login, wrong: dict[str, Any], sentence: str
) -> None:
    snapshot = Snapshot.objects.filter(forgotten_at=None, database=past.databases[0])[0]
    wrong = {name: past.databases[0].database if v == "{live}" else v for name, v in wrong.items()}
    restores = Restore.objects.count()
    response = look_and_start(login("Restorer"), snapshot, wish(RestoreMode.NEW) | wrong)
    shown = told(response)
    assert sentence in shown
    assert "Give the new database a name." not in shown.replace(sentence, "")
    assert response.context["form"].errors
    assert (Restore.objects.count(), LogEntry.objects.count()) == (restores, 0)


def test_what_is_not_there_cannot_be_restored(past: History, login: Login) -> None:
    client = login("Restorer")
    assert client.get(reverse("snapshot-restore", args=[987654])).status_code == 404
    assert client.get(reverse("database-restore", args=[987654])).status_code == 404
    forgotten = Snapshot.objects.exclude(forgotten_at=None)[0]
    assert client.get(url_of(forgotten)).status_code == 404
    foreign = Snapshot.objects.filter(forgotten_at=None)[0]
    Snapshot.objects.filter(pk=foreign.pk).update(database=None)
    assert "belongs to no database that is set up here" in told(client.get(url_of(foreign), follow=True))


def test_as_it_was_at_leads_to_the_newest_snapshot_not_after_it(past: History, login: Login) -> None:
    client, database = login("Restorer"), past.databases[0]
    held = list(database.snapshots.filter(forgotten_at=None).order_by("time"))
    url = reverse("database-restore", args=[database.pk])
    assert held[-1].short_id in told(client.get(url))

    def at(snapshot: Snapshot, years: int = 0) -> dict[str, str]:
        local = timezone.localtime(snapshot.time)
        return {"time_0": f"{local.year + years}-{local:%m-%d}", "time_1": f"{local:%H}:59:59"}

    assert client.get(url, at(held[-1]))["Location"] == url_of(held[-1])
    assert client.get(url, at(held[1]))["Location"] == url_of(held[1])
    assert held[0].short_id in told(client.get(url, at(held[0], -1)))


# ---------------------------------------------------------------- Downloads


def streamed(client: Client, snapshot: Snapshot, **more: Any) -> StreamingHttpResponse:
    """The answer to the button that downloads."""
    response = look_and_start(client, snapshot, wish(RestoreMode.FILE, **more))
    assert isinstance(response, StreamingHttpResponse), told(response)
    return response


@pytest.mark.usefixtures("downloads_served")
def test_a_download_is_the_dump_itself_and_recorded(snapshot: Snapshot, login: Login) -> None:
    response = streamed(login("Restorer"), snapshot)
    assert b"".join(response) == stored(snapshot)
    assert response["Content-Disposition"].endswith(f'{snapshot.short_id}.sql"')
    assert "no-store" in response["Cache-Control"]
    entry = LogEntry.objects.get()
    assert entry.change_message.startswith("Downloaded ")
    assert entry.change_message.endswith(f": {REASON}")
    assert not Restore.objects.exists()


@pytest.mark.usefixtures("downloads_served")
def test_a_download_of_some_tables_holds_only_them(snapshot: Snapshot, login: Login) -> None:
    dump = b"".join(streamed(login("Restorer"), snapshot, tables=["customers"]))
    assert b"CREATE TABLE `customers`" in dump
    assert b"CREATE TABLE `orders`" not in dump


@pytest.mark.usefixtures("downloads_served")
def test_closing_a_download_stops_restic(snapshot: Snapshot, login: Login) -> None:
    response = streamed(login("Restorer"), snapshot)
    next(iter(response))
    response.close()
    wait_until(lambda: not restics(os.getpid()), "restic to be gone", 5)


@pytest.mark.usefixtures("downloads_served")
def test_a_download_that_is_over_gives_its_place_back(snapshot: Snapshot, login: Login) -> None:
    """To its last byte, to some, and to none of them."""
    client = login("Restorer")
    for number in range(2 * MOST_PER_PORTAL):
        response = streamed(client, snapshot)
        if number % 3:
            next(iter(response))
        if number % 3 > 1:
            b"".join(response)
        response.close()
    wait_until(lambda: not restics(os.getpid()), "restic to be gone", 5)


def test_without_a_worker_nothing_is_downloaded(snapshot: Snapshot, login: Login) -> None:
    page = told(look_and_start(login("Restorer"), snapshot, wish(RestoreMode.FILE), follow=True))
    assert "The worker does not run, so nothing can be downloaded. Start it on the portal's own" in page
    assert not LogEntry.objects.exists()


@pytest.mark.usefixtures("downloads_served")
def test_over_http_1_0_nothing_is_read(snapshot: Snapshot, login: Login) -> None:
    client = login("Restorer")
    client.defaults["SERVER_PROTOCOL"] = "HTTP/1.0"
    page = told(look_and_start(client, snapshot, wish(RestoreMode.FILE), follow=True))
    assert "Nothing was downloaded. Something in front of the portal asks it over HTTP/1.0, in which" in page
    assert "add `proxy_http_version 1.1;` beside proxy_pass" in page
    assert f"`manage.py restore --snapshot {snapshot.short_id} --output DIR`" in page
    assert not DownloadTicket.objects.exists()
    assert not LogEntry.objects.exists()


def restics(pid: int) -> list[str]:
    """The command lines of the dumps under a process."""
    return [line for child in children_of(pid) if "restic" in (line := command_of(child)) and "dump" in line]


@pytest.mark.usefixtures("downloads_served")
def test_a_repository_that_is_away_is_told(snapshot: Snapshot, login: Login) -> None:
    folder = Path(snapshot.repository.url)
    folder.rename(folder.with_name("away"))
    page = told(look_and_start(login("Restorer"), snapshot, wish(RestoreMode.FILE), follow=True))
    assert "Nothing was downloaded." in page
    assert not LogEntry.objects.exists()


@pytest.mark.usefixtures("downloads_served")
def test_a_snapshot_that_cannot_be_read_is_told(snapshot: Snapshot, login: Login) -> None:
    for pack in (Path(snapshot.repository.url) / "data").glob("*/*"):
        pack.chmod(0o600)
        pack.write_bytes(b"\0" * pack.stat().st_size)
    page = told(look_and_start(login("Restorer"), snapshot, wish(RestoreMode.FILE), follow=True))
    assert "Nothing was downloaded." in page
    assert not LogEntry.objects.exists()


# ---------------------------------------------------------------- Undo and drop


def press(client: Client, restore: Restore, button: str, **form: str) -> Any:
    """Confirm a dialog on a restore's page."""
    url = reverse(f"admin:backups_restore_{button}", args=[restore.pk])
    return client.post(url, {"_form_submitted": "on", **form}, headers={"HX-Request": "true"})


def play(response: Any) -> Run:
    """Play the run to whose page a dialog led, or to that of the undo that it is."""
    run = Run.objects.filter(status=Status.QUEUED).get()
    shown = run.restore if run.action == Action.UNDO else run
    assert response.headers.get("HX-Redirect") == page_url(shown)
    played = executor.execute(run.pk, send_follow_ups=False)
    assert played is not None
    assert played.status == Status.SUCCEEDED, played.error
    return played


def test_undo_and_drop_through_their_dialogs(snapshot: Snapshot, mariadb_shop: Shop, login: Login) -> None:
    before = content(mariadb_shop.server, mariadb_shop.name)
    client = login("Restorer")
    filled = wish(RestoreMode.REPLACE, confirm=mariadb_shop.name, without_safety="on")
    look_and_start(client, snapshot, filled)
    executor.execute(Run.objects.get(status=Status.QUEUED).pk, send_follow_ups=False)
    restore = Restore.objects.get()
    assert restore.can_be_undone, restore.run.error
    page = client.get(page_url(restore)).content.decode()
    assert "Undo" in page
    assert "Drop kept tables" in page

    assert "This field is required" in press(client, restore, "undo").content.decode()
    assert (
        restore.kept_in
        in client.get(reverse("admin:backups_restore_undo", args=[restore.pk])).content.decode()
    )
    assert not Run.objects.filter(status=Status.QUEUED).exists()
    typed = {"confirm": mariadb_shop.name}
    for wrong in ({}, {"confirm": ""}, {"confirm": mariadb_shop.name.upper()}):
        told_of = press(client, restore, "undo", reason="Too quick.", **wrong).content.decode()
        assert "This is not the database&#x27;s name. Nothing was started." in told_of
    assert not Run.objects.filter(status=Status.QUEUED).exists()
    undo = play(press(client, restore, "undo", reason="The import was right after all.", **typed))
    assert content(mariadb_shop.server, mariadb_shop.name) == before
    assert press(client, restore, "undo", reason="Twice", **typed).status_code == 403

    undone = undo.restore
    dialog = client.get(reverse("admin:backups_restore_drop_kept", args=[undone.pk])).content.decode()
    assert "Space that this frees" in dialog
    play(press(client, undone, "drop_kept", reason="Disk space."))
    assert databases_of(mariadb_shop) == [mariadb_shop.name]
    assert press(client, undone, "drop_kept", reason="Twice").status_code == 403
    reasons = [entry.change_message for entry in LogEntry.objects.order_by("pk")]
    assert [REASON in reasons[0], "after all" in reasons[1], "Disk space" in reasons[2]] == [True] * 3


def test_a_refused_undo_is_told_in_a_sentence(past: History, login: Login) -> None:
    restore = Restore.objects.get(mode=RestoreMode.REPLACE)
    client = login("Restorer")
    typed = {"confirm": restore.target}
    press(client, restore, "undo", reason=REASON, **typed)
    assert press(client, restore, "undo", reason=REASON, **typed)["HX-Redirect"] == page_url(restore)
    assert "Not started" in told(client.get(page_url(restore)))
    assert Run.objects.filter(action=Action.UNDO).count() == 1


def test_what_was_left_out_is_on_the_page_and_tried_again(past: History, login: Login) -> None:
    restore = Restore.objects.get(mode=RestoreMode.REPLACE)
    left = {
        "kind": "view",
        "name": "totals",
        "table": "",
        "why": "Table 'shop.<gone>' doesn't exist.",
        "text": "CREATE VIEW totals AS SELECT '<b>' AS b;",
    }
    client = login("Restorer")
    assert press(client, restore, "try_again").status_code == 403, "nothing is left out"
    restore_note(restore, swap=Swap.FINISHED, definitions_left=[left])

    page = client.get(page_url(restore)).content.decode()
    assert "CREATE VIEW totals AS SELECT &#x27;&lt;b&gt;&#x27; AS b;" in page
    assert "Try these again" in page
    shown = told(client.get(page_url(restore)))
    assert "view totals: Table 'shop.<gone>' doesn't exist." in shown
    assert f"as it was before restore {restore.run_id} of" in shown
    assert "manage.py undo_restore, until somebody drops its kept tables" in shown
    dialog = client.get(reverse("admin:backups_restore_try_again", args=[restore.pk])).content.decode()
    assert "view totals" in dialog
    press(client, restore, "try_again")
    run = Run.objects.get(action=Action.DEFINE)
    assert run.options == {"restore": restore.pk}


def test_kept_tables_to_which_undos_lead_are_not_dropped(past: History, login: Login) -> None:
    older = Restore.objects.get(mode=RestoreMode.REPLACE)
    run = Run.objects.create(
        action=Action.RESTORE, trigger=Trigger.CLI, database=older.database,
        repository=older.database.repository, status=Status.SUCCEEDED,
    )  # fmt: skip
    newer = Restore.objects.create(
        run=run, database=older.database, snapshot=older.snapshot, mode=RestoreMode.REPLACE,
        target=older.target, kept_in=f"{older.target}__before_{run.pk}", swap=Swap.FINISHED,
        swapped_at=run.queued_at,
    )  # fmt: skip
    client = login("Restorer")
    press(client, older, "drop_kept", reason=REASON)
    assert f"Restore {newer.run_id} of {older.target} is newer" in told(client.get(page_url(older)))
    assert not Run.objects.filter(action=Action.DROP_KEPT).exists()


def test_only_a_restore_that_replaced_can_be_undone(past: History, login: Login) -> None:
    restore = Restore.objects.get(mode=RestoreMode.NEW)
    client = login("Restorer")
    assert press(client, restore, "undo", reason=REASON).status_code == 403
    assert press(client, restore, "drop_kept", reason=REASON).status_code == 403


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "In shop__before_7, until somebody drops them; nothing drops them by itself."),
        ({"swapped_at": None}, "shop was not swapped, so nothing of it is kept apart."),
        ({"swapped_at": None, "swap": Swap.ROLLED_BACK}, "shop was not swapped"),
        ({"swapped_at": None, "swap": Swap.RENAMED}, "The swap is under way"),
        ({"swapped_at": None, "run": Run(status=Status.RUNNING)}, "None yet"),
        ({"undone_at": timezone.now()}, "Back in shop: this was undone."),
        ({"dropped_at": timezone.now()}, "Dropped: only snapshots hold what was there before."),
        ({"kept_in": ""}, "\N{EN DASH}"),
    ],
)
def test_kept_tables_are_shown_only_where_there_are_any(fields: dict[str, Any], told: str) -> None:
    known: dict[str, Any] = {
        "run": Run(status=Status.FAILED), "target": "shop", "kept_in": "shop__before_7",
        "swap": Swap.FINISHED, "swapped_at": timezone.now(),
    }  # fmt: skip
    assert kept_words(Restore(**known | fields)).startswith(told)


def test_a_restores_page_says_how_it_ended_and_its_run_leads_to_it(past: History, login: Login) -> None:
    restore = Restore.objects.get(mode=RestoreMode.REPLACE)
    Run.objects.filter(pk=restore.run_id).update(status=Status.FAILED, error="The disk is full. Free some.")
    Restore.objects.filter(pk=restore.pk).update(swapped_at=None)
    client = login("Restorer")

    shown = told(client.get(page_url(restore)))
    assert "Failed. The disk is full. Free some." in shown
    assert f"Restore {restore.run_id}: {restore.snapshot} → {restore.target}" in shown
    assert "was not swapped, so nothing of it is kept apart" in shown
    assert restore.kept_in not in shown
    assert "Database on the server, or a folder." not in shown
    of_run = client.get(run_url(restore.run))
    assert f'href="{page_url(restore)}"' in of_run.content.decode()
    assert "Replace the live database" in told(of_run)
    assert f"{restore.run_id} " in told(client.get(reverse("admin:backups_restore_changelist")))


def test_an_undo_is_called_one_and_says_how_it_is_taken_back(past: History) -> None:
    undone = Restore.objects.get(mode=RestoreMode.REPLACE)
    run = Run(pk=999, action=Action.RESTORE)
    undo = Restore(
        run=run, mode=RestoreMode.UNDO, undo_of=undone, target="shop", kept_in="shop__before_999",
        snapshot=undone.snapshot,
    )  # fmt: skip
    assert str(undo) == f"Undo of restore {undone.run_id}"
    assert way_back_words(undo) == (
        f"shop is again what it was before restore {undone.run_id}. To take this undo back: manage.py "
        "undo_restore --restore 999. That is possible until somebody drops shop__before_999; nothing drops "
        "it by itself."
    )
