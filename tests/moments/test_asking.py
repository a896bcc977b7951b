"""A restore to a moment as it is asked for, stored and read again; what is refused before a run begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups.admin.restore_form import RestoreForm
from backups.choices import ArchiveState, RestoreMode
from backups.errors import Problem
from backups.models import (
    Database,
    LogArchive,
    LogGap,
    LogMark,
    LogPiece,
    LogTransaction,
    Restore,
    Run,
    Snapshot,
)
from backups.moments.rows import draft_of, log_of
from backups.moments.until import Until, before_transaction
from backups.moments.windows import windows
from backups.requests import DiffRequest, RestoreRequest, read
from backups.requests.questions import PreviewQuestion
from tests.requests.conftest import CLI, WHOLE, Rows, rows

__all__ = ["rows"]
NOON = timezone.now().replace(microsecond=0) - timedelta(hours=1)
FILE = "binlog.000003"


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


@pytest.fixture
def logged(rows: Rows) -> Database:
    """A database with a dump at minute 0, and the log of half an hour, of which one piece was not stored."""
    database = rows.database
    log = {"file": FILE, "position": 1000, "gtid": "0-1-5", "server": {"id": 1, "uuid": "u"}, "exact": True,
           "how": "lock", "why_not": None}  # fmt: skip
    Snapshot.objects.filter(pk=rows.snapshot.pk).update(
        time=NOON, manifest={**WHOLE, "database": "shop", "log": log}
    )
    LogArchive.objects.create(
        database=database, state=ArchiveState.FOLLOWING, server_uuid="u", file=FILE, file_made=1,
        position=30_000, stored_until=at(30), switched_at=at(-1),
    )  # fmt: skip
    piece = LogPiece.objects.create(
        database=database, repository=database.repository, snapshot_id="c" * 64, server_uuid="u", file=FILE,
        file_made=1, start=1000, end=30_000, transactions=4, bytes=9000, stored_at=at(30),
        barriers=[{"position": 20_000, "moment": at(20).isoformat(), "code": "log.incident", "params": {}}],
    )  # fmt: skip
    LogTransaction.objects.create(piece=piece, position=7000, end=8000, moment=at(7), gtid="0-1-8", rows=30)
    for minute in range(1, 31):
        LogMark.objects.create(database=database, moment=at(minute), file=FILE, position=minute * 1000)
    return database


def wanted(database: Database, until: Until, mode: RestoreMode = RestoreMode.NEW) -> RestoreRequest:
    base = Snapshot.objects.get(pk=draft_of(database, until).base.key)
    target = "shop" if mode != RestoreMode.NEW else "shop__then"
    return RestoreRequest(database, base, mode, target, tables=("b", "a"), until=until)


@pytest.mark.parametrize(
    "until", [Until(moment=at(5)), before_transaction(f"{FILE}:7000"), before_transaction("0-1-8")]
)
def test_what_was_asked_for_is_read_again(logged: Database, until: Until) -> None:
    request = wanted(logged, until)

    run = request.submit(CLI, send=False)

    assert run.request["version"] == 2
    assert read(run) == request
    assert Until.from_row(Restore.objects.get(run=run).until) == until
    assert PreviewQuestion.from_row(PreviewQuestion(request).asked()).request == request


def test_without_a_moment_a_worker_of_before_can_play_it(rows: Rows) -> None:
    run = RestoreRequest(rows.database, rows.snapshot, RestoreMode.NEW, "shop__then").submit(CLI, send=False)

    assert run.request["version"] == 1
    assert "until" not in run.request
    assert Restore.objects.get(run=run).until is None


def test_a_row_of_the_version_before_still_plays(rows: Rows) -> None:
    run = RestoreRequest(rows.database, rows.snapshot, RestoreMode.NEW, "shop__then").submit(CLI, send=False)
    run.request = {name: value for name, value in run.request.items() if name != "until"} | {"version": 1}

    again = read(run)

    assert isinstance(again, RestoreRequest)
    assert again.until is None


def test_rows_tell_what_can_be_had(logged: Database) -> None:
    (window,) = windows(log_of(logged))

    assert (window.begins, window.ends) == (at(1), at(20))
    assert window.barrier is not None
    LogGap.objects.create(
        database=logged, begins=at(10), noticed_at=at(31), code="log.purged", sentence="Gone."
    )
    assert [each.ends for each in windows(log_of(logged))] == [at(10)]


REFUSED: dict[str, Callable[[Database], Any]] = {
    "moment.before_first": lambda database: wanted(database, Until(moment=at(-5))),
    "moment.after_end": lambda database: wanted(database, Until(moment=at(31))),
    "moment.behind_barrier": lambda database: wanted(database, Until(moment=at(25))),
    "moment.unknown_transaction": lambda database: wanted(database, before_transaction("binlog.000009:4")),
    "moment.in_place": lambda database: wanted(database, Until(moment=at(5)), RestoreMode.IN_PLACE),
    "moment.base_gone": lambda database: replace(
        wanted(database, Until(moment=at(5))),
        snapshot=Snapshot.objects.exclude(database__log_archive=None).latest("pk"),
    ),
}


@pytest.mark.parametrize("code", REFUSED)
def test_what_cannot_be_had_begins_no_run(logged: Database, code: str) -> None:
    with pytest.raises(Problem) as raised:
        REFUSED[code](logged).submit(CLI, send=False)

    assert raised.value.code == code
    assert not Restore.objects.exclude(until=None).exists()


def beside_live(database: Database) -> Database:
    """Test restores go to the live database's server, which was found to be a MariaDB."""
    type(database.server).objects.update(flavour="MariaDB")
    database.refresh_from_db()
    return database


