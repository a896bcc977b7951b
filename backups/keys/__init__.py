"""The one secret of an installation, by which it knows again what it made: what signs, and what seals."""

from backups.keys.installation import InstallationKey, is_base64_of, is_public_key, is_signed
from backups.keys.kept import line_of_env, load, load_or_make
from backups.keys.messages import manifest_digest, of_portal_copy, of_report, of_snapshot
from backups.keys.sealed import Use, seal, unseal

__all__ = [
    "InstallationKey",
    "Use",
    "is_base64_of",
    "is_public_key",
    "is_signed",
    "line_of_env",
    "load",
    "load_or_make",
    "manifest_digest",
    "of_portal_copy",
    "of_report",
    "of_snapshot",
    "seal",
    "unseal",
]
