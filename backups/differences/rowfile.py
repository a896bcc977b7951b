"""Digests of rows on disk, and what differs between those of one dump and those of another.

A row is 32 bytes there, whatever it holds: a digest of its key, and one of the row. They are made with a
secret that nobody keeps, and the files have no names. What is compared at once takes some ten megabytes of
memory; larger tables are first dealt out over several files, by the first byte of their keys' digests.
"""

from __future__ import annotations

import errno
import secrets
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from hashlib import blake2b
from operator import itemgetter
from struct import iter_unpack
from typing import IO, NamedTuple

from backups.errors import Problem
from backups.text.sentences import phrase

DIGEST_BYTES = 16
ROW_BYTES = 2 * DIGEST_BYTES
# Of both dumps together; an eighth of a million rows of each.
AT_ONCE_BYTES = 8 << 20
_BLOCK_BYTES = 1 << 20
# The folder for temporary files is often memory, as in the Compose file. Eight million rows fit in.
_WITHOUT_FOLDER_BYTES = 256_000_000
# Of a disk's free space, what is left to others.
_SPARED = 0.1
# A process may have a thousand files open.
_SHARES = 64
# After so many bytes of the keys' digests, what is together is the same key.
_DEEPEST = 4


class Counts(NamedTuple):
    """How many rows of a table are gone, new and changed."""

    gone: int
    new: int
    changed: int


class Extent(NamedTuple):
    """Where a table's rows lie in a file of digests."""

    begin: int
    end: int

    @property
    def rows(self) -> int:
        """How many they are."""
        return (self.end - self.begin) // ROW_BYTES


class Room:
    """A folder for the files of one comparison, and how many bytes they may have together.

    Without a folder they lie among the temporary files, and `most` does not count. Raises Problem where the
    folder cannot be written to.
    """

    def __init__(self, folder: str, most: int = 0) -> None:
        self._folder = folder
        try:
            self._path = folder or tempfile.gettempdir()
            free = int(shutil.disk_usage(self._path).free * (1 - _SPARED))
        except OSError as error:
            raise _unusable(folder, error) from error
        self._most = min(most if folder else _WITHOUT_FOLDER_BYTES, free)
        self._taken = 0
        # Both sides may be read at once.
        self._one_by_one = threading.Lock()
        # What lets go of all that it holds, of which the comparison can do without.
        self._give_way: Callable[[], None] | None = None

    def file(self) -> IO[bytes]:
        """A new file without a name."""
        try:
            return tempfile.TemporaryFile(dir=self._path)
        except OSError as error:
            raise _unusable(self._path, error) from error

    def take(self, size: int) -> None:
        """So many bytes more are to be written. Raises Problem where they are too many."""
        with self._one_by_one:
            self._taken += size
            give_way = self._give_way if self._taken > self._most else None
        if give_way is not None:
            give_way()
        if self._taken > self._most:
            raise self._full()

    def lend(self, size: int) -> bool:
        """The same for what the comparison can do without; answers whether there is room."""
        with self._one_by_one:
            if is_there := self._taken + size <= self._most:
                self._taken += size
        return is_there

    def gives_way(self, let_go: Callable[[], None] | None) -> None:
        """From now on, call `let_go` where there is no room for what has to be written, in any thread."""
        self._give_way = let_go

    @property
    def most(self) -> int:
        """How many bytes all files may have together."""
        return self._most

    @property
    def left(self) -> int:
        """How many bytes more there may be."""
        return self._most - self._taken

    def give(self, size: int) -> None:
        """So many bytes are not needed any more."""
        with self._one_by_one:
            self._taken -= size

    def _full(self) -> Problem:
        do = phrase(
            "Set DUMP_SPOOL_DIR to a folder on a disk with room (it is empty, so {folder} is used), or "
            "choose tables with --table.",
            folder=self._path,
        )
        if self._folder:
            do = phrase(
                "Make room in {folder}, raise DUMP_SPOOL_MB, or choose tables with --table.",
                folder=self._path,
            )
        return Problem(
            phrase(
                "The comparison needs more than the {most} MB that it may use: 32 bytes for each row of both "
                "sides, twice that for the largest table, and with --rows the live tables that differ.",
                most=self._most // 1_000_000,
            ),
            code="diff.no_room",
            do=do,
        )


def _unusable(folder: str, error: OSError) -> Problem:
    return Problem(
        phrase(
            "The folder for the comparison ({folder}) cannot be written to: {error}.",
            folder=folder or "TMPDIR",
            error=error.strerror or error,
        ),
        code="diff.folder_not_writable",
        do=phrase("Mend it, or name another one in DUMP_SPOOL_DIR."),
    )


