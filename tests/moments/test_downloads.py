"""The SQL file of a moment, for whoever has only the portal: made by a run, kept for a day, passed on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import MagicMock

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups.actions.steps import dump_kept, kept_files
from backups.actions.steps.restore_file import Write
from backups.admin.base import page_url
from backups.choices import TO_DOWNLOAD, RestoreMode, Status
from backups.downloads import asking, tickets
from backups.errors import Problem
from backups.models import Repository, Restore, Run
from backups.moments.until import Until
from backups.runs.progress import Progress
from backups.worker.downloads import DownloadServer
from tests.admin.conftest import past, person, roles
from tests.admin.test_restoring import told
from tests.downloads.serving import downloads_served
from tests.moments.conftest import To, now
from tests.restoring.stories import content, databases_of, failed, succeeded, with_events_disabled
from tests.shipping.conftest import Shipped

__all__ = ["downloads_served", "past", "person", "roles"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def made(shipped: Shipped, to_moment: To) -> tuple[Restore, list[bytes]]:
    """A file of the moment just before rows went, and what was there then."""
    shop = shipped.shop
    shop.execute("UPDATE customers SET name = 'Ada Lovelace' WHERE id = 1")
    shipped.look()
    before = content(shop.server, shop.name)
    time.sleep(1.1)
    until = now()
    shop.execute("DELETE FROM customers")
    shipped.look()
    run = succeeded(to_moment(shipped, until, RestoreMode.FILE, TO_DOWNLOAD))
    assert not [name for name in databases_of(shop) if "__verify_" in name]
    return run.restore, before


def fetched(restore: Restore, who: User) -> bytes:
    """What a person is passed on of the file."""
    download = asking.begin_file(who, restore.snapshot, restore.run_id, lambda: False)
    try:
        return b"".join(download)
    finally:
        download.close()


@pytest.mark.one_flavour("mariadb")
def test_it_is_downloaded_on_the_restores_page_holds_that_moment_and_goes_to_who_may_restore_for_a_day(
    shipped: Shipped,
    made: tuple[Restore, list[bytes]],
    person: Callable[[str], User],
    downloads_served: DownloadServer,
) -> None:
    restore, before = made
    client, restorer = Client(), person("Restorer")
    client.force_login(restorer)
    page = told(client.get(page_url(restore)))
    assert "To an SQL file that can be downloaded" in page
    assert "It is kept on the worker's machine until" in page

    answer = client.post(reverse("restore-file", args=[restore.pk]))

    text = b"".join(cast("Any", answer).streaming_content)
    assert "no-store" in answer["Cache-Control"]
    until = Until.from_row(restore.until)
    assert until is not None
    assert until.moment is not None
    named = f"{shipped.shop.name}-{timezone.localtime(until.moment):%Y%m%d-%H%M%S}.sql"
    assert f'filename="{named}"' in answer["Content-Disposition"]
    then = f"{shipped.shop.name}__loaded"
    shipped.shop.server.create_database(then)
    shipped.shop.server.client("--binary-mode", then, stdin=text)
    assert content(shipped.shop.server, then) == with_events_disabled(before)
    viewer = Client()
    viewer.force_login(person("Viewer"))
    assert viewer.post(reverse("restore-file", args=[restore.pk])).status_code == 403
    assert client.get(reverse("restore-file", args=[restore.pk])).status_code == 405

    path = kept_files.dump_of(restore.run_id)
    assert path.stat().st_mode & 0o777 == 0o600
    token = tickets.issue(restorer, restore.snapshot, purpose=tickets.of_file(restore.run_id))
    for purpose in ("", tickets.of_rows(restore.run_id), tickets.of_file(restore.run_id + 1)):
        with pytest.raises(Problem):
            tickets.spend(token, purpose=purpose)
    with pytest.raises(Problem) as raised:
        fetched(restore, person("Operator"))
    assert raised.value.code == "downloads.may_not"

    data = path.read_bytes()
    path.write_bytes(data.replace(b"Ada", b"Eve"))
    with pytest.raises(Problem) as raised:
        fetched(restore, restorer)
    assert raised.value.code == "restore.file_altered"

    yesterday = time.time() - timedelta(days=1, minutes=1).total_seconds()
    os.utime(path, (yesterday, yesterday))
    kept_files.forget_old()
    assert not path.exists()
    with pytest.raises(Problem) as raised:
        fetched(restore, restorer)
    assert raised.value.code == "restore.file_not_kept"


@pytest.mark.one_flavour("mariadb")
def test_without_room_or_a_place_beside_a_live_mariadb_nothing_is_begun(
    shipped: Shipped, to_moment: To, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped.look()
    with monkeypatch.context() as patched:
        patched.setattr("shutil.disk_usage", lambda _: _Full())
        run = to_moment(shipped, _stored(shipped), RestoreMode.FILE, TO_DOWNLOAD)

    assert run.error_code == "restore.no_room_for_file"
    assert "manage.py restore --output DIR" in failed(run)

    settings.REPLAY_ON_LIVE = False
    run = to_moment(shipped, _stored(shipped), RestoreMode.FILE, TO_DOWNLOAD)

    if shipped.shop.server.flavour == "mysql":
        succeeded(run)
        return
    assert run.error_code == "replay.beside_live"
    assert "For a file (--output), a proof or the undo of a transaction, set" in failed(run)


class _Full:
    free = 10


def _stored(shipped: Shipped) -> Until:
    """The newest moment that is stored."""
    return Until(moment=shipped.archive.stored_until)


class _Room:
    """A disk of which so many bytes are free but for what is kept."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, _: object) -> _Room:
        return self

    @property
    def free(self) -> int:
        return self.size - kept_files.bytes_kept()


