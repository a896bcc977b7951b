"""Live tables as they are at a moment: dumped as for a comparison, and kept on disk to be read again."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any

from django.conf import settings
from django.utils import timezone

from backups import mysql, process
from backups.actions.steps.compared_streams import NOW, EveryTable, Taker, Wish, live_dumped
from backups.differences import keeping
from backups.differences.held import Held
from backups.differences.rowfile import Room, write
from backups.dumpfile.digesting import Digester
from backups.dumping.order import Order
from backups.dumping.parallel import ParallelOptions
from backups.loading.progress import Loading
from backups.runs.progress import Progress
from backups.text.sentences import phrase

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Live:
    """A database on its server, and which of its tables are looked at."""

    server: mysql.Server
    info: mysql.ServerInfo
    database: str
    tables: Sequence[str]
    # Whether other databases may have foreign keys to these tables that this user cannot see.
    keys_unseen: bool = False

    def order(self) -> Order:
        """What the dump program is told."""
        return Order(
            server=self.server,
            database=self.database,
            client_dir=settings.MYSQL_CLIENT_DIR,
            notes=settings.RESTIC_CACHE_DIR,
            without_broken_views=True,
            at_once=ParallelOptions(1, because=phrase("a comparison locks no table")),
            to_compare=True,
            only=tuple(sorted(self.tables)),
        )


class StoredDump:
    """A dump on disk that is read as if a program wrote it."""

    def __init__(self, file: IO[bytes]) -> None:
        file.seek(0)
        self.stdout = file

    def poll(self) -> int | None:
        """It is all there."""
        return 0

    def stop(self) -> None:
        """Nothing runs."""


@dataclass
class Moment:
    """The dump of some tables, which lies on disk for the length of `moment`."""

    live: Live
    at: datetime
    file: IO[bytes]
    manifest: dict[str, Any] = field(default_factory=dict)
    definitions: dict[str, bytes] = field(default_factory=dict)

    @property
    def held(self) -> Held:
        """What it holds by its manifest."""
        return Held(self.manifest)

    def program(self) -> StoredDump:
        """The same from its beginning, for the loader."""
        return StoredDump(self.file)

    def read(self, tables: Collection[str], taker: Taker, progress: Progress) -> None:
        """Have these tables taken in once more. Raises Problem, what `tick` raises."""
        is_over = threading.Event()
        loading = Loading(Digester(self.live.database))

        def chunks() -> Iterator[bytes]:
            self.file.seek(0)
            while (data := self.file.read(_BLOCK)) and not is_over.is_set():
                yield data

        wish = Wish(tables, taker, self.live.info, self.live.database, set(), NOW)
        process.run_in_thread(lambda: wish.read(chunks(), loading), progress.tick, is_over.set)


@contextmanager
def moment(live: Live, taker: Taker, progress: Progress) -> Iterator[Moment]:
    """Dump tables of a live database, as `taker` takes them in, for the length of a block. Raises Problem."""
    room = Room(settings.DUMP_SPOOL_DIR, settings.DUMP_SPOOL_MB * 1_000_000)
    with tempfile.TemporaryFile(dir=settings.DUMP_SPOOL_DIR or None) as file:
        found = Moment(live, timezone.now(), file)
        loading = Loading(Digester(live.database))

        def saved(chunks: Iterator[bytes]) -> Iterator[bytes]:
            for data in chunks:
                room.take(len(data))
                write(file, data)
                yield data

        wish = Wish(EveryTable(), taker, live.info, live.database, set(), NOW)
        found.manifest = live_dumped(
            live.order(), lambda chunks, loaded: wish.read(saved(chunks), loaded), progress, loading
        )
        found.definitions = keeping.definitions_of(loading.digester)
        yield found


class Nobody:
    """Takes in statements, and has no use for them."""

    def take(self, ready: Any) -> None:
        """Pass it over."""

    def close(self) -> None:
        """There are no more."""
