"""What changed from a snapshot to a later one, or to now: both are dumps, and nothing is loaded anywhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone

from backups import mysql
from backups.actions.preflight import make_ready
from backups.actions.steps import kept_files
from backups.actions.steps.compared_streams import (
    NOW,
    EveryTable,
    Taker,
    Wish,
    live_dumped,
    read_definitions,
    snapshot_read,
)
from backups.actions.steps.opening import OpenedSnapshot, opened
from backups.differences import keeping, shown
from backups.differences.comparison import Comparison, Defined, comparison
from backups.differences.held import Held, libraries_unknown, other_rows, unlike
from backups.differences.result import Differences
from backups.differences.told import in_short
from backups.dumpfile.digesting import Digester
from backups.dumpfile.sections import Kind
from backups.dumping.order import Order
from backups.dumping.parallel import ParallelOptions
from backups.errors import Problem
from backups.loading.progress import Loading
from backups.models import Run, Snapshot
from backups.requests import DiffRequest, read_as
from backups.runs import notes
from backups.runs.outcome import Outcome
from backups.runs.progress import Progress
from backups.text.sentences import phrase


@dataclass(frozen=True)
class _Side:
    """A dump by its manifest, and the moment that it is of."""

    held: Held
    at: datetime
    snapshot: Snapshot | None = None
    # Of the tables whose rows may be kept, where its dump cannot be read once more.
    definitions: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def server(self) -> mysql.ServerInfo:
        """What wrote it."""
        return mysql.ServerInfo(
            **{name: self.held.manifest["server"][name] for name in ("flavour", "version")}
        )

    @property
    def called(self) -> str:
        """In a sentence."""
        return phrase("snapshot {snapshot}", snapshot=self.snapshot.short_id) if self.snapshot else NOW

    def told(self) -> Mapping[str, Any]:
        """For the run's row."""
        client = self.held.manifest.get("client", {})
        return {
            "snapshot_id": self.snapshot.snapshot_id if self.snapshot else None,
            "at": self.at.isoformat(),
            "server": str(self.server),
            "client": str(client.get("version", "")),
        }


@dataclass(frozen=True)
class _Story:
    """What all steps of one comparison need: what is asked, the earlier side, what was learned so far."""

    request: DiffRequest
    stored: OpenedSnapshot
    before: _Side
    both: Comparison
    progress: Progress

    def expected(self, snapshot: Snapshot | None) -> int:
        """About how many bytes a side has."""
        return (snapshot or self.stored.snapshot).total_bytes_processed or 0

    def learn_definitions(self) -> None:
        """Read the earlier dump for how its tables are defined, which decides how rows are compared."""
        self.progress.phase("definitions", expected=self.expected(None))
        loading = _loading(self.stored.snapshot.source)
        snapshot_read(self.stored, read_definitions, self.progress, loading)
        self.both.defined_before = Defined.of(loading.digester, self.before.held.collations)

    def wish(self, tables: Collection[str], taker: Taker, side: _Side) -> Wish:
        """These tables, out of the dump of a side."""
        return Wish(tables, taker, side.server, self.stored.snapshot.source, self.both.unread, side.called)


def run(run: Run, progress: Progress) -> Outcome:
    """Compare what the run asks for. Raises Problem, Cancelled."""
    request = read_as(run, DiffRequest)
    request.refuse_unfit()
    progress.phase("preflight")
    run.repository = request.snapshot.repository
    stored = OpenedSnapshot(request.snapshot, opened(run, progress))
    before = _Side(
        Held(request.snapshot.manifest or {}, request.tables), request.snapshot.time, request.snapshot
    )
    with comparison(settings.DUMP_SPOOL_DIR, settings.DUMP_SPOOL_MB * 1_000_000) as both:
        story = _Story(request, stored, before, both, progress)
        asked = shown.rows_asked()
        both.is_asked = asked is not None or request.keep_rows
        if request.keep_rows:
            both.most_picked = settings.ROWS_BACK_LIMIT
        after = _now(story) if request.until is None else _later(story, request.until)
        _refuse_unknown(request, before, after)
        _read_before(story, after)
        progress.phase("compare")
        found = both.found(before.held, after.held, progress.tick)
        if asked is not None and both.picked:
            _show(story, after, asked)
        kept = _keep(run, story, after, found) if request.keep_rows else None
    _conclude(run, story, after, found)
    if kept is not None:
        notes.run_update(run.pk, result={"kept": kept})
    return Outcome()


