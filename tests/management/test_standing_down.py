"""The commands that pause, mute and retire a database: what they do, say, refuse and leave on record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from django_q.models import Schedule
from pytest_django.fixtures import Settings

from backups.choices import StandDownKind
from backups.gate import heartbeat_files
from backups.models import Database, StandDown
from backups.scheduling import schedules
from sentinel import heartbeat
from tests.management.called import called
from tests.runs.test_services import add_database

pytestmark = pytest.mark.django_db
WHY = ("--reason", "The server moves.")
UNTIL = ("--until", "2090-01-31T06:00")
Run = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def database(settings: Settings, tmp_path: Path) -> Database:
    """One that gates, alone, and was backed up an hour ago."""
    path = tmp_path / "status" / "last_ok"
    settings.SENTINEL = replace(settings.SENTINEL, heartbeat_path=path)
    settings.TIME_ZONE = "Europe/Rome"
    database = add_database()
    Database.objects.filter(pk=database.pk).update(is_primary=True, backup_cron="0 3 * * *")
    database.refresh_from_db()
    heartbeat_files.write_last_ok(database, timezone.now() - timedelta(hours=1))
    return database


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process; answers its exit status, its object and what it says."""

    def run(*args: str) -> tuple[int, dict[str, Any], str]:
        said = called(capsys, *args)
        return said.code, said, said.err

    return run


@pytest.mark.parametrize(
    ("begin", "end", "kind"),
    [
        (("pause", "shop", *WHY), "resume", StandDownKind.PAUSE),
        (("pause", "shop", *UNTIL, *WHY), "resume", StandDownKind.PAUSE),
        (("mute", "shop", *UNTIL, *WHY), "unmute", StandDownKind.MUTE),
        (("retire", "shop", *WHY), "take_back", StandDownKind.RETIREMENT),
    ],
)
def test_what_is_begun_is_on_record_and_can_be_ended(
    database: Database, run: Run, begin: tuple[str, ...], end: str, kind: StandDownKind
) -> None:
    code, told, said = run(*begin)

    closes_at = timezone.now() + timedelta(hours=25)
    assert (code, told["status"], told["database"], told["kind"]) == (0, "succeeded", "shop", kind)
    (made,) = StandDown.objects.standing(timezone.now())
    assert (made.kind, made.reason) == (kind, "The server moves.")
    assert made.made_by == told["by"]
    assert made.made_by.endswith("(command line)")
    # Six in the morning in Rome.
    until = datetime(2090, 1, 31, 5, tzinfo=UTC) if "--until" in begin else None
    assert made.until == until
    assert told["until"] == (until.isoformat() if until else None)
    # It is the last one that gates, so the gate goes by it all the same.
    assert abs(datetime.fromisoformat(told["gate_closes_at"]) - closes_at) < timedelta(minutes=5)
    assert "The gate: " in said
    is_scheduled = Schedule.objects.filter(name=schedules.name_of("backup", database.pk)).exists()
    assert is_scheduled == (kind != StandDownKind.RETIREMENT)

    code, told, said = run(end, "shop")
    assert (code, told["kind"]) == (0, kind)
    assert "it closes" in said
    assert not StandDown.objects.standing(timezone.now()).exists()
    assert StandDown.objects.get().ended_by.endswith("(command line)")
    assert Schedule.objects.filter(name=schedules.name_of("backup", database.pk)).exists()
    assert [gate.name for gate in heartbeat.gates_read(_status())] == ["shop"]

    code, told, _ = run(end, "shop")
    assert (code, told["error_code"]) == (1, "stand_down.not_standing")


def _status() -> Path:
    from django.conf import settings

    return Path(settings.SENTINEL.heartbeat_path)


def test_the_gate_looks_at_a_retired_one_no_more_where_others_gate(database: Database, run: Run) -> None:
    Database.objects.create(
        name="crm", database="crm", server=database.server, repository=database.repository, gates_app=False
    )
    _, told, said = run("retire", "crm", *WHY)
    assert told["gate_closes_at"] is None
    assert "The gate: It does not look at this database." in said


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("pause", "nobody", *WHY), "database.unknown"),
        (("pause", "shop", "--until", "2020-01-01T10:00", *WHY), "stand_down.until_is_over"),
        (("pause", "shop", *WHY), "stand_down.is_retired"),
        (("mute", "shop", *UNTIL, *WHY), "stand_down.is_retired"),
        (("retire", "shop", *WHY), "stand_down.is_retired"),
    ],
)
def test_what_the_dialogs_refuse(database: Database, run: Run, args: tuple[str, ...], code: str) -> None:
    if code == "stand_down.is_retired":
        run("retire", "shop", *WHY)
    before = StandDown.objects.count()

    status, told, _ = run(*args)

    assert (status, told["error_code"]) == (1, code)
    assert StandDown.objects.count() == before


@pytest.mark.parametrize(
    "args",
    [
        ("pause", "shop"),
        ("pause", "shop", "--reason", "-"),
        ("pause", "shop", "--until", "2090-01-31", *WHY),
        ("pause", "shop", "--until", "tomorrow", *WHY),
        ("pause", "shop", "--until", "9999-12-31T23:59", *WHY),
        ("mute", "shop", *WHY),
        ("retire", "shop", *UNTIL, *WHY),
    ],
)
def test_wrong_usage(database: Database, args: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        call_command(*args)
    assert not StandDown.objects.exists()
