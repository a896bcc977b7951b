"""A repository whose password is checked in no time.

restic spends half a second of computing on every start to make guessing passwords expensive, which
is most of what a test of a small backup would wait for. Here the repository's key is put under the
same password at the lowest cost. All else of the repository is as restic made it.
Format: https://restic.readthedocs.io/en/stable/100_references.html#keys-encryption-and-mac
"""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR, ECB
from cryptography.hazmat.primitives.poly1305 import Poly1305

NONCE = 16
MAC = 16
LOWEST_COST = {"N": 2, "r": 1, "p": 1}


def make_light(repository: Path, password: str, *, key_id: str = "") -> str:
    """Put a key of a repository in a folder under the password at the lowest cost; gives its new id.

    By default the one key that there is.
    """
    (file,) = [key for key in (repository / "keys").iterdir() if key_id in ("", key.name)]
    key = json.loads(file.read_text())
    master = _open(key, password)
    light = {**key, **LOWEST_COST}
    light["data"] = b64encode(_seal(light, password, master)).decode()
    text = json.dumps(light)
    assert _open(light, password) == master
    file.unlink()
    new_id = hashlib.sha256(text.encode()).hexdigest()
    (repository / "keys" / new_id).write_text(text)
    return new_id


def _open(key: dict[str, Any], password: str) -> bytes:
    sealed = b64decode(key["data"])
    nonce, text, mac = sealed[:NONCE], sealed[NONCE:-MAC], sealed[-MAC:]
    derived = _derived(key, password)
    assert _mac(derived, nonce, text) == mac, "the password does not open the key"
    return _crypt(derived, nonce, text)


def _seal(key: dict[str, Any], password: str, master: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE)
    derived = _derived(key, password)
    text = _crypt(derived, nonce, master)
    return nonce + text + _mac(derived, nonce, text)


def _derived(key: dict[str, Any], password: str) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=b64decode(key["salt"]), n=key["N"], r=key["r"], p=key["p"], dklen=64,
        maxmem=1 << 28,
    )  # fmt: skip


def _crypt(derived: bytes, nonce: bytes, text: bytes) -> bytes:
    return Cipher(AES(derived[:32]), CTR(nonce)).encryptor().update(text)


def _mac(derived: bytes, nonce: bytes, text: bytes) -> bytes:
    encrypted_nonce = Cipher(AES(derived[32:48]), ECB()).encryptor().update(nonce)  # noqa: S305
    return Poly1305.generate_tag(derived[48:64] + encrypted_nonce, text)