def test_what_is_made_where_test_restores_are_is_refused_before_a_run_where_that_is_beside_the_live_database(
    logged: Database, settings: Settings
) -> None:
    """An SQL file of a moment, and a comparison with one; with another server or consent they can be had."""
    until = Until(moment=at(5))
    file = wanted(beside_live(logged), until, RestoreMode.FILE)
    base = file.snapshot
    since, upto = (DiffRequest(logged, base, base, (), False, *of) for of in ((until, None), (None, until)))
    runs = Run.objects.count()
    for request in (file, since, upto):
        with pytest.raises(Problem) as raised:
            request.submit(CLI, send=False)
        assert raised.value.code == "replay.beside_live"
        assert "by VERIFY_MYSQL_HOST or in the form of the database" in raised.value.sentence()
    assert Run.objects.count() == runs
    # As the form has it.
    assert "not before another server is named for test restores" in file_choice(logged, base, until)

    for setting, value in {"REPLAY_ON_LIVE": True, "VERIFY_MYSQL_HOST": "elsewhere"}.items():
        for name in ("REPLAY_ON_LIVE", "VERIFY_MYSQL_HOST"):
            setattr(settings, name, value if name == setting else "")
        file.refuse_unfit()
        upto.refuse_unfit()
        assert "can be downloaded for a day" in file_choice(logged, base, until)


def file_choice(database: Database, base: Snapshot, until: Until) -> str:
    form = RestoreForm(snapshot=base, database=database, until=until)
    return str(dict(form.fields["mode"].choices)[RestoreMode.FILE])  # type: ignore[attr-defined]


def test_a_dump_that_is_known_to_be_bad_is_none_to_begin_with(logged: Database) -> None:
    Snapshot.objects.update(verdict="different")

    with pytest.raises(Problem) as raised:
        draft_of(logged, Until(moment=at(5)))
    assert raised.value.code == "moment.no_base"


def test_the_command_refuses_before_it_asks(logged: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """A moment that is later than what is stored is never taken for the last one that is."""
    with pytest.raises(SystemExit) as ended:
        call_command("restore", "--moment", at(45).isoformat(), "--replace", "--yes", "--json")

    assert ended.value.code == 1
    assert "moment.after_end" in capsys.readouterr().out


@pytest.mark.parametrize(("option", "text"), [("--moment", "soon"), ("--before-transaction", "the delete")])
def test_what_is_no_moment_is_wrong_usage(logged: Database, option: str, text: str) -> None:
    with pytest.raises(CommandError, match=f"{option}: '{text}' is no"):
        call_command("restore", option, text, "--into", "shop__then")
