"""A restore: to a file, into a new database, in the place of the live one, or straight into it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.conf import settings

from backups import aim, mysql, process, restic
from backups.actions import room
from backups.actions.dropping import drop_scratch
from backups.actions.loading import load_snapshot
from backups.actions.repository import opened
from backups.actions.restore_file import to_file
from backups.actions.swapping import place_of, refuse_missing_privileges, swap_in
from backups.actions.verify import (
    NOT_THE_SNAPSHOTS_FAULT,
    as_counted_then,
    differing_sections,
    holds_nothing,
    is_by_vedetta,
    made_of,
    other_versions,
    source_name,
    without_left_out,
)
from backups.catalog import made_here
from backups.choices import OVERWRITING_MODES, Action, DefinerPolicy, RestoreMode, Status, Trigger
from backups.dumpfile.allowed import Allowed
from backups.dumpfile.chosen_tables import chosen_tables
from backups.dumpfile.manifests import ManifestDamaged, objects_in
from backups.dumpfile.ready import Wish
from backups.dumpfile.sections import Kind
from backups.dumpfile.spelling import clashing, in_lower_case
from backups.errors import Cancelled, Problem
from backups.keeping import suspicions
from backups.loading.definers import dialect_of
from backups.loading.loader import refuse_forbidden, refuse_too_long
from backups.loading.problems import CutOff, LoadProblem
from backups.loading.progress import End, Loading
from backups.loading.reading import digested, judged, unpacked
from backups.models import Restore, Run, Snapshot
from backups.restoring import defining, definitions, reading
from backups.restoring.obstacles import (
    refuse_crossing,
    refuse_immovable,
    refuse_keys_from_elsewhere,
    refuse_read_only,
    refuse_taken,
)
from backups.restoring.place import Place
from backups.restoring.renaming import refuse_without_rows
from backups.restoring.swap import refuse_unless_whole
from backups.runs import lifecycle
from backups.runs.outcome import Outcome
from backups.runs.progress import Progress
from backups.snapshots import selection
from backups.text.terminal import counted


def run(run: Run, progress: Progress) -> Outcome:
    """Play the restore that belongs to the run. Raises Problem, Cancelled."""
    restore = run.restore
    progress.phase("preflight")
    # Its database may have been given another name while it waited.
    aim.refuse_unfit_target(restore.database, RestoreMode(restore.mode), restore.target, restore.undo_of)
    if restore.undo_of is None:
        # A verification may have ended while it waited.
        aim.refuse_known_bad(restore.snapshot, insisted=bool(run.options.get("known_bad")))
    for doubt in suspicions.doubts(restore.snapshot):
        progress.warn(doubt)
    access = opened(run, progress)
    try:
        _play(restore, access, progress)
    except restic.ResticError as error:
        if not isinstance(error, NOT_THE_SNAPSHOTS_FAULT):
            error.do = f"{error.do} {selection.instead_of(restore.snapshot)}".strip()
        raise
    lifecycle.run_note(run.pk, result={"snapshot_id": restore.snapshot.snapshot_id, "target": restore.target})
    return Outcome()


def _play(restore: Restore, access: restic.Access, progress: Progress) -> None:
    if restore.mode == RestoreMode.FILE:
        _refuse_unknown_tables(restore, lambda: _announced_tables(restore, access, progress))
        to_file(restore, progress, lambda write: _streamed_whole(restore, access, progress, write))
        return
    place = place_of(restore, restore.run, progress)
    folds_names = _mind_spelling(restore, place)
    _refuse_unknown_tables(
        restore, lambda: _made_tables(restore, access, place, progress), folds_names=folds_names
    )
    refuse_without_rows(
        restore.snapshot, restore.tables, restore.target, place.server, folds_names=folds_names
    )
    if restore.mode != RestoreMode.NEW:
        refuse_missing_privileges(restore, place)
    _MODES[RestoreMode(restore.mode)](restore, access, place, progress)


# ---------------------------------------------------------------- Modes


_WITHOUT_A_COPY = "restore in place or to a file, which needs no second copy"


def _refuse_without_room(connection: Any, restore: Restore, place: Place) -> None:
    room.refuse_without_room(
        connection, place.server, restore.snapshot, tables=restore.tables, instead=_WITHOUT_A_COPY
    )


def _into_new(restore: Restore, access: restic.Access, place: Place, progress: Progress) -> None:
    """Into a database that holds nothing yet. What was made is taken away again on failure."""
    _clear_what_died(restore, place)
    made = _make_empty_target(restore, place)
    try:
        with room.full_disk_told(restore.target, instead=_WITHOUT_A_COPY):
            loading = _load(restore, access, place, restore.target, progress)
        _check(restore, loading, place, restore.target, progress)
        _tell_what_sleeps(restore, loading, place, progress)
    except BaseException as error:
        progress.log(f"Taking away what was loaded into {restore.target}.")
        _take_away(restore, place, made, error, progress)
        raise
    if made:
        lifecycle.left_cleared(restore.run_id, "scratch")
    _refuse_unmade(restore, loading)
    progress.log(f"{restore.what} was restored into {restore.target}.")


def _refuse_unmade(restore: Restore, loading: Loading) -> None:
    """Raise Problem where all rows are in their place, but a definition could not be made."""
    if not loading.found.unmade:
        return
    lifecycle.restore_note(
        restore,
        definitions_after=definitions.with_unmade(b"", loading.found),
        definitions_left=definitions.left_by_load(loading.found),
    )
    refuse_unless_whole(restore)


def _take_away(restore: Restore, place: Place, made: bool, error: BaseException, progress: Progress) -> None:
    """Where the server does not answer, `error` tells what is left there."""
    try:
        if made:
            drop_scratch(restore.run_id, place.server, restore.target, progress.tick_to_the_end)
        else:
            with mysql.connect(place.server) as connection:
                mysql.drop_everything(connection, restore.target)
    except Problem:
        if isinstance(error, Problem):
            then = ", and is dropped once the server answers" if made else ""
            error.safe = f"{restore.target} holds a part of the snapshot{then}; nothing else was touched."


def _clear_what_died(restore: Restore, place: Place) -> None:
    """What a restore that died under this name made is not in the way of this one."""
    for dead in lifecycle.runs_that_left("scratch"):
        if dead.result["scratch"] == restore.target and dead.database == restore.database:
            drop_scratch(dead.pk, place.server, restore.target)


def _replace(restore: Restore, access: restic.Access, place: Place, progress: Progress) -> None:
    """Into a shadow database first; the live one is touched by one atomic RENAME."""
    shadow = mysql.derived_name(restore.target, "restore", restore.run_id)
    lifecycle.restore_note(
        restore, incoming=shadow, kept_in=mysql.derived_name(restore.target, "before", restore.run_id)
    )
    _refuse_what_stands_in_the_way(restore, place)
    with _shadow(restore, place, shadow, progress):
        _save_before(restore, progress)
        with room.full_disk_told(shadow, instead=_WITHOUT_A_COPY):
            loading = _load(restore, access, place, shadow, progress)
        _check(restore, loading, place, shadow, progress)
        _take_sequences_along(restore, loading, place, progress)
        with mysql.connect(place.server) as connection:
            _refuse_what_stays(restore, connection, shadow, restore.target)
        _note_what_comes_after(restore, loading, place, progress)
        swap_in(restore, place, progress)


def _take_sequences_along(restore: Restore, loading: Loading, place: Place, progress: Progress) -> None:
    """Choose the sequences from which chosen tables draw, where the live database has none of the name."""
    if not restore.tables:
        return
    with mysql.connect(place.server) as connection:
        live = mysql.tables(connection, restore.target)
    drawn_from = loading.found.inventory().get(Kind.SEQUENCE, [])
    absent = [name for name in drawn_from if name not in live and name not in restore.tables]
    if absent:
        lifecycle.restore_note(restore, tables=[*restore.tables, *absent])
        progress.log(f"These sequences, which {restore.target} lacks, come along: {', '.join(absent)}.")


def _refuse_what_stands_in_the_way(restore: Restore, place: Place) -> None:
    """Raise Problem for what the live database alone tells, before anything is made or saved."""
    lifecycle.refuse_unsettled(restore.database, restore.target, but=restore)
    refuse_taken(restore.kept_in, restore.target, place.server)
    with mysql.connect(place.server) as connection:
        if mysql.database_exists(connection, restore.target):
            _refuse_what_stays(restore, connection, restore.target)
    refuse_keys_from_elsewhere(restore.target, restore.tables, place.server)


def _in_place(restore: Restore, access: restic.Access, place: Place, progress: Progress) -> None:
    """As `mysql < dump` would. The snapshot is read through before, since there is no way back."""
    with mysql.connect(place.server) as connection:
        refuse_read_only(connection, restore.target, target=restore.target)
    progress.phase("read", expected=restore.snapshot.total_bytes_processed)
    loading = _judged(restore, access, place, progress, restore.tables)
    _refuse_damaged(restore, loading)
    _refuse_clashing(restore, loading.found.clashing)
    refuse_forbidden(place.server, restore.target, loading.found.definitions)
    refuse_too_long(place.server, restore.target, loading)
    _save_before(restore, progress)
    under_way = Loading()
    try:
        loading = _load(restore, access, place, restore.target, progress, under_way)
        _make_what_comes_after(loading, place, restore.target, progress)
    except (Problem, Cancelled) as error:
        raise _broken_off(restore, error, has_changed=under_way.has_changed()) from error
    _refuse_unmade(restore, loading)


def _broken_off(restore: Restore, error: Exception, *, has_changed: bool) -> Problem:
    """What a restore in place has left behind, and what there is to go back to."""
    what = f"The restore into {restore.target} was broken off: {error}"
    if not has_changed:
        return Problem(what, safe=f"{restore.target} is as it was: nothing was changed yet.")
    if (saved := restore.safety_snapshot) is None:
        return Problem(what, safe=f"{restore.target} is partly overwritten.", do="Restore again.")
    return Problem(
        what,
        safe=f"{restore.target} is partly overwritten. What it held before is in snapshot {saved.short_id}.",
        do="Restore again, or restore that snapshot.",
    )


_MODES: dict[RestoreMode, Callable[[Restore, restic.Access, Place, Progress], None]] = {
    RestoreMode.NEW: _into_new,
    RestoreMode.REPLACE: _replace,
    RestoreMode.IN_PLACE: _in_place,
}


def _make_empty_target(restore: Restore, place: Place) -> bool:
    """Make the target; answers whether it was not there before. Raises Problem when it holds things."""
    with mysql.connect(place.server) as connection:
        if mysql.database_exists(connection, restore.target):
            if mysql.inventory(connection, restore.target):
                raise Problem(
                    f"{restore.target} holds tables already.",
                    safe="It was not touched.",
                    do="Choose a name that is free.",
                )
            _refuse_without_room(connection, restore, place)
            return False
        _refuse_without_room(connection, restore, place)
        # Noted before it is there, so that the reaper finds it even if we die in between.
        lifecycle.run_note(restore.run_id, result={"scratch": restore.target})
        try:
            _create(connection, place, restore.target, restore.snapshot)
        except Problem:
            lifecycle.left_cleared(restore.run_id, "scratch")
            raise
        return True


@contextmanager
def _shadow(restore: Restore, place: Place, shadow: str, progress: Progress) -> Iterator[None]:
    """An empty shadow database, dropped after the swap or instead of it."""
    with mysql.connect(place.server) as connection:
        _refuse_without_room(connection, restore, place)
    lifecycle.run_note(restore.run_id, result={"scratch": shadow})
    with mysql.connect(place.server) as connection:
        if not mysql.database_exists(connection, restore.target):
            raise Problem(
                f"There is no database {restore.target} to replace.",
                do="Restore into a new database of that name.",
            )
        _create(connection, place, shadow, restore.snapshot)
    try:
        yield
    finally:
        restore.refresh_from_db()
        if restore.is_settled:
            drop_scratch(restore.run_id, place.server, shadow, progress.tick_to_the_end)


def _create(connection: Any, place: Place, name: str, snapshot: Snapshot) -> None:
    manifest = snapshot.manifest or {}
    try:
        with mysql.translated(place.server, name):
            mysql.create_database(
                connection, name, manifest.get("charset", ""), manifest.get("collation", "")
            )
    except mysql.UnknownDatabase as error:
        base = re.sub(r"__(?:restore|verify|before)_\d+$", "", name)
        grant = f"GRANT ALL ON {mysql.name_pattern(base)[:-1]}%`.* TO {mysql.account(connection)};"
        raise mysql.MissingPrivilege(
            f"The user {place.server.user} may not create the database {name}.",
            do="Restore in place: the server's partial_revokes allows no grant for such names."
            if mysql.takes_names_literally(connection)
            else f"Run as an administrator: {grant} {_instead_of(name, base, snapshot)}",
        ) from error


def _instead_of(name: str, base: str, snapshot: Snapshot) -> str:
    """What else there is to do. Who wanted a copy is not to be sent upon the live database."""
    if name != base:
        return "or restore in place."
    if snapshot.database is None:
        return "or choose a name for which there is a grant."
    own = snapshot.database.database
    return f"or choose a name that begins with {own}__, for which deploy/mysql has the grant."


# ---------------------------------------------------------------- Steps


def _save_before(restore: Restore, progress: Progress) -> None:
    """A backup of the database as it is now; without it nothing is overwritten."""
    if restore.without_safety:
        progress.warn("No backup is made before, as was asked: there is nothing left to save.")
        return
    progress.phase("safety backup")
    saved = progress.play_child(Action.BACKUP, Trigger.RESTORE)
    if saved.status == Status.CANCELLED:
        raise Cancelled
    if saved.status != Status.SUCCEEDED or saved.snapshot is None:
        raise Problem(
            f"The backup before the restore failed, so nothing was restored: {saved.error}",
            safe=f"{restore.target} was not touched.",
            do=_without_a_backup_before(restore),
        )
    lifecycle.restore_note(restore, safety_snapshot=saved.snapshot)
    progress.log(f"{restore.target} as it is now is in snapshot {saved.snapshot.short_id}.")


def _without_a_backup_before(restore: Restore) -> str:
    """How to restore though no backup can be made before, and what there is to lose by it."""
    if restore.tables:
        named = mysql.named(restore.tables)
        stake = f"It overwrites {named} alone: the other tables of {restore.target} are not in danger."
    elif restore.mode == RestoreMode.IN_PLACE:
        stake = (
            f"It overwrites all of {restore.target}, so what no snapshot holds is lost. To bring back single "
            "tables, name them (--table), which leaves the others as they are."
        )
    else:
        stake = (
            "The tables of now are kept beside as ever, but for damaged ones that the server cannot move. To "
            "bring back single tables, name them (--table), which leaves the others as they are."
        )
    return (
        "Where the reason cannot be mended, as of a table that is itself to be brought back, restore with "
        f"--without-safety-backup (on the page: There is nothing left to save). {stake}"
    )


def _load(
    restore: Restore,
    access: restic.Access,
    place: Place,
    database: str,
    progress: Progress,
    loading: Loading | None = None,
) -> Loading:
    """Load the snapshot, or the chosen tables of it; `loading` is told how far it is. Raises Problem."""
    snapshot = restore.snapshot
    progress.phase("load", expected=snapshot.total_bytes_processed)
    wanted = len(restore.tables) or len((snapshot.manifest or {}).get("inventory", {}).get("table", []))

    def detail(loading: Loading) -> str:
        of = f"table {loading.tables_begun} of {wanted}: " if wanted else ""
        return of + loading.doing

    loading = loading or Loading()
    try:
        _, seconds = load_snapshot(
            snapshot,
            access,
            server=place.server,
            info=place.info,
            wish=_wish(restore, database, restore.tables),
            progress=progress,
            detail=detail,
            refuse=lambda loading: _refuse_damaged(restore, loading),
            loading=loading,
        )
    except LoadProblem:
        # Of two tables that are one to it, the server does not take the second.
        _refuse_clashing(restore, loading.found.clashing)
        raise
    except mysql.MissingPrivilege as problem:
        if restore.definers == DefinerPolicy.KEEP and restore.reason != lifecycle.FOR_RECOVERY:
            problem.do = f"{problem.do} {_OTHER_DEFINERS}".strip()
        raise
    lifecycle.restore_note(restore, restore_seconds=seconds)
    progress.log(f"Loaded in {seconds:.1f} seconds.")
    _refuse_clashing(restore, loading.found.clashing)
    _tell_spelling(restore, loading, progress)
    _refuse_altered(restore, loading, place, progress)
    _tell_changed_values(restore, loading, progress)
    _tell_computed_anew(restore, loading, progress)
    _tell_what_is_left_out(restore, loading, progress)
    return loading


_OTHER_DEFINERS = "Or restore with --definers current_user (on the page: set to the user that restores)."


def _tell_changed_values(restore: Restore, loading: Loading, progress: Progress) -> None:
    """A dump says that the server shall take what does not fit, and it does so without a word."""
    changed = loading.values_changed()
    if changed:
        told = [{"table": table, "why": text} for table, text in changed.items()]
        lifecycle.run_note(restore.run_id, result={"values_changed": told})
    for table, text in changed.items():
        progress.warn(
            f"The server did not take every value of table {table} as it is in the snapshot: {text}."
        )


def _tell_computed_anew(restore: Restore, loading: Loading, progress: Progress) -> None:
    """Generated columns that hold other values than they did, or of which nobody can tell."""
    if loading.computed_anew:
        told = [each._asdict() for each in loading.computed_anew]
        lifecycle.run_note(restore.run_id, result={"computed_anew": told})
    for each in loading.computed_anew:
        what = each.words if each.differ else f"Not proved are {each.words}"
        progress.warn(f"{what[:1].upper()}{what[1:]}.{f' {mysql.SET_AS_WRITTEN}' if each.differ else ''}")


def _tell_what_is_left_out(restore: Restore, loading: Loading, progress: Progress) -> None:
    """But for what comes at the end, in the place of the live database."""
    comes_yet = restore.mode in OVERWRITING_MODES
    found = [each for each in loading.found.left_out if not (each.waits and comes_yet)]
    left_out = [{"kind": each.kind, "name": each.name, "why": each.why} for each in found]
    if left_out:
        lifecycle.run_note(restore.run_id, result={"left_out": left_out})
    reworded = [{"kind": each.kind, "name": each.name, "why": each.why} for each in loading.found.reworded]
    if reworded:
        lifecycle.run_note(restore.run_id, result={"reworded": reworded})
    if of_roles := loading.found.without_role:
        told = [{**each._asdict(), "why": each.why} for each in of_roles]
        lifecycle.run_note(restore.run_id, result={"definers_changed": told})
        for cure in sorted({each.cure for each in of_roles}):
            progress.warn(f"Not all has the definer that it had. {cure}")
    whys = [(each.kind, each.name, each.why) for each in (*found, *loading.found.reworded)]
    whys += [(each.kind, each.name, each.why) for each in of_roles]
    for kind, name, why in whys:
        progress.warn(f"{kind.capitalize()} {name}: {why}.")
    for left in loading.found.unmade:
        again = " It is tried again in the place of the live database." if comes_yet else ""
        progress.warn(f"{left.words[:1].upper()}{left.words[1:]}{again}")
    for name, count in loading.found.others.items():
        progress.warn(f"In the file, and not loaded: {counted(count, 'statement')} of the database {name}.")


def _wish(restore: Restore, database: str, tables: Collection[str]) -> Wish:
    return Wish(
        database,
        source=source_name(restore.snapshot),
        tables=frozenset(tables),
        current_user_defines=restore.definers == DefinerPolicy.CURRENT_USER,
    )


def _judged(
    restore: Restore,
    access: restic.Access,
    place: Place,
    progress: Progress,
    tables: Collection[str],
) -> Loading:
    """Read the whole snapshot as it would be loaded, and send nothing. Raises Problem."""
    dialect = dialect_of(place.server, place.info)
    allowed = Allowed(dialect, _wish(restore, restore.target, tables))

    def read(chunks: Iterator[bytes], loading: Loading) -> None:
        for ready in judged(chunks, loading, allowed, dialect):
            loading.longest = max(loading.longest, (len(ready.text), ready.table))

    return _streamed(restore, access, progress, read)


def _tell_what_sleeps(restore: Restore, loading: Loading, place: Place, progress: Progress) -> None:
    """Beside the live database an event would do twice what it does."""
    asleep = sorted(event.name for event in loading.found.events if event.state != b"DISABLE")
    if not asleep:
        return
    with mysql.connect(place.server) as connection:
        over = mysql.events_of_the_past(connection, restore.target)
    ran = [event for event in loading.found.events if event.state == b"ENABLE" and event.name not in over]
    statements = [event.to_enable(restore.target) for event in sorted(ran, key=lambda event: event.name)]
    lifecycle.run_note(restore.run_id, result={"events_disabled": asleep, "events_to_enable": statements})
    progress.warn(
        f"These events are disabled in {restore.target}: {', '.join(asleep)}. They were not when the "
        "snapshot was made, and are so that nothing runs by itself in a database that was made anew."
    )
    if statements:
        next_backup = (
            "; do so before the next backup, which would record them as disabled"
            if restore.target == restore.database.database
            else ""
        )
        progress.warn(f"To let those run that ran then{next_backup}, run as an administrator:")
    for statement in statements:
        progress.warn(statement)


def _note_what_comes_after(restore: Restore, loading: Loading, place: Place, progress: Progress) -> None:
    """What the tables get only in the place of the live ones: events that run, keys to other databases."""
    read = reading.read(
        place.server, restore.incoming, info=place.info, programs=place.programs, tick=progress.tick
    )
    told = definitions.with_unmade(read, loading.found)
    after = defining.with_what_waits(told, loading.found.events, loading.found.outward)
    lifecycle.restore_note(restore, definitions_after=after)


def _make_what_comes_after(loading: Loading, place: Place, database: str, progress: Progress) -> None:
    defining.make_what_waits(
        loading.found.events,
        loading.found.outward,
        server=place.server,
        info=place.info,
        database=database,
        tick=progress.tick,
        say=progress.warn,
    )


def _refuse_altered(restore: Restore, loading: Loading, place: Place, progress: Progress) -> None:
    """Raise Problem where a table is not defined as in the snapshot; another server may say it otherwise."""
    if not loading.altered:
        return
    names = ", ".join(loading.altered[:5]) + (" …" if len(loading.altered) > 5 else "")
    manifest = restore.snapshot.manifest
    if manifest is None or other_versions(manifest, place.info, place.programs):
        progress.warn(f"{place.info} describes these tables otherwise than the snapshot does: {names}.")
        return
    if other_engine := loading.of_other_engine():
        raise mysql.OfTheServer(
            f"{place.info} made tables with another storage engine than the snapshot's ({other_engine}).",
            do=mysql.SEE_ENGINES,
        )
    raise Problem(
        f"After loading, these tables are not defined as in the snapshot: {names}.",
        do=_OTHERWISE if settings.RESTORE_CONNECTIONS > 1 else _SERVERS_OWN,
    )


_OTHERWISE = (
    "Set RESTORE_CONNECTIONS=1, with which a dump is loaded just as it is written, and restore again."
)
_SERVERS_OWN = (
    "The server makes them otherwise: see whether it has their storage engines, and its "
    "enforce_storage_engine and sql_generate_invisible_primary_key."
)


def _refuse_damaged(restore: Restore, loading: Loading) -> None:
    """Raise Problem unless the stream was whole and is what its manifest says."""
    damaged = Problem(
        f"Snapshot {restore.snapshot.short_id} is damaged: what it holds is not what was backed up.",
        do=f"{selection.instead_of(restore.snapshot)} Check the repository's data.",
    )
    is_loaded = restore.mode != RestoreMode.FILE
    is_ours_and_cut = is_by_vedetta(restore.snapshot) and not loading.digester.is_complete
    is_cut = loading.end == End.CUT if is_loaded else not loading.digester.is_complete
    if is_cut or is_ours_and_cut:
        raise Problem(
            f"Snapshot {restore.snapshot.short_id} is not whole: its dump has no closing line.",
            do=selection.instead_of(restore.snapshot),
        )
    if loading.end == End.UNKNOWN and restore.mode in OVERWRITING_MODES:
        raise Problem(
            f"Nobody can tell whether snapshot {restore.snapshot.short_id} is whole: its dump has no "
            "closing line, as with --compact.",
            do="Restore it into a new database (--into NAME) and look whether all is there.",
        )
    try:
        manifest = loading.digester.manifest()
    except ManifestDamaged as error:
        raise damaged from error
    if made_here.is_of_another(restore.snapshot, manifest):
        raise damaged
    if manifest is None and is_loaded and (why := holds_nothing(loading, source_name(restore.snapshot))):
        raise Problem(f"Snapshot {restore.snapshot.short_id} holds nothing to restore: {why}")
    if manifest is not None:
        found = loading.digester.sections(manifest.get("collations", {}))
        found = as_counted_then(found, manifest["sections"])
        if differing_sections(manifest["sections"], found, "in the stream"):
            raise damaged
        made_here.learn(restore.snapshot, manifest)


def _check(restore: Restore, loading: Loading, place: Place, database: str, progress: Progress) -> None:
    """What was loaded must be all that was in the snapshot. Raises Problem."""
    progress.phase("check")
    has_manifest = restore.snapshot.manifest is not None
    by_sections = has_manifest and not restore.tables
    sections = loading.digester.sections({}) if by_sections else []
    with mysql.connect(place.server) as connection:
        found = mysql.inventory(connection, database)
        folds_names = mysql.folds_names(connection)
    held = (
        made_of(sections, loading.found, folds_names=folds_names)
        if by_sections
        else loading.found.inventory()
    )
    wanted = without_left_out(held, loading.found)
    if found != wanted:
        kinds = [kind for kind in {*found, *wanted} if found.get(kind) != wanted.get(kind)]
        raise Problem(
            f"After loading, {database} does not hold what the snapshot does ({', '.join(kinds)}).",
            do="See the run's log; verify the snapshot.",
        )
    if not loading.found.unmade:
        but = " Some of it runs under another definer, as told above." if loading.found.without_role else ""
        progress.log(loaded_words(restore, held, wanted) + but)


def loaded_words(restore: Restore, held: Mapping[str, list[str]], loaded: Mapping[str, list[str]]) -> str:
    """What of the snapshot was loaded: `held` is what was to come, `loaded` what came of it."""
    left = [
        f"{kind} {name}" for kind, names in held.items() for name in names if name not in loaded.get(kind, [])
    ]
    but = f" Left out, as told above: {', '.join(left)}." if left else ""
    if not restore.tables:
        return f"{'All other' if left else 'All'} that the snapshot holds was loaded.{but}"
    chosen = ", ".join(restore.tables)
    inventory = (restore.snapshot.manifest or {}).get("inventory", {})
    count, of = len(restore.tables), len(_choosable(inventory))
    verb = "was" if count == 1 else "were"
    if not of:
        return f"Of the snapshot only what was asked for was loaded: {chosen}.{but}"
    what = counted(of, "table") if not inventory.get(Kind.SEQUENCE) else f"{of} tables and sequences"
    return f"{count} of the {what} {verb} loaded, as asked: {chosen}.{but}"


def _refuse_unknown_tables(
    restore: Restore, read: Callable[[], list[str]], *, folds_names: bool = False
) -> None:
    """Raise Problem for chosen tables that the snapshot lacks, before anything is touched.

    Where no manifest tells which it has, `read` does.
    """
    if not restore.tables:
        return
    manifest = restore.snapshot.manifest
    held = read() if manifest is None else _choosable(manifest["inventory"])
    if folds_names:
        held = [name.lower() for name in held]
    missing = [table for table in restore.tables if table not in held]
    if missing:
        raise Problem(
            f"Snapshot {restore.snapshot.short_id} has no table {', '.join(missing)}.",
            safe="Nothing was touched.",
            do=f"It has: {', '.join(held[:20])}{' …' if len(held) > 20 else ''}."
            if held
            else "Its tables cannot be told apart, since it has no comments: take all of it.",
        )


def _choosable(inventory: Mapping[str, list[str]]) -> list[str]:
    """What can be chosen: tables, and MariaDB's sequences."""
    return sorted([*inventory.get(Kind.TABLE, []), *inventory.get(Kind.SEQUENCE, [])])


