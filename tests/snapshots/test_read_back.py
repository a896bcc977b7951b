"""Whether a snapshot is in the repository: a folder's file says so itself, other storages are asked."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from backups import restic
from backups.actions.steps.read_back import Asked, read_back
from backups.errors import Problem
from backups.restic.lately import note_opened
from tests.backups.worlds import RESTIC_PASSWORD
from tests.servers import S3Server

ASKED = Asked("vedetta", "/mysql/shop.sql", ["vedetta", "database:shop"])


@dataclass
class Made:
    """A snapshot that restic has just made, what it said of it, and what it was asked since."""

    access: restic.Access
    summary: restic.BackupSummary
    starts: list[str] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return Path(self.access.folder) / "snapshots" / self.summary.snapshot_id

    def read_back(self, asked: Asked = ASKED) -> restic.SnapshotInfo:
        return read_back(self.access, asked, self.summary, lambda: None)


def make(access: restic.Access, monkeypatch: pytest.MonkeyPatch) -> Made:
    said: list[str] = []
    args = restic.backup_args(
        path=ASKED.path, host=ASKED.host, tags=ASKED.tags, command=["echo", "CREATE TABLE t"]
    )
    restic.call(access, restic.Command(args, "storing"), on_stdout=said.append)
    (summary,) = filter(None, map(restic.parse_backup_summary, said))
    made = Made(access, summary)
    argv = restic.Access.argv

    def counting(access: restic.Access, args: tuple[str, ...]) -> tuple[str, ...]:
        made.starts.append(args[0])
        return argv(access, args)

    monkeypatch.setattr(restic.Access, "argv", counting)
    return made


@pytest.fixture
def made(empty_repository: Path, tmp_path: Path, restic_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    folder = shutil.copytree(empty_repository, tmp_path / "repository")
    access = restic.Access(str(restic_path), str(folder), RESTIC_PASSWORD, cache_dir=str(tmp_path / "cache"))
    access = replace(access, names=restic.Names(known_id=restic.probe(access)))
    note_opened(access)
    return make(access, monkeypatch)


def test_a_folders_file_says_what_restic_would_list(made: Made) -> None:
    told = made.read_back()

    assert made.starts == []
    (listed,) = restic.snapshots(made.access, made.summary.snapshot_id)
    assert (told.id, told.time, told.hostname) == (listed.id, listed.time, listed.hostname)
    assert (told.paths, told.tags) == (listed.paths, listed.tags)
    sizes = ("total_bytes_processed", "data_added", "data_added_packed")
    assert [getattr(told, name) for name in sizes] == [getattr(listed, name) for name in sizes]


@pytest.mark.parametrize("fault", ["another byte", "a byte less", "nothing in it"])
def test_a_file_that_is_not_what_restic_wrote_is_no_backup(made: Made, fault: str) -> None:
    """restic itself lists it all the same: it has the name, and the rest in its cache."""
    content = made.file.read_bytes()
    left = {
        "another byte": bytes([content[0] ^ 1]) + content[1:],
        "a byte less": content[:-1],
        "nothing in it": b"",
    }
    made.file.chmod(0o600)
    made.file.write_bytes(left[fault])

    with pytest.raises(Problem) as told:
        made.read_back()

    assert told.value.code == "snapshot.file_differs"
    assert made.summary.snapshot_id[:8] in told.value.sentence()


def test_a_file_that_is_gone_is_looked_for_by_restic(made: Made) -> None:
    made.file.unlink()

    with pytest.raises(Problem) as told:
        made.read_back()

    assert set(made.starts) == {"snapshots"}
    assert "No heartbeat was written" in told.value.sentence()


@pytest.mark.parametrize("gone", ["config", "keys", "all of it"])
def test_a_file_in_what_is_no_repository_any_more_says_nothing(made: Made, gone: str) -> None:
    """restic makes folders anew while it writes: whoever removes the repository meanwhile leaves its file."""
    content, folder = made.file.read_bytes(), Path(made.access.folder)
    if gone == "config":
        (folder / "config").unlink()
    else:
        shutil.rmtree(folder / "keys" if gone == "keys" else folder)
    made.file.parent.mkdir(parents=True, exist_ok=True)
    if not made.file.exists():
        made.file.write_bytes(content)

    with pytest.raises(Problem) as told:
        made.read_back()

    assert made.starts
    assert "No heartbeat was written" in told.value.sentence()


def test_a_restic_that_does_not_tell_when_it_began_is_asked(made: Made) -> None:
    made.summary = restic.BackupSummary(made.summary.snapshot_id, 1, 1, 1)

    assert made.read_back().hostname == "vedetta"
    assert made.starts == ["snapshots"]


@pytest.mark.parametrize("name", ["../config", "0" * 63, "G" * 64, ""])
def test_only_an_id_names_a_file(made: Made, name: str) -> None:
    assert restic.holds_snapshot(made.access, name) is None
    assert restic.holds_snapshot(made.access, made.summary.snapshot_id)


def test_a_bucket_is_asked(
    s3_repository: str,
    s3_server: S3Server,
    restic_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    access = restic.Access(
        str(restic_path), s3_repository, RESTIC_PASSWORD, s3_server.environment, str(tmp_path / "cache")
    )
    made = make(access, monkeypatch)

    assert made.read_back().tags == tuple(ASKED.tags)
    assert made.starts == ["snapshots"]
