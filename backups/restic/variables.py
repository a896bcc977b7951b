"""Which variables of the operator's environment reach restic: those that say where, with which key and
through which proxy. What filters, formats or steers does not, whatever it is set to.

Gone through for restic 0.19 and the libraries of its backends; docs/configuration.md has the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

# Of families that belong to a backend all members, but for those below.
_FAMILIES = ("AWS_", "AZURE_", "B2_", "GOOGLE_", "MINIO_", "OS_", "ST_")
_STEER = frozenset(
    {
        "AZURE_SDK_GO_LOGGING",
        "B2_LOG_LEVEL",
        "GOOGLE_SDK_GO_LOGGING_LEVEL",
        "GOOGLE_SDK_GO_TRACING_COOKIE",
    }
)
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
_SINGLE = frozenset(
    {
        "CLOUDSDK_CONFIG",
        "GCE_METADATA_HOST",
        "IDENTITY_ENDPOINT",
        "IDENTITY_HEADER",
        "IMDS_ENDPOINT",
        "MSI_ENDPOINT",
        "MSI_SECRET",
        "RESTIC_CACERT",
        "RESTIC_HTTP_USER_AGENT",
        "RESTIC_KEY_HINT",
        "RESTIC_REST_PASSWORD",
        "RESTIC_REST_USERNAME",
        "RESTIC_TLS_CLIENT_CERT",
        "SSH_AUTH_SOCK",
        "SWIFT_DEFAULT_CONTAINER_POLICY",
        "XDG_CONFIG_HOME",
        *_PROXIES,
        *(name.lower() for name in _PROXIES),
    }
)
_ASSUMED_ROLE = "RESTIC_AWS_ASSUME_ROLE_"
# Each option of rclone has a variable, RCLONE_DRY_RUN too. Of a remote's and a backend's own options all
# pass; of the others those that say how the storage is reached.
_RCLONES = re.compile(
    r"RCLONE_(?:CONFIG(?:_\w+)?|PASSWORD_COMMAND|CA_CERT|CLIENT_(?:CERT|KEY|PASS)|HTTP_PROXY|BIND|BWLIMIT|TPSLIMIT"
    r"|(?:AZUREBLOB|AZUREFILES|B2|BOX|CRYPT|DRIVE|DROPBOX|FTP|GCS|JOTTACLOUD|KOOFR|MEGA|ONEDRIVE|OOS|PCLOUD"
    r"|PROTONDRIVE|QINGSTOR|S3|SFTP|SMB|STORJ|SWIFT|WEBDAV|YANDEX)_\w+)"
)
# Said by Vedetta itself, from what these names are in its own settings.
_OURS = frozenset(
    {"RESTIC_REPOSITORY", "RESTIC_PASSWORD", "RESTIC_CACHE_DIR", "RESTIC_COMPRESSION", "RESTIC_PACK_SIZE"}
)
# The ending is part of the name that the library reads, and the file changes while a token is in use.
_OWN_FILES = frozenset(
    {
        "AWS_CONFIG_FILE",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AZURE_FEDERATED_TOKEN_FILE",
        "GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE",
        "MINIO_SHARED_CREDENTIALS_FILE",
    }
)
_RCLONES_PASSWORD = "RCLONE_CONFIG_PASS"  # noqa: S105  the name of a variable
_SECRET = re.compile(r"SECRET|PASS|TOKEN|KEY|ACCOUNT_SAS|CREDENTIAL")
_USER_IN_ADDRESS = re.compile(r"//[^/@:]*+:([^/@]++)@")


def passed(names: Iterable[str]) -> set[str]:
    """The variables that restic is given where `names` are set, each to be read as NAME or NAME_FILE."""
    return {name for name in map(_without_file, names) if _passes(name)}


def held_back(names: Iterable[str]) -> set[str]:
    """Those of `names` that restic, rclone or a library would read, and that they are not shown."""
    family = (*_FAMILIES, "RESTIC_", "RCLONE_")
    known = {_without_file(name) for name in names if name.startswith(family)}
    return {name for name in known - _OURS if not _passes(name)}


def secrets_in(name: str, value: str) -> Iterator[str]:
    """What of a variable must never appear in a log."""
    if _SECRET.search(name):
        yield value
    elif found := _USER_IN_ADDRESS.search(value):
        yield found[1]


def _without_file(name: str) -> str:
    """The variable that a NAME_FILE stands for; rclone's own options may end so."""
    is_own = name in _OWN_FILES or name.startswith("RCLONE_")
    if is_own and name != f"{_RCLONES_PASSWORD}_FILE":
        return name
    return name.removesuffix("_FILE")


def _passes(name: str) -> bool:
    if name.startswith(_FAMILIES):
        return name not in _STEER
    return name in _SINGLE or name.startswith(_ASSUMED_ROLE) or _RCLONES.fullmatch(name) is not None
