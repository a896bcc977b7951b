"""Both sides of a comparison read: at once where that can be, else one after the other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from django.conf import settings
from django.utils import timezone

from backups import mysql
from backups.actions.preflight import make_ready
from backups.actions.steps.compared_pairs import left_to_server
from backups.actions.steps.compared_streams import (
    NOW,
    Beside,
    EveryTable,
    Read,
    Taker,
    Wish,
    live_dumped,
    read_definitions,
    snapshot_beside,
    snapshot_read,
)
from backups.actions.steps.opening import OpenedSnapshot
from backups.differences import keeping, shown
from backups.differences.comparison import Comparison, Defined
from backups.differences.held import Held, other_rows, unlike
from backups.differences.meeting import AFTER, BEFORE, Meeting, NotMet
from backups.differences.recording import Recorded
from backups.differences.shapes import Layout, layout_of, shape_of
from backups.differences.sifting import Sifter
from backups.differences.spooled import Spool
from backups.dumpfile.digesting import Digester
from backups.dumpfile.sections import Kind, Section
from backups.dumping.order import Order
from backups.dumping.parallel import ParallelOptions
from backups.loading.progress import Loading
from backups.models import Snapshot
from backups.requests import DiffRequest
from backups.runs.progress import Progress
from backups.text.sentences import phrase

# For so long a live dump may wait for the repository in the midst of its transaction; less where the server
# ends who does not read for a minute, and the dump program cannot tell it to wait.
_PATIENCE_SECONDS = 300.0
_SHORT_PATIENCE_SECONDS = 20.0
# Of a dump that can be read once more, what of its rows is kept so that it need not be.
_MOST_KEPT_BYTES = 64_000_000
_EVENTS = (Kind.EVENT,)

LayoutOf = Callable[[Section], Layout | None]


@dataclass(frozen=True)
class Side:
    """A dump by its manifest, and the moment that it is of."""

    held: Held
    at: datetime
    snapshot: Snapshot | None = None
    # How its tables are defined, where that is asked for.
    definitions: Mapping[str, bytes] = field(default_factory=dict)
    # Of a moment that was brought back: where in the log that is, and the file that its dump is in.
    moment: Mapping[str, Any] | None = None
    file: int | None = None

    @property
    def server(self) -> mysql.ServerInfo:
        """What wrote it."""
        return mysql.ServerInfo(
            **{name: self.held.manifest["server"][name] for name in ("flavour", "version")}
        )

    @property
    def called(self) -> str:
        """In a sentence."""
        if self.moment is not None:
            return phrase("that moment")
        return phrase("snapshot {snapshot}", snapshot=self.snapshot.short_id) if self.snapshot else NOW

    def told(self) -> Mapping[str, Any]:
        """For the run's row."""
        client = self.held.manifest.get("client", {})
        return {
            "snapshot_id": self.snapshot.snapshot_id if self.snapshot and self.moment is None else None,
            **({"moment": self.moment} if self.moment is not None else {}),
            "at": self.at.isoformat(),
            "server": str(self.server),
            "client": str(client.get("version", "")),
        }


def held_of(request: DiffRequest, manifest: Mapping[str, Any]) -> Held:
    """What a side holds by its manifest, as far as it is compared.

    Events of a moment are disabled where it is brought back, which says nothing of how they were.
    """
    return Held(manifest, request.tables, without=_EVENTS if request.is_of_moments else ())


@dataclass
class Story:
    """What all steps of one comparison need: what is asked, the earlier side, what was learned so far."""

    request: DiffRequest
    stored: OpenedSnapshot
    before: Side
    both: Comparison
    progress: Progress
    # Of the earlier side, where rows are kept.
    definitions_before: Mapping[str, bytes] = field(default_factory=dict)
    # Of the live side the tables that a server is to compare.
    spool: Spool | None = None

    def expected(self, *snapshots: Snapshot | None) -> int:
        """About how many bytes these sides have."""
        return sum((each or self.stored.snapshot).total_bytes_processed or 0 for each in snapshots)

    def wish(self, tables: Collection[str], taker: Taker, side: Side, sifter: Sifter | None = None) -> Wish:
        """These tables, out of the dump of a side."""
        source = side.snapshot.source if side.snapshot else self.request.database.database
        return Wish(tables, taker, side.server, source, self.both.unread, side.called, sifter)

    def wish_of_later(
        self, later: _Later, taker: Taker, layout_for: LayoutOf, sifter: Sifter | None = None
    ) -> Wish:
        """What is compared of the later side. What is live is kept as far as a server is to compare it."""
        wish = self.wish(later.wanted(), taker, later.side, sifter)
        if self.spool is not None:
            self.spool.close()
        self.spool = None
        if _is_live(later):

            def is_wanted(table: Section) -> bool:
                layout = layout_for(table)
                return layout is not None and not layout.is_alike

            self.spool = Spool(self.both.after.file.room, is_wanted)
        return replace(wish, spool=self.spool)

    def keep(self) -> None:
        """Keep what is left over of both sides, if rows are asked for."""
        if self.both.is_asked:
            self.both.before.kept = shown.Kept(settings.DUMP_SPOOL_DIR)
            self.both.before.most_kept = _MOST_KEPT_BYTES
            self.both.after.kept = shown.Kept(settings.DUMP_SPOOL_DIR)
            if self.request.until is not None:
                self.both.after.most_kept = _MOST_KEPT_BYTES

    def take_picked(self, side: Side, recorded: Recorded, taker: Taker) -> None:
        """Have the statements of picked tables taken in: as they are kept, or read once more."""
        if recorded.kept is not None:
            for ready in self.both.kept_of_picked(recorded, self.progress.tick):
                taker.take(ready)
        elif self.both.picked and side.snapshot is not None:
            stored = OpenedSnapshot(side.snapshot, self.stored.access, side.file)
            loading = Loading(Digester(side.snapshot.source))
            snapshot_read(stored, self.wish(self.both.picked, taker, side).read, self.progress, loading)