def _mind_spelling(restore: Restore, place: Place) -> bool:
    """Whether the server gives tables names in lower case; the chosen ones are meant by those then.

    Raises Problem for a snapshot of which it would take two tables for one.
    """
    with mysql.connect(place.server) as connection:
        if not mysql.folds_names(connection):
            return False
    if restore.tables:
        lifecycle.restore_note(restore, tables=sorted({name.lower() for name in restore.tables}))
    _refuse_clashing(restore, clashing((restore.snapshot.manifest or {}).get("inventory", {})))
    return True


def _refuse_clashing(restore: Restore, names: Sequence[str]) -> None:
    """Raise Problem where there are names that this server takes for one."""
    chosen = [name for name in names if not restore.tables or name.lower() in restore.tables]
    if chosen:
        raise Problem(
            f"The server gives tables names in lower case (lower_case_table_names=1), and snapshot "
            f"{restore.snapshot.short_id} has some that it would take for one: {mysql.named(chosen)}.",
            safe=f"{restore.target} was not touched.",
            do="Restore to a server with lower_case_table_names=0, or choose other tables.",
        )


def _tell_spelling(restore: Restore, loading: Loading, progress: Progress) -> None:
    respelled = {old: new for new, old in sorted(loading.found.respelled.items())}
    if respelled:
        lifecycle.run_note(restore.run_id, result={"names_in_lower_case": respelled})
        told = [f"{old} is {new}" for old, new in respelled.items()]
        progress.warn(
            "This server gives tables and views names in lower case (lower_case_table_names=1): "
            f"{mysql.named(told)}. Programs and routines that name them otherwise may rely on it."
        )


