"""A snapshot's SQL as a stream for whoever downloads it: nothing is held in memory or on disk here."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from contextlib import closing

from backups import process, restic
from backups.actions.steps.restore_file import file_name
from backups.dumpfile.chosen_tables import chosen_tables
from backups.endpoints import repository_access
from backups.loading.progress import Loading
from backups.loading.reading import digested, unpacked
from backups.models import Snapshot
from backups.text.sentences import phrase


def sql_stream(
    snapshot: Snapshot, tables: Collection[str] = (), tick: process.Tick = lambda: None
) -> tuple[str, Iterator[bytes | memoryview]]:
    """The file's name and its bytes: all of the dump, or the chosen tables of it.

    Closing the iterator stops restic, and so does a Problem that `tick` raises, which is called several times
    a second, from another thread too. Raises Problem at once when the repository is not to be had; a failure
    in the middle breaks the download off, so that nobody takes half a dump for a whole.
    """
    access = repository_access(snapshot.repository)
    restic.probe(access, tick=tick)
    content = _bytes(snapshot, access, frozenset(tables), tick)
    first = next(content, b"")  # so that what cannot be read at all is told, not sent
    return file_name(snapshot), _from(first, content)


def _from(
    first: bytes | memoryview, content: Generator[bytes | memoryview, None, None]
) -> Iterator[bytes | memoryview]:
    with closing(content):
        yield first
        yield from content


def _bytes(
    snapshot: Snapshot, access: restic.Access, tables: frozenset[str], tick: process.Tick
) -> Generator[bytes | memoryview, None, None]:
    with (
        restic.dump(access, snapshot.snapshot_id, snapshot.path) as source,
        restic.outage_guard(source, access, tick),
    ):
        chunks = unpacked(source.stdout, gzip=snapshot.path.endswith(".gz"))
        if tables:
            yield from chosen_tables(digested(chunks, Loading()), tables)
        else:
            yield from chunks
        restic.finished(source, access, phrase("reading the snapshot"))
