"""Which tables are meant, and whether a server takes their names for those of the snapshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from backups import mysql, restic
from backups.actions.steps.reading import judged_whole, read_through
from backups.dumpfile.manifests import objects_in
from backups.dumpfile.sections import Kind
from backups.dumpfile.spelling import clashing
from backups.errors import Problem
from backups.loading.progress import Loading
from backups.models import Restore
from backups.runs import notes, restores
from backups.runs.progress import Progress
from backups.text.sentences import phrase


def refuse_unknown_tables(
    restore: Restore, read: Callable[[], list[str]], *, folds_names: bool = False
) -> None:
    """Raise Problem for chosen tables that the snapshot lacks, before anything is touched.

    Where no manifest tells which it has, `read` does.
    """
    if not restore.tables:
        return
    manifest = restore.snapshot.manifest
    held = read() if manifest is None else choosable(manifest["inventory"])
    if folds_names:
        held = [name.lower() for name in held]
    missing = [table for table in restore.tables if table not in held]
    if missing:
        raise Problem(
            phrase(
                "Snapshot {snapshot} has no table {missing}.",
                snapshot=restore.snapshot.short_id,
                missing=", ".join(missing),
            ),
            code="restore.no_such_table",
            safe=phrase("Nothing was touched."),
            do=phrase(
                "It has: {held}{more}.", held=", ".join(held[:20]), more=(" …" if len(held) > 20 else "")
            )
            if held
            else phrase("Its tables cannot be told apart, since it has no comments: take all of it."),
        )


def choosable(inventory: Mapping[str, list[str]]) -> list[str]:
    """What can be chosen: tables, and MariaDB's sequences."""
    return sorted([*inventory.get(Kind.TABLE, []), *inventory.get(Kind.SEQUENCE, [])])


def mind_spelling(restore: Restore, place: mysql.ProbedServer) -> bool:
    """Whether the server gives tables names in lower case; the chosen ones are meant by those then.

    Raises Problem for a snapshot of which it would take two tables for one.
    """
    with mysql.connect(place.server) as connection:
        if not mysql.folds_names(connection):
            return False
    if restore.tables:
        restores.restore_note(restore, tables=sorted({name.lower() for name in restore.tables}))
    refuse_clashing(restore, clashing((restore.snapshot.manifest or {}).get("inventory", {})))
    return True


def refuse_clashing(restore: Restore, names: Sequence[str]) -> None:
    """Raise Problem where there are names that this server takes for one."""
    chosen = [name for name in names if not restore.tables or name.lower() in restore.tables]
    if chosen:
        raise Problem(
            phrase(
                "The server gives tables names in lower case (lower_case_table_names=1). It would "
                "take these tables of snapshot {snapshot} for one: {chosen}.",
                snapshot=restore.snapshot.short_id,
                chosen=mysql.named(chosen),
            ),
            code="restore.names_clash",
            safe=phrase("{target} was not touched.", target=restore.target),
            do=phrase("Restore to a server with lower_case_table_names=0, or choose other tables."),
        )


def tell_spelling(restore: Restore, loading: Loading, progress: Progress) -> None:
    """Say which names the server spells otherwise than the snapshot."""
    respelled = {old: new for new, old in sorted(loading.found.respelled.items())}
    if respelled:
        notes.run_update(restore.run_id, result={"names_in_lower_case": respelled})
        pairs = [phrase("{old} is {new}", old=old, new=new) for old, new in respelled.items()]
        progress.warn(
            phrase(
                "This server gives tables and views names in lower case (lower_case_table_names=1): "
                "{pairs}. Programs and routines that name them otherwise may rely on it.",
                pairs=mysql.named(pairs),
            )
        )


def announced_tables(restore: Restore, access: restic.Access, progress: Progress) -> list[str]:
    """The tables that the comments of a dump announce, by which a file is cut."""
    progress.phase("read", expected=restore.snapshot.total_bytes_processed)
    loading = read_through(restore, access, progress)
    return choosable(objects_in(loading.digester.sections({})))


def made_tables(
    restore: Restore, access: restic.Access, place: mysql.ProbedServer, progress: Progress
) -> list[str]:
    """The tables that a dump would make."""
    progress.phase("read", expected=restore.snapshot.total_bytes_processed)
    loading = judged_whole(restore, access, place, progress, frozenset())
    return choosable(loading.found.inventory())
