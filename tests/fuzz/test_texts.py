"""Texts from people, environments and programs: each is understood or refused, never an error or a hang."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from croniter import croniter
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from backups import restic, secret_references, validators
from backups.admin.hints import cron_words
from backups.errors import Problem
from backups.management.commands.restore import _time
from backups.models import Database, Repository
from backups.restic import parsers
from backups.scheduling.schedules import next_times
from backups.snapshots.selection import resolve_snapshot, snapshot_at
from backups.text import formatting
from backups.text.checked import Cron
from backups.text.terminal import escape_control_characters
from portal.env import Environment
from sentinel import gate, heartbeat
from sentinel.environment import GateSettings
from sentinel.gate import DatabaseFiles, Observation
from tests.restic.test_restic import json_values, lines
from tests.rows import a_server

anything = st.text(max_size=200)
FIELDS = st.sampled_from(
    ["*", "*/5", "0", "1", "31", "30", "29", "2", "L", "mon", "feb", "1-5", "5-1", "1/2", "*/0", ",", "5#5",
     "L5", "?", "60", "-1", "1,2", "H", "R(1-3)", "0-0", "15W", "*/9999999", "\u0663", "", "sun-sat", "thu"]
)  # fmt: skip
crons = st.lists(FIELDS, min_size=5, max_size=5).map(" ".join)
quick = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


# ---------------------------------------------------------------- Cron and times


@quick
@given(expression=crons | anything)
@example("0 0 30 2 *")
@example("R R * * *")
def test_a_cron_expression_that_is_taken_comes_due(expression: str) -> None:
    """A schedule that fails when it is asked for its next time would block all the others."""
    try:
        validators.cron(expression)
    except ValidationError:
        return
    first, second, third = next_times(expression, 3)
    assert timezone.now() < first < second < third
    assert next_times(expression, 1, after=first - timedelta(seconds=1)) == [first]
    assert cron_words(expression)


@quick
@given(expression=st.from_regex(re.compile(Cron._PLAIN.pattern, Cron._PLAIN.flags), fullmatch=True))
def test_what_is_taken_for_a_schedule_without_croniter_is_one_for_croniter(expression: str) -> None:
    assert croniter.is_valid(expression)
    assert croniter(expression).get_next()


@pytest.mark.parametrize("expression", ["0 0 30 2 *", "0 0 31 4,6 *", "H H * * *", "* * * * R", "0 0 * *"])
def test_a_cron_expression_that_never_or_by_chance_comes_due_is_refused(expression: str) -> None:
    with pytest.raises(ValidationError):
        validators.cron(expression)


@quick
@given(text=anything | st.datetimes(timezones=st.timezones() | st.none()).map(str))
@example("0001-01-01")
@example("9999-12-31 23:59:59-12:00")
def test_a_time_is_one_that_can_be_told_or_refused(db: None, text: str) -> None:
    try:
        time = _time(text)
    except ValueError:
        return
    with pytest.raises(Problem):
        snapshot_at(a_database(), time)


@quick
@given(text=anything)
def test_a_snapshots_id_is_found_or_refused(db: None, text: str) -> None:
    with pytest.raises(Problem):
        resolve_snapshot(a_database(), text)


def a_database() -> Database:
    """Without snapshots."""
    repository, _ = Repository.objects.get_or_create(name="main", defaults={"url": "/nowhere"})
    database, _ = Database.objects.get_or_create(
        name="shop", defaults={"repository": repository, "server": a_server()}
    )
    return database


# ---------------------------------------------------------------- References and settings


@quick
@given(text=anything | st.builds("{}:{}".format, st.sampled_from(["env", "file", "ENV"]), anything))
@example("file:/dev/zero")
@example("file:/proc/self/environ")
@example("file:/")
@example("env:PATH\n")
def test_a_reference_is_resolved_or_refused_in_a_sentence(text: str) -> None:
    with suppress(Problem):
        assert secret_references.Secret(text).resolve()
    with suppress(Problem):
        secret_references.Secret(text).resolve_optional()


@quick
@given(content=st.binary(max_size=60))
def test_what_a_secret_file_holds_is_one_line_or_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    try:
        found = secret_references.Secret(f"file:{file}").resolve()
    except Problem:
        return
    assert found.encode() == content.rstrip(b"\r\n")
    assert not re.search(r"[\x00\r\n]", found)


@quick
@given(value=anything.filter(lambda text: "\0" not in text and text.isprintable()))
def test_a_setting_is_read_or_refused_in_a_sentence(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with suppress(UnicodeEncodeError):
        monkeypatch.setenv("X", value)
    env = Environment()
    for read in (
        lambda: env.integer("X", 1), lambda: env.boolean("X", default=True), lambda: env.words("X"),
        lambda: env.cron("X", "0 0 * * *"), lambda: env.time_zone("X", "UTC"), lambda: env.origins("X"),
        lambda: env.addresses("X"), lambda: env.database("X", "sqlite:////x"),
    ):  # fmt: skip
        with suppress(ImproperlyConfigured):
            read()


@quick
@given(text=anything | st.builds("{}:{}".format, st.sampled_from(["sftp", "rclone", "s3", "rest"]), anything))
def test_a_location_is_taken_or_refused(text: str) -> None:
    with suppress(ValidationError):
        validators.repository_url(text)
        assert not validators.has_password(text)
        assert not text.startswith(("sftp:-", "sftp://-", "rclone:-", "rclone::"))


# ---------------------------------------------------------------- restic's answers


@quick
@given(answer=lines.map(lambda line: line.encode(errors="surrogatepass")) | st.binary())
@example(b'{"total_size": 1e999}')
@example(b"[" * 100_000)
@example(b'[{"id": "a", "time": "0001-01-01T00:00:00+14:00"}]')
@example(b'[{"id": "a", "time": "2026-01-01T00:00:00"}]')
@example(b'[{"id": 1, "time": "2026-01-01T00:00:00Z"}]')
@example(b'[{"id": "a", "time": "2026-01-01T00:00:00Z", "tags": [1]}]')
@example(b'[{"id": "a", "time": "2026-01-01T00:00:00Z", "summary": {"data_added": -1}}]')
def test_what_restic_answers_is_stored_or_refused(answer: bytes) -> None:
    with suppress(restic.ResticError):
        restic.parse_total_size(answer)
    with suppress(restic.ResticError):
        restic.parse_lock("abc", answer)
    with suppress(restic.ResticError):
        parsers.parse_keys(answer)
    assert parsers.parse_repository_id(answer) == ""
    with suppress(restic.ResticError):
        for info in restic.parse_snapshots(answer):
            info.time.astimezone(UTC)
            assert all(isinstance(text, str) for text in (info.id, info.hostname, *info.paths, *info.tags))
            sizes = (info.total_bytes_processed, info.data_added, info.data_added_packed)
            assert all(size is None or 0 <= size < 1 << 63 for size in sizes)


@quick
@given(value=json_values, kind=st.sampled_from(["status", "summary"]))
@example(1 << 80, "status")
@example(-1, "summary")
def test_sizes_that_restic_tells_fit_the_portals_database(value: object, kind: str) -> None:
    names = ("bytes_done", "total_bytes_processed", "data_added", "data_added_packed")
    line = json.dumps({"message_type": kind, "snapshot_id": "abc", **dict.fromkeys(names, value)})
    done = restic.parse_status(line)
    assert done is None or 0 <= done < 1 << 63
    if summary := restic.parse_backup_summary(line):
        assert 0 <= summary.total_bytes_processed < 1 << 63


# ---------------------------------------------------------------- The gate's files


@quick
@given(content=st.binary(max_size=80) | st.datetimes().map(lambda time: time.isoformat().encode()))
@example(content=b"9" * 400)
@example(content=b"9999-12-31T23:59:59-23:59")
def test_no_heartbeat_opens_the_gate_but_a_fresh_one(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "last_ok"
    file.write_bytes(content)
    now = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
    reading = heartbeat.stamp_read(file)
    limits = GateSettings(heartbeat_path=file)
    found = gate.decide(Observation((DatabaseFiles("", reading),)), limits, now)
    if found.open:
        assert reading.time is not None
        assert -60 <= (now - reading.time).total_seconds() <= limits.threshold_seconds


# ---------------------------------------------------------------- For people


@quick
@given(seconds=st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e11))
def test_any_length_is_told(seconds: float) -> None:
    assert formatting.duration(seconds)
    assert formatting.approximate_duration(seconds)


@quick
@given(count=st.integers(0, 1 << 63))
def test_any_size_is_told_in_a_few_characters(count: int) -> None:
    assert re.fullmatch(r"\d[\d.]* [kMGTPE]?B", formatting.size(count))


@quick
@given(text=st.text() | st.characters(categories=["Cc", "Cf", "Cs"]).map(str))
def test_no_text_steers_a_terminal(text: str) -> None:
    out = escape_control_characters(text)
    out.encode()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", out)
    assert escape_control_characters(out) == out


def test_sizes_go_on_after_gigabytes() -> None:
    told = {0: "0 B", 999: "999 B", 1500: "1.5 kB", 999_950: "1.0 MB", 5 * 10**12: "5.0 TB"}
    assert {count: formatting.size(count) for count in told} == told
