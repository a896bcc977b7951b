"""Each mode of MYSQL_SSL_MODE for the connection that fetches binary logs, which is another driver's."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from backups import mysql
from backups.shipping import wire
from tests.compat.certificates import Authority
from tests.compat.conftest import NAMED, UNNAMED
from tests.compat.test_tls import MODES, _server
from tests.servers import DatabaseServer


def how(server: mysql.Server) -> str:
    try:
        with wire.connected(server) as connected:
            is_encrypted = isinstance(connected._connection._sock, ssl.SSLSocket)
    except mysql.MySQLProblem:
        return "refused"
    return "TLS" if is_encrypted else "plain"


def test_a_server_without_tls(plain_server: DatabaseServer, other_authority: Path) -> None:
    found = {mode: how(_server(plain_server, mode, other_authority)) for mode in MODES}

    assert found == {
        "DISABLED": "plain",
        "PREFERRED": "plain",
        "REQUIRED": "refused",
        "VERIFY_CA": "refused",
        "VERIFY_IDENTITY": "refused",
    }


def test_a_server_with_a_good_certificate(tls_server: DatabaseServer, authority: Authority) -> None:
    found = {mode: how(_server(tls_server, mode, authority.file, NAMED)) for mode in MODES}

    assert found == {**dict.fromkeys(MODES, "TLS"), "DISABLED": "plain"}


@pytest.mark.parametrize("is_named", [True, False], ids=["of another authority", "for another name"])
def test_a_certificate_that_does_not_fit(
    tls_server: DatabaseServer, authority: Authority, other_authority: Path, is_named: bool
) -> None:
    trusted, host = (other_authority, NAMED) if is_named else (authority.file, UNNAMED)

    found = {mode: how(_server(tls_server, mode, trusted, host)) for mode in MODES}

    refused = {"VERIFY_IDENTITY"} | ({"VERIFY_CA"} if is_named else set())
    assert {mode for mode, answer in found.items() if answer == "refused"} == refused
