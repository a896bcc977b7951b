"""Digests of rows on disk, and what differs between those of one dump and those of another.

A row is 32 bytes there, whatever it holds: a digest of its key, and one of the row. They are made with a
secret that nobody keeps, and the files have no names. What is compared at once takes some ten megabytes of
memory; larger tables are first dealt out over several files, by the first byte of their keys' digests.
"""

from __future__ import annotations

import errno
import secrets
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from hashlib import blake2b
from struct import iter_unpack
from typing import IO, NamedTuple

from backups.errors import Problem
from backups.text.sentences import phrase

DIGEST_BYTES = 16
ROW_BYTES = 2 * DIGEST_BYTES
# Of both dumps together; an eighth of a million rows of each.
AT_ONCE_BYTES = 8 << 20
_BLOCK_BYTES = 1 << 20
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


class RowFile:
    """The digests of one dump's rows in a file without a name. Raises Problem without room."""

    def __init__(self, folder: str) -> None:
        self._folder = folder or None
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  closed by `close`
        self.end = 0

    def append(self, records: bytes) -> None:
        """Add rows."""
        write(self._file, records)
        self.end += len(records)

    def cut(self, end: int) -> None:
        """Let go of what was added behind this place."""
        self._file.seek(end)
        self._file.truncate()
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

    def dealt(self, extent: Extent, depth: int, opened: ExitStack) -> list[RowFile]:
        """The rows of a table dealt out over several files, by a byte of their keys' digests."""
        files = [opened.enter_context(closing(RowFile(self._folder or ""))) for _ in range(_SHARES)]
        for block in self.blocks(extent):
            shares: list[list[bytes]] = [[] for _ in files]
            for (record,) in iter_unpack(f"{ROW_BYTES}s", block):
                shares[record[depth] % _SHARES].append(record)
            for file, share in zip(files, shares, strict=True):
                file.append(b"".join(share))
        return files

    def close(self) -> None:
        """Give its room back."""
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
        return _counted(_all(*before), _all(*after), note)
    with ExitStack() as opened:
        shares = (file.dealt(extent, depth, opened) for file, extent in (before, after))
        found = [
            compared((one, one.whole()), (other, other.whole()), tick, note, depth + 1)
            for one, other in zip(*shares, strict=True)
        ]
    return Counts(*map(sum, zip(*found, strict=True)))


def _all(file: RowFile, extent: Extent) -> Counter[bytes]:
    """Each row with how often it is there: of many that are the same, one is kept."""
    found: Counter[bytes] = Counter()
    for block in file.blocks(extent):
        found.update(record for (record,) in iter_unpack(f"{ROW_BYTES}s", block))
    return found


def _counted(before: Counter[bytes], after: Counter[bytes], note: Note) -> Counts:
    gone, new = _only(before, after), _only(after, before)
    note(gone, new)
    changed = sum((gone & new).values())
    return Counts(gone.total() - changed, new.total() - changed, changed)


def _only(rows: Counter[bytes], others: Counter[bytes]) -> ByKey:
    """How many rows there are of each key that the others have not."""
    only: ByKey = Counter()
    for record, count in rows.items():
        if (more := count - others.get(record, 0)) > 0:
            only[record[:DIGEST_BYTES]] += more
    return only


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
                "There is no room on the disk for the comparison: 32 bytes for each row of both sides, and "
                "with --rows the live tables that differ."
            ),
            code="diff.no_room",
            do=phrase("Make room where DUMP_SPOOL_DIR leads, or choose tables with --table."),
        ) from error
