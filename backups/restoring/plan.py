"""What a restore will do, told before it is begun."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
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
from backups.restoring.foreign_keys import refuse_crossing, refuse_keys_from_elsewhere, unseen_words
from backups.restoring.obstacles import refuse_immovable, refuse_read_only
from backups.restoring.references import words_about
from backups.restoring.renaming import refuse_without_rows
from backups.runs import refusals
from backups.snapshots import selection
from backups.text.sentences import phrase

_SAMPLES = 20
# Nothing takes a century, and what is no number is not below it.
_MOST_SECONDS = 100 * 365 * 86400


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
    refers: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)
    # Of a restore to a moment: where that is in the log and what is replayed.
    moment: Mapping[str, Any] | None = None

    def with_moment(self, moment: Mapping[str, Any] | None, seconds: float | None) -> Plan:
        """The same with what the log adds to it, and how long all of it takes."""
        return replace(self, moment=moment, seconds=seconds)

    def told(self) -> dict[str, Any]:
        """It as JSON has it, without what its snapshot's row says."""
        moment = {"moment": dict(self.moment)} if self.moment is not None else {}
        return {"seconds": self.seconds, **{name: getattr(self, name) for name in _LISTS}, **moment}


_LISTS = ("replaced", "vanishing", "new", "staying", "refers", "warnings", "obstacles")
# A worker that was not started anew yet tells nothing of these.
_LATER = frozenset({"refers"})


def heard(snapshot: Snapshot, mode: RestoreMode, target: str, told: Mapping[str, Any]) -> Plan:
    """A plan that was told. Raises Problem for what another version told."""
    try:
        lists = {name: _texts(told.get(name, []) if name in _LATER else told[name]) for name in _LISTS}
        plan = _of_rows(snapshot, mode, target, _seconds(told["seconds"]), **lists)
        return plan.with_moment(_moment(told.get("moment")), plan.seconds)
    except (KeyError, ValueError) as error:
        raise Problem(
            phrase("This version of the portal does not know the worker's answer."),
            code="restore.plan_unknown",
            do=phrase("See that portal and worker are of the same version, then look again."),
        ) from error


def _moment(told: object) -> Mapping[str, Any] | None:
    if told is None or isinstance(told, Mapping):
        return told
    raise ValueError("no moment")


def _texts(told: object) -> list[str]:
    if isinstance(told, list):
        return [each if isinstance(each, str) else str(each) for each in told]
    raise ValueError("no list")


def _seconds(told: object) -> float | None:
    if told is None:
        return None
    if isinstance(told, int | float) and not isinstance(told, bool) and 0 <= told <= _MOST_SECONDS:
        return told
    raise ValueError("no duration")


def _of_rows(
    snapshot: Snapshot, mode: RestoreMode, target: str, seconds: float | None, **lists: list[str]
) -> Plan:
    return Plan(
        snapshot=snapshot,
        mode=mode,
        target=target,
        data_until=snapshot.time,
        verified=snapshot.verified_at is not None,
        bytes=snapshot.total_bytes_processed,
        seconds=seconds,
        moment=None,
        **lists,
    )


def plan(
    database: Database,
    snapshot: Snapshot,
    *,
    mode: RestoreMode,
    target: str,
    tables: Collection[str] = (),
) -> Plan:
    """Look at snapshot and target without touching either. What stands in the way is an obstacle."""
    draft = drafted(database, snapshot, mode=mode, target=target)
    if mode == RestoreMode.FILE:
        return draft
    try:
        _look_at_server(draft, database, frozenset(tables))
    except Problem as problem:
        draft.obstacles.append(problem.sentence())
    return draft


def drafted(database: Database, snapshot: Snapshot, *, mode: RestoreMode, target: str) -> Plan:
    """What is known without a look at the server, which is all of it for a file."""
    draft = _of_rows(snapshot, mode, target, expected_seconds(database, snapshot))
    if snapshot.is_known_bad:
        draft.warnings.append(selection.known_bad_words(snapshot))
    elif not draft.verified:
        draft.warnings.append(phrase("This snapshot has not been verified: nobody has seen it restore."))
    _tell_of_safety_copies(draft)
    if mode in OVERWRITING_MODES and snapshot.source != target:
        draft.warnings.append(
            phrase(
                "This snapshot is of {source}: it would take the place of {target}.",
                source=snapshot.source,
                target=target,
            )
        )
    draft.warnings.extend(doubts(snapshot))
    return draft


