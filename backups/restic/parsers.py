"""What restic answers, read into values; nothing that it says is believed unread."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeGuard

from backups.restic.output import message_in
from backups.restic.problems import ResticError, get_restic
from backups.text.sentences import phrase
from backups.text.terminal import bounded


@dataclass(frozen=True)
class SnapshotInfo:
    """A snapshot as `restic snapshots --json` lists it."""

    id: str
    time: datetime
    hostname: str
    paths: tuple[str, ...]
    tags: tuple[str, ...]
    total_bytes_processed: int | None = None
    data_added: int | None = None
    data_added_packed: int | None = None
    backup_start: datetime | None = None
    backup_end: datetime | None = None
    # Of which it was written anew, as by a repair or with other tags.
    original: str = ""


@dataclass(frozen=True)
class BackupSummary:
    """The closing message of `restic backup --json`; sizes in bytes.

    restic gives its snapshot the time of `backup_start`. Older versions do not tell it.
    """

    snapshot_id: str
    total_bytes_processed: int
    data_added: int
    data_added_packed: int
    backup_start: datetime | None = None


@dataclass(frozen=True)
class Lock:
    """A lock in the repository."""

    id: str
    time: datetime
    exclusive: bool
    hostname: str
    username: str
    pid: int


@dataclass(frozen=True)
class Kept:
    """A snapshot that the retention policy keeps, and restic's reasons."""

    id: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class ForgetPlan:
    """What `restic forget --dry-run` would do."""

    keep: tuple[Kept, ...]
    remove: tuple[str, ...]


@dataclass(frozen=True)
class CheckSummary:
    """The closing message of `restic check --json`."""

    num_errors: int
    broken_packs: tuple[str, ...]
    suggest_repair_index: bool
    suggest_prune: bool


# An answer that is no JSON, other JSON, too deep, or with numbers that are none.
_NOT_UNDERSTOOD = (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)


def parse_repository_id(stdout: bytes) -> str:
    """The id of a repository in its `cat config`; empty where there is none."""
    try:
        parsed = json.loads(stdout)
    except _NOT_UNDERSTOOD:
        return ""
    found = parsed.get("id") if isinstance(parsed, dict) else None
    return found if isinstance(found, str) and re.fullmatch(r"[0-9a-f]{64}", found) else ""


def parse_version(stdout: bytes) -> str:
    """The version number in `restic version --json`. Raises ResticError."""
    try:
        return str(json.loads(stdout)["version"])
    except _NOT_UNDERSTOOD:
        raise ResticError(
            phrase("restic did not say its version as JSON, so it is too old."),
            code="restic.too_old",
            do=get_restic(),
        ) from None


def parse_snapshots(stdout: bytes) -> tuple[SnapshotInfo, ...]:
    """The answer of `restic snapshots --json`, oldest first. Raises ResticError."""
    try:
        return tuple(sorted((_snapshot(item) for item in json.loads(stdout) or []), key=lambda s: s.time))
    except _NOT_UNDERSTOOD:
        raise ResticError(
            phrase("restic's list of snapshots could not be understood."),
            code="restic.not_understood",
            do=phrase("Press Test connection, or run `manage.py preflight`."),
        ) from None


def parse_status(line: str) -> int | None:
    """The bytes done in a status message of `restic backup --json`, None for other lines."""
    message = message_in(line)
    if message.get("message_type") != "status":
        return None
    done = message.get("bytes_done", 0)
    return done if _is_size(done) else None


def parse_backup_summary(line: str) -> BackupSummary | None:
    """The closing message of `restic backup --json`, None for other lines."""
    message = message_in(line)
    if message.get("message_type") != "summary" or not message.get("snapshot_id"):
        return None
    return BackupSummary(
        snapshot_id=str(message["snapshot_id"]),
        total_bytes_processed=_number(message, "total_bytes_processed"),
        data_added=_number(message, "data_added"),
        data_added_packed=_number(message, "data_added_packed"),
        backup_start=_told_time(message.get("backup_start")),
    )


def _told_time(text: Any) -> datetime | None:
    """None also where it is none: then the list has to say it."""
    try:
        return parse_time(text)
    except (TypeError, ValueError):
        return None


def parse_forget_plan(stdout: bytes) -> ForgetPlan:
    """The answer of `restic forget --dry-run --json`. Raises ResticError."""
    try:
        groups = json.loads(stdout or b"[]") or []
        keep = tuple(
            Kept(id=reason["snapshot"]["id"], reasons=tuple(reason.get("matches") or ()))
            for group in groups
            for reason in group.get("reasons") or []
        )
        remove = tuple(item["id"] for group in groups for item in group.get("remove") or [])
    except _NOT_UNDERSTOOD:
        raise ResticError(
            phrase("restic's plan of what to forget could not be understood."), code="restic.not_understood"
        ) from None
    return ForgetPlan(keep=keep, remove=remove)


