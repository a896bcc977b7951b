"""A restic repository that opens at once."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

_CHEAP = {"N": 2, "r": 1, "p": 1}


def open_quickly(repository: Path, password: str) -> None:
    """Replace a repository's key by one that takes no work to derive.

    restic spends half a second of a core on the password each time, and the tests start it
    hundreds of times. https://restic.readthedocs.io/en/stable/100_references.html
    """
    (old,) = (repository / "keys").iterdir()
    key = json.loads(old.read_bytes())
    master = _decrypted(base64.b64decode(key["data"]), _derived(key, password))
    key.update(_CHEAP, salt=base64.b64encode(os.urandom(64)).decode())
    key["data"] = base64.b64encode(_encrypted(master, _derived(key, password))).decode()
    content = json.dumps(key).encode()
    old.unlink()
    (old.parent / hashlib.sha256(content).hexdigest()).write_bytes(content)


def _derived(key: dict[str, str], password: str) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=base64.b64decode(key["salt"]), n=int(key["N"]), r=int(key["r"]),
        p=int(key["p"]), maxmem=1 << 30, dklen=64,
    )  # fmt: skip


def _decrypted(sealed: bytes, secret: bytes) -> bytes:
    return _aes_ctr(sealed[16:-16], secret[:32], sealed[:16])


def _encrypted(plain: bytes, secret: bytes) -> bytes:
    """Nonce, AES-256-CTR, Poly1305-AES over the ciphertext."""
    nonce = os.urandom(16)
    ciphertext = _aes_ctr(plain, secret[:32], nonce)
    block = Cipher(algorithms.AES(secret[32:48]), modes.ECB()).encryptor()  # noqa: S305
    one_time = secret[48:64] + block.update(nonce)
    return nonce + ciphertext + Poly1305.generate_tag(one_time, ciphertext)


def _aes_ctr(data: bytes, key: bytes, nonce: bytes) -> bytes:
    cipher = Cipher(algorithms.AES(key), modes.CTR(nonce)).encryptor()
    return cipher.update(data) + cipher.finalize()
