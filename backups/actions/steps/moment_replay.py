"""A restore to a moment: where that is, and the log replayed onto what was loaded of the dump before it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from backups import mysql, restic
from backups.actions.steps.log_replayed import Played, StoredLog, replay_stored
from backups.actions.steps.moment_found import Way, found
from backups.actions.steps.replay_place import refuse_beside_live, replaying_place
from backups.choices import RestoreMode
from backups.dumpfile.log_positions import Place
from backups.dumpfile.sections import Kind
from backups.endpoints import restoring_server, scratch_server
from backups.errors import Problem
from backups.loading.progress import Loading
from backups.models import Restore
from backups.moments.large_rows import largest
from backups.moments.position import Cut
from backups.moments.rows import draft_of
from backups.moments.until import Until, local
from backups.replaying.result import Replayed
from backups.replaying.way import Route
from backups.runs import notes, restores
from backups.runs.progress import Progress
from backups.shipping import packets
from backups.text import formatting
from backups.text.sentences import phrase, plural


class ToMoment:
    """What a restore does besides, if it is to a moment; one that is not does nothing of it."""

    def __init__(self, restore: Restore, access: restic.Access, progress: Progress) -> None:
        self._restore, self._access, self._progress = restore, access, progress
        self._way: Way | None = None
        self._place: mysql.ProbedServer | None = None
        # What the run's result says of it.
        self._told: dict[str, object] = {}

    @property
    def is_wanted(self) -> bool:
        """Whether it is to a moment."""
        return self._restore.until is not None

    def find(self) -> None:
        """See where in the log it is, and that all is there, before anything is made. Raises Problem."""
        restore, progress = self._restore, self._progress
        until = Until.from_row(restore.until)
        if until is None:
            return
        self._refuse_place()
        draft = draft_of(restore.database, until).from_base(restore.snapshot.pk)
        looked_at = draft.to_look_at()
        progress.phase("find", expected=sum(piece.bytes for piece in looked_at))
        way = self._way = found(draft, restore.snapshot, self._access, progress.tick)
        told = told_of(way.cut)
        restores.restore_note(restore, until={**until.stored(), **told})
        self._note({**told, "moment": until.stored()["moment"], "before_transaction": until.before or None})
        progress.log(cut_words(way.cut))

    def _refuse_place(self) -> None:
        """Raise Problem for what rows and settings tell of the place, before anything is read."""
        restore = self._restore
        is_file = restore.mode == RestoreMode.FILE
        place = scratch_server(restore.database) if is_file else restoring_server(restore.database)
        flavour = (restore.snapshot.manifest or {}).get("server", {}).get("flavour", "")
        refuse_beside_live(restore.database, place, flavour)

    def prepare(self, place: mysql.ProbedServer, database: str) -> None:
        """See that the log may be replayed there, before anything is made. Raises Problem."""
        if not self.is_wanted:
            return
        server = replaying_place(self._restore.database, place.server, place.info, database)
        self._progress.mask_secrets([server.password])
        if (way := self._way) is not None:
            packets.refuse_too_large(server, largest(way.pieces, way.after, way.until))
        self._place = mysql.ProbedServer(server, place.info, place.programs)

    def replay(self, place: mysql.ProbedServer, database: str, loading: Loading) -> None:
        """Replay the log onto what was loaded into `database`, then keep what was chosen. Raises Problem."""
        if self._way is None or self._place is None:
            return
        way, played = self._way, Played()
        if way.pieces:
            log = StoredLog(self._access, self._restore.database.database, way.pieces)
            route = Route(self._restore.snapshot.source, database, way.after, way.until)
            replay_stored(log, self._place, route, played, self._progress)
        self._tell(played)
        self._settle(place, database, loading, played.replayed or Replayed())

    def _tell(self, played: Played) -> None:
        replayed = played.replayed or Replayed()
        self._progress.log(
            plural(
                "{n} transaction of the log was replayed in {duration}.",
                "{n} transactions of the log were replayed in {duration}.",
                n=replayed.transactions,
                duration=formatting.duration(played.seconds),
            )
        )
        if replayed.left_prepared:
            self._progress.warn(
                plural(
                    "{n} XA transaction was prepared at that moment and not committed: it is left out.",
                    "{n} XA transactions were prepared at that moment and not committed: they are left out.",
                    n=replayed.left_prepared,
                )
            )
        self._note({**played.counted, "log_bytes": played.bytes, "replay_seconds": played.seconds})

    def _note(self, told: Mapping[str, object]) -> None:
        self._told |= told
        notes.run_update(self._restore.run_id, result={"moment": self._told})

    def _settle(self, place: mysql.ProbedServer, database: str, loading: Loading, replayed: Replayed) -> None:
        """Tables that were not chosen go, and events of the log stay asleep."""
        touched = {name for kept in replayed.kept_back for name in kept.let_out.ours.changed}
        with mysql.connect(place.server) as connection:
            if self._restore.tables:
                self._keep_chosen(connection, database)
            held = mysql.inventory(connection, database)
        events = held.get(Kind.EVENT, [])
        loading.found.events = [
            event for event in loading.found.events if event.name in events and event.name not in touched
        ]
        if asleep := sorted(touched & set(events)):
            notes.run_update(self._restore.run_id, result={"events_of_log_disabled": asleep})
            self._progress.warn(
                phrase(
                    "These events were made or changed after the backup, and are disabled: {asleep}. Enable "
                    "those that are to run.",
                    asleep=", ".join(asleep),
                )
            )

    def _keep_chosen(self, connection: object, database: str) -> None:
        held = mysql.inventory(connection, database)
        _refuse_unknown(self._restore, [*held.get(Kind.TABLE, []), *held.get(Kind.SEQUENCE, [])])
        mysql.drop_all_but(connection, database, self._restore.tables)


def _refuse_unknown(restore: Restore, held: Collection[str]) -> None:
    missing = [table for table in restore.tables if table not in held]
    if missing:
        raise Problem(
            phrase("At that moment there was no table {missing}.", missing=", ".join(missing)),
            code="moment.no_such_table",
            do=phrase("Choose other tables, or another moment."),
        )


def told_of(cut: Cut) -> dict[str, object]:
    """A place in the log as rows and commands tell it: the last transaction before it, the first behind."""
    return {
        "file": cut.place.file,
        "position": cut.place.position,
        "last": cut.last.stored() if cut.last else None,
        "left_out": cut.left_out.stored() if cut.left_out else None,
    }


def cut_words(cut: Cut) -> str:
    """The same for people."""
    words = phrase("The log is replayed up to {place}.", place=_named(cut.place))
    if cut.last is not None:
        words = phrase(
            "{words} The last transaction is of {moment}.", words=words, moment=local(cut.last.moment)
        )
    if cut.left_out is not None:
        words = phrase(
            "{words} The first that is left out is of {moment}, at {place}.",
            words=words,
            moment=local(cut.left_out.moment),
            place=_named(cut.left_out.begins),
        )
    return words


def _named(place: Place) -> str:
    return f"{place.file}:{place.position}"
