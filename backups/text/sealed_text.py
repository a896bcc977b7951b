"""How a sealed secret is written in a row, without a word of it: everybody may read when and for which key.

The secret itself is opened in `backups.keys`, by who has the installation's key.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

KIND = "sealed"
_FORM = re.compile(r"sealed:1:([0-9a-f]{16}):([0-9]{8}T[0-9]{6}Z):([A-Za-z0-9_-]{64,}={0,2})", re.ASCII)
_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class SealedText:
    """For which key, when it was typed, and the box in base64 (RFC 4648, section 5)."""

    key_id: str
    typed_at: datetime
    box: str

    def __str__(self) -> str:
        """As a row has it."""
        return f"{KIND}:1:{self.key_id}:{self.typed_at.strftime(_TIME)}:{self.box}"

    @property
    def typed_on(self) -> str:
        """When it was typed, for sentences: in the portal's time."""
        return f"{self.typed_at.astimezone():%Y-%m-%d %H:%M}"


def read(text: str) -> SealedText | None:
    """What a row holds; None where it is no sealed secret."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    try:
        typed_at = datetime.strptime(found[2], _TIME).replace(tzinfo=UTC)
        typed_at.astimezone()  # a year that no clock shows
    except (OverflowError, ValueError):
        return None
    return SealedText(found[1], typed_at, found[3])


def key_id(public_sealing: str) -> str:
    """By which a key is told from others, of its public half in base64: 16 hex digits."""
    return hashlib.sha256(public_sealing.encode()).hexdigest()[:16]
