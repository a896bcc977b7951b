"""What chosen transactions of the stored log changed, found out by replaying them on a copy.

The rows are kept as a comparison keeps them: a script gives them back, once it is proved on a copy of the
live database as it is then. What is no more as the transaction left it is found there, and left out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from django.conf import settings

from backups import mysql
from backups.actions.steps import kept_files
from backups.actions.steps.findings import Findings, Scratch
from backups.actions.steps.log_advanced import Advance
from backups.actions.steps.log_replayed import StoredLog
from backups.actions.steps.opening import OpenedSnapshot, opened
from backups.actions.steps.reading import damaged
from backups.actions.steps.replay_place import refuse_beside_live, replaying_place
from backups.actions.steps.scratch import scratch_database
from backups.actions.steps.scratch_load import compare_stream, load_whole, refuse_less_than_all
from backups.actions.steps.transaction_replayed import Room, changed_by, told
from backups.actions.steps.transactions_found import FoundTransaction, transactions_found
from backups.actions.steps.whole import source_name
from backups.differences import keeping
from backups.differences.comparison import MOST_PICKED
from backups.differences.kept_rows import KeptTable, kept_rows
from backups.differences.merging import Merged, Part, merged
from backups.differences.result import Differences, TableDifference
from backups.dumpfile.digesting import Digester
from backups.dumpfile.manifests import ManifestDamaged
from backups.endpoints import scratch_server
from backups.errors import Problem
from backups.loading.progress import Loading
from backups.models import Run, Snapshot
from backups.moments.rows import defined_between, drafts_of
from backups.replaying.way import Route
from backups.requests import UndoTransactionsRequest, read_as
from backups.runs import notes
from backups.runs.outcome import Outcome
from backups.runs.progress import Progress
from backups.text.sentences import phrase, plural

# What a table's definition says of the number that comes next.
_NUMBER = re.compile(rb" AUTO_INCREMENT=\d+")


@dataclass(frozen=True)
class _Found:
    """What the transactions changed together; `between` counts rows of older ones that are left out."""

    differences: Differences
    digest: str
    between: Mapping[str, int]


def run(run: Run, progress: Progress) -> Outcome:
    """Find out what the run's transactions changed, and keep these rows. Raises Problem, Cancelled."""
    progress.phase("preflight")
    request = read_as(run, UndoTransactionsRequest)
    request.refuse_unfit()
    snapshot = run.snapshot = request.snapshot
    run.repository = snapshot.repository
    flavour = (snapshot.manifest or {}).get("server", {}).get("flavour", "")
    refuse_beside_live(request.database, scratch_server(request.database), flavour)
    access = opened(run, progress)
    drafts = [each.from_base(snapshot.pk) for each in drafts_of(request.database, request.untils)]
    progress.phase("find")
    chosen = transactions_found(drafts, snapshot, access, progress.tick)
    path = kept_files.rows_of(run.pk)
    with _replaying(run, chosen, OpenedSnapshot(snapshot, access), progress) as (scratch, advance):
        paths = [path.with_name(f"{path.name}.{number}") for number in range(len(chosen))]
        try:
            parts: list[tuple[Differences, str]] = []
            for each in chosen:
                room = _room(paths, parts)
                parts.append(changed_by(each, advance, scratch, room, progress))
                progress.log(told(parts[-1][0]))
                _refuse_beyond(room, parts[-1][0], len(paths))
            if len(parts) == 1:
                found = _one(parts[0], paths[0], path)
            else:
                defined = defined_between(request.database, chosen[0].end, chosen[-1].end)
                found = _together(parts, paths, path, defined)
        finally:
            for own in paths:
                own.unlink(missing_ok=True)
        server = str(scratch.info)
    difference = {**_told(chosen, found, snapshot, server), **found.differences.as_json()}
    kept = kept_files.told(path, found.digest)
    notes.run_update(run.pk, result={"difference": difference, "kept": kept})
    _tell_between(found, progress)
    _tell_defined(found, defined_between(request.database, chosen[0].end), progress)
    return Outcome()


@contextmanager
def _replaying(
    run: Run, chosen: Sequence[FoundTransaction], stored: OpenedSnapshot, progress: Progress
) -> Iterator[tuple[Scratch, Advance]]:
    """A copy of the dump, and what leads it through the log, for the length of a block. Raises Problem."""
    snapshot = stored.snapshot
    with scratch_database(run, snapshot, progress) as scratch:
        # Asked before anything is loaded that no log could be replayed on.
        server = replaying_place(scratch.row, scratch.server, scratch.info, scratch.database)
        progress.mask_secrets([server.password])
        _load(stored, scratch, progress)
        log = StoredLog(stored.access, scratch.row.database, chosen[-1].pieces)
        route = Route(source_name(snapshot), scratch.database, chosen[0].after)
        yield scratch, Advance(log, replace(scratch, server=server), route, progress)


def _load(stored: OpenedSnapshot, scratch: Scratch, progress: Progress) -> None:
    """Load the dump, which has to be what was backed up. Raises Problem."""
    snapshot, findings = stored.snapshot, Findings()
    loading = Loading(Digester(source_name(snapshot)))
    load_whole(stored, scratch, loading, findings, progress)
    if findings.unreadable:
        raise damaged(snapshot)
    try:
        manifest = loading.digester.manifest()
    except ManifestDamaged:
        manifest = None
    if manifest is None:
        raise damaged(snapshot)
    compare_stream(snapshot, loading.digester.sections(manifest.get("collations", {})), manifest, findings)
    if findings.differences:
        raise damaged(snapshot)
    refuse_less_than_all(loading.found, scratch)


