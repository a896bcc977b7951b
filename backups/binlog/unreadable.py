"""What is no binary log, or is one that was damaged."""

from __future__ import annotations

from enum import StrEnum

from backups.errors import Problem
from backups.text.sentences import phrase


class Why(StrEnum):
    """What is wrong with the bytes."""

    # The file does not begin as one does.
    MAGIC = "magic"
    # No description of the format where there must be one, or of a format that is not known.
    FORMAT = "format"
    # The bytes end within an event.
    CUT = "cut"
    # An event says that it has a length which none can have.
    SIZE = "size"
    # An event says that it ends elsewhere than it does: something before it is missing, or too much.
    POSITION = "position"
    # The checksum is another one.
    CHECKSUM = "checksum"
    # An event does not hold what one of its kind does.
    EVENT = "event"
    # What was compressed does not inflate to what it says.
    COMPRESSED = "compressed"
    # A transaction begins before the one before it has ended, or ends before it has begun.
    ORDER = "order"
    # The file is encrypted.
    ENCRYPTED = "encrypted"
    # A transaction takes more memory than is allowed to it.
    LARGE = "large"


class Unreadable(Problem):
    """The bytes at a position of a binary log are not what a server writes."""

    code = "log.unreadable"

    def __init__(self, why: Why, position: int) -> None:
        self.why = why
        self.position = position
        super().__init__(
            phrase(
                "The binary log cannot be read at position {position}: {why}.",
                position=position,
                why=TOLD[why],
            ),
            params={"position": position, "why": why.value},
        )


TOLD = {
    Why.MAGIC: phrase("it does not begin as a binary log does"),
    Why.FORMAT: phrase("it does not say in which format it is, or in one that is not known"),
    Why.CUT: phrase("it ends within an event"),
    Why.SIZE: phrase("an event has a length that none can have"),
    Why.POSITION: phrase("an event ends elsewhere than it says, so a part is missing or was put in"),
    Why.CHECKSUM: phrase("the checksum of an event is wrong"),
    Why.EVENT: phrase("an event does not contain what its kind does"),
    Why.COMPRESSED: phrase("a compressed part is damaged"),
    Why.ORDER: phrase("a transaction begins before the one before it has ended"),
    Why.ENCRYPTED: phrase("the file is encrypted, and only the server can read it"),
    Why.LARGE: phrase("a transaction is too large to be held in memory"),
}
