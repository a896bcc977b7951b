"""Asking what changed from a snapshot, or a moment of the stored log, to a later one, or to now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from backups.choices import Action
from backups.dumpfile import manifests
from backups.errors import Problem
from backups.models import Database, Run, Snapshot
from backups.moments.rows import draft_of
from backups.moments.until import Until, at_moment, before_transaction, local
from backups.requests.base import NOTHING_DONE, About, DatabaseRequest, database_of
from backups.requests.beside_live import refuse_beside_live
from backups.snapshots.selection import resolve_snapshot
from backups.text.sentences import phrase


@dataclass(frozen=True)
class DiffRequest(DatabaseRequest):
    """Compare a snapshot with a later one, or without such with the database as it is then.

    `tables` are those that are compared, none for all of the database. With `keep_rows` the rows that differ
    are kept for a day where the worker runs. With `since` the earlier side is that moment, brought back from
    the snapshot, and so is with `upto` the later one (since version 2).
    """

    action = Action.DIFF
    version = 2

    snapshot: Snapshot
    until: Snapshot | None = None
    tables: tuple[str, ...] = ()
    keep_rows: bool = False
    since: Until | None = None
    upto: Until | None = None

    @property
    def is_of_moments(self) -> bool:
        """Whether a side has to be brought back."""
        return self.since is not None or self.upto is not None

    @property
    def about(self) -> About:
        """The database and the earlier snapshot."""
        return About(database=self.database, snapshot=self.snapshot)

    def parameters(self) -> dict[str, Any]:
        """The later snapshot, the tables, and whether rows are kept."""
        wanted: dict[str, Any] = {
            "until": self.until.snapshot_id if self.until else None,
            "tables": list(self.tables),
        }
        if self.is_of_moments:
            wanted |= {
                "since_moment": self.since.stored() if self.since else None,
                "upto_moment": self.upto.stored() if self.upto else None,
            }
        # A worker of before, which still runs during an upgrade, keeps none and says nothing of them.
        return {**wanted, "keep_rows": True} if self.keep_rows else wanted

    def stored(self) -> dict[str, Any]:
        """What `Run.request` holds of it: what a worker of before can play, it can read as well."""
        return {**super().stored(), "version": self.version if self.is_of_moments else 1}

    @classmethod
    def from_row(cls, run: Run, payload: Mapping[str, Any]) -> Self:
        """The request again. Raises Problem where a snapshot is not in its repository any more."""
        database = database_of(run)
        tables = tuple(map(str, payload["tables"]))
        if run.snapshot is None:
            raise _gone(phrase("The snapshot that was to be compared is not known any more."))
        until = None
        if payload["until"] is not None:
            rows = Snapshot.objects.filter(snapshot_id=payload["until"], database=database)
            # A repository that was copied has the same ids.
            until = rows.filter(repository=run.snapshot.repository_id).first() or rows.first()
            if until is None:
                raise _gone(phrase("The later snapshot that was to be compared is not known any more."))
        return cls(
            database,
            run.snapshot,
            until,
            tables,
            payload.get("keep_rows") is True,
            Until.from_row(payload.get("since_moment")),
            Until.from_row(payload.get("upto_moment")),
        )

    def refuse_unfit(self) -> None:
        """Raise Problem for what cannot be compared: another database's or repository's, what has gone or no
        manifest."""
        for snapshot in filter(None, (self.snapshot, self.until)):
            _refuse(snapshot, self.database.pk)
        self._refuse_unfit_moments()
        if self.until is None:
            return
        if self.until.pk == self.snapshot.pk and not self.is_of_moments:
            raise Problem(
                phrase("Both sides are snapshot {snapshot}.", snapshot=self.snapshot.short_id),
                code="diff.same_snapshot",
                safe=NOTHING_DONE,
                do=phrase("Choose a later one, or compare it with now."),
            )
        if self.until.repository_id != self.snapshot.repository_id:
            raise Problem(
                phrase(
                    "Snapshots {snapshot} and {until} lie in different repositories.",
                    snapshot=self.snapshot.short_id,
                    until=self.until.short_id,
                ),
                code="diff.two_repositories",
                safe=NOTHING_DONE,
                do=phrase("Compare each with now, or choose two of one repository."),
            )
        if not self.is_of_moments and self.until.time < self.snapshot.time:
            raise Problem(
                phrase(
                    "Snapshot {until} is older than {snapshot}.",
                    until=self.until.short_id,
                    snapshot=self.snapshot.short_id,
                ),
                code="diff.turned_round",
                safe=NOTHING_DONE,
                do=phrase("Name the earlier one first."),
            )

    def _refuse_unfit_moments(self) -> None:
        """Raise Problem for a moment that cannot be had, and for two in the wrong order, if that is known."""
        if self.is_of_moments:
            refuse_beside_live(self.database)
        for moment, base in ((self.since, self.snapshot), (self.upto, self.until)):
            if moment is not None and base is not None:
                draft_of(self.database, moment).from_base(base.pk)
        begins = self.since.moment if self.since else self.snapshot.time
        ends = self.upto.moment if self.upto else self.until.time if self.until else None
        if self.is_of_moments and begins and ends and ends < begins:
            raise Problem(
                phrase("{until} is earlier than {since}.", until=local(ends), since=local(begins)),
                code="diff.turned_round",
                safe=NOTHING_DONE,
                do=phrase("Name the earlier one first."),
            )


def side_named(database: Database, text: str) -> tuple[Snapshot, Until | None]:
    """A side as a person names it: `moment:TIME`, `before:TRANSACTION`, or a snapshot by its id or as latest.

    No id of a snapshot has a colon. Of a moment also the snapshot that it is brought back from. Raises
    Problem.
    """
    for word, read in (("moment:", at_moment), ("before:", before_transaction)):
        if text.startswith(word):
            return of_moment(database, read(text.removeprefix(word)))
    return resolve_snapshot(database, text), None


def of_moment(database: Database, until: Until) -> tuple[Snapshot, Until]:
    """A moment as a side, with the snapshot that it is brought back from. Raises Problem."""
    rows = Snapshot.objects.select_related("repository")
    return rows.get(pk=draft_of(database, until).base.key), until


def _refuse(snapshot: Snapshot, database: int) -> None:
    if snapshot.database_id != database:
        raise Problem(
            phrase("Snapshot {snapshot} is of another database.", snapshot=snapshot.short_id),
            code="snapshot.of_another_database",
            safe=NOTHING_DONE,
            do=phrase("Choose two of the same one."),
        )
    if snapshot.forgotten_at is not None:
        raise _gone(
            phrase("Snapshot {snapshot} is not in the repository any more.", snapshot=snapshot.short_id)
        )
    if snapshot.manifest is None or not manifests.is_whole(snapshot.manifest):
        raise Problem(
            phrase(
                "Snapshot {snapshot} cannot be compared: nothing here says what it holds.",
                snapshot=snapshot.short_id,
            ),
            code="diff.no_manifest",
            safe=NOTHING_DONE,
            do=phrase(
                "Verify it, if Vedetta made it; then its list of contents is known again. Of a dump by "
                "another program there is none."
            ),
        )


def _gone(what: str) -> Problem:
    return Problem(
        what,
        code="snapshot.gone",
        safe=NOTHING_DONE,
        do=phrase("See which there are: `manage.py snapshots`."),
    )
