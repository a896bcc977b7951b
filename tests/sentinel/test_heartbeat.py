"""The status files: real ones, damaged in every way that a disk or a person can think of."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sentinel import heartbeat
from sentinel.heartbeat import Gate, GatesError, Override, ReadingState
from tests.sentinel.conftest import StatusFolder

TIME = datetime(2026, 11, 23, 3, 0, 12, tzinfo=UTC)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_heartbeat_is_one_readable_line_for_everybody(folder: StatusFolder) -> None:
    umask = os.umask(0o077)
    try:
        heartbeat.stamp_write(folder.heartbeat, TIME + timedelta(microseconds=999_999))
    finally:
        os.umask(umask)
    assert folder.heartbeat.read_text() == "2026-11-23T03:00:12Z\n"
    assert mode(folder.heartbeat) == 0o644
    assert mode(folder.heartbeat.parent) == 0o755
    assert [path.name for path in folder.heartbeat.parent.iterdir()] == ["last_ok"]


def test_a_time_in_another_zone_is_written_in_utc(folder: StatusFolder) -> None:
    heartbeat.stamp_write(folder.heartbeat, TIME.astimezone(timezone(timedelta(hours=5))))
    assert heartbeat.stamp_read(folder.heartbeat).time == TIME


def test_a_time_without_a_zone_is_refused(folder: StatusFolder) -> None:
    with pytest.raises(ValueError, match="zone"):
        heartbeat.stamp_write(folder.heartbeat, TIME.replace(tzinfo=None))


def test_a_write_that_fails_leaves_the_old_heartbeat_and_no_litter(
    folder: StatusFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    heartbeat.stamp_write(folder.heartbeat, TIME)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        heartbeat.stamp_write(folder.heartbeat, TIME + timedelta(days=1))
    assert heartbeat.stamp_read(folder.heartbeat).time == TIME
    assert [path.name for path in folder.heartbeat.parent.iterdir()] == ["last_ok"]


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T03:00:12Z",
        "2026-11-23T03:00:12Z\n",
        "2026-11-23T03:00:12+00:00\n",
        "2026-11-23T05:00:12+0200",
        "2026-11-22T22:00:12-05:00",
        "2026-11-23 03:00:12.000000000Z",
        "1795402812\n",
    ],
)
def test_both_formats_are_read(text: str) -> None:
    assert heartbeat.stamp_parse(text.encode()) == TIME


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "ok",
        "2026-11-23",
        "2026-11-23T03:00:12",
        "2026-02-31T03:00:12Z",
        "2026-11-23T24:00:01Z",
        "2026-11-23T03:00:12Z\n2026-11-23T03:00:12Z\n",
        "0001-01-01T00:00:00+23:59",
        "-5",
        "1e9",
        "17954028120000",
        "\uff11\uff17\uff19\uff15",
        "\ufeff2026-11-23T03:00:12Z",
    ],
)
def test_anything_else_is_no_time(text: str) -> None:
    assert heartbeat.stamp_parse(text.encode()) is None


@given(st.binary(max_size=64))
@example(b"9" * 10)
@example(b"\0")
def test_no_bytes_make_the_reader_fail(data: bytes) -> None:
    time = heartbeat.stamp_parse(data)
    if time is not None:
        text = data.strip()
        assert text.isdigit() or abs(time.year - int(text[:4])) <= 1
        assert time.tzinfo is UTC


@given(st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)))  # noqa: DTZ001  (zone below)
def test_what_is_written_is_read_back(naive: datetime) -> None:
    time = naive.replace(tzinfo=UTC, microsecond=0)
    assert heartbeat.stamp_parse(heartbeat.stamp_text(time).encode()) == time
    assert heartbeat.stamp_parse(str(int(time.timestamp())).encode()) == time


def test_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    assert heartbeat.stamp_read(tmp_path / "nowhere" / "last_ok") == heartbeat.MISSING


def make_empty(path: Path) -> None:
    path.touch()


def make_binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


def make_huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 30)


def make_long(path: Path) -> None:
    path.write_text("2026-11-23T03:00:12Z" + " " * 4096)


def make_folder(path: Path) -> None:
    path.mkdir()


def make_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def make_link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


DAMAGES = [
    make_empty,
    make_binary,
    make_huge,
    make_long,
    make_folder,
    make_dangling_link,
    make_link_to_itself,
    make_fifo,
    make_link_to_a_device,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_heartbeat_is_invalid_at_once(damage: Callable[[Path], None], tmp_path: Path) -> None:
    damage(tmp_path / "last_ok")
    before = time.monotonic()
    reading = heartbeat.stamp_read(tmp_path / "last_ok")
    assert reading.state is ReadingState.INVALID
    assert reading.problem
    assert time.monotonic() - before < 1


def test_a_pipe_that_holds_a_fresh_time_is_no_heartbeat(tmp_path: Path) -> None:
    """Whoever filled it has gone, so nothing of it tells it from a file but what it is."""
    reading, writing = os.pipe()
    os.write(writing, datetime.now(UTC).isoformat().encode())
    os.close(writing)
    (tmp_path / "last_ok").symlink_to(f"/proc/self/fd/{reading}")
    try:
        assert heartbeat.stamp_read(tmp_path / "last_ok").state is ReadingState.INVALID
    finally:
        os.close(reading)


def test_reading_leaves_no_file_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number, damage in enumerate(DAMAGES):
        damage(tmp_path / f"{number}")
        heartbeat.stamp_read(tmp_path / f"{number}")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    "name", [".", "..", "../../etc", "a/b", "/", "\0", "last_ok", "gates.json", "é" * 64, ".x"]
)
def test_any_database_name_gives_a_folder_inside(name: str, folder: StatusFolder) -> None:
    path = heartbeat.last_ok_path(folder.heartbeat, name)
    assert path.parent.parent == folder.heartbeat.parent
    heartbeat.stamp_write(folder.heartbeat, TIME)
    heartbeat.stamp_write(path, TIME)
    assert path.resolve().parent.parent == folder.heartbeat.parent.resolve()
    assert mode(path.parent) == 0o755


@given(st.text(min_size=1), st.text(min_size=1))
@example("a/b", "a%2Fb")
@example("é" * 64, "é" * 63 + "è")
@example("last_ok", "%6Cast_ok")
def test_two_databases_never_share_a_folder(one: str, other: str) -> None:
    assert (heartbeat.folder_name(one) == heartbeat.folder_name(other)) == (one == other)


def test_a_plain_name_keeps_its_folder() -> None:
    assert heartbeat.folder_name("orders_tracker-2") == "orders_tracker-2"
    with pytest.raises(ValueError, match="name"):
        heartbeat.folder_name("")


def test_the_first_boot_is_noted_once(folder: StatusFolder) -> None:
    first = heartbeat.first_boot_ensure(folder.heartbeat, TIME)
    again = heartbeat.first_boot_ensure(folder.heartbeat, TIME + timedelta(days=3))
    assert first.time == again.time == TIME
    assert mode(heartbeat.first_boot_path(folder.heartbeat)) == 0o644


def test_where_the_first_boot_cannot_be_noted_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("not a folder")
    reading = heartbeat.first_boot_ensure(tmp_path / "status" / "last_ok", TIME)
    assert reading == heartbeat.MISSING


def test_an_override_is_written_read_and_cleared(folder: StatusFolder) -> None:
    override = Override(TIME + timedelta(hours=1), "anna", "Umzug, bis später")
    heartbeat.override_write(folder.heartbeat, override)
    assert heartbeat.override_read(folder.heartbeat, TIME) == override
    assert heartbeat.override_read(folder.heartbeat, override.until) is None
    assert heartbeat.override_clear(folder.heartbeat)
    assert not heartbeat.override_clear(folder.heartbeat)
    assert heartbeat.override_read(folder.heartbeat, TIME) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"until": 1}',
        b'{"until": "tomorrow"}',
        b'{"until": "\\ud800"}',
        b'{"by": "anna"}',
        b"[" * 100_000,
        b'{"until": "2099-01-01T00:00:00Z"}' + b" " * 300_000,
    ],
)
def test_an_override_that_cannot_be_read_counts_as_absent(content: bytes, folder: StatusFolder) -> None:
    folder.backed_up(0)
    heartbeat.override_path(folder.heartbeat).write_bytes(content)
    assert heartbeat.override_read(folder.heartbeat, TIME) is None


def test_too_long_a_reason_is_refused_when_written(folder: StatusFolder) -> None:
    with pytest.raises(ValueError, match="larger"):
        heartbeat.override_write(folder.heartbeat, Override(TIME, "anna", "x" * 300_000))


def test_the_gating_databases_are_listed(folder: StatusFolder) -> None:
    assert heartbeat.gates_read(folder.heartbeat) == ()
    gates = (Gate("orders", "last_ok"), Gate("a/b", "a%2Fb/last_ok", 3600))
    heartbeat.gates_write(folder.heartbeat, gates)
    assert heartbeat.gates_read(folder.heartbeat) == gates


@pytest.mark.parametrize(
    "content",
    [
        "",
        "null",
        "{}",
        "{",
        '["orders"]',
        '[{"name": "orders"}]',
        '[{"name": "", "path": "last_ok"}]',
        '[{"name": "orders", "path": "/etc/passwd"}]',
        '[{"name": "orders", "path": "../last_ok"}]',
        '[{"name": "orders", "path": "a\\u0000"}]',
        '[{"name": "orders", "path": ""}]',
        '[{"name": "orders", "path": "last_ok", "threshold_seconds": true}]',
        '[{"name": "orders", "path": "last_ok", "threshold_seconds": -1}]',
        '[{"name": "orders", "path": "last_ok", "threshold_seconds": "1"}]',
    ],
)
def test_a_damaged_list_is_an_error_and_not_an_empty_list(content: str, folder: StatusFolder) -> None:
    folder.backed_up(0)
    heartbeat.gates_path(folder.heartbeat).write_text(content)
    with pytest.raises(GatesError):
        heartbeat.gates_read(folder.heartbeat)


def test_a_list_that_could_not_be_read_back_is_not_written(folder: StatusFolder) -> None:
    with pytest.raises(GatesError):
        heartbeat.gates_write(folder.heartbeat, [Gate("orders", "../last_ok")])
    assert not heartbeat.gates_path(folder.heartbeat).exists()


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text(), st.lists).map(lambda value: json.dumps(value).encode())
)
def test_no_list_makes_the_reader_fail_otherwise(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any" / "last_ok"
    path.parent.mkdir(exist_ok=True)
    heartbeat.gates_path(path).write_bytes(data)
    heartbeat.override_path(path).write_bytes(data)
    heartbeat.override_read(path, TIME)
    try:
        heartbeat.gates_read(path)
    except GatesError as error:
        assert str(error).endswith(".")  # noqa: PT017  (most inputs raise, some need not)


def test_a_drill_is_its_words_alone_and_ends_by_itself(folder: StatusFolder) -> None:
    drill = heartbeat.drill_begin(folder.heartbeat, TIME)
    assert mode(heartbeat.drill_path(folder.heartbeat)) == 0o644
    assert heartbeat.is_drilled(folder.heartbeat, drill.word, TIME)
    for other in ("", "f" * 32, drill.word[:-1], drill.word.upper(), f"{drill.word}0", "ü" * 32):
        assert not heartbeat.is_drilled(folder.heartbeat, other, TIME)
    assert not heartbeat.is_drilled(folder.heartbeat, drill.word, TIME + timedelta(seconds=60))
    assert not heartbeat.is_drilled(folder.heartbeat, drill.word, TIME - timedelta(seconds=60))


def test_one_drill_at_a_time_and_none_ends_anothers(folder: StatusFolder) -> None:
    first = heartbeat.drill_begin(folder.heartbeat, TIME)
    with pytest.raises(heartbeat.DrillUnderWayError):
        heartbeat.drill_begin(folder.heartbeat, TIME)
    second = heartbeat.drill_begin(folder.heartbeat, later := TIME + timedelta(seconds=46))
    assert second.word != first.word
    assert not heartbeat.drill_end(folder.heartbeat, first, later)
    assert heartbeat.drill_end(folder.heartbeat, second, later)
    assert heartbeat.drill_read(folder.heartbeat, later) is None


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\0", b"[]", b"null", b"x" * 300_000,
        b'{"word": "0123456789abcdef0123456789abcdef"}',
        b'{"word": "0123456789abcdef0123456789abcdef", "until": "2026-11-23T03:01:13Z"}',
        b'{"word": "0123456789abcdef0123456789abcdef", "until": "2099-11-23T03:00:13Z"}',
        b'{"word": "0123456789abcdef0123456789abcdef", "until": "2026-11-23T03:00:12Z"}',
        b'{"word": "0123456789ABCDEF0123456789ABCDEF", "until": "2026-11-23T03:00:13Z"}',
        b'{"word": "", "until": "2026-11-23T03:00:13Z"}',
        b'{"word": 1, "until": 2}',
    ],
)  # fmt: skip
def test_a_damaged_or_endless_drill_closes_for_nobody(folder: StatusFolder, content: bytes) -> None:
    path = heartbeat.drill_path(folder.heartbeat)
    path.parent.mkdir()
    path.write_bytes(content)
    for word in ("0123456789abcdef" * 2, ""):
        assert not heartbeat.is_drilled(folder.heartbeat, word, TIME)
