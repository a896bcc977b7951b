"""A snapshot's SQL as a stream for a browser: nothing is held in memory or on disk here."""

from __future__ import annotations

from collections.abc import Iterator

from backups import restic
from backups.actions.restore import file_name
from backups.connections import repository_access
from backups.load import unpacked
from backups.models import Snapshot


def sql_stream(snapshot: Snapshot) -> tuple[str, Iterator[bytes]]:
    """The file's name and its bytes. Closing the iterator stops restic.

    Raises Problem at once when the repository is not to be had; a failure in the middle breaks the
    download off, so that nobody takes half a dump for a whole one.
    """
    access = repository_access(snapshot.repository)
    restic.probe(access)
    return file_name(snapshot), _bytes(snapshot, access)


def _bytes(snapshot: Snapshot, access: restic.Access) -> Iterator[bytes]:
    with restic.dump(access, snapshot.snapshot_id, snapshot.path) as source:
        yield from unpacked(source.stdout, gzip=snapshot.path.endswith(".gz"))
        restic.finished(source, access, "reading the snapshot")
