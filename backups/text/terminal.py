"""Text for people: numbers of things, and what came from servers and may not steer who reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from backups import at_first_use

# Control characters but newline and tab, the ones that turn the order of what follows around, and
# halves of characters, which no terminal or log can be given.
_STEERING = at_first_use.pattern(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def escape_control_characters(text: str) -> str:
    r"""The text with what a terminal would obey written out, as in \x1b."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


# What is shorter is found where it stands by itself alone; what is shorter still is in every line.
_SHORT, _TOO_SHORT = 5, 3


def spellings(secrets: Iterable[str]) -> re.Pattern[str]:
    """Finds each secret as it is, percent-encoded (any of its characters), and as JSON and Python quote it.

    Those of three or four characters are found where no letter or digit is beside them, shorter ones never:
    a log in which each "a" is hidden tells nothing, and which one that is it tells all the same.
    """
    longest_first = sorted({each for each in secrets if len(each) >= _TOO_SHORT}, key=len, reverse=True)
    return re.compile("|".join(map(_spelled, longest_first)) or "(?!)")


def _spelled(secret: str) -> str:
    quoted = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
    found = "|".join([*map(re.escape, sorted(quoted, key=len, reverse=True)), _percent_encoded(secret)])
    return f"(?:{found})" if len(secret) >= _SHORT else rf"(?<!\w)(?:{found})(?!\w)"


def _percent_encoded(secret: str) -> str:
    """One pattern: which characters an address needs encoded, each program decides for itself."""
    characters = []
    for character in secret:
        encoded = "".join(f"%{byte:02x}" for byte in character.encode(errors="surrogateescape"))
        also = r"|\+" if character == " " else ""
        characters.append(f"(?:{re.escape(character)}|(?i:{encoded}){also})")
    return "".join(characters)


# No server or program says more that is of use.
LONGEST_MESSAGE = 1024


def bounded(message: str) -> str:
    """What a server or program said, without the middle of what is longer than a message.

    It is looked at with patterns that are quick for a sentence, and goes into sentences of ours.
    """
    if len(message) <= LONGEST_MESSAGE:
        return message
    half = LONGEST_MESSAGE // 2
    return f"{message[: half - 3]} … {message[-half:]}"
