"""Secrets that people type: sealed where they arrive, opened by a process alone that has the key.

What a secret is for, and whose, is sealed in with it and looked at when it is opened. So whoever can write
rows gains nothing by moving one from row to row. The boxes are libsodium's sealed boxes.
https://doc.libsodium.org/public-key_cryptography/sealed_boxes
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime

from backups.errors import Problem
from backups.keys.installation import InstallationKey
from backups.text import sealed_text
from backups.text.sentences import phrase

# A box is as long as what is in it: padded, it does not tell how long a password is.
_STEP = 256


@dataclass(frozen=True)
class Use:
    """What a secret is for, and whose: both texts never change their meaning, as they are sealed in."""

    purpose: str
    whose: str = ""

    @property
    def digest(self) -> str:
        """Whose, in a length that a column's width can be made for."""
        return hashlib.sha256(self.whose.encode()).hexdigest()


def seal(secret: str, use: Use, public_sealing: str) -> str:
    """The secret for a row, such as only the owner of a public key can open, and only for this use.

    Raises ValueError for what is no public key.
    """
    from nacl.public import PublicKey, SealedBox  # by who seals one alone

    sealed_in = {"for": use.purpose, "whose": use.digest, "secret": secret}
    content = json.dumps(sealed_in, ensure_ascii=False).encode()
    padded = content.ljust(-(-len(content) // _STEP) * _STEP)
    box = SealedBox(PublicKey(base64.b64decode(public_sealing, validate=True))).encrypt(padded)
    text = base64.urlsafe_b64encode(box).decode()
    return str(sealed_text.SealedText(sealed_text.key_id(public_sealing), datetime.now(UTC), text))


def unseal(text: str, use: Use, key: InstallationKey, of: str = "") -> str:
    """The secret again. `of` says in sentences what it is. Raises Problem, without a word of it."""
    from nacl.exceptions import CryptoError

    sealed = sealed_text.read(text)
    whose = f" ({of})" if of else ""
    if sealed is None:
        raise _broken(whose)
    if sealed.key_id != sealed_text.key_id(key.public_sealing):
        raise Problem(
            phrase(
                "What was typed on {date}{whose} can be opened with the VEDETTA_KEY of then alone, and "
                "this is another one.",
                date=sealed.typed_on,
                whose=whose,
            ),
            code="secret.of_another_key",
            do=phrase("Type it again in the portal, or set the VEDETTA_KEY of then."),
        )
    try:
        content = json.loads(key.opened(base64.urlsafe_b64decode(sealed.box)))
        known, secret = (content["for"], content["whose"]), content["secret"]
    except (CryptoError, binascii.Error, KeyError, TypeError, ValueError):
        raise _broken(whose) from None
    if known != (use.purpose, use.digest):
        raise Problem(
            phrase(
                "What was typed on {date}{whose} was typed for another use or address, and is given to no "
                "other.",
                date=sealed.typed_on,
                whose=whose,
            ),
            code="secret.of_another_use",
            do=phrase("Type it again in the portal, or set back what was changed beside it."),
        )
    return str(secret)


def _broken(whose: str) -> Problem:
    return Problem(
        phrase("What was typed and sealed{whose} is damaged.", whose=whose),
        code="secret.broken_seal",
        do=phrase("Type it again in the portal."),
    )