def _loading(source: str) -> Loading:
    return Loading(Digester(source))


# ---------------------------------------------------------------- The later side


def _later(story: _Story, until: Snapshot) -> _Side:
    """The later one is a snapshot: of it is read what differs."""
    before = story.before.held
    after = _Side(Held(until.manifest or {}, story.request.tables), until.time, until)
    if unlike(before, after.held, [Kind.TABLE, Kind.EVENT]):
        story.learn_definitions()
    wanted = other_rows(before, after.held) | unlike(before, after.held, [Kind.TABLE, Kind.SEQUENCE])
    if not wanted and not unlike(before, after.held, [Kind.EVENT]):
        return after
    story.progress.phase("later dump", expected=story.expected(until))
    loading = _loading(until.source)
    recorder = story.both.reader_of_after(before, loading.digester)
    read = story.wish(wanted, recorder, after).read
    snapshot_read(OpenedSnapshot(until, story.stored.access), read, story.progress, loading)
    story.both.defined_after = Defined.of(loading.digester, after.held.collations)
    return after


def _now(story: _Story) -> _Side:
    """The later one is the database as it is now, which is dumped as for a backup, over one connection."""
    database, progress = story.request.database, story.progress
    ready = make_ready(database, progress.tick, is_safety_copy=True)
    server = ready.source.server
    progress.mask_secrets([*ready.access.secret_values(), server.password])
    story.learn_definitions()
    # Reading the earlier dump may take an hour, in which tables come and go.
    chosen = _of_chosen(story, server)
    at = timezone.now()
    if story.request.tables and not chosen:
        nothing = {
            "sections": [],
            "server": {"flavour": ready.source.info.flavour, "version": ready.source.info.version},
        }
        return _Side(Held(nothing), at)
    progress.phase("live dump", expected=story.expected(None))
    loading = _loading(database.database)
    order = Order(
        server=server,
        database=database.database,
        client_dir=settings.MYSQL_CLIENT_DIR,
        notes=settings.RESTIC_CACHE_DIR,
        without_broken_views=True,
        at_once=ParallelOptions(1, because=phrase("a comparison locks no table")),
        to_compare=True,
        only=chosen,
    )
    if story.both.is_asked:
        story.both.after.kept = shown.Kept(settings.DUMP_SPOOL_DIR)
    recorder = story.both.reader_of_after(story.before.held, loading.digester)
    wish = Wish(EveryTable(), recorder, ready.source.info, database.database, story.both.unread, NOW)
    manifest = live_dumped(order, wish.read, progress, loading)
    held = Held(manifest, story.request.tables)
    story.both.defined_after = Defined.of(loading.digester, held.collations)
    definitions = keeping.definitions_of(loading.digester) if story.request.keep_rows else {}
    return _Side(held, at, definitions=definitions)


def _of_chosen(story: _Story, server: mysql.Server) -> tuple[str, ...]:
    """Which of the chosen tables are there now. Raises Problem for one that never was."""
    if not story.request.tables:
        return ()
    with mysql.connect(server) as connection:
        listed = mysql.listed_tables(connection, story.request.database.database)
    return tuple(sorted({table.name for table in listed if table.is_table} & set(story.request.tables)))


