"""Rows of a table that both dumps hold, left out as bytes before anything of them is cut. Pure, no I/O.

Dumps write rows by their keys, so long stretches are the same on both sides, at other places. They are
compared as they stand, from the end of a row to the end of a row. Of a row that stands on both sides one of
each is left out, which changes nothing of what differs; all others are left over for who cuts them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

# What of a side waits at most before it is given up to find the rest of it on the other side.
ENOUGH_BYTES = 4 << 20
_FIRST_BYTES, _MOST_AT_ONCE = 1 << 12, 1 << 20
# So few are faster compared as two numbers than half by half.
_AS_NUMBERS = 256
_FIRST_LOOK = 1 << 11
_LOOK_GROWS = 8
# Neither a quote nor a bracket that opens.
_NO_MARKS = bytes(set(range(256)) - set(b"'("))
# So often what looks like the end of a row is looked at, before rows are cut one by one.
_TRIES = 20


def rows_within(text: bytes, between: bytes) -> list[bytes]:
    """Rows that stand side by side, cut between them: each without what is `between`, and its brackets.

    `text` is without the first bracket. The last one may be the beginning of a row. A dump program
    escapes newlines, so one between rows is nothing else; without it, a cut within a text is mended.
    """
    boundary = b")" + between + b"("
    parts = text.split(boundary)
    if b"\n" in between:
        return parts
    # What is left out stands within texts, and so does what comes together by that.
    plain = _without_escapes(text).split(boundary)
    if len(plain) == len(parts) and not any(part.count(b"'") & 1 for part in plain):
        return parts
    odd = {at for at, part in enumerate(parts) if _without_escapes(part).count(b"'") & 1}
    return _mended(parts, odd, boundary)


def _without_escapes(text: bytes) -> bytes:
    """A text without what stands behind backslashes and looks like a quote or a backslash."""
    return text.replace(b"\\\\", b"").replace(b"\\'", b"") if b"\\" in text else text


def _is_open(text: bytes) -> bool:
    """Whether a text that stands in quotes begins in it and does not end."""
    return bool(_without_escapes(text).count(b"'") & 1)


def _counted(plain: bytes, *, is_end: bool) -> int:
    """How many rows stand side by side, of which nothing but their number is wanted; without escapes.

    0 where the last one ends within a text, unless that is known to be the end.
    """
    # Outside of texts a bracket opens a row and nothing else. Rows one by one would cost as much as all else.
    marks = plain.translate(None, _NO_MARKS)
    if marks.count(b"'") & 1 and not is_end:
        return 0
    # Two quotes without a bracket between them are a text that has none, or stand between two of one row.
    marks = marks.replace(b"''", b"")
    return len(b"".join(marks.split(b"'")[::2]) if b"'" in marks else marks)


def _mended(parts: Sequence[bytes], odd: set[int], boundary: bytes) -> list[bytes]:
    whole: list[bytes] = []
    held: list[bytes] = []
    for at, part in enumerate(parts):
        if at in odd or held:
            held.append(part)
        else:
            whole.append(part)
        if at in odd and len(held) > 1:
            whole.append(boundary.join(held))
            held = []
    return [*whole, boundary.join(held)] if held else whole


@dataclass
class _Side:
    """The rows of a side that wait: texts of whole rows, of which the first is read from `at` on."""

    texts: deque[bytes] = field(default_factory=deque)
    at: int = 0
    size: int = 0
    is_over: bool = False
    left: list[bytes] = field(default_factory=list)

    @property
    def has_enough(self) -> bool:
        return self.is_over or self.size >= ENOUGH_BYTES

    def forward(self, at: int) -> None:
        """Go on at this place of the first text."""
        self.size -= at - self.at
        self.at = at
        if at >= len(self.texts[0]):
            self.size += at - len(self.texts[0])
            self.texts.popleft()
            self.at = 0

    def leave(self, count: int) -> None:
        """Leave over so many bytes of the first text."""
        self.left.append(self.texts[0][self.at : self.at + count])

    def join(self, between: bytes) -> None:
        """Make one text of all."""
        whole = between.join([self.texts[0][self.at :], *list(self.texts)[1:]])
        self.texts, self.at, self.size = deque([whole]), 0, len(whole)

    def leave_all(self) -> None:
        """Leave over all that waits."""
        while self.texts:
            self.left.append(self.texts.popleft()[self.at :])
            self.at = 0
        self.size = 0


class _Look(NamedTuple):
    """The next rows of a side, and whether these are all of its first text."""

    rows: Sequence[bytes]
    is_all: bool


class Settling:
    """The rows of one table as both sides bring them, of which `settled` were the same.

    `between` is what stands between two rows. Sides are 0 and 1.
    """

    def __init__(self, between: bytes) -> None:
        self._between = between
        self._boundary = b")" + between + b"("
        self._sides = (_Side(), _Side())
        # How much there has to be before what was looked through in vain is looked through again.
        self._wanted = 0
        self.settled = 0

    def add(self, side: int, text: bytes) -> None:
        """More rows of a side, as they stand side by side, brackets and all."""
        self._sides[side].texts.append(text)
        self._sides[side].size += len(text)
        self._settle()

    def end(self, side: int) -> None:
        """There are no more on this side."""
        self._sides[side].is_over = True
        self._settle()

    def waiting(self, side: int) -> int:
        """How many bytes of a side wait for the other one."""
        return self._sides[side].size

    def take_left(self, side: int) -> list[bytes]:
        """What was left over of a side since the last call: texts of whole rows."""
        left, self._sides[side].left = self._sides[side].left, []
        return left

    def _settle(self) -> None:
        one, other = self._sides
        while one.texts and other.texts and self._is_worth_it():
            if not self._same() and not self._apart():
                return
        for side, beside in ((one, other), (other, one)):
            if beside.is_over and not beside.texts:
                side.leave_all()

    def _is_worth_it(self) -> bool:
        one, other = self._sides
        return one.size + other.size >= self._wanted or (one.has_enough and other.has_enough)

    # ------------------------------------------------------------ What is the same

    def _same(self) -> bool:
        """Leave out the rows with which both go on alike; answers whether they may go on alike from there."""
        one, other = self._sides
        text, beside = one.texts[0], other.texts[0]
        length = _alike(text, one.at, beside, other.at)
        ends = length == len(text) - one.at, length == len(beside) - other.at
        if any(ends) and not self._goes_on(length, ends):
            length, ends = length - 1, (False, False)
        length, count = self._whole_rows(text, one.at, length, is_end=any(ends))
        if not length:
            return False
        self.settled += count
        for side in self._sides:
            side.forward(side.at + length + len(self._between))
        self._wanted = 0
        return any(ends)

    def _goes_on(self, length: int, ends: Sequence[bool]) -> bool:
        """Whether where the rows of one text end, another row of the other begins."""
        return all(
            is_end or side.texts[0].startswith(self._between + b"(", side.at + length)
            for side, is_end in zip(self._sides, ends, strict=True)
        )

    def _whole_rows(self, text: bytes, at: int, length: int, *, is_end: bool) -> tuple[int, int]:
        """How many of so many bytes are whole rows, and how many rows; 0 where none is sure to be whole.

        Unless the rows end there, the next one has begun.
        """
        stop = at + length
        for _ in range(_TRIES):
            end = stop if is_end else text.rfind(self._boundary, at, stop) + 1
            if end <= 0:
                break
            if b"\n" in self._between:
                # One byte is found ten times as fast as several, and stands nowhere else.
                return end - at, text.count(b"\n", at, end) + 1
            if count := _counted(_without_escapes(text[at:end]), is_end=is_end):
                return end - at, count
            stop = end + len(self._boundary) - 2
        return 0, 0

    # ------------------------------------------------------------ What is not

    def _apart(self) -> bool:
        """Leave over the rows until both go on alike; answers whether it came to something."""
        if self._one_apart():
            return True
        looked = _FIRST_LOOK
        if any(side.size < looked and not side.is_over for side in self._sides):
            return False  # what is missing here may come at once
        while True:
            looks = [self._look(side, looked) for side in self._sides]
            if found := _meeting(looks[0].rows, looks[1].rows):
                self._leave_until(looks, found)
                self._wanted = 0
                return True
            if all(look.is_all for look in looks):
                return self._nothing_alike(looks)
            looked *= _LOOK_GROWS

    def _one_apart(self) -> bool:
        """Leave over one row that is changed, gone or new, if the next ones are the same."""
        one, other = self._sides
        row, then = self._two_rows(one)
        beside, then_beside = self._two_rows(other)
        if not then or not then_beside:
            return False
        if then != then_beside:
            if then == beside:
                beside = b""
            elif row == then_beside:
                row = b""
            else:
                return False
        for side, text in ((one, row), (other, beside)):
            if text:
                side.left.append(text)
                side.forward(side.at + len(text) + len(self._between))
        self._wanted = 0
        return True

    def _two_rows(self, side: _Side) -> tuple[bytes, bytes]:
        """The next two rows, brackets and all; the second is empty where that is not certain."""
        text = side.texts[0]
        end = text.find(self._boundary, side.at) + 1
        begin = end + len(self._between)
        last = text.find(self._boundary, begin) + 1 if end else 0
        row, then = text[side.at : end], text[begin:last] if last else b""
        if b"\n" not in self._between and (_is_open(row) or _is_open(then)):
            return row, b""
        return row, then

    def _look(self, side: _Side, size: int) -> _Look:
        if side.at + size >= len(side.texts[0]) and len(side.texts) > 1:
            side.join(self._between)
        text, end = side.texts[0], side.at + size
        if end >= len(text):
            return _Look(rows_within(text[side.at + 1 : -1], self._between), is_all=True)
        # What is cut in the middle is no row.
        return _Look(rows_within(text[side.at + 1 : end], self._between)[:-1], is_all=False)

    def _leave_until(self, looks: Sequence[_Look], found: tuple[int, int]) -> None:
        if found == (0, 0):
            # Rows which the quick way did not see.
            same = _same_rows(*(look.rows for look in looks))
            self.settled += same
            for side, look in zip(self._sides, looks, strict=True):
                side.forward(side.at + self._length(look.rows[:same]))
            return
        for side, look, count in zip(self._sides, looks, found, strict=True):
            length = self._length(look.rows[:count])
            if count:
                side.leave(length - len(self._between))
            side.forward(side.at + length)

    def _length(self, rows: Sequence[bytes]) -> int:
        """Of so many rows, with what stands behind them."""
        return sum(map(len, rows)) + len(self._boundary) * len(rows)

    def _nothing_alike(self, looks: Sequence[_Look]) -> bool:
        one, other = self._sides
        if not (one.has_enough and other.has_enough):
            self._wanted = 2 * (one.size + other.size)
            return False
        ahead = _is_ahead(looks[0].rows, looks[1].rows)
        for side, is_ahead in ((one, ahead > 0), (other, ahead < 0)):
            if not is_ahead:
                side.leave_all()
        self._wanted = 0
        return True


def _alike(text: bytes, at: int, beside: bytes, there: int) -> int:
    """How many bytes are the same from these places on."""
    most = min(len(text) - at, len(beside) - there)
    length, step = 0, _FIRST_BYTES
    # Of a view, a part is no copy.
    view = memoryview(beside)[there : there + most]
    while length < most:
        size = min(step, most - length)
        if text.startswith(view[length : length + size], at + length):
            length += size
            step = min(2 * step, _MOST_AT_ONCE)
            continue
        while size > _AS_NUMBERS:
            half = size // 2
            if text.startswith(view[length : length + half], at + length):
                length, size = length + half, size - half
            else:
                size = half
        here = int.from_bytes(text[at + length : at + length + size])
        across = int.from_bytes(view[length : length + size])
        # The highest bit in which both differ is of the first byte that does.
        return length + size - ((here ^ across).bit_length() + 7) // 8
    return most


def _meeting(rows: Sequence[bytes], beside: Sequence[bytes]) -> tuple[int, int] | None:
    """Before which rows of both sides the first one stands that both have."""
    # Of rows that are there several times the first one counts. Nothing of it is a loop of our own.
    places = dict(zip(reversed(rows), range(len(rows) - 1, -1, -1), strict=True))
    found = next(filter(places.__contains__, beside), None)
    return None if found is None else (places[found], beside.index(found))


def _same_rows(rows: Sequence[bytes], beside: Sequence[bytes]) -> int:
    """With how many rows both begin alike."""
    count = 0
    for row, other in zip(rows, beside, strict=False):
        if row != other:
            break
        count += 1
    return count


def _is_ahead(rows: Sequence[bytes], beside: Sequence[bytes]) -> int:
    """1 where all rows of the first come after those of the second, -1 where before, by what they begin with.

    It is a guess, which decides nothing but how much is left over.
    """
    first, last = _begins(rows[0]), _begins(rows[-1])
    there, until = _begins(beside[0]), _begins(beside[-1])
    return (first > until) - (last < there)


def _begins(row: bytes) -> tuple[int, bytes]:
    value = row.partition(b",")[0]
    return (int(value), b"") if value.isdigit() and len(value) < 20 else (0, value)
