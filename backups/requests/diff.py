"""Asking what changed from a snapshot to a later one, or to now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from backups.choices import Action
from backups.dumpfile import manifests
from backups.errors import Problem
from backups.models import Run, Snapshot
from backups.requests.base import NOTHING_DONE, About, DatabaseRequest, database_of
from backups.text.sentences import phrase


@dataclass(frozen=True)
class DiffRequest(DatabaseRequest):
    """Compare a snapshot with a later one, or without such with the database as it is then.

    `tables` are those that are compared, none for all of the database. With `keep_rows` the rows that differ
    are kept for a day where the worker runs.
    """

    action = Action.DIFF

    snapshot: Snapshot
    until: Snapshot | None = None
    tables: tuple[str, ...] = ()
    keep_rows: bool = False

    @property
    def about(self) -> About:
        """The database and the earlier snapshot."""
        return About(database=self.database, snapshot=self.snapshot)

    def parameters(self) -> dict[str, Any]:
        """The later snapshot, the tables, and whether rows are kept."""
        wanted = {"until": self.until.snapshot_id if self.until else None, "tables": list(self.tables)}
        # A worker of before, which still runs during an upgrade, keeps none and says nothing of them.
        return {**wanted, "keep_rows": True} if self.keep_rows else wanted

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
        return cls(database, run.snapshot, until, tables, payload.get("keep_rows") is True)

    def refuse_unfit(self) -> None:
        """Raise Problem for what cannot be compared: another database's or repository's, what has gone or no
        manifest."""
        for snapshot in filter(None, (self.snapshot, self.until)):
            _refuse(snapshot, self.database.pk)
        if self.until is None:
            return
        if self.until.pk == self.snapshot.pk:
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
        if self.until.time < self.snapshot.time:
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
