"""Servers with and without TLS, and with a binary log, one of each for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backups.conftest import (
    back_up,
    empty_repository,
    make_database,
    mariadb_shop,
    migrated,
    repository,
    shop,
)
from tests.compat.certificates import Authority
from tests.servers import FLAVOURS, DatabaseServer
from tools import mariadb_plugins

__all__ = [
    "back_up", "empty_repository", "make_database", "mariadb_shop", "migrated", "repository", "shop",
]  # fmt: skip

# The certificate's address, and one that it is not for. Not 127.0.0.1, for which MariaDB's library 3.4
# trusts any name.
NAMED, UNNAMED = "127.0.0.2", "127.0.0.3"
BINARY_LOG = {
    "mariadb": ["--log-bin=binlog", "--server-id=1"],
    "mysql": ["--gtid-mode=ON", "--enforce-gtid-consistency=ON"],
}
NO_TLS = {"mariadb": ["--skip-ssl"], "mysql": ["--tls-version=", "--auto-generate-certs=OFF"]}


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signed the servers' certificate."""
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(scope="session")
def other_authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of one who did not."""
    return Authority(tmp_path_factory.mktemp("authority"), "other").file


@pytest.fixture(scope="session", params=FLAVOURS)
def tls_server(request: pytest.FixtureRequest, authority: Authority) -> Iterator[DatabaseServer]:
    """Speaks TLS with a certificate of `authority` for NAMED, and writes a binary log."""
    certificate, key = authority.certificate(NAMED)
    tls = [f"--ssl-ca={authority.file}", f"--ssl-cert={certificate}", f"--ssl-key={key}"]
    addresses = f"--bind-address=127.0.0.1,{NAMED},{UNNAMED}"
    options = [*tls, addresses, *BINARY_LOG[request.param], "--log-bin-trust-function-creators=1"]
    options += [f"--plugin-dir={mariadb_plugins.home()}"] if request.param == "mariadb" else []
    with DatabaseServer(request.param, options=options) as server:
        yield server


@pytest.fixture(scope="session", params=FLAVOURS)
def plain_server(request: pytest.FixtureRequest) -> Iterator[DatabaseServer]:
    """Knows nothing of TLS."""
    with DatabaseServer(request.param, options=NO_TLS[request.param]) as server:
        yield server
