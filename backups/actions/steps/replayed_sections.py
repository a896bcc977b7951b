"""What a replay made of one dump, compared with the next one by that one's manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from backups import mysql
from backups.actions.steps.dumped_ahead import source_of
from backups.actions.steps.findings import Findings, Scratch
from backups.actions.steps.sections import DumpedTwice, compare_sections
from backups.dumpfile.digesting import Digester
from backups.dumpfile.ready import Found
from backups.dumpfile.sections import Kind
from backups.dumpfile.table_text import next_number
from backups.dumping.streaming import Outlet, stream_dump
from backups.runs.progress import Progress
from backups.text.sentences import phrase, plural

# To set a counter alters no row, but a server may have to wait for its disk.
_ALTER_SECONDS = 600
_OF_EVENTS = (Kind.EVENT, Kind.EVENTS)


def set_counters(
    scratch: Scratch, manifest: Mapping[str, Any], findings: Findings, progress: Progress
) -> None:
    """Give each table the AUTO_INCREMENT that the next dump shows, and note of how many it was another.

    No log tells it: what is rolled back or ignored takes numbers all the same. Raises Problem.
    """
    digester = Digester(scratch.database)
    source = replace(source_of(scratch), structure_only=True)
    stream_dump(source, Outlet(digester), tick=progress.tick)
    shown = {each.name: next_number(each.definition) for each in digester.tables_and_events()}
    wanted = {
        section["name"]: section.get("auto_increment")
        for section in manifest["sections"]
        if section["kind"] == Kind.TABLE
    }
    # A table that shows none begins with 1.
    numbers = {
        name: number or 1 for name, number in wanted.items() if name in shown and shown[name] != number
    }
    if not numbers:
        return
    with mysql.connect(scratch.server, scratch.database, read_seconds=_ALTER_SECONDS) as connection:
        mysql.set_next_numbers(connection, scratch.database, numbers)
    findings.not_compared.append(
        plural(
            "the counter (AUTO_INCREMENT) of {n} table, which no log tells: it was set as the second backup "
            "has it",
            "the counters (AUTO_INCREMENT) of {n} tables, which no log tells: they were set as the second "
            "backup has them",
            n=len(numbers),
        )
    )


class NextDump(NamedTuple):
    """What the replay is to have made: the next dump by its manifest.

    `found` is what loading the dump before found, and of events nothing is compared without `with_events`.
    """

    manifest: dict[str, Any]
    found: Found
    with_events: bool


def compare_with_next(dump: NextDump, scratch: Scratch, findings: Findings, progress: Progress) -> None:
    """Dump the scratch database, and compare it with what is told of the next dump. Raises Problem."""
    manifest = dump.manifest
    progress.phase("compare", expected=manifest["bytes"])
    digester = Digester(scratch.database, sums_rows=any(each.get("rows") for each in manifest["sections"]))

    def tick() -> None:
        progress.bytes_done(read)
        progress.detail(f"{digester.section.kind} {digester.section.name}")
        progress.tick()

    read = 0

    def count(data: bytes | memoryview) -> None:
        nonlocal read
        read += len(data)

    stream_dump(source_of(scratch), Outlet(digester, count), tick=tick)
    again = digester.sections(manifest.get("collations", {}), whatever_state=True, whoever_defines=True)
    wanted = [_as_elsewhere(section) for section in manifest["sections"]]
    if not dump.with_events:
        again, wanted = _without_events(again), _without_events(wanted)
    same = _rows_in_another_order(manifest, wanted, again, digester.row_sums())
    findings.not_compared += [
        phrase("the order of the rows of {table}: it has no key", table=table) for table in same
    ]
    dumps = DumpedTwice(wanted, again, same, phrase("after the replay"))
    compare_sections(dumps, manifest, scratch, dump.found, findings)


def _as_elsewhere(section: Mapping[str, Any]) -> dict[str, Any]:
    """A section of a manifest as it is in the scratch database."""
    return {**section, **section.get("elsewhere", {})}


def _without_events(sections: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [section for section in sections if section["kind"] not in _OF_EVENTS]


def _rows_in_another_order(
    manifest: Mapping[str, Any],
    wanted: list[dict[str, Any]],
    again: list[dict[str, Any]],
    sums: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    """Tables that no key orders and whose rows are the same, though they are written otherwise."""
    told = {each["name"]: each["rows"] for each in manifest["sections"] if each.get("rows")}
    before, after = (
        {each["name"]: each["sha256"] for each in sections if each["kind"] == Kind.ROWS}
        for sections in (wanted, again)
    )
    return sorted(
        table
        for table, rows in told.items()
        if sums.get(table) == rows and table in after and before.get(table) != after[table]
    )