def _announced_tables(restore: Restore, access: restic.Access, progress: Progress) -> list[str]:
    """The tables that the comments of a dump announce, by which a file is cut."""
    progress.phase("read", expected=restore.snapshot.total_bytes_processed)
    loading = _read_through(restore, access, progress)
    return _choosable(objects_in(loading.digester.sections({})))


def _made_tables(restore: Restore, access: restic.Access, place: Place, progress: Progress) -> list[str]:
    """The tables that a dump would make."""
    progress.phase("read", expected=restore.snapshot.total_bytes_processed)
    loading = _judged(restore, access, place, progress, frozenset())
    return _choosable(loading.found.inventory())


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


def _read_through(restore: Restore, access: restic.Access, progress: Progress) -> Loading:
    """Read the whole snapshot without loading it. Raises Problem."""

    def read(chunks: Iterator[bytes], loading: Loading) -> None:
        for _ in digested(chunks, loading):
            pass

    return _streamed(restore, access, progress, read)


def _written(
    restore: Restore,
    access: restic.Access,
    progress: Progress,
    write: Callable[[bytes | memoryview], object],
) -> Loading:
    """Hand the snapshot on while it is read: whole as it is, or the chosen tables."""

    def read(chunks: Iterator[bytes], loading: Loading) -> None:
        pieces = digested(chunks, loading)
        chosen = restore.tables
        for data in chosen_tables(pieces, chosen) if chosen else (piece.data for piece in pieces):
            write(data)

    return _streamed(restore, access, progress, read)


