"""Snapshots in a restic repository that nobody backed up: what years and many databases leave behind.

Written in restic's own format (doc/design.rst) with the repository's key: restic lists, forgets, prunes
and checks them. Each has two trees of its own, as each backup of a stream has, and all share one file's data.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import subprocess
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

_SNAPSHOTS_AT_ONCE = 1000
# Seven days, four weeks and six months.
_AGES = [timedelta(days=days) for days in (*range(1, 8), *range(14, 36, 7), *range(60, 211, 30))]
# The kind of blob, as a pack says what it holds.
_TREE = 1


@dataclass(frozen=True)
class Repository:
    """A restic repository in a folder, and how it is opened."""

    folder: Path
    restic: Path
    environment: Mapping[str, str]

    def ask(self, *args: str) -> bytes:
        """What restic prints."""
        environment = {**os.environ, **self.environment, "RESTIC_REPOSITORY": str(self.folder)}
        ran = subprocess.run([self.restic, *args], env=environment, check=True, stdout=subprocess.PIPE)
        return ran.stdout

    def read(self, *args: str) -> Any:
        """What restic prints as JSON."""
        return json.loads(self.ask(*args))


def forge(repository: Repository, count: int) -> None:
    """Add `count` snapshots of databases of another host, as many of each as retention keeps.

    One has to be there, of one file in a folder, which all are copies of.
    """
    forger = _Forger(repository)
    for start in range(0, count, _SNAPSHOTS_AT_ONCE):
        forger.write(range(start, min(count, start + _SNAPSHOTS_AT_ONCE)))


@dataclass
class _Key:
    """The key that encrypts everything in a repository: AES-256 in counter mode, and Poly1305-AES."""

    encrypt: bytes
    k: bytes
    r: bytes

    def seal(self, plain: bytes) -> bytes:
        """Encrypted, as restic reads it."""
        nonce = secrets.token_bytes(16)
        encryptor = Cipher(algorithms.AES(self.encrypt), modes.CTR(nonce)).encryptor()
        sealed = encryptor.update(plain) + encryptor.finalize()
        # As Poly1305-AES is defined, of a nonce that is used once.
        once = Cipher(algorithms.AES(self.k), modes.ECB()).encryptor()  # noqa: S305
        return nonce + sealed + Poly1305.generate_tag(self.r + once.update(nonce), sealed)


@dataclass
class _Pack:
    """Trees for one file."""

    key: _Key
    blobs: list[dict[str, Any]] = field(default_factory=list)
    content: bytearray = field(default_factory=bytearray)
    header: bytearray = field(default_factory=bytearray)

    def add(self, tree: Mapping[str, Any]) -> str:
        """Add a tree; answers its id."""
        plain = json.dumps(tree, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        digest = hashlib.sha256(plain)
        sealed = self.key.seal(plain)
        blob = {"id": digest.hexdigest(), "type": "tree", "offset": len(self.content), "length": len(sealed)}
        self.blobs.append(blob)
        self.content += sealed
        self.header += bytes([_TREE]) + len(sealed).to_bytes(4, "little") + digest.digest()
        return digest.hexdigest()

    def as_bytes(self) -> bytes:
        """The file: the trees, what it holds, and how long that is."""
        header = self.key.seal(bytes(self.header))
        return bytes(self.content) + header + len(header).to_bytes(4, "little")


class _Forger:
    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        model = repository.read("snapshots", "--json", "--no-lock")[0]
        self._model = {key: value for key, value in model.items() if key not in {"id", "short_id", "parent"}}
        self._now = datetime.now(UTC)
        key = self._json("masterkey")
        mac = key["mac"]
        self._key = _Key(b64decode(key["encrypt"]), b64decode(mac["k"]), b64decode(mac["r"]))
        self._root = self._json("blob", model["tree"])
        self._folder = self._json("blob", self._root["nodes"][0]["subtree"])

    def write(self, numbers: Iterable[int]) -> None:
        """Write snapshots with their trees in one pack, and its index."""
        pack = _Pack(self._key)
        snapshots = [self._snapshot(pack, number) for number in numbers]
        name = self._file("data", pack.as_bytes())
        self._sealed("index", {"packs": [{"id": name, "blobs": pack.blobs}]})
        # Last, as restic does: what they refer to is there.
        for snapshot in snapshots:
            self._sealed("snapshots", snapshot)

    def _snapshot(self, pack: _Pack, number: int) -> dict[str, Any]:
        which, turn = divmod(number, len(_AGES))
        at = (self._now - _AGES[turn]).isoformat()
        name = f"other{which:05}"
        (file,), (folder,) = self._folder["nodes"], self._root["nodes"]
        inner = pack.add({**self._folder, "nodes": [{**file, "name": f"{name}.sql", "mtime": at}]})
        root = pack.add({**self._root, "nodes": [{**folder, "subtree": inner}]})
        ours = {
            "hostname": "another",
            "tags": ["vedetta", f"database:{name}"],
            "paths": [f"/mysql/{name}.sql"],
        }
        return {**self._model, **ours, "time": at, "tree": root}

    def _json(self, *what: str) -> Any:
        return self._repository.read("cat", "--no-lock", *what)

    def _sealed(self, kind: str, value: object) -> None:
        # What begins as JSON is not compressed, says the format.
        self._file(kind, self._key.seal(json.dumps(value).encode()))

    def _file(self, kind: str, content: bytes) -> str:
        name = hashlib.sha256(content).hexdigest()
        folder = self._repository.folder / kind
        if kind == "data":
            folder /= name[:2]
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        return name