def _tell_of_safety_copies(plan: Plan) -> None:
    """What was saved before a restore is newer than the backups, and not what people go back to."""
    if selection.is_safety_copy(plan.snapshot):
        plan.warnings.append(
            phrase(
                "This snapshot was saved before a restore. It holds the state that the restore should repair."
            )
        )
    elif (newer := selection.newer_safety_copy(plan.snapshot)) is not None:
        plan.warnings.append(
            phrase(
                "Snapshot {snapshot} is newer. It was saved before a restore, and holds the state "
                "that the restore should repair.",
                snapshot=newer.short_id,
            )
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


def _look_at_server(plan: Plan, database: Database, chosen: frozenset[str]) -> None:
    manifest = plan.snapshot.manifest
    with mysql.connect(restoring_server(database)) as connection:
        exists = mysql.database_exists(connection, plan.target)
        live = mysql.tables(connection, plan.target) if exists else []
        if exists and plan.mode in OVERWRITING_MODES:
            live = _without_those_that_stay(plan, connection, live)
        folds_names = mysql.folds_names(connection)
        if manifest and folds_names:
            manifest, chosen = _in_lower_case(plan, manifest, chosen)
        if manifest:
            _compare_tables(plan, manifest, live, chosen)
            _look_at_definers(plan, connection, manifest)
        if exists and chosen and plan.mode in OVERWRITING_MODES:
            plan.refers.extend(words_about(connection, plan.target, chosen))
    _look_at_names(plan, live, chosen, exists=exists, is_known=manifest is not None)
    _look_at_views(plan, manifest)
    if without := mysql.without_history(plan.snapshot.not_in_backup):
        plan.warnings.append(
            phrase(
                "The snapshot has no history of these tables, only rows: {without}.",
                without=", ".join(without),
            )
        )
    refuse_without_rows(
        plan.snapshot,
        chosen,
        plan.target,
        restoring_server(database),
        folds_names=bool(manifest) and folds_names,
    )
    if plan.mode == RestoreMode.REPLACE and exists:
        _look_at_what_moves(plan, database, chosen)
    if plan.mode == RestoreMode.IN_PLACE and exists:
        with mysql.connect(restoring_server(database)) as connection:
            refuse_read_only(connection, plan.target, target=plan.target)


def _look_at_names(
    plan: Plan, live: list[str], chosen: frozenset[str], *, exists: bool, is_known: bool
) -> None:
    """Whether what is there, and what would come, is what the mode is for."""
    if not is_known:
        plan.warnings.append(
            phrase(
                "The snapshot has no manifest (it was not made by Vedetta). Its tables are known only "
                "when it is read."
            )
        )
    if is_known and plan.mode == RestoreMode.REPLACE and live and not chosen and not plan.replaced + plan.new:
        plan.warnings.append(
            phrase("The snapshot holds no table: {target} will be empty afterwards.", target=plan.target)
        )
    if plan.mode == RestoreMode.NEW and live:
        plan.obstacles.append(
            phrase("{target} holds tables already: choose a name that is free.", target=plan.target)
        )
    if plan.mode in OVERWRITING_MODES and not exists:
        plan.obstacles.append(
            phrase("There is no database {target}: restore into a new one.", target=plan.target)
        )


def _in_lower_case(
    plan: Plan, manifest: dict[str, Any], chosen: frozenset[str]
) -> tuple[dict[str, Any], frozenset[str]]:
    """Manifest and chosen tables as a server knows them that gives tables names in lower case."""
    inventory = manifest["inventory"]
    if names := respelled(inventory):
        plan.warnings.append(
            phrase(
                "The server gives tables and views names in lower case (lower_case_table_names=1), so "
                "these will be spelled otherwise: {names}.",
                names=mysql.named(names),
            )
        )
    if names := clashing(inventory):
        plan.obstacles.append(
            phrase(
                "The server gives tables names in lower case (lower_case_table_names=1), and would take "
                "these for one: {names}.",
                names=mysql.named(names),
            )
        )
    spelled = frozenset(name.lower() for name in chosen)
    return {**manifest, "inventory": in_lower_case(inventory)}, spelled


def _look_at_what_moves(plan: Plan, database: Database, chosen: frozenset[str]) -> None:
    """What stands in the way of a swap, as far as the live database tells: one obstacle of each kind."""
    server = restoring_server(database)
    inventory = (plan.snapshot.manifest or {}).get("inventory", {})
    with mysql.connect(server) as connection:
        held = {*mysql.tables(connection, plan.target), *inventory.get("table", [])}
        looks = (
            lambda: refusals.refuse_unsettled(database, plan.target),
            lambda: refuse_crossing(connection, plan.target, chosen, target=plan.target, held=held),
            lambda: refuse_immovable(connection, plan.target, chosen, target=plan.target),
            lambda: refuse_keys_from_elsewhere(plan.target, chosen, server),
        )
        for look in looks:
            try:
                look()
            except Problem as problem:
                plan.obstacles.append(problem.sentence())
    if words := unseen_words(plan.target, server):
        plan.refers.append(words)


def _without_those_that_stay(plan: Plan, connection: Any, live: list[str]) -> list[str]:
    """The live tables without those that no restore touches, because no backup has their rows."""
    without = set(mysql.tables_without_rows(connection, plan.target))
    if plan.snapshot.manifest and "not_in_backup" in plan.snapshot.manifest:
        held = set(plan.snapshot.manifest["inventory"].get("table", []))
        without -= held - set(mysql.without_rows(plan.snapshot.not_in_backup))
    plan.staying.extend(sorted(without))
    if without:
        plan.warnings.append(
            phrase(
                "These tables stay as they are, because no backup has their rows: {without}.",
                without=", ".join(sorted(without)),
            )
        )
    return [table for table in live if table not in without]


def _compare_tables(plan: Plan, manifest: dict[str, Any], live: list[str], chosen: frozenset[str]) -> None:
    inventory = manifest["inventory"]
    held = {*inventory.get("table", []), *inventory.get("sequence", [])}
    if missing := sorted(chosen - held):
        plan.obstacles.append(phrase("The snapshot has no table {missing}.", missing=", ".join(missing)))
    coming = held & chosen if chosen else held
    plan.replaced.extend(sorted(coming & set(live)))
    plan.new.extend(sorted(coming - set(live) - set(plan.staying)))
    if plan.mode == RestoreMode.REPLACE and not chosen:
        plan.vanishing.extend(sorted(set(live) - held))


def _look_at_definers(plan: Plan, connection: Any, manifest: dict[str, Any]) -> None:
    definers = manifest.get("definers", [])
    missing = mysql.missing_users(connection, definers)
    if missing:
        plan.warnings.append(
            phrase(
                "These users define views, triggers or routines and do not exist here: {missing}. Keep "
                "them, or set them to the user that restores.",
                missing=", ".join(missing),
            )
        )
    elif missing is None and definers:
        plan.warnings.append(
            phrase(
                "Views, triggers or routines run as {definers}; whether these users exist here cannot "
                "be seen with our rights.",
                definers=", ".join(definers),
            )
        )


def _look_at_views(plan: Plan, manifest: dict[str, Any] | None) -> None:
    views = (manifest or {}).get("views_of_others", [])
    if views and plan.target != plan.snapshot.source:
        plan.warnings.append(
            phrase("These views name a database and will go on reading it: {views}.", views=", ".join(views))
        )
    if routines := (manifest or {}).get("routines_of_others", []):
        plan.warnings.append(
            phrase(
                "These routines use libraries of other databases, which are in no backup of {source}: "
                "{routines}.",
                source=plan.snapshot.source,
                routines=", ".join(routines),
            )
        )
