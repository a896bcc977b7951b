"""Numbers and texts as events hold them, taken one after the other and never past the end."""

from __future__ import annotations

from backups.binlog.unreadable import Unreadable, Why


class Wire:
    """What is left of an event's body. Whatever it does not hold raises Unreadable with `position`."""

    __slots__ = ("_at", "_bytes", "_position")

    def __init__(self, body: bytes, position: int, at: int = 0) -> None:
        self._bytes = body
        self._position = position
        self._at = at

    @property
    def at(self) -> int:
        """How many bytes were taken, or passed over at the beginning."""
        return self._at

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self._bytes) - self._at

    def take(self, length: int) -> bytes:
        """So many bytes."""
        end = self._at + length
        if length < 0 or end > len(self._bytes):
            raise Unreadable(Why.EVENT, self._position)
        taken = self._bytes[self._at : end]
        self._at = end
        return taken

    def ascii(self) -> bytes:
        """A text with its length before it, which is said to servers: in other letters a client's character
        set might find a backslash or a quote."""
        text = self.text()
        if not text.isascii():
            raise Unreadable(Why.EVENT, self._position)
        return text

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(self.left)

    def skip(self, length: int) -> None:
        """Leave out so many bytes."""
        if length < 0 or length > self.left:
            raise Unreadable(Why.EVENT, self._position)
        self._at += length

    def number(self, length: int) -> int:
        """An unsigned number of so many bytes, the lowest first."""
        return int.from_bytes(self.take(length), "little")

    def packed(self) -> int:
        """A number of one to nine bytes, as the protocol packs lengths."""
        first = self.number(1)
        if first < 251:
            return first
        length = {252: 2, 253: 3, 254: 8}.get(first)
        if length is None:
            raise Unreadable(Why.EVENT, self._position)
        return self.number(length)

    def varied(self) -> int:
        """A number as MySQL's library of serialization writes it: the first byte's low ones count the others.

        The format is told in libs/mysql/serialization of MySQL's source.
        """
        first = self.number(1)
        more = next((bit for bit in range(8) if not first >> bit & 1), 8)
        value = first | self.number(more) << 8
        return value >> (more + 1) if more < 8 else value >> 8

    def text(self, length_of_length: int = 1) -> bytes:
        """Bytes with their length before them."""
        return self.take(self.number(length_of_length))

    def ended(self) -> bytes:
        """Bytes up to a zero, which is taken as well."""
        end = self._bytes.find(b"\0", self._at)
        if end < 0:
            raise Unreadable(Why.EVENT, self._position)
        taken = self._bytes[self._at : end]
        self._at = end + 1
        return taken
