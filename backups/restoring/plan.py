"""What a restore will do, told before it is begun."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

from backups import mysql
from backups.choices import OVERWRITING_MODES, RestoreMode, Verdict
from backups.dumpfile.spelling import clashing, in_lower_case, respelled
from backups.endpoints import restoring_server
from backups.errors import Problem
from backups.keeping.suspicions import doubts
from backups.models import Database, Restore, Snapshot, Verification
from backups.restoring.obstacles import (
    refuse_crossing,
    refuse_immovable,
    refuse_keys_from_elsewhere,
    refuse_read_only,
)
from backups.restoring.renaming import refuse_without_rows
from backups.runs import refusals
from backups.snapshots import selection

_SAMPLES = 20


@dataclass(frozen=True)
class Plan:
    """What will happen: times in UTC, sizes in bytes. Names are sorted."""

    snapshot: Snapshot
    mode: RestoreMode
    target: str
    data_until: datetime
    verified: bool
    bytes: int | None
    seconds: float | None
    replaced: list[str] = field(default_factory=list)
    vanishing: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    staying: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)


def plan(
    database: Database,
    snapshot: Snapshot,
    *,
    mode: RestoreMode,
    target: str,
    tables: Collection[str] = (),
) -> Plan:
    """Look at snapshot and target without touching either. What stands in the way is an obstacle."""
    told = Plan(
        snapshot=snapshot,
        mode=mode,
        target=target,
        data_until=snapshot.time,
        verified=snapshot.verified_at is not None,
        bytes=snapshot.total_bytes_processed,
        seconds=expected_seconds(database, snapshot),
    )
    if snapshot.is_known_bad:
        told.warnings.append(selection.known_bad_words(snapshot))
    elif not told.verified:
        told.warnings.append("This snapshot has not been verified: nobody has seen it restore.")
    _tell_of_safety_copies(told)
    if mode in OVERWRITING_MODES and snapshot.source != target:
        told.warnings.append(f"This snapshot is of {snapshot.source}: it would take the place of {target}.")
    told.warnings.extend(doubts(snapshot))
    if mode == RestoreMode.FILE:
        return told
    try:
        _look_at_server(told, database, frozenset(tables))
    except Problem as problem:
        told.obstacles.append(problem.sentence())
    return told


def _tell_of_safety_copies(told: Plan) -> None:
    """What was saved before a restore is newer than the backups, and not what people go back to."""
    if selection.is_safety_copy(told.snapshot):
        told.warnings.append(
            "This snapshot was saved before a restore: it holds what was to be repaired then."
        )
    elif (newer := selection.newer_safety_copy(told.snapshot)) is not None:
        told.warnings.append(
            f"Snapshot {newer.short_id} is newer: it was saved before a restore, and holds what was to be "
            "repaired then."
        )


def expected_seconds(database: Database, snapshot: Snapshot) -> float | None:
    """How long loading will take, by the speed of earlier restores and verifications."""
    if not snapshot.total_bytes_processed:
        return None
    restores = Restore.objects.filter(database=database, restore_seconds__gt=0)
    verified = Verification.objects.filter(
        snapshot__database=database, verdict=Verdict.IDENTICAL, restore_seconds__gt=0
    )
    sizes = "snapshot__total_bytes_processed"
    samples = [
        *restores.values_list("restore_seconds", sizes)[:_SAMPLES],
        *verified.values_list("restore_seconds", sizes)[:_SAMPLES],
    ]
    speeds = [size / seconds for seconds, size in samples if size]
    return snapshot.total_bytes_processed / median(speeds) if speeds else None


def _look_at_server(told: Plan, database: Database, chosen: frozenset[str]) -> None:
    manifest = told.snapshot.manifest
    with mysql.connect(restoring_server(database)) as connection:
        exists = mysql.database_exists(connection, told.target)
        live = mysql.tables(connection, told.target) if exists else []
        if exists and told.mode in OVERWRITING_MODES:
            live = _without_those_that_stay(told, connection, live)
        folds_names = mysql.folds_names(connection)
        if manifest and folds_names:
            manifest, chosen = _in_lower_case(told, manifest, chosen)
        if manifest:
            _compare_tables(told, manifest, live, chosen)
            _look_at_definers(told, connection, manifest)
    if manifest is None:
        told.warnings.append(
            "The snapshot has no manifest (it was not made by Vedetta): which tables it holds "
            "is known only when it is read."
        )
    if manifest and told.mode == RestoreMode.REPLACE and live and not chosen and not told.replaced + told.new:
        told.warnings.append(f"The snapshot holds no table: {told.target} will be empty afterwards.")
    if told.mode == RestoreMode.NEW and live:
        told.obstacles.append(f"{told.target} holds tables already: choose a name that is free.")
    if told.mode in OVERWRITING_MODES and not exists:
        told.obstacles.append(f"There is no database {told.target}: restore into a new one.")
    _look_at_views(told, manifest)
    if without := mysql.without_history(told.snapshot.not_in_backup):
        told.warnings.append(f"The snapshot has no history of these tables, only rows: {', '.join(without)}.")
    refuse_without_rows(
        told.snapshot,
        chosen,
        told.target,
        restoring_server(database),
        folds_names=bool(manifest) and folds_names,
    )
    if told.mode == RestoreMode.REPLACE and exists:
        _look_at_what_moves(told, database, chosen)
    if told.mode == RestoreMode.IN_PLACE and exists:
        with mysql.connect(restoring_server(database)) as connection:
            refuse_read_only(connection, told.target, target=told.target)


def _in_lower_case(
    told: Plan, manifest: dict[str, Any], chosen: frozenset[str]
) -> tuple[dict[str, Any], frozenset[str]]:
    """Manifest and chosen tables as a server knows them that gives tables names in lower case."""
    inventory = manifest["inventory"]
    if names := respelled(inventory):
        told.warnings.append(
            "The server gives tables and views names in lower case (lower_case_table_names=1), so these will "
            f"be spelled otherwise: {mysql.named(names)}."
        )
    if names := clashing(inventory):
        told.obstacles.append(
            "The server gives tables names in lower case (lower_case_table_names=1), and would take these "
            f"for one: {mysql.named(names)}."
        )
    spelled = frozenset(name.lower() for name in chosen)
    return {**manifest, "inventory": in_lower_case(inventory)}, spelled


def _look_at_what_moves(told: Plan, database: Database, chosen: frozenset[str]) -> None:
    """What stands in the way of a swap, as far as the live database tells: one obstacle of each kind."""
    server = restoring_server(database)
    inventory = (told.snapshot.manifest or {}).get("inventory", {})
    with mysql.connect(server) as connection:
        held = {*mysql.tables(connection, told.target), *inventory.get("table", [])}
        looks = (
            lambda: refusals.refuse_unsettled(database, told.target),
            lambda: refuse_crossing(connection, told.target, chosen, target=told.target, held=held),
            lambda: refuse_immovable(connection, told.target, chosen, target=told.target),
            lambda: refuse_keys_from_elsewhere(told.target, chosen, server),
        )
        for look in looks:
            try:
                look()
            except Problem as problem:
                told.obstacles.append(problem.sentence())


def _without_those_that_stay(told: Plan, connection: Any, live: list[str]) -> list[str]:
    """The live tables without those that no restore touches, because no backup has their rows."""
    without = set(mysql.tables_without_rows(connection, told.target))
    if told.snapshot.manifest and "not_in_backup" in told.snapshot.manifest:
        held = set(told.snapshot.manifest["inventory"].get("table", []))
        without -= held - set(mysql.without_rows(told.snapshot.not_in_backup))
    told.staying.extend(sorted(without))
    if without:
        told.warnings.append(
            f"These tables stay as they are, because no backup has their rows: {', '.join(sorted(without))}."
        )
    return [table for table in live if table not in without]


def _compare_tables(told: Plan, manifest: dict[str, Any], live: list[str], chosen: frozenset[str]) -> None:
    inventory = manifest["inventory"]
    held = {*inventory.get("table", []), *inventory.get("sequence", [])}
    if missing := sorted(chosen - held):
        told.obstacles.append(f"The snapshot has no table {', '.join(missing)}.")
    coming = held & chosen if chosen else held
    told.replaced.extend(sorted(coming & set(live)))
    told.new.extend(sorted(coming - set(live) - set(told.staying)))
    if told.mode == RestoreMode.REPLACE and not chosen:
        told.vanishing.extend(sorted(set(live) - held))


def _look_at_definers(told: Plan, connection: Any, manifest: dict[str, Any]) -> None:
    definers = manifest.get("definers", [])
    missing = mysql.missing_users(connection, definers)
    if missing:
        told.warnings.append(
            f"These users define views, triggers or routines and do not exist here: "
            f"{', '.join(missing)}. Keep them, or set them to the user that restores."
        )
    elif missing is None and definers:
        told.warnings.append(
            f"Views, triggers or routines run as {', '.join(definers)}; whether these users exist "
            "here cannot be seen with our rights."
        )


def _look_at_views(told: Plan, manifest: dict[str, Any] | None) -> None:
    views = (manifest or {}).get("views_of_others", [])
    if views and told.target != told.snapshot.source:
        told.warnings.append(f"These views name a database and will go on reading it: {', '.join(views)}.")
    if routines := (manifest or {}).get("routines_of_others", []):
        told.warnings.append(
            f"These routines use libraries of other databases, which are in no backup of "
            f"{told.snapshot.source}: {', '.join(routines)}."
        )