@pytest.fixture
def to_keep(settings: Settings, tmp_path: object, db: None) -> Restore:
    """A restore whose file is about to be kept; its snapshot had 300 bytes."""
    settings.RESTIC_CACHE_DIR = str(tmp_path)
    repository = Repository.objects.create(name="main", url="/tmp/nowhere")
    run = Run.objects.create(action="restore", repository=repository, trigger="cli", status=Status.RUNNING)
    return cast(
        "Restore", SimpleNamespace(run_id=run.pk, snapshot=SimpleNamespace(total_bytes_processed=300))
    )


def test_kept_files_leave_as_much_room_as_they_take(
    to_keep: Restore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", _Room(1000))
    dump_kept.refuse_without_room(to_keep)
    (kept_files.folder() / "1.rows").write_bytes(b"x" * 201)

    with pytest.raises(Problem) as raised:
        dump_kept.refuse_without_room(to_keep)

    assert raised.value.code == "restore.no_room_for_file"
    assert "no more room than it leaves free" in raised.value.what


def test_a_file_that_grows_beyond_the_room_is_not_written_on_and_goes(
    to_keep: Restore, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = b"x" * dump_kept._LOOK_AFTER
    monkeypatch.setattr("shutil.disk_usage", _Room(5 * len(block)))
    written: list[int] = []

    def stream(write: Write) -> None:
        for number in range(5):
            write(block)
            written.append(number)

    with pytest.raises(Problem) as raised:
        dump_kept.keep(to_keep, cast("Progress", MagicMock()), stream)

    assert raised.value.code == "restore.no_room_for_file"
    assert written == [0, 1]
    assert list(kept_files.folder().iterdir()) == []


def test_half_a_file_goes_with_the_end_of_its_run(settings: Settings, tmp_path: object, db: None) -> None:
    settings.RESTIC_CACHE_DIR = str(tmp_path)
    repository = Repository.objects.create(name="main", url="/tmp/nowhere")
    running, lost = (
        Run.objects.create(action="restore", repository=repository, trigger="cli", status=status)
        for status in (Status.RUNNING, Status.LOST)
    )
    kept_files.folder().mkdir()
    for run in (running, lost):
        for end in ("", kept_files.PARTIAL):
            kept_files.dump_of(run.pk).with_name(f"{kept_files.dump_of(run.pk).name}{end}").touch()

    kept_files.forget_old()

    left = {path.name for path in kept_files.folder().iterdir()}
    assert left == {f"{running.pk}.dump.sql", f"{running.pk}.dump.sql.partial", f"{lost.pk}.dump.sql"}