def parse_check_summary(stdout: bytes) -> CheckSummary | None:
    """The closing message of `restic check --json`, None when there is none."""
    for line in reversed(stdout.decode(errors="replace").splitlines()):
        message = message_in(line)
        if message.get("message_type") == "summary":
            return CheckSummary(
                num_errors=_number(message, "num_errors"),
                broken_packs=tuple(map(str, _list(message, "broken_packs"))),
                suggest_repair_index=bool(message.get("suggest_repair_index")),
                suggest_prune=bool(message.get("suggest_prune")),
            )
    return None


def parse_total_size(stdout: bytes) -> int:
    """The bytes that `restic stats --json --mode raw-data` counted. Raises ResticError."""
    try:
        return int(json.loads(stdout)["total_size"])
    except _NOT_UNDERSTOOD:
        raise ResticError(
            phrase("restic's statistics could not be understood."), code="restic.not_understood"
        ) from None


def broken_packs(lines: Sequence[str]) -> list[str]:
    """The ids of the packs that a check found damaged."""
    text = "\n".join(map(bounded, lines))
    return sorted(set(re.findall(r"\bpack ([0-9a-f]{64})\b(?=.*(?:contains \d+ error|does not))", text)))


def parse_lock(lock_id: str, stdout: bytes) -> Lock:
    """The answer of `restic cat lock`. Raises ResticError."""
    try:
        item = json.loads(stdout)
        return Lock(
            id=lock_id,
            time=parse_time(item["time"]),
            exclusive=bool(item.get("exclusive", False)),
            hostname=str(item.get("hostname", "")),
            username=str(item.get("username", "")),
            pid=int(item.get("pid", 0)),
        )
    except _NOT_UNDERSTOOD:
        raise ResticError(
            phrase("The lock {lock_id} could not be read.", lock_id=lock_id[:8]),
            code="restic.lock_unreadable",
        ) from None


def parse_keys(stdout: bytes) -> tuple[str, int]:
    """Of `restic key list --json` the id of the key that our password opens, and how many there are.

    Raises ResticError.
    """
    try:
        keys = json.loads(stdout)
        opened = next(key["id"] for key in keys if key["current"] is True)
    except (*_NOT_UNDERSTOOD, StopIteration):
        opened = None
    if not isinstance(opened, str) or not re.fullmatch(r"[0-9a-f]{8,64}", opened):
        raise ResticError(
            phrase("restic's list of keys could not be understood."), code="restic.not_understood"
        ) from None
    return opened, len(keys)


def parse_time(text: str) -> datetime:
    """An RFC 3339 time with nanoseconds, as Go writes it. Raises ValueError.

    So do times without a zone, and years that cannot be told in every zone.
    """
    time = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text).replace("Z", "+00:00"))
    if time.tzinfo is None or not 1 < time.year < 9999:
        raise ValueError(text)
    return time


def _snapshot(item: Mapping[str, Any]) -> SnapshotInfo:
    summary = item.get("summary") or {}
    return SnapshotInfo(
        id=_text(item["id"]),
        time=parse_time(item["time"]),
        hostname=_text(item.get("hostname", "")),
        paths=tuple(map(_text, item.get("paths") or ())),
        tags=tuple(map(_text, item.get("tags") or ())),
        total_bytes_processed=_size(summary.get("total_bytes_processed")),
        data_added=_size(summary.get("data_added")),
        data_added_packed=_size(summary.get("data_added_packed")),
        backup_start=_time_or_none(summary.get("backup_start")),
        backup_end=_time_or_none(summary.get("backup_end")),
        original=_text(item.get("original") or ""),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _size(value: Any) -> int | None:
    if value is None or _is_size(value):
        return value
    raise ValueError


def _is_size(value: Any) -> TypeGuard[int]:
    """Whether it is a number that the portal's database can hold."""
    return isinstance(value, int) and 0 <= value < 1 << 63


def _time_or_none(text: str | None) -> datetime | None:
    return parse_time(text) if text else None


def _number(message: Mapping[str, Any], name: str) -> int:
    value = message.get(name)
    return value if _is_size(value) else 0


def _list(message: Mapping[str, Any], name: str) -> list[Any]:
    value = message.get(name)
    return value if isinstance(value, list) else []