def _refuse_unknown(request: DiffRequest, before: _Side, after: _Side) -> None:
    unknown = sorted(set(request.tables) - before.held.tables - after.held.tables)
    if unknown:
        raise Problem(
            phrase("There is no table {name} on either side.", name=mysql.named(unknown)),
            code="diff.no_such_table",
            do=phrase("See how its name is written: letters count."),
        )


# ---------------------------------------------------------------- The earlier side


def _read_before(story: _Story, after: _Side) -> None:
    """Read of the earlier dump what differs, as the later one was."""
    wanted = story.both.wanted_of_before(story.before.held, after.held)
    if not wanted:
        return
    story.progress.phase("earlier dump", expected=story.expected(None))
    recorder = story.both.reader_of_before(story.before.held)
    read = story.wish(wanted, recorder, story.before).read
    snapshot_read(story.stored, read, story.progress, _loading(story.stored.snapshot.source))


def _show(story: _Story, after: _Side, asked: shown.RowsAsked) -> None:
    """Hand rows that differ to whoever asked for them in this process."""
    both, progress = story.both, story.progress
    progress.phase("rows", expected=story.expected(None))
    then, now = (
        shown.Picker(both.picked, both.after.layouts, side.shapes, both.digests)
        for side in (both.before, both.after)
    )
    read = story.wish(both.picked, then, story.before).read
    snapshot_read(story.stored, read, progress, _loading(story.stored.snapshot.source))
    if after.snapshot is not None:
        read = story.wish(both.picked, now, after).read
        opened_too = OpenedSnapshot(after.snapshot, story.stored.access)
        snapshot_read(opened_too, read, progress, _loading(after.snapshot.source))
    else:
        for ready in both.kept_of_picked(progress.tick):
            now.take(ready)
    asked.rows = shown.side_by_side(both.picked, then, now)
    progress.log(phrase("Values of rows that differ were shown on the terminal of {by}.", by=asked.by))


def _keep(run: Run, story: _Story, after: _Side, found: Differences) -> Mapping[str, Any]:
    """Keep the rows that differ where the worker runs; answers what of it the run's row tells."""
    both, progress = story.both, story.progress
    progress.phase("rows", expected=story.expected(None))
    path = kept_files.rows_of(run.pk)
    with keeping.stored(path, both.picked) as store:
        then, now = (
            keeping.Keeper(store, side, keeping.Compared(both.after.layouts, of.shapes, both.digests))
            for side, of in ((keeping.THEN, both.before), (keeping.NOW, both.after))
        )
        loading = _loading(story.stored.snapshot.source)
        if both.picked:
            wish = story.wish(both.picked, then, story.before)
            snapshot_read(story.stored, wish.read, progress, loading)
        before_defined = keeping.definitions_of(loading.digester)
        after_defined = after.definitions
        if after.snapshot is not None and both.picked:
            later = _loading(after.snapshot.source)
            wish = story.wish(both.picked, now, after)
            snapshot_read(OpenedSnapshot(after.snapshot, story.stored.access), wish.read, progress, later)
            after_defined = keeping.definitions_of(later.digester)
        elif both.picked:
            for ready in both.kept_of_picked(progress.tick):
                now.take(ready)
        differing = {
            each.table: sum((each.gone or 0, each.new or 0, each.changed or 0)) for each in found.tables
        }
        digest = store.finish(
            {
                table: keeping.Aside(
                    differing[table], both.after.layouts[table], (before_defined[table], after_defined[table])
                )
                for table in both.picked
            }
        )
    return kept_files.told(path, digest)


# ---------------------------------------------------------------- What is told


def _conclude(run: Run, story: _Story, after: _Side, found: Differences) -> None:
    told = {
        "before": story.before.told(),
        "after": after.told(),
        "chosen": list(story.request.tables),
        **found.as_json(),
        "libraries_unknown": libraries_unknown(story.before.held, after.held),
    }
    notes.run_update(run.pk, result={"difference": told})
    story.progress.log(in_short(found))
