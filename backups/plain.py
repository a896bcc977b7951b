"""Text for people: numbers of things, and what came from servers and may not steer who reads it."""

from __future__ import annotations

import logging
import re

# Control characters but newline and tab, the ones that turn the order of what follows around, and
# halves of characters, which no terminal or log can be given.
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    r"""The text with what a terminal would obey written out, as in \x1b."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


# No server or program says more that is of use.
LONGEST_MESSAGE = 1024


def shortened(message: str) -> str:
    """What a server or program said, without the middle of what is longer than a message.

    It is looked at with patterns that are quick for a sentence, and goes into sentences of ours.
    """
    if len(message) <= LONGEST_MESSAGE:
        return message
    half = LONGEST_MESSAGE // 2
    return f"{message[: half - 3]} … {message[-half:]}"


def counted(number: int, one: str, many: str = "") -> str:
    """A number of things, as in "1 table" and "2 tables"; `many` where that takes more than an s."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"


class PlainFormatter(logging.Formatter):
    """Log lines that end up in a terminal, be it by `docker compose logs`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, written out."""
        return plain(super().format(record))
