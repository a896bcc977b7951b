"""Logs as servers write them, and logs that no server writes."""

from __future__ import annotations

import re
import subprocess
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from backups import binlog
from backups.binlog import events
from backups.binlog.kinds import Kind
from tests.servers import DatabaseServer

# What the client programs print before each row, with `-v`.
ROW = re.compile(rb"^### (INSERT INTO|UPDATE|DELETE FROM) `(.*)`\.`(.*)`$", re.MULTILINE)
# What makes each flavour compress.
COMPRESSED: dict[str, list[str]] = {
    "mariadb": ["log_bin_compress = ON", "log_bin_compress_min_len = 10"],
    "mysql": ["binlog_transaction_compression = ON"],
}
VERBS = {b"INSERT INTO": "insert", b"UPDATE": "update", b"DELETE FROM": "delete"}
Rows = Counter[tuple[bytes, bytes, str]]


def end_of(server: DatabaseServer) -> tuple[str, int]:
    """The file that is written to, and how long it is."""
    is_mariadb = server.flavour == "mariadb"
    row = server.query("SHOW MASTER STATUS" if is_mariadb else "SHOW BINARY LOG STATUS")[0]
    return str(row[0]), int(row[1])


def path_of(server: DatabaseServer, file: str) -> Path:
    """Where a file of the log lies."""
    return server.folder / "data" / file


def files_from(server: DatabaseServer, first: str) -> list[Path]:
    """The log's files from one on, but for the one that is written to."""
    server.execute("FLUSH BINARY LOGS")
    names = [str(row[0]) for row in server.query("SHOW BINARY LOGS")]
    return [path_of(server, name) for name in names[names.index(first) : -1]]


@contextmanager
def logged(server: DatabaseServer, settings: Sequence[str] = ()) -> Iterator[list[Path]]:
    """The log's files of what is done meanwhile by rows, under some global settings (`name = value`)."""
    settings = ["binlog_format = ROW", *settings]
    names = [setting.partition(" = ")[0] for setting in settings]
    before = [server.query(f"SELECT @@GLOBAL.{name}")[0][0] for name in names]
    files: list[Path] = []
    try:
        for setting in settings:
            server.execute(f"SET GLOBAL {setting}")
        server.execute("FLUSH BINARY LOGS")
        first, _ = end_of(server)
        yield files
        files += files_from(server, first)
    finally:
        for name, value in zip(names, before, strict=True):
            server.execute(f"SET GLOBAL {name} = {value!r}")


def told_by_client(server: DatabaseServer, files: Iterable[Path]) -> Rows:
    """How many rows of each table the flavour's own program prints, by kind."""
    program = server.client_dir / ("mariadb-binlog" if server.flavour == "mariadb" else "mysqlbinlog")
    options = ["--no-defaults", "--base64-output=DECODE-ROWS", "-v"]
    done = subprocess.run([program, *options, *files], capture_output=True, check=True)
    return Counter((database, table, VERBS[verb]) for verb, database, table in ROW.findall(done.stdout))


def parts_of(data: bytes, size: int) -> Iterator[bytes]:
    """The bytes in parts."""
    return (data[at : at + size] for at in range(0, len(data), size))


def transactions(data: bytes) -> list[binlog.Transaction]:
    """All of a file's."""
    read = binlog.read([data], binlog.Reading())
    return [each for each in read if isinstance(each, binlog.Transaction)]


def rows_of(read: Iterable[binlog.Transaction]) -> Rows:
    """How many rows of each table they change, by kind."""
    found: Rows = Counter()
    for transaction in read:
        for (database, table), kinds in binlog.changes(transaction.events).items():
            found.update({(database, table, kind.value): count for kind, count in kinds.items()})
    return found


def facts_of(data: bytes, file: str = "binlog.000001") -> binlog.Facts:
    """What a whole file says of itself."""
    facts = binlog.Facts(file, start=len(binlog.MAGIC))
    for each in binlog.read([data], binlog.Reading()):
        facts.note(each)
    return facts


def explore(data: bytes) -> None:
    """Read all that can be read of a log, and nothing of it twice. Raises Unreadable."""
    facts = binlog.Facts("binlog.000001", start=4)
    for each in binlog.read([data], binlog.Reading()):
        facts.note(each)
        if isinstance(each, binlog.Transaction):
            binlog.changes(each.events)
            for event in each.events:
                _look_at(event)


def _look_at(event: binlog.Event) -> None:
    if event.kind in binlog.QUERIES:
        binlog.parse_query(event)
    elif event.kind == binlog.Kind.TABLE_MAP:
        binlog.table_of(event)
        binlog.renamed(event, b"elsewhere")
    elif event.kind in binlog.ROWS:
        binlog.with_flags(event, binlog.flags_of(event))


def packed_event(kind: int, body: bytes, at: int, *, when: int = 1, flags: int = 0) -> bytes:
    """An event that begins at a position, with its checksum."""
    size = events.HEADER.size + len(body) + events.CHECKSUM
    raw = events.HEADER.pack(when, kind, 7, size, (at + size) % 2**32, flags) + body
    return raw + zlib.crc32(raw).to_bytes(4, "little")


def head(*, is_mariadb: bool, has_checksum: bool = True, when: int = 1, table_map: int = 8) -> bytes:
    """What a file begins with; `table_map` is how long it says that the head of one is."""
    lengths = bytearray(171 if is_mariadb else 42)
    lengths[Kind.TABLE_MAP - 1] = table_map
    body = (4).to_bytes(2, "little") + b"1.2.3".ljust(50, b"\0") + bytes(4) + b"\x13" + lengths
    return binlog.MAGIC + packed_event(15, body + bytes([has_checksum]), 4, when=when)


def log_of(*made: tuple[int, bytes], is_mariadb: bool) -> bytes:
    """A file of events, told by kind and body."""
    data = head(is_mariadb=is_mariadb)
    for kind, body in made:
        data += packed_event(kind, body, len(data))
    return data


def query(text: bytes, database: bytes = b"shop") -> bytes:
    """The body of a statement without any settings."""
    return bytes(8) + bytes([len(database)]) + bytes(4) + database + b"\0" + text
