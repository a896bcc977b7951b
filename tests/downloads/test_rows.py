"""Rows that a run keeps, asked from the worker: by whom, which, and that nothing else is given out."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from backups.actions.steps import kept_files
from backups.differences import keeping
from backups.differences.kept_rows import AGAIN, Change, KeptTable
from backups.downloads import tickets
from backups.downloads.rows import RowsWanted, ranges_where, rows_page, script_text
from backups.errors import Problem
from backups.models import DownloadTicket, Run, Snapshot
from backups.worker.downloads import DownloadServer
from tests.admin.conftest import past, person, roles
from tests.downloads.serving import downloads_served
from tests.downloads.test_tickets import restorer, snapshot

__all__ = ["downloads_served", "past", "person", "restorer", "roles", "snapshot"]
DEFINITION = b"""CREATE TABLE `people` (
  `id` int(11) NOT NULL,
  `name` varchar(20) DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"""
HOSTILE = rb"'<script>\'; -- */\0'"


@pytest.fixture
def kept(snapshot: Snapshot, settings: Settings, tmp_path: Path) -> Run:
    """A run that keeps three rows of one table."""
    settings.RESTIC_CACHE_DIR = str(tmp_path)
    run = Run.objects.create(
        action="diff", database=snapshot.database, repository=snapshot.repository, snapshot=snapshot,
        trigger="cli", status="succeeded",
    )  # fmt: skip
    table = KeptTable("people", ["id"], 0, 0, 0, 7, DEFINITION, DEFINITION)
    changes = [
        Change("people", 1, {b"id": b"1", b"name": b"'Anna'"}, None),
        Change("people", 2, {b"id": b"2", b"name": b"'Bert'"}, {b"id": b"2", b"name": HOSTILE}),
        Change(
            "people", 3, {b"id": b"3", b"name": b"NULL"}, {b"id": b"3", b"name": b"'x'"}, 0, AGAIN,
            {b"id": b"3", b"name": b"'" + 2000 * b"y" + b"'"},
        ),
    ]  # fmt: skip
    digest = keeping.write_chosen(kept_files.rows_of(run.pk), [table], changes)
    scripts = kept_files.store_script(run.pk, b"-- a script\n", b"-- its undo\n", [b"DO 0"])
    Run.objects.filter(pk=run.pk).update(result={"rows_back": {"rows_sha256": digest, **scripts}})
    return Run.objects.get(pk=run.pk)


def test_a_page_of_rows_goes_to_who_may_restore(
    kept: Run, restorer: User, downloads_served: DownloadServer
) -> None:
    page = rows_page(restorer, kept, RowsWanted("people", offset=1))

    assert (page.total, page.beyond, page.key) == (3, 7, ["id"])
    changed, again = page.rows
    assert (changed.kind, changed.number, changed.state) == ("changed", 2, "")
    assert [(cell.column, cell.then, cell.now, cell.differs) for cell in changed.cells] == [
        ("id", "2", "2", False), ("name", "'Bert'", HOSTILE.decode(), True),
    ]  # fmt: skip
    assert (again.state, again.is_there_now) == ("again", True)
    third = again.cells[1].third
    assert third is not None
    assert (len(third), third[-1]) == (501, "…")
    assert rows_page(restorer, kept, RowsWanted("people", kinds=("gone",), search="1")).total == 1
    assert rows_page(restorer, kept, RowsWanted("nowhere")).total == 0
    assert script_text(restorer, kept) == b"-- a script\n"
    assert script_text(restorer, kept, undo=True) == b"-- its undo\n"
    assert "Anna" not in str(list(DownloadTicket.objects.values_list()))


def test_what_is_altered_gone_or_not_theirs_is_not_given_out(
    kept: Run, restorer: User, person: object, downloads_served: DownloadServer
) -> None:
    def refused(who: User = restorer, undo: bool = False) -> str:
        with pytest.raises(Problem) as raised:
            script_text(who, kept, undo=undo)
        return raised.value.code

    assert refused(person("Viewer")) == "downloads.may_not"  # type: ignore[operator]
    kept_files.script_of(kept.pk).write_bytes(b"-- another\n")
    assert refused() == "rows.altered"
    kept_files.script_of(kept.pk, undo=True).unlink()
    assert refused(undo=True) == "rows.not_kept"
    # More rows differ than are kept, so a condition would choose only some of them.
    with pytest.raises(Problem) as raised:
        ranges_where(restorer, kept, "people", (), "id = 1")
    assert raised.value.code == "rows.too_many"
    kept_files.rows_of(kept.pk).unlink()
    with pytest.raises(Problem) as raised:
        rows_page(restorer, kept, RowsWanted("people"))
    assert raised.value.code == "rows.not_kept"


def test_a_ticket_for_rows_is_none_for_a_download_or_other_rows(restorer: User, kept: Run) -> None:
    assert kept.snapshot is not None
    token = tickets.issue(restorer, kept.snapshot, purpose=tickets.of_rows(kept.pk))

    for purpose in ("", tickets.of_rows(kept.pk + 1)):
        with pytest.raises(Problem) as raised:
            tickets.spend(token, purpose=purpose)
        assert raised.value.code == "downloads.no_ticket"
    assert tickets.spend(token, purpose=tickets.of_rows(kept.pk)).person == restorer
