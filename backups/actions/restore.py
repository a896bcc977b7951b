"""A restore: to a file, into a new database, in the place of the live one, or straight into it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from backups import aim, mysql, restic
from backups.actions.steps import room
from backups.actions.steps.load_connections import load_connections
from backups.actions.steps.loaded import (
    refuse_altered,
    refuse_unlike_snapshot,
    tell_changed_values,
    tell_computed_anew,
    tell_what_is_left_out,
    tell_what_sleeps,
)
from backups.actions.steps.loading import load_snapshot
from backups.actions.steps.moment_file import moment_to_file
from backups.actions.steps.moment_replay import ToMoment
from backups.actions.steps.opening import OpenedSnapshot, opened
from backups.actions.steps.reading import judged_whole, load_options, refuse_damaged, streamed_whole
from backups.actions.steps.refusing import NOT_THE_SNAPSHOTS_FAULT
from backups.actions.steps.restore_file import to_file
from backups.actions.steps.row_counts import note_loaded_rows, rows_of_target
from backups.actions.steps.safety_copy import save_before
from backups.actions.steps.swapping import place_of, refuse_missing_privileges, swap_in
from backups.actions.steps.table_names import (
    announced_tables,
    made_tables,
    mind_spelling,
    refuse_clashing,
    refuse_unknown_tables,
    tell_spelling,
)
from backups.actions.steps.targets import (
    WITHOUT_A_COPY,
    clear_what_died,
    make_empty_target,
    shadow_database,
    take_away,
)
from backups.choices import DefinerPolicy, RestoreMode
from backups.dumpfile.sections import Kind
from backups.dumpfile.spelling import in_lower_case
from backups.errors import Problem
from backups.keeping import suspicions
from backups.loading.loader import Destination, refuse_forbidden, refuse_too_long
from backups.loading.problems import LoadProblem
from backups.loading.progress import Loading
from backups.models import Restore, Run
from backups.requests import RestoreRequest, read_as
from backups.restoring import defining, definitions, reading
from backups.restoring.foreign_keys import refuse_crossing, refuse_keys_from_elsewhere
from backups.restoring.obstacles import refuse_immovable, refuse_read_only, refuse_taken
from backups.restoring.renaming import refuse_without_rows
from backups.restoring.swap import refuse_unless_whole
from backups.runs import notes, refusals, restores
from backups.runs.outcome import Outcome
from backups.runs.progress import Progress
from backups.snapshots import selection
from backups.text import formatting
from backups.text.sentences import phrase


def run(run: Run, progress: Progress) -> Outcome:
    """Play the restore that belongs to the run. Raises Problem, Cancelled."""
    restore = run.restore
    progress.phase("preflight")
    # Its database may have been given another name while it waited.
    aim.refuse_unfit_target(restore.database, RestoreMode(restore.mode), restore.target, restore.undo_of)
    if restore.undo_of is None:
        # A verification may have ended while it waited.
        aim.refuse_known_bad(restore.snapshot, insisted=read_as(run, RestoreRequest).known_bad)
    for doubt in suspicions.doubts(restore.snapshot):
        progress.warn(doubt)
    access = opened(run, progress)
    moment = ToMoment(restore, access, progress)
    try:
        moment.find()
        _play(restore, access, moment, progress)
    except restic.ResticError as error:
        if not isinstance(error, NOT_THE_SNAPSHOTS_FAULT):
            error.do = f"{error.do} {selection.instead_of(restore.snapshot)}".strip()
        raise
    notes.run_update(run.pk, result={"snapshot_id": restore.snapshot.snapshot_id, "target": restore.target})
    return Outcome()


def _play(restore: Restore, access: restic.Access, moment: ToMoment, progress: Progress) -> None:
    if restore.mode == RestoreMode.FILE and moment.is_wanted:
        moment_to_file(restore, access, moment, progress)
        return
    if restore.mode == RestoreMode.FILE:
        refuse_unknown_tables(restore, lambda: announced_tables(restore, access, progress))
        to_file(restore, progress, lambda write: streamed_whole(restore, access, progress, write))
        return
    place = place_of(restore, restore.run, progress)
    folds_names = mind_spelling(restore, place)
    if not moment.is_wanted:
        refuse_unknown_tables(
            restore, lambda: made_tables(restore, access, place, progress), folds_names=folds_names
        )
    refuse_without_rows(
        restore.snapshot, restore.tables, restore.target, place.server, folds_names=folds_names
    )
    if restore.mode != RestoreMode.NEW:
        refuse_missing_privileges(restore, place)
    if restore.mode == RestoreMode.IN_PLACE:
        _in_place(restore, access, place, progress)
    else:
        _MODES[RestoreMode(restore.mode)](Loads(restore, access, place, moment), progress)


class Loads(NamedTuple):
    """What is loaded from where to where, and the moment that the log is replayed to, if any."""

    restore: Restore
    access: restic.Access
    place: mysql.ProbedServer
    moment: ToMoment


def _into_new(loads: Loads, progress: Progress) -> None:
    """Into a database that holds nothing yet. What was made is taken away again on failure."""
    restore, access, place, moment = loads
    moment.prepare(place, restore.target)
    clear_what_died(restore, place)
    made = make_empty_target(restore, place)
    try:
        with room.full_disk_told(restore.target, instead=WITHOUT_A_COPY):
            loading = _load(restore, access, place, progress)
        refuse_unlike_snapshot(restore, loading, place, restore.target, progress)
        moment.replay(place, restore.target, loading)
        tell_what_sleeps(restore, loading, place, progress)
        note_loaded_rows(restore, place, progress)
    except BaseException as error:
        progress.log(phrase("Taking away what was loaded into {target}.", target=restore.target))
        take_away(restore, place, made, error, progress)
        raise
    if made:
        notes.leftover_cleared(restore.run_id, "scratch")
    _refuse_unmade(restore, loading)
    progress.log(phrase("{restore} was restored into {target}.", restore=restore.what, target=restore.target))


def _refuse_unmade(restore: Restore, loading: Loading) -> None:
    """Raise Problem where all rows are in their place, but a definition could not be made."""
    if not loading.found.unmade:
        return
    restores.restore_note(
        restore,
        definitions_after=definitions.with_unmade(b"", loading.found),
        definitions_left=definitions.left_by_load(loading.found),
    )
    refuse_unless_whole(restore)


def _replace(loads: Loads, progress: Progress) -> None:
    """Into a shadow database first; the live one is touched by one atomic RENAME."""
    restore, access, place, moment = loads
    shadow = mysql.derived_name(restore.target, "restore", restore.run_id)
    restores.restore_note(
        restore, incoming=shadow, kept_in=mysql.derived_name(restore.target, "before", restore.run_id)
    )
    moment.prepare(place, shadow)
    _refuse_what_stands_in_the_way(restore, place)
    with shadow_database(restore, place, shadow, progress):
        save_before(restore, progress)
        with room.full_disk_told(shadow, instead=WITHOUT_A_COPY):
            loading = _load(restore, access, place, progress)
        refuse_unlike_snapshot(restore, loading, place, shadow, progress)
        moment.replay(place, shadow, loading)
        _take_sequences_along(restore, loading, place, progress)
        with mysql.connect(place.server) as connection:
            _refuse_what_stays(restore, connection, shadow, restore.target)
        _note_what_comes_after(restore, loading, place, progress)
        swap_in(restore, place, progress)


def _take_sequences_along(
    restore: Restore, loading: Loading, place: mysql.ProbedServer, progress: Progress
) -> None:
    """Choose the sequences from which chosen tables draw, where the live database has none of the name."""
    if not restore.tables:
        return
    with mysql.connect(place.server) as connection:
        live = mysql.tables(connection, restore.target)
    drawn_from = loading.found.inventory().get(Kind.SEQUENCE, [])
    absent = [name for name in drawn_from if name not in live and name not in restore.tables]
    if absent:
        restores.restore_note(restore, tables=[*restore.tables, *absent])
        progress.log(
            phrase(
                "These sequences, which {target} lacks, come along: {absent}.",
                target=restore.target,
                absent=", ".join(absent),
            )
        )


def _refuse_what_stands_in_the_way(restore: Restore, place: mysql.ProbedServer) -> None:
    """Raise Problem for what the live database alone tells, before anything is made or saved."""
    refusals.refuse_unsettled(restore.database, restore.target, but=restore)
    refuse_taken(restore.kept_in, restore.target, place.server)
    with mysql.connect(place.server) as connection:
        if mysql.database_exists(connection, restore.target):
            _refuse_what_stays(restore, connection, restore.target)
    refuse_keys_from_elsewhere(restore.target, restore.tables, place.server)


def _in_place(restore: Restore, access: restic.Access, place: mysql.ProbedServer, progress: Progress) -> None:
    """As `mysql < dump` would. The snapshot is read through before, since there is no way back."""
    with mysql.connect(place.server) as connection:
        refuse_read_only(connection, restore.target, target=restore.target)
    progress.phase("read", expected=restore.snapshot.total_bytes_processed)
    loading = judged_whole(restore, access, place, progress, restore.tables)
    refuse_damaged(restore, loading)
    refuse_clashing(restore, loading.found.clashing)
    refuse_forbidden(place.server, restore.target, loading.found.definitions)
    refuse_too_long(place.server, restore.target, loading)
    save_before(restore, progress)
    before = rows_of_target(restore, place, progress)
    under_way = Loading()
    try:
        loading = _load(restore, access, place, progress, under_way)
        _make_what_comes_after(loading, place, restore.target, progress)
    except Problem as error:
        raise _broken_off(restore, error, has_changed=under_way.has_changed()) from error
    progress.disable_cancel()
    note_loaded_rows(restore, place, progress, before)
    _refuse_unmade(restore, loading)


def _broken_off(restore: Restore, error: Problem, *, has_changed: bool) -> Problem:
    """What a restore in place has left behind, and what there is to go back to."""
    what = phrase("The restore into {target} was broken off: {error}", target=restore.target, error=error)
    if not has_changed:
        return Problem(
            what,
            code="restore.broken_off",
            safe=phrase("{target} is as it was: nothing was changed yet.", target=restore.target),
        )
    if (saved := restore.safety_snapshot) is None:
        return Problem(
            what,
            code="restore.partly_overwritten",
            safe=phrase("{target} is partly overwritten.", target=restore.target),
            do=phrase("Restore again."),
        )
    return Problem(
        what,
        code="restore.partly_overwritten",
        safe=phrase(
            "{target} is partly overwritten. What it held before is in snapshot {snapshot}.",
            target=restore.target,
            snapshot=saved.short_id,
        ),
        do=phrase("Restore again, or restore that snapshot."),
    )


_MODES: dict[RestoreMode, Callable[[Loads, Progress], None]] = {
    RestoreMode.NEW: _into_new,
    RestoreMode.REPLACE: _replace,
}


def _load(
    restore: Restore,
    access: restic.Access,
    place: mysql.ProbedServer,
    progress: Progress,
    loading: Loading | None = None,
) -> Loading:
    """Load the snapshot, or the chosen tables of it; `loading` is told how far it is. Raises Problem."""
    snapshot = restore.snapshot
    progress.phase("load", expected=snapshot.total_bytes_processed)
    loading = loading or Loading()
    inventory = (snapshot.manifest or {}).get("inventory", {})
    loading.tables_wanted = len(restore.tables_to_load) or len(inventory.get("table", []))
    # Into the one beside the live database, where there is one.
    options = load_options(restore, restore.incoming or restore.target, restore.tables_to_load)
    connections = load_connections(snapshot, place.server, progress, tables=restore.tables_to_load)
    try:
        seconds = load_snapshot(
            OpenedSnapshot(snapshot, access),
            Destination(place.server, place.info, options, connections),
            loading,
            progress,
            refuse=lambda loading: refuse_damaged(restore, loading),
        )
    except LoadProblem:
        # Of two tables that are one to it, the server does not take the second.
        refuse_clashing(restore, loading.found.clashing)
        raise
    except mysql.MissingPrivilege as problem:
        if restore.definers == DefinerPolicy.KEEP and restore.reason != restores.FOR_RECOVERY:
            problem.do = f"{problem.do} {_OTHER_DEFINERS}".strip()
        raise
    restores.restore_note(restore, restore_seconds=seconds)
    progress.log(phrase("Loaded in {duration}.", duration=formatting.duration(seconds)))
    refuse_clashing(restore, loading.found.clashing)
    tell_spelling(restore, loading, progress)
    refuse_altered(restore, loading, place, progress)
    tell_changed_values(restore, loading, progress)
    tell_computed_anew(restore, loading, progress)
    tell_what_is_left_out(restore, loading, progress)
    return loading


_OTHER_DEFINERS = phrase(
    "Or restore with --definers current_user (on the page: set to the user that restores)."
)


def _note_what_comes_after(
    restore: Restore, loading: Loading, place: mysql.ProbedServer, progress: Progress
) -> None:
    """What the tables get only in the place of the live ones: events that run, keys to other databases."""
    read = reading.read(place, restore.incoming, tick=progress.tick)
    unmade_too = definitions.with_unmade(read, loading.found)
    after = defining.with_what_waits(unmade_too, loading.found.events, loading.found.outward)
    restores.restore_note(restore, definitions_after=after)


def _make_what_comes_after(
    loading: Loading, place: mysql.ProbedServer, database: str, progress: Progress
) -> None:
    defining.make_what_waits(loading.found, place, database, tick=progress.tick, say=progress.warn)


def _refuse_what_stays(restore: Restore, connection: Any, *databases: str) -> None:
    """Raise Problem for what of these databases a RENAME would not carry, or not rightly."""
    inventory = (restore.snapshot.manifest or {}).get("inventory", {})
    if mysql.folds_names(connection):
        inventory = in_lower_case(inventory)
    held = {*mysql.tables(connection, restore.target), *inventory.get(Kind.TABLE, [])}
    for database in databases:
        refuse_crossing(connection, database, restore.tables, target=restore.target, held=held)
    for database in databases:
        refuse_immovable(connection, database, restore.tables, target=restore.target)