# ---------------------------------------------------------------- Of several, what all of them changed


def _room(paths: Sequence[Path], known: Sequence[tuple[Differences, str]]) -> Room:
    """The room for the next one: several are put together in memory, so all of them share that of one."""
    path = paths[len(known)]
    if len(paths) == 1:
        return Room(path, MOST_PICKED, keeping.MOST_BYTES)
    rows = settings.ROWS_BACK_LIMIT - sum(_rows(found) for found, _ in known)
    return Room(path, rows, keeping.MOST_BYTES - sum(own.stat().st_size for own in paths[: len(known)]))


def _refuse_beyond(room: Room, found: Differences, count: int) -> None:
    """Raise Problem where one of several had more rows than there was room for."""
    if count == 1:
        return
    with kept_rows(room.path) as rows:
        if all(not table.beyond for table in rows.tables()) and _rows(found) <= room.rows:
            return
    raise _not_together(
        phrase(
            "Together they changed more than {rows} rows (ROWS_BACK_LIMIT), or more than {megabytes} MB of "
            "them.",
            rows=f"{settings.ROWS_BACK_LIMIT:,}",
            megabytes=keeping.MOST_BYTES // 1_000_000,
        )
    )


def _rows(found: Differences) -> int:
    return sum(each.rows for each in found.tables)


def _one(part: tuple[Differences, str], own: Path, path: Path) -> _Found:
    own.replace(path)
    return _Found(*part, {})


def _together(
    parts: Sequence[tuple[Differences, str]], paths: Sequence[Path], path: Path, defined: Collection[str]
) -> _Found:
    """The rows of several transactions as if each was taken back after the other, the newest first."""
    kept = [_rows_of(own) for own in paths]
    _refuse_unlike([part.table for rows in kept for part in rows], defined)
    found = merged(reversed(kept))
    differences = _as_differences([part[0] for part in parts], found)
    return _Found(differences, keeping.write_chosen(path, found.tables, found.rows), found.between)


def _rows_of(path: Path) -> list[Part]:
    with kept_rows(path) as rows:
        return [Part(table, list(rows.changes(table.name))) for table in rows.tables()]


def _refuse_unlike(tables: Sequence[KeptTable], defined: Collection[str]) -> None:
    """Raise Problem where rows of several transactions cannot be put together."""
    columns: dict[str, tuple[Sequence[str], bytes]] = {}
    for table in tables:
        alike = (table.key, _NUMBER.sub(b"", table.definition_now))
        if table.name.casefold() in defined or columns.setdefault(table.name, alike) != alike:
            raise _not_together(
                phrase(
                    "Between them table {table} was altered, renamed, emptied or made anew.",
                    table=table.name,
                )
            )


def _not_together(why: str) -> Problem:
    return Problem(
        phrase("These transactions cannot be undone together. {why}", why=why),
        code="undo_transactions.not_together",
        safe=phrase("The live database was not touched."),
        do=phrase("Undo them one by one, the newest first."),
    )


def _as_differences(each: Sequence[Differences], found: Merged) -> Differences:
    """What differs of all, counted as it was put together: rows before the first, and after the last."""
    seen: dict[str, TableDifference] = {}
    for table in (table for differences in each for table in differences.tables):
        known = seen.setdefault(table.table, table)
        seen[table.table] = replace(known, rows_after=table.rows_after)
    counted = [
        replace(seen[table.name], gone=table.gone, new=table.new, changed=table.changed)
        for table in found.tables
    ]
    return Differences(counted, same_tables=0)


# ---------------------------------------------------------------- What is told


def _told(
    chosen: Sequence[FoundTransaction], found: _Found, snapshot: Snapshot, server: str
) -> dict[str, Any]:
    """What the run's row says, and no value of any row."""
    sides = {
        name: {"snapshot_id": of, "at": seen.moment.isoformat(), "server": server, "client": ""}
        for name, of, seen in (
            ("before", snapshot.snapshot_id, chosen[0].seen),
            ("after", None, chosen[-1].seen),
        )
    }
    return {
        **sides,
        "transactions": [{"name": each.name, **each.seen.stored()} for each in chosen],
        "changed_between": dict(found.between),
        "chosen": [],
        "libraries_unknown": False,
    }


def _tell_between(found: _Found, progress: Progress) -> None:
    for table, rows in sorted(found.between.items()):
        progress.warn(
            plural(
                "{n} row of {table} was changed between two of these transactions by another one: the older "
                "one is not undone there.",
                "{n} rows of {table} were changed between two of these transactions by another one: the "
                "older one is not undone there.",
                n=rows,
                table=table,
            )
        )


def _tell_defined(found: _Found, defined: Collection[str], progress: Progress) -> None:
    names = sorted(each.table for each in found.differences.tables if each.table.casefold() in defined)
    if names:
        progress.warn(
            phrase(
                "Since then these tables were altered, renamed, emptied or made anew: {tables}. Rows go into "
                "the table that has the name now. Nothing was changed yet: see that it is the same table "
                "before you apply a script, or choose none of its rows.",
                tables=mysql.named(names),
            )
        )
