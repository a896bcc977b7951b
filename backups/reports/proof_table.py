"""A proof report as one table: a row for each thing that it tells of, the first column says which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from backups.choices import StandDownKind

# Stable: others' sheets go by them. The last two are of the line that signs the table.
COLUMNS = (
    "row", "database", "at", "until", "run", "status", "snapshot_id", "dump_sha256", "manifest_sha256",
    "bytes", "rows", "tables", "planned", "made", "good", "seconds", "allowed_seconds", "target_seconds",
    "text", "public_key", "signature",
)  # fmt: skip
# What a spreadsheet takes for the begin of a formula, also behind a space or a tabulator.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
Row = list[Any]
# What the first column calls them.
_STOOD_DOWN = {StandDownKind.PAUSE: "paused", StandDownKind.RETIREMENT: "retired"}


def rows(document: Mapping[str, Any]) -> Iterator[Row]:
    """All rows below the head, each as wide as it."""
    yield _row(
        "report",
        at=document["begins_at"],
        until=document["ends_at"],
        planned=document["totals"]["planned"],
        made=document["totals"]["made"],
        good=document["totals"]["good_backups"],
        target_seconds=document["restore_target_seconds"],
        text=f"made at {document['made_at']:%Y-%m-%dT%H:%M:%SZ} by {document['made_by']}; "
        f"days are of {document['time_zone']}, times are UTC",
    )
    for each in document["databases"]:
        yield from _of_database(each)


def cell(value: object) -> object:
    """A value that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA):
        return f"'{value}"
    return value


def _row(kind: str, **values: object) -> Row:
    return [kind, *(values.get(name) for name in COLUMNS[1:])]


def _of_database(each: Mapping[str, Any]) -> Iterator[Row]:
    name = each["name"]
    yield _row(
        "database",
        database=name,
        at=each["plan"]["known_from"],
        status=each["state"],
        planned=each["plan"]["planned"],
        made=each["plan"]["made"],
        good=each["backups"]["good"],
        seconds=each["age"]["longest_seconds"],
        allowed_seconds=each["age"]["allowed_seconds"],
        target_seconds=each["restore_times"]["target_seconds"],
        text=" ".join([*each["findings"], *each["notes"]]),
    )
    yield from _of_plan(name, each)
    for made in each["backups"]["listed"]:
        yield _row(
            "backup", database=name, at=made["time"], until=made["finished_at"], run=made["run"],
            status="good" if made["is_good"] else made["verdict"] or "not counted",
            snapshot_id=made["snapshot_id"], dump_sha256=made["dump_sha256"],
            manifest_sha256=made["manifest_sha256"], bytes=made["bytes"],
            text="" if made["is_there"] else "forgotten",
        )  # fmt: skip
    for proof in each["verifications"]["listed"]:
        yield _row(
            "verification", database=name, at=proof["finished_at"], run=proof["run"],
            status=proof["verdict"], snapshot_id=proof["snapshot_id"],
            manifest_sha256=proof["manifest_sha256"], bytes=proof["bytes"], rows=proof["rows"],
            tables=proof["tables"], seconds=proof["restore_seconds"], text=_compared(proof),
        )  # fmt: skip
    for restore in each["restores"]:
        yield _row(
            "restore", database=name, at=restore["finished_at"], run=restore["run"],
            status=restore["status"], snapshot_id=restore["snapshot_id"], tables=restore["tables"] or None,
            seconds=restore["seconds"], text=restore["mode"],
        )  # fmt: skip


def _of_plan(name: str, each: Mapping[str, Any]) -> Iterator[Row]:
    """What was missed, what was not asked for, and when there was no backup that was young enough."""
    for missed in each["plan"]["missed"]:
        yield _row(
            "missed", database=name, at=missed["planned_at"], run=missed["run"], status=missed["status"],
            text=missed["error"],
        )  # fmt: skip
    for span in each["plan"]["stood_down"]:
        yield _row(
            _STOOD_DOWN[span["kind"]], database=name, at=span["begins_at"], until=span["ends_at"],
            planned=span["planned"], text=f"{span['by']}: {span['reason']}",
        )  # fmt: skip
    for gap in each["age"]["gaps"]:
        yield _row(
            "gap", database=name, at=gap["begins_at"], until=gap["ends_at"], seconds=gap["seconds"],
            allowed_seconds=each["age"]["allowed_seconds"],
        )  # fmt: skip


def _compared(proof: Mapping[str, Any]) -> str:
    named = {"compared": "compared", "not compared": "not_compared", "differs": "differences"}
    return "; ".join(f"{words}: {', '.join(proof[key])}" for words, key in named.items() if proof[key])