class RowFile:
    """The digests of one dump's rows in a file without a name. Raises Problem without room."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self._file = self.room.file()
        self.end = 0

    def append(self, records: bytes) -> None:
        """Add rows."""
        self.room.take(len(records))
        self.end += len(records)
        write(self._file, records)

    def cut(self, end: int) -> None:
        """Let go of what was added behind this place."""
        self._file.seek(end)
        self._file.truncate()
        self.room.give(self.end - end)
        self.end = end

    def blocks(self, extent: Extent) -> Iterator[bytes]:
        """The rows of a table, in pieces."""
        at = extent.begin
        while at < extent.end:
            self._file.seek(at)
            block = self._file.read(min(_BLOCK_BYTES, extent.end - at))
            at += len(block)
            yield block

    def whole(self) -> Extent:
        """All that it holds."""
        return Extent(0, self.end)

    def dealt(self, extent: Extent, depth: int, opened: ExitStack, tick: Callable[[], None]) -> list[RowFile]:
        """The rows of a table dealt out over several files, by a byte of their keys' digests."""
        files = [opened.enter_context(closing(RowFile(self.room))) for _ in range(_SHARES)]
        for block in self.blocks(extent):
            tick()
            shares: list[list[bytes]] = [[] for _ in files]
            for (record,) in iter_unpack(f"{ROW_BYTES}s", block):
                shares[record[depth] % _SHARES].append(record)
            for file, share in zip(files, shares, strict=True):
                file.append(b"".join(share))
        return files

    def close(self) -> None:
        """Give its room back."""
        self.room.give(self.end)
        self.end = 0
        # On a full disk it fails once more to write what it still holds. It is closed all the same.
        with suppress(OSError):
            self._file.close()


class Digests:
    """Digests under a secret of its own: who reads the disk cannot guess and try what they are of."""

    def __init__(self) -> None:
        # Copied for each row, as a key given anew costs as much as a short row.
        self._keyed = blake2b(digest_size=DIGEST_BYTES, key=secrets.token_bytes(32))

    def of(self, data: bytes) -> bytes:
        """A digest."""
        digest = self._keyed.copy()
        digest.update(data)
        return digest.digest()

    def records(self, rows: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Rows as they lie in a file, each given by its key and what of it is compared."""
        keyed, parts = self._keyed.copy, []
        for key, row in rows:
            of_key, of_row = keyed(), keyed()
            of_key.update(key)
            of_row.update(row)
            parts += [of_key.digest(), of_row.digest()]
        return b"".join(parts)

    def whole(self, rows: Iterable[tuple[bytes, bytes]]) -> bytes:
        """The same of rows that are their own keys."""
        return b"".join([2 * self.of(row) for _, row in rows])


# How many rows of each key, by its digest.
ByKey = Counter[bytes]
# Is given those that are gone and those that are new, in parts.
Note = Callable[[ByKey, ByKey], None]


def compared(
    before: tuple[RowFile, Extent],
    after: tuple[RowFile, Extent],
    tick: Callable[[], None],
    note: Note = lambda *_: None,
    depth: int = 0,
) -> Counts:
    """What differs between the rows of a table in two dumps. Raises Problem, what `tick` raises."""
    tick()
    size = sum(extent.end - extent.begin for _, extent in (before, after))
    if size <= AT_ONCE_BYTES or depth >= _DEEPEST:
        return _counted(_all(*before, tick), _all(*after, tick), note)
    with ExitStack() as opened:
        shares = (file.dealt(extent, depth, opened, tick) for file, extent in (before, after))
        found = [
            compared((one, one.whole()), (other, other.whole()), tick, note, depth + 1)
            for one, other in zip(*shares, strict=True)
        ]
    return Counts(*map(sum, zip(*found, strict=True)))


def _all(file: RowFile, extent: Extent, tick: Callable[[], None]) -> Counter[bytes]:
    """Each row with how often it is there: of many that are the same, one is kept."""
    found: Counter[bytes] = Counter()
    for block in file.blocks(extent):
        tick()
        found.update(map(itemgetter(0), iter_unpack(f"{ROW_BYTES}s", block)))
    return found


def _counted(before: Counter[bytes], after: Counter[bytes], note: Note) -> Counts:
    gone, new = _only(before, after), _only(after, before)
    note(gone, new)
    changed = len(gone.keys() & new.keys()) if _is_once(gone, new) else (gone & new).total()
    return Counts(gone.total() - changed, new.total() - changed, changed)


def _only(rows: Counter[bytes], others: Counter[bytes]) -> ByKey:
    """How many rows there are of each key that the others have not."""
    if _is_once(rows, others):
        # As of nearly all tables. A loop of our own would take several times as long.
        return Counter(map(itemgetter(slice(DIGEST_BYTES)), set(rows).difference(others)))
    only: ByKey = Counter()
    for record, count in rows.items():
        if (more := count - others.get(record, 0)) > 0:
            only[record[:DIGEST_BYTES]] += more
    return only


def _is_once(*counts: Counter[bytes]) -> bool:
    """Whether each is there once and no more."""
    return all(each.total() == len(each) for each in counts)


def write(file: IO[bytes], data: bytes) -> None:
    """Add to a file. Raises Problem where there is no room."""
    try:
        file.write(data)
        file.flush()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Problem(
            phrase(
                "There is no room on the disk for the comparison: 32 bytes for each row of both sides, twice "
                "that for the largest table, and with --rows the live tables that differ."
            ),
            code="diff.no_room",
            do=phrase(
                "Make room where DUMP_SPOOL_DIR leads (if it is empty: in {folder}), or choose tables with "
                "--table.",
                folder=tempfile.gettempdir(),
            ),
        ) from error
