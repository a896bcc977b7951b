"""The comments in which MariaDB's dump program tells a position, and a dump without them. Pure, no I/O.

They are of each moment, so that with them no two dumps would be alike.
"""

from __future__ import annotations

from typing import NamedTuple

from backups import at_first_use
from backups.dumpfile.log_positions import Place

# A header has no more, nor has a footer: GTIDs are of as many domains as a server has seen.
HEADER_BYTES = FOOTER_BYTES = 1 << 16

# Behind the header's last setting and before whatever comes first. Older versions tell the GTID here.
_IN_HEADER = at_first_use.pattern(
    rb"(?<=\*/;\n)\n--\n(?:-- [^\n]*\n)+--\n\n"
    rb"-- CHANGE MASTER TO MASTER_LOG_FILE='([^'\\\n]+)', MASTER_LOG_POS=(\d{1,19});\n"
    rb"((?:\n-- [^\n]*\n)*)(?=\n--\n|/\*)"
)
_ANY = b"CHANGE MASTER TO MASTER_LOG_FILE="
_GTID = at_first_use.pattern(rb"\n-- SET GLOBAL gtid_slave_pos='([^'\\\n]*)';\n")
# Of the footer all is taken in to the end, as the body of a routine may hold the same lines.
_IN_FOOTER = at_first_use.pattern(
    rb"\n-- The deferred gtid [^\n]*\n\n-- [^\n]*\n(\n-- SET GLOBAL gtid_slave_pos='[^'\\\n]*';\n)"
    rb"(?=(?:/\*[^\n]*\*/;\n|\n|-- Dump completed[^\n]*\n)*\Z)"
)


class Header(NamedTuple):
    """A header without its comments on the position, and what these told."""

    data: bytes
    place: Place
    gtid: str | None


def header(data: bytes) -> Header | None:
    """What a dump begins with, None where its header does not tell a position, as it should.

    `data` are its first bytes, HEADER_BYTES or more where there are so many.
    """
    found = _IN_HEADER.search(data[:HEADER_BYTES])
    if not found or data[:HEADER_BYTES].count(_ANY) != 1:
        return None
    file, position, more = found.groups()
    gtid = _GTID.search(more)
    return Header(
        data[: found.start()] + data[found.end() :],
        Place(file.decode(errors="replace"), int(position)),
        gtid[1].decode(errors="replace") if gtid else None,
    )


def is_told(data: bytes) -> bool:
    """Whether enough of a dump is there to find what its header tells."""
    return len(data) >= HEADER_BYTES or _IN_HEADER.search(data) is not None


def footer(data: bytes) -> tuple[bytes, str | None]:
    """A dump's last bytes without the comment on the GTID, if there is one, and that GTID."""
    found = _IN_FOOTER.search(data[-FOOTER_BYTES:])
    if not found:
        return data, None
    before = len(data[:-FOOTER_BYTES])
    gtid = _GTID.search(found[1])
    assert gtid is not None  # noqa: S101
    return data[: before + found.start()] + data[before + found.end() :], gtid[1].decode(errors="replace")
