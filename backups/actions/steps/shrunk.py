"""Tables of which most rows are gone since the backup before."""

from __future__ import annotations

from collections.abc import Sequence

from backups.keeping import suspicions
from backups.models import Database, Run, Snapshot
from backups.runs import notes
from backups.runs.progress import Progress
from backups.text import formatting
from backups.text.sentences import phrase


def tell_shrunk(
    run: Run, database: Database, snapshot: Snapshot, not_innodb: Sequence[str], progress: Progress
) -> None:
    """Say which tables lost most of their rows; louder of those that a server mends by dropping rows."""
    shrunk = suspicions.shrunk(database, snapshot)
    loose = {table.rpartition(" (")[0] for table in not_innodb}
    notes.run_update(
        run.pk,
        result={
            "shrunk": [
                {"table": each.table, "bytes_before": each.before, "bytes": each.now} for each in shrunk
            ]
        },
    )
    for each in shrunk:
        sentence = phrase(
            "The rows of {table} take {now}; in snapshot {snapshot} they took {before}.",
            table=each.table,
            now=formatting.size(each.now),
            snapshot=each.snapshot.short_id,
            before=formatting.size(each.before),
        )
        if each.table in loose:
            progress.warn(
                phrase(
                    "{sentence} If nobody deleted them, the server may have lost them: see its log and "
                    "CHECK TABLE {table}; that snapshot still holds them.",
                    sentence=sentence,
                    table=each.table,
                )
            )
        else:
            progress.log(sentence)
