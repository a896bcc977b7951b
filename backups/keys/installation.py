"""32 random bytes, and the keys that are derived from them: no key is used for two things.

HKDF is RFC 5869, Ed25519 and X25519 are RFC 8032 and 7748.
"""

from __future__ import annotations

import base64
import binascii
import os

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from backups.errors import Problem
from backups.text.sentences import phrase

NAME = "VEDETTA_KEY"
_BYTES = 32
# What each derived key is for. Another text is another key: these never change.
_SIGNS, _SEALS = b"vedetta: signs", b"vedetta: seals"


class InstallationKey:
    """The secret of an installation. Its text and its private halves are for the worker and commands only."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != _BYTES:
            raise ValueError(f"a key has {_BYTES} bytes")
        self._secret = secret
        self._signs = Ed25519PrivateKey.from_private_bytes(self._derived(_SIGNS))

    @classmethod
    def made(cls) -> InstallationKey:
        """A new one."""
        return cls(os.urandom(_BYTES))

    @classmethod
    def from_text(cls, text: str) -> InstallationKey:
        """The key that `text` is, as VEDETTA_KEY has it. Raises Problem, without a word of it."""
        try:
            return cls(base64.b64decode(text.strip(), validate=True))
        except (binascii.Error, ValueError):
            raise Problem(
                phrase(
                    "{name} is no key: it must be {bytes} bytes in base64, which are 44 characters.",
                    name=NAME,
                    bytes=_BYTES,
                ),
                code="key.malformed",
                do=phrase(
                    "Write the line that was kept, or leave {name} empty to have a new one made.", name=NAME
                ),
            ) from None

    @property
    def text(self) -> str:
        """As VEDETTA_KEY has it."""
        return base64.b64encode(self._secret).decode()

    @property
    def public_signing(self) -> str:
        """By which everybody can check what this key signed, in base64."""
        return base64.b64encode(self._signs.public_key().public_bytes_raw()).decode()

    @property
    def public_sealing(self) -> str:
        """For which everybody can seal what this key alone opens, in base64."""
        seals = X25519PrivateKey.from_private_bytes(self._derived(_SEALS))
        return base64.b64encode(seals.public_key().public_bytes_raw()).decode()

    def sign(self, message: bytes) -> str:
        """The signature of a message, in base64."""
        return base64.b64encode(self._signs.sign(message)).decode()

    def opened(self, box: bytes) -> bytes:
        """What was sealed for `public_sealing`. Raises nacl's CryptoError for what was not."""
        from nacl.public import PrivateKey, SealedBox  # by who opens one alone

        return SealedBox(PrivateKey(self._derived(_SEALS))).decrypt(box)

    def _derived(self, purpose: bytes) -> bytes:
        return HKDF(hashes.SHA256(), length=_BYTES, salt=None, info=purpose).derive(self._secret)

    def __repr__(self) -> str:
        """Without the secret."""
        return f"InstallationKey({self.public_signing})"


def is_public_key(text: str) -> bool:
    """Whether a text has the form of the public half that checks signatures, in the one way to write it."""
    return is_base64_of(text, _BYTES)


def is_base64_of(text: str, count: int) -> bool:
    """Whether a text is base64 of so many bytes as this module writes it: it can be written in others."""
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(found) == count and base64.b64encode(found).decode() == text


def is_signed(public_signing: str, message: bytes, signature: str) -> bool:
    """Whether the owner of a public key signed a message; of texts that are none, it is not."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_signing, validate=True))
        key.verify(base64.b64decode(signature, validate=True), message)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