class _Later(Protocol):
    """The later side. `side` has its manifest, or only its server while that is not known."""

    side: Side
    source: str

    @property
    def phase(self) -> str:
        """What reading it is called where it is read alone."""

    @property
    def patience(self) -> float | None:
        """How long it may wait for the earlier side, in seconds."""

    def is_known_same(self) -> bool:
        """Whether nothing of either dump has to be read."""

    def wanted(self) -> Collection[str]:
        """Which tables of it are compared."""

    def has(self, table: str) -> bool:
        """Whether it holds a table."""

    def read(self, read: Read, loading: Loading, beside: Beside | None = None) -> None:
        """Read it to its end. Raises Problem, NotMet."""


class LaterSnapshot:
    """The later one is a snapshot: of it is read what differs."""

    phase = "later dump"
    patience: float | None = None

    def __init__(self, story: Story, side: Side, until: Snapshot) -> None:
        self._story = story
        self._stored = OpenedSnapshot(until, story.stored.access, side.file)
        self.side = side
        self.source = until.source
        story.keep()

    def is_known_same(self) -> bool:
        """Whether both manifests say the same."""
        before = self._story.before.held
        return not self.wanted() and not unlike(before, self.side.held, [Kind.EVENT])

    def wanted(self) -> Collection[str]:
        """Those that the manifests tell apart."""
        before = self._story.before.held
        return other_rows(before, self.side.held) | unlike(
            before, self.side.held, [Kind.TABLE, Kind.SEQUENCE]
        )

    def has(self, table: str) -> bool:
        """Whether its manifest names it."""
        return table in self.side.held.tables

    def read(self, read: Read, loading: Loading, beside: Beside | None = None) -> None:
        """Out of the repository."""
        snapshot_read(self._stored, read, self._story.progress, loading, beside)


class LaterNow:
    """The later one is the database as it is now, which is dumped as for a backup, over one connection."""

    phase = "live dump"

    def __init__(self, story: Story) -> None:
        self._story = story
        database, progress = story.request.database, story.progress
        ready = make_ready(database, progress.tick, is_safety_copy=True)
        self._server, info = ready.source.server, ready.source.info
        can_wait = ready.source.programs.takes_init_command
        self.patience: float | None = _PATIENCE_SECONDS if can_wait else _SHORT_PATIENCE_SECONDS
        progress.mask_secrets([*ready.access.secret_values(), self._server.password])
        self._nothing = {"sections": [], "server": {"flavour": info.flavour, "version": info.version}}
        self.side = Side(Held(self._nothing), timezone.now())
        self.source = database.database
        story.keep()

    def is_known_same(self) -> bool:
        """Nobody knows before it was read."""
        return False

    def wanted(self) -> Collection[str]:
        """All that is dumped."""
        return self._story.request.tables or EveryTable()

    def has(self, table: str) -> bool:
        """Whether it was in the dump."""
        return table in self.side.held.tables

    def read(self, read: Read, loading: Loading, beside: Beside | None = None) -> None:
        """By a dump of this moment."""
        story = self._story
        # What was read before may have taken an hour, in which tables come and go.
        chosen = self._of_chosen()
        at = timezone.now()
        if story.request.tables and not chosen:
            self.side = Side(Held(self._nothing), at)
            read(iter(()), loading)
            return
        order = Order(
            server=self._server,
            database=self.source,
            client_dir=settings.MYSQL_CLIENT_DIR,
            notes=settings.RESTIC_CACHE_DIR,
            without_broken_views=True,
            at_once=ParallelOptions(1, because=phrase("a comparison locks no table")),
            to_compare=True,
            only=chosen,
        )
        manifest = live_dumped(order, read, story.progress, loading, beside)
        self.side = Side(held_of(story.request, manifest), at)

    def _of_chosen(self) -> tuple[str, ...]:
        """Which of the chosen tables are there now."""
        chosen = self._story.request.tables
        if not chosen:
            return ()
        with mysql.connect(self._server) as connection:
            listed = mysql.listed_tables(connection, self.source)
        return tuple(sorted({table.name for table in listed if table.is_table} & set(chosen)))