def _streamed_whole(
    restore: Restore,
    access: restic.Access,
    progress: Progress,
    write: Callable[[bytes | memoryview], object],
) -> None:
    """As `_streamed`. Raises Problem unless it is what was backed up."""
    _refuse_damaged(restore, _written(restore, access, progress, write))


def _streamed(
    restore: Restore,
    access: restic.Access,
    progress: Progress,
    read: Callable[[Iterator[bytes], Loading], None],
) -> Loading:
    """Read the snapshot, watched. Raises Problem, what `read` raises."""
    snapshot = restore.snapshot
    loading = Loading()

    def tick() -> None:
        progress.bytes_done(loading.bytes_read)
        progress.detail(loading.doing)
        progress.tick()

    with restic.dump(access, snapshot.snapshot_id, snapshot.path) as source:

        def pump() -> None:
            read(unpacked(source.stdout, gzip=snapshot.path.endswith(".gz")), loading)

        def finished() -> None:
            restic.finished(source, access, "reading the snapshot", progress.tick)

        try:
            process.watched(pump, restic.patiently(source, access, tick), source.stop)
        except CutOff:
            # Half a dump may be restic's fault, which is asked first how it went.
            finished()
            _refuse_damaged(restore, loading)
            raise
        except LoadProblem:
            if source.poll() not in (None, 0):
                finished()
            raise
        finished()
    return loading
