"""What is signed, as bytes that can mean nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_SNAPSHOT, _PORTAL_COPY = b"vedetta snapshot\0", b"vedetta portal copy\0"
_REPORT = b"vedetta report\0"


def manifest_digest(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest, whatever way its text was written in; 64 hex digits."""
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def of_snapshot(database: str, manifest: Mapping[str, Any]) -> bytes:
    """That a snapshot with this manifest is of the database that its tag names."""
    return _SNAPSHOT + database.encode() + b"\0" + manifest_digest(manifest).encode()


def of_portal_copy(sha256: str) -> bytes:
    """That the portal's copy with this digest was made here."""
    return _PORTAL_COPY + sha256.encode()


def of_report(form: str, sha256: str) -> bytes:
    """That a proof report in this form, whose bytes have this digest, was written here."""
    return _REPORT + form.encode() + b"\0" + sha256.encode()
