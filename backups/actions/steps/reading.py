"""The whole snapshot read for a restore, whether it is what was backed up, and handed on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from backups import mysql, process, restic
from backups.actions.steps.sections import as_counted_then, differing_sections
from backups.actions.steps.whole import holds_nothing, is_by_vedetta, source_name
from backups.catalog import made_here
from backups.choices import OVERWRITING_MODES, DefinerPolicy, RestoreMode
from backups.dumpfile.allowed import Allowed
from backups.dumpfile.chosen_tables import chosen_tables
from backups.dumpfile.manifests import ManifestDamaged
from backups.dumpfile.ready import LoadOptions
from backups.errors import Problem
from backups.loading.definers import dialect_of
from backups.loading.problems import CutOff, LoadProblem
from backups.loading.progress import End, Loading
from backups.loading.reading import digested, judged, unpacked
from backups.models import Restore, Snapshot
from backups.runs.progress import Progress
from backups.snapshots import selection
from backups.text.sentences import phrase


def load_options(restore: Restore, database: str, tables: Collection[str]) -> LoadOptions:
    """What of the dump a restore wants, and in whose name."""
    return LoadOptions(
        database,
        source=source_name(restore.snapshot),
        tables=frozenset(tables),
        current_user_defines=restore.definers == DefinerPolicy.CURRENT_USER,
    )


def judged_whole(
    restore: Restore,
    access: restic.Access,
    place: mysql.ProbedServer,
    progress: Progress,
    tables: Collection[str],
) -> Loading:
    """Read the whole snapshot as it would be loaded, and send nothing. Raises Problem."""
    dialect = dialect_of(place.server, place.info)
    allowed = Allowed(dialect, load_options(restore, restore.target, tables))

    def read(chunks: Iterator[bytes], loading: Loading) -> None:
        for ready in judged(chunks, loading, allowed, dialect):
            loading.longest = max(loading.longest, (len(ready.text), ready.table))

    return _streamed(restore, access, progress, read)


def refuse_damaged(restore: Restore, loading: Loading) -> None:
    """Raise Problem unless the stream was whole and is what its manifest says."""
    broken = damaged(restore.snapshot)
    is_loaded = restore.mode != RestoreMode.FILE
    is_ours_and_cut = is_by_vedetta(restore.snapshot) and not loading.digester.is_complete
    is_cut = loading.end == End.CUT if is_loaded else not loading.digester.is_complete
    if is_cut or is_ours_and_cut:
        raise Problem(
            phrase(
                "Snapshot {snapshot} is not whole: its dump has no closing line.",
                snapshot=restore.snapshot.short_id,
            ),
            code="snapshot.not_whole",
            do=selection.instead_of(restore.snapshot),
        )
    if loading.end == End.UNKNOWN and restore.mode in OVERWRITING_MODES:
        raise Problem(
            phrase(
                "Nobody can tell whether snapshot {snapshot} is whole: its dump has no closing line, as "
                "with --compact.",
                snapshot=restore.snapshot.short_id,
            ),
            code="snapshot.nobody_can_tell",
            do=phrase("Restore it into a new database (--into NAME) and look whether all is there."),
        )
    try:
        manifest = loading.digester.manifest()
    except ManifestDamaged as error:
        raise broken from error
    if made_here.is_of_another(restore.snapshot, manifest):
        raise broken
    if manifest is None and is_loaded and (why := holds_nothing(loading, source_name(restore.snapshot))):
        raise Problem(
            phrase(
                "Snapshot {snapshot} holds nothing to restore: {why}",
                snapshot=restore.snapshot.short_id,
                why=why,
            ),
            code="snapshot.holds_nothing",
        )
    if manifest is not None:
        found = loading.digester.sections(manifest.get("collations", {}))
        found = as_counted_then(found, manifest["sections"])
        if differing_sections(manifest["sections"], found, phrase("in the stream")):
            raise broken
        made_here.learn(restore.snapshot, manifest)


def damaged(snapshot: Snapshot) -> Problem:
    """What to say of a snapshot whose stream is not what its manifest tells."""
    return Problem(
        phrase(
            "Snapshot {snapshot} is damaged: what it holds is not what was backed up.",
            snapshot=snapshot.short_id,
        ),
        code="snapshot.damaged",
        do=phrase("{instead} Check the repository's data.", instead=selection.instead_of(snapshot)),
    )


def read_through(restore: Restore, access: restic.Access, progress: Progress) -> Loading:
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


def streamed_whole(
    restore: Restore,
    access: restic.Access,
    progress: Progress,
    write: Callable[[bytes | memoryview], object],
) -> None:
    """As `_streamed`. Raises Problem unless it is what was backed up."""
    refuse_damaged(restore, _written(restore, access, progress, write))


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
            restic.finished(source, access, phrase("reading the snapshot"), progress.tick)

        try:
            process.run_in_thread(pump, restic.with_outage_limit(source, access, tick), source.stop)
        except CutOff:
            # Half a dump may be restic's fault, which is asked first how it went.
            finished()
            refuse_damaged(restore, loading)
            raise
        except LoadProblem:
            if source.poll() not in (None, 0):
                finished()
            raise
        finished()
    return loading
