"""What came of a load: whether it is all of the snapshot, and what of it is told."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings

from backups import mysql
from backups.actions.steps.inventories import made_of, without_left_out
from backups.actions.steps.sections import other_versions
from backups.actions.steps.table_names import choosable
from backups.choices import OVERWRITING_MODES
from backups.dumpfile.sections import Kind
from backups.errors import Problem
from backups.loading.progress import Loading
from backups.models import Restore
from backups.runs import notes
from backups.runs.progress import Progress
from backups.text.kinds import kind_word, of_kind
from backups.text.sentences import capitalized, joined, phrase, plural


def tell_changed_values(restore: Restore, loading: Loading, progress: Progress) -> None:
    """A dump says that the server shall take what does not fit, and it does so without a word."""
    changed = loading.values_changed()
    if changed:
        entries = [{"table": table, "why": text} for table, text in changed.items()]
        notes.run_update(restore.run_id, result={"values_changed": entries})
    for table, text in changed.items():
        progress.warn(
            phrase(
                "The server did not take every value of table {table} as it is in the snapshot: {text}.",
                table=table,
                text=text,
            )
        )


def tell_computed_anew(restore: Restore, loading: Loading, progress: Progress) -> None:
    """Generated columns that hold other values than they did, or of which nobody can tell."""
    if loading.computed_anew:
        entries = [each._asdict() for each in loading.computed_anew]
        notes.run_update(restore.run_id, result={"computed_anew": entries})
    for each in loading.computed_anew:
        what = each.words if each.differ else phrase("Not proved are {words}", words=each.words)
        cure = joined(["", mysql.SET_AS_WRITTEN]) if each.differ else ""
        progress.warn(joined([capitalized(what), ".", cure], ""))


def tell_what_is_left_out(restore: Restore, loading: Loading, progress: Progress) -> None:
    """But for what comes at the end, in the place of the live database."""
    comes_yet = restore.mode in OVERWRITING_MODES
    found = [each for each in loading.found.left_out if not (each.waits and comes_yet)]
    left_out = [{"kind": each.kind, "name": each.name, "why": each.why} for each in found]
    if left_out:
        notes.run_update(restore.run_id, result={"left_out": left_out})
    reworded = [{"kind": each.kind, "name": each.name, "why": each.why} for each in loading.found.reworded]
    if reworded:
        notes.run_update(restore.run_id, result={"reworded": reworded})
    if of_roles := loading.found.without_role:
        entries = [{**each._asdict(), "why": each.why} for each in of_roles]
        notes.run_update(restore.run_id, result={"definers_changed": entries})
        for cure in sorted({each.cure for each in of_roles}):
            progress.warn(phrase("Some objects have another definer than before. {cure}", cure=cure))
    whys = [(each.kind, each.name, each.why) for each in (*found, *loading.found.reworded)]
    whys += [(each.kind, each.name, each.why) for each in of_roles]
    for kind, name, why in whys:
        progress.warn(phrase("{what}: {why}.", what=capitalized(of_kind(kind, name)), why=why))
    for left in loading.found.unmade:
        again = phrase(" It is tried again in the place of the live database.") if comes_yet else ""
        progress.warn(capitalized(left.words) + again)
    for name, count in loading.found.others.items():
        progress.warn(
            phrase(
                "In the file, and not loaded: {statements} of the database {name}.",
                statements=plural("{n} statement", "{n} statements", n=count),
                name=name,
            )
        )


def tell_what_sleeps(
    restore: Restore, loading: Loading, place: mysql.ProbedServer, progress: Progress
) -> None:
    """Beside the live database an event would do twice what it does."""
    asleep = sorted(event.name for event in loading.found.events if event.state != b"DISABLE")
    if not asleep:
        return
    with mysql.connect(place.server) as connection:
        over = mysql.events_of_the_past(connection, restore.target)
    ran = [event for event in loading.found.events if event.state == b"ENABLE" and event.name not in over]
    statements = [event.to_enable(restore.target) for event in sorted(ran, key=lambda event: event.name)]
    notes.run_update(restore.run_id, result={"events_disabled": asleep, "events_to_enable": statements})
    progress.warn(
        phrase(
            "These events are disabled in {target}: {asleep}. They were enabled when the snapshot was "
            "made. They are disabled so that nothing runs by itself in a new database.",
            target=restore.target,
            asleep=", ".join(asleep),
        )
    )
    if statements:
        next_backup = (
            phrase("; do so before the next backup, which would record them as disabled")
            if restore.target == restore.database.database
            else ""
        )
        progress.warn(
            phrase(
                "To let those run that ran then{next_backup}, run as an administrator:",
                next_backup=next_backup,
            )
        )
    for statement in statements:
        progress.warn(statement)


def refuse_altered(restore: Restore, loading: Loading, place: mysql.ProbedServer, progress: Progress) -> None:
    """Raise Problem where a table is not defined as in the snapshot; another server may say it otherwise."""
    if not loading.altered:
        return
    names = ", ".join(loading.altered[:5]) + (" …" if len(loading.altered) > 5 else "")
    manifest = restore.snapshot.manifest
    if manifest is None or other_versions(manifest, place.info, place.programs):
        progress.warn(
            phrase(
                "{info} describes these tables differently from the snapshot: {names}.",
                info=place.info,
                names=names,
            )
        )
        return
    if other_engine := loading.of_other_engine():
        raise mysql.OfTheServer(
            phrase(
                "{info} made tables with another storage engine than the snapshot's ({other_engine}).",
                info=place.info,
                other_engine=other_engine,
            ),
            code="restore.other_engine",
            do=mysql.SEE_ENGINES,
        )
    raise Problem(
        phrase("After loading, these tables are not defined as in the snapshot: {names}.", names=names),
        code="restore.defined_otherwise",
        do=_OTHERWISE if settings.RESTORE_CONNECTIONS != 1 else _SERVERS_OWN,
    )


_OTHERWISE = phrase(
    "Set RESTORE_CONNECTIONS=1, so that the dump is loaded just as it is written. Then restore again."
)
_SERVERS_OWN = phrase(
    "The server makes these tables differently. See whether it has their storage engines. Look at its "
    "enforce_storage_engine and sql_generate_invisible_primary_key."
)


def refuse_unlike_snapshot(
    restore: Restore, loading: Loading, place: mysql.ProbedServer, database: str, progress: Progress
) -> None:
    """What was loaded must be all that was in the snapshot. Raises Problem."""
    progress.phase("check")
    has_manifest = restore.snapshot.manifest is not None
    by_sections = has_manifest and not restore.tables_to_load
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
            phrase(
                "After loading, {database} does not hold what the snapshot holds ({kinds}).",
                database=database,
                kinds=joined(map(kind_word, kinds), ", "),
            ),
            code="restore.holds_otherwise",
            do=phrase("See the run's log; verify the snapshot."),
        )
    if not loading.found.unmade:
        but = (
            phrase(" Some of it runs under another definer, as told above.")
            if loading.found.without_role
            else ""
        )
        progress.log(loaded_words(restore, held, wanted) + but)


def loaded_words(restore: Restore, held: Mapping[str, list[str]], loaded: Mapping[str, list[str]]) -> str:
    """What of the snapshot was loaded: `held` is what was to come, `loaded` what came of it."""
    left = [
        of_kind(kind, name)
        for kind, names in held.items()
        for name in names
        if name not in loaded.get(kind, [])
    ]
    but = phrase(" Left out, as told above: {left}.", left=joined(left, ", ")) if left else ""
    if not restore.tables_to_load:
        return phrase(
            "{more} that the snapshot holds was loaded.{but}",
            more=(phrase("All other") if left else phrase("All")),
            but=but,
        )
    chosen = ", ".join(restore.tables)
    inventory = (restore.snapshot.manifest or {}).get("inventory", {})
    count, of = len(restore.tables), len(choosable(inventory))
    if not of:
        return phrase(
            "Of the snapshot only what was asked for was loaded: {chosen}.{but}", chosen=chosen, but=but
        )
    what = (
        plural("{n} table", "{n} tables", n=of)
        if not inventory.get(Kind.SEQUENCE)
        else phrase("{of} tables and sequences", of=of)
    )
    return plural(
        "{n} of the {what} was loaded, as asked: {chosen}.{but}",
        "{n} of the {what} were loaded, as asked: {chosen}.{but}",
        n=count,
        what=what,
        chosen=chosen,
        but=but,
    )
