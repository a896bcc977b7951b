"""What is new of a server's binary log: from a place in it to the end that it had a moment ago.

Nothing waits at the server: a reader that waits holds up MySQL's shutdown, and one with an id of its own
throws out a replica with the same one.
https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_binlog_dump.html
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Generator, Iterator
from typing import NamedTuple

from backups import mysql
from backups.dumpfile.log_positions import Place
from backups.mysql.answers import strange
from backups.shipping.wire import NotSent, Wire, connected
from backups.text.sentences import phrase, template

MAGIC = b"\xfebin"
_HEADER = struct.Struct("<IBIIIH")
_DUMP = 0x12
# Do not wait at the end; MariaDB is to send the statements that rows come from as well.
_NON_BLOCK, _ANNOTATED = 1, 2
_ROTATE, _FORMAT, _HEARTBEATS = 4, 15, (27, 41)
_ARTIFICIAL = 0x20
# A place is told to a server in 32 bits: there is no asking for what lies behind.
LARGEST_POSITION = (1 << 32) - 1

_BACKED_UP = phrase("Nothing need be done: a backup is made, from which the log is stored again.")


class Fetched(NamedTuple):
    """An event as the server has it: where it lies and its bytes.

    The description of a file's format comes first, with `position` 4; where the fetch does not begin at the
    head of a file, it `is_repeated`: it lies before, and only says how to read what follows.
    """

    file: str
    position: int
    data: bytes
    is_repeated: bool = False


class LogLost(mysql.MySQLProblem):
    """The server has not what is to come next: it was purged, begun anew, or is shorter than it was."""

    code = "log.lost"


class TooFar(LogLost):
    """What is to come next lies further on in a file than the protocol can say."""

    code = "log.too_far"


def fetch(server: mysql.Server, flavour: str, begin: Place, end: Place) -> Generator[Fetched, None, None]:
    """The events from `begin` on, in order, to `end` and no further. Raises MySQLProblem, LogLost.

    An end beyond LARGEST_POSITION is passed, up to the end of the log: from there nobody could go on. A
    server begins a new file behind such a transaction, a moment after it may have told of the end.
    """
    if begin.position > LARGEST_POSITION:
        raise TooFar(
            phrase(
                "A transaction made {file} of the server's binary log longer than 4 GB, and no server sends "
                "what comes behind that.",
                file=begin.file,
            ),
            do=_BACKED_UP,
        )
    with connected(server) as wire:
        _begin(wire, flavour, begin)
        try:
            yield from _events(wire, begin, end)
        except NotSent as refused:
            raise _meaning(refused, begin) from None


def _begin(wire: Wire, flavour: str, begin: Place) -> None:
    name = begin.file.encode()
    if flavour == mysql.MARIADB:
        # That it knows MariaDB's own GTIDs: else the server would send something else in their place.
        wire.execute("SET @mariadb_slave_capability = 4")
        wire.execute("SET @master_binlog_checksum = @@global.binlog_checksum")
    else:
        wire.execute(
            "SET @source_binlog_checksum = @@global.binlog_checksum, "
            "@master_binlog_checksum = @@global.binlog_checksum"
        )
    flags = _NON_BLOCK | (_ANNOTATED if flavour == mysql.MARIADB else 0)
    # The id 0 is nobody's, so that nobody is thrown out.
    wire.ask(_DUMP, struct.pack("<IHI", begin.position, flags, 0) + name)


def _events(wire: Wire, begin: Place, end: Place) -> Iterator[Fetched]:
    file, position = begin
    for data in wire.packets():
        if len(data) < _HEADER.size:
            raise strange(data[:20])
        when, kind, _, size, _, flags = _HEADER.unpack_from(data)
        if kind in _HEARTBEATS:
            continue
        if kind == _ROTATE and (when == 0 or flags & _ARTIFICIAL):
            file, position = _named(data, begin)
            continue
        if size != len(data):
            raise strange(data[:20])
        if kind == _FORMAT and position > len(MAGIC):
            yield Fetched(file, len(MAGIC), data, is_repeated=True)
            continue
        yield Fetched(file, position, data)
        position += size
        if file == end.file and end.position <= position <= LARGEST_POSITION:
            return


def _named(data: bytes, begin: Place) -> tuple[str, int]:
    """The file, and the place in it, that the server says comes next; with a checksum or without."""
    body = data[_HEADER.size :]
    if len(body) > 12 and zlib.crc32(data[:-4]).to_bytes(4, "little") == data[-4:]:
        body = body[:-4]
    if len(body) < 9:
        raise strange(data[:40])
    position = struct.unpack_from("<Q", body)[0]
    file = body[8:].decode("utf-8", "replace")
    return file, position


def _meaning(refused: NotSent, begin: Place) -> mysql.MySQLProblem:
    """What of the server's reasons says that what is to come next is not there."""
    text = refused.text.lower()
    for words, code, sentence in _LOST:
        if words in text:
            return LogLost(
                phrase(sentence, file=begin.file, position=begin.position),
                code=code,
                do=_BACKED_UP,
            )
    return refused


_SHORTER = template(
    "{file} of the server's binary log is shorter than it was: it ended at {position} at least."
)
# By words of the server's, which no language changes (rpl_binlog_sender.cc, sql_repl.cc).
_LOST = (
    (
        "could not find first log file name",
        "log.purged",
        template("The server's binary log holds {file} no more: it was purged, or the log was begun anew."),
    ),
    (
        "> file size",
        "log.shorter",
        template(
            "{file} of the server's binary log is shorter than it was: it ended at {position} at least."
        ),
    ),
    (
        "could not find next log",
        "log.purged",
        template(
            "The server's binary log breaks off after {file}: it was purged, or the log was begun anew."
        ),
    ),
    (
        "impossible position",
        "log.shorter",
        template(
            "{file} of the server's binary log is shorter than it was: it ended at {position} at least."
        ),
    ),
    (
        "bogus data in log event",
        "log.another",
        template(
            "{file} of the server's binary log is not the one that it was: at {position} no event begins."
        ),
    ),
)