def read_both(story: Story, after: Side | None) -> Side:
    """Read what has to be read of both sides; answers the later one. Raises Problem, Cancelled.

    `after` is that, None for the database as it is now.
    """
    later: _Later
    if after is not None and after.snapshot is not None:
        later = LaterSnapshot(story, after, after.snapshot)
    else:
        later = LaterNow(story)
    if later.is_known_same():
        return later.side
    try:
        _at_once(story, later)
    except NotMet:
        story.progress.log(phrase("Both sides could not be read at once, so they are read in turns."))
        story.both.begin_again()
        story.keep()
        _in_turns(story, later)
    return later.side


def _at_once(story: Story, later: _Later) -> None:
    """Read both side by side, and leave out as bytes the rows that both have. Raises NotMet."""
    both, held = story.both, story.before.held
    wanted = later.wanted()
    tables = [each for each in _in_order(held) if each in wanted and (_is_live(later) or later.has(each))]
    meeting = Meeting(tables, held.collations, later.patience)
    both.before.settled = both.after.settled = meeting.settled

    def may_settle(table: str) -> bool:
        layout = meeting.layout(table)
        if layout is None or not layout.is_whole:
            return False
        # What a server is to compare is loaded with all of its rows, of which there is no second dump.
        if _is_live(later) and not layout.is_alike:
            return False
        # Where rows are kept it counts how many are alike, unless a key tells them apart.
        return bool(layout.key) or not both.is_asked

    story.progress.phase("both dumps", expected=story.expected(None, later.side.snapshot))
    loading = Loading(Digester(later.source))
    readers = (
        both.reader_of_before(held, lambda table, _: meeting.layout(table)),
        both.reader_of_after(held, loading.digester, lambda table, _: meeting.layout(table)),
    )
    if not both.is_asked and not _is_live(later):
        # Should no server be had, both are read once more.
        for reader in readers:
            reader.is_left = left_to_server(meeting)
    sifters = [Sifter(meeting, side, may_settle) for side in (BEFORE, AFTER)]
    before = story.wish(wanted, readers[BEFORE], story.before, sifters[BEFORE])
    after = story.wish_of_later(
        later, readers[AFTER], lambda table: meeting.layout(table.name), sifters[AFTER]
    )
    with snapshot_beside(story.stored, before.read, story.progress, meeting.call_off) as beside:
        if _is_live(later) and tables:
            # What comes before them in the snapshot may be large, and no transaction is to wait for that.
            beside.wait_for(meeting.has_begun, story.progress)
        later.read(after.read, loading, beside)
    if any(later.has(table) and table not in meeting.met for table in tables):
        raise NotMet
    _learn(story, later, loading, beside.loading)


def _is_live(later: _Later) -> bool:
    return later.side.snapshot is None


def _in_order(held: Held) -> list[str]:
    """The tables of a dump as they stand there."""
    return [each["name"] for each in held.manifest["sections"] if each["kind"] == Kind.TABLE]


def _learn(story: Story, later: _Later, after: Loading, before: Loading | None) -> None:
    """Note how the tables of both dumps are defined, of the earlier one where that was read whole."""
    story.both.defined_after = Defined.of(after.digester, later.side.held.collations)
    if before is not None:
        story.both.defined_before = Defined.of(before.digester, story.before.held.collations)
    if story.request.keep_rows:
        later.side = replace(later.side, definitions=keeping.definitions_of(after.digester))
        if before is not None:
            story.definitions_before = keeping.definitions_of(before.digester)


# ---------------------------------------------------------------- In turns


def _in_turns(story: Story, later: _Later) -> None:
    """Read the later side, then of the earlier one what differs, each table as the later one's was."""
    both, progress, before = story.both, story.progress, story.before
    stored = story.stored
    progress.phase("definitions", expected=story.expected(None))
    defined = Loading(Digester(stored.snapshot.source))
    snapshot_read(stored, read_definitions, progress, defined)
    both.defined_before = Defined.of(defined.digester, before.held.collations)
    progress.phase(later.phase, expected=story.expected(later.side.snapshot))
    loading = Loading(Digester(later.source))
    recorder = both.reader_of_after(before.held, loading.digester)

    def layout(table: Section) -> Layout | None:
        then = both.defined_before.tables.get(table.name)
        now = shape_of(table.definition, before.held.collations)
        return layout_of(then, now) if then and now else None

    later.read(story.wish_of_later(later, recorder, layout).read, loading)
    _learn(story, later, loading, defined)
    wanted = both.wanted_of_before(before.held, later.side.held)
    if wanted:
        progress.phase("earlier dump", expected=story.expected(None))
        read = story.wish(wanted, both.reader_of_before(before.held), before).read
        snapshot_read(stored, read, progress, Loading(Digester(stored.snapshot.source)))
