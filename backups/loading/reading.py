"""A dump's bytes, unpacked, digested as they pass, and judged: what of them is to be sent."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import IO

from backups.dumpfile.allowed import Allowed, NotAllowed
from backups.dumpfile.dialect import Dialect
from backups.dumpfile.judge import Judge
from backups.dumpfile.limits import LONGEST_DEFINITION
from backups.dumpfile.ready import Found, LoadOptions, Ready
from backups.dumpfile.sections import Piece, TooLarge
from backups.dumpfile.statements import NoStatement
from backups.loading.problems import BrokenDump, CutOff, NotADump
from backups.loading.progress import End, Loading
from backups.text.sentences import phrase

_CHUNK = 1 << 20
_GZIP = 31  # zlib: expect a gzip header
_GZIP_BEGINS = b"\x1f\x8b"
_TAIL_BYTES = 256
_DUMPED_BY = re.compile(rb"(?:/\*M?!999999[^\n]*\n)?-- (?:MariaDB|MySQL) dump [^\n]*")
# Adminer ends a dump with the time in a comment.
_ADMINER = re.compile(rb"\n-- \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?: UTC)?\s*\Z")
_OTHER_FORMATS = (
    (b"<?xml", phrase("It is XML, as --xml writes it, and no SQL.")),
    (b"<", phrase("It is a page of markup, and no SQL.")),
    (b"\xff\xfe", phrase("It is UTF-16 text: save it as UTF-8.")),
    (b"\xfe\xff", phrase("It is UTF-16 text: save it as UTF-8.")),
    (b"\x28\xb5\x2f\xfd", phrase("It is zstd data, which is not unpacked here.")),
    (b"BZh", phrase("It is bzip2 data, which is not unpacked here.")),
    (b"\xfd7zXZ", phrase("It is xz data, which is not unpacked here.")),
    (b"PK\x03\x04", phrase("It is a zip archive, which is not unpacked here.")),
    (b"PGDMP", phrase("It is a dump of PostgreSQL.")),
)


def unpacked(source: IO[bytes], *, gzip: bool) -> Iterator[bytes]:
    """The bytes of a dump, unpacked in bounded pieces, by what they are and not by the file's name.

    Raises BrokenDump for broken gzip data, and for bytes that should be gzip data and are neither
    that nor text.
    """
    first = os.read(source.fileno(), _CHUNK)
    if not first.startswith(_GZIP_BEGINS):
        if gzip and first and b"\0" in first[:_TAIL_BYTES]:
            raise BrokenDump(
                phrase("The dump is not whole gzip data (it does not begin as such)."),
                code="load.no_whole_gzip",
            )
        if first:
            yield first
        while data := os.read(source.fileno(), _CHUNK):
            yield data
        return
    unzip = zlib.decompressobj(_GZIP)
    data = first
    is_within = True
    while data:
        while data:
            is_within = True
            try:
                yield unzip.decompress(data, _CHUNK)
            except zlib.error as error:
                raise BrokenDump(
                    phrase("The dump is not whole gzip data ({error}).", error=error),
                    code="load.no_whole_gzip",
                ) from error
            data = unzip.unconsumed_tail
            if unzip.eof:
                data = unzip.unused_data.lstrip(b"\0")
                unzip = zlib.decompressobj(_GZIP)
                is_within = False
        data = os.read(source.fileno(), _CHUNK)
    yield unzip.flush()
    if is_within:
        raise BrokenDump(
            phrase("The dump is not whole gzip data (it stops before its end)."), code="load.no_whole_gzip"
        )


def digested(chunks: Iterator[bytes], loading: Loading) -> Iterator[Piece]:
    """The pieces of a dump, digested as they pass."""
    for chunk in chunks:
        loading.bytes_read += len(chunk)
        yield from loading.digester.feed(chunk)
    yield from loading.digester.close()
    loading.is_read = True


def judged(
    chunks: Iterator[bytes], loading: Loading, allowed: Allowed, dialect: Dialect, *, is_ours: bool = False
) -> Iterator[Ready]:
    """What of a dump is to be sent, in its order, digested as it passes; last what had to wait for all rows.

    Where the dump turns out to be cut, the latter is not given out, unless it `is_ours`: put
    together here of parts. Raises NotADump, CutOff.
    """
    loading.found = allowed.found
    judge = Judge(dialect, allowed)
    begins, tail = b"", b""
    try:
        for chunk in chunks:
            if not begins:
                begins = chunk[:_TAIL_BYTES]
                allowed.definitions.by_mariadb = _is_mariadbs(begins, dialect)
            tail = (tail + chunk)[-_TAIL_BYTES:] if len(chunk) < _TAIL_BYTES else chunk[-_TAIL_BYTES:]
            loading.bytes_read += len(chunk)
            for _ in loading.digester.feed(chunk):
                pass
            yield from judge.feed(chunk)
        for _ in loading.digester.close():
            pass
        loading.is_read = True
        yield from judge.close()
    except NotAllowed as error:
        raise _not_a_dump(error, begins) from None
    except TooLarge as error:
        raise NotADump(error.what, do=error.do) from None
    except NoStatement as error:
        if error.is_endless:
            raise _endless(error) from None
        loading.end = End.CUT
        if not judge.statements:
            raise _not_a_dump(NotAllowed(error.line, error.text, error.why), begins) from None
        raise CutOff(phrase("The dump is cut: it stops in the middle of a statement.")) from None
    loading.end = _end_of(loading, allowed, begins, tail)
    if loading.end != End.CUT or is_ours:
        yield from allowed.rest()


def _is_mariadbs(begins: bytes, dialect: Dialect) -> bool:
    """Whether a dump is of a MariaDB; where it does not say so, of the kind that it is loaded into."""
    said = _DUMPED_BY.match(begins)
    return dialect.is_mariadb if said is None else b"mariadb" in said[0].lower()


def _end_of(loading: Loading, allowed: Allowed, begins: bytes, tail: bytes) -> End:
    """By the closing line, by the settings that a dump puts back at its end, or by a last COMMIT."""
    session = allowed.session
    if loading.digester.is_complete or (session.has_saved and not session.outstanding):
        return End.WHOLE
    if session.has_saved:
        return End.CUT
    if allowed.is_committed or (b"-- Adminer " in begins and _ADMINER.search(tail)):
        return End.WHOLE
    return End.UNKNOWN


def _not_a_dump(error: NotAllowed, begins: bytes) -> NotADump:
    for mark, what in _OTHER_FORMATS:
        if begins.startswith(mark):
            return NotADump(what, do=phrase("Store a dump as plain SQL or with gzip."))
    why = f" ({error.why})" if error.why else ""
    return NotADump(
        phrase(
            "This snapshot was not made by a dump program that Vedetta knows: line {line} begins with "
            "{beginning}{why}.",
            line=error.line,
            beginning=repr(error.beginning),
            why=why,
        ),
        do=phrase("What stands there was not run. If you trust the file, read it and load it by hand."),
    )


def _endless(error: NoStatement) -> NotADump:
    beginning = " ".join(error.text.decode(errors="replace").split())[:80]
    return NotADump(
        phrase(
            "A statement of this dump brings no rows and is longer than {longest_definition} MB, or "
            "brings more of them than any server takes at once; it begins with {beginning}.",
            longest_definition=LONGEST_DEFINITION >> 20,
            beginning=repr(beginning),
        ),
        do=phrase("What stands there was not run. If you trust the file, read it and load it by hand."),
    )


@dataclass(frozen=True)
class DefinitionReader:
    """Reads a few statements of a dump for a database that has `tables`, as its server reads them."""

    dialect: Dialect
    options: LoadOptions
    tables: Collection[str]

    def read(self, statements: bytes) -> tuple[list[Ready], Found]:
        """What of them is to be sent, and what they make; events disabled. Raises NotADump, CutOff."""
        allowed = Allowed(self.dialect, self.options, standing=self.tables)
        ready = [*judged(iter([statements]), Loading(), allowed, self.dialect, is_ours=True)]
        return ready, allowed.found
