"""What a failed TLS handshake means, in sentences."""

from __future__ import annotations

from backups.mysql.problems import TlsProblem
from backups.mysql.server import Server

# A server says no more to a user whose account demands TLS.
_OR_TLS = ", and whether the account demands TLS, as {} is DISABLED"
# Both give away that the certificate is for another name; MySQL's client does not say.
_WRONG_NAME = ("Validation of SSL server certificate failed", "hostname", "host name", "IP address mismatch")


def or_tls(server: Server) -> str:
    """What to check besides where a server refused an account over a connection without TLS, or nothing."""
    return _OR_TLS.format(server.ssl_mode_set_by) if server.ssl_mode == "DISABLED" else ""


def tls_problem(text: str, server: Server) -> TlsProblem:
    """What a failed TLS handshake means, by the words of either client library."""
    where = f"the database server at {server.address}"
    if "SSL is required" in text:
        return no_tls(server)
    if any(words in text for words in _WRONG_NAME):
        return TlsProblem(
            f"The certificate of {where} is not for the name {server.host} ({text}).",
            do=f"Name it in {server.address_set_by} as its certificate does, or have one made for this name.",
        )
    if "certificate" in text:
        return TlsProblem(
            f"The certificate of {where} cannot be verified ({text}).",
            do=f"Check that {server.ssl_ca_set_by} is the authority that issued it.",
        )
    return TlsProblem(
        f"No TLS connection to {where}: {text}.",
        do=f"Check {server.ssl_mode_set_by} and {server.ssl_ca_set_by}.",
    )


def no_tls(server: Server) -> TlsProblem:
    """What to say where a server offers no TLS and it is wanted."""
    if server.ssl_mode == "PREFERRED":
        return TlsProblem(
            f"The database server at {server.address} offered TLS, and then none, so it got no password.",
            do="Try again. If it stays so, see what stands between; for a server without TLS, set "
            f"{server.ssl_mode_set_by} to DISABLED.",
        )
    return TlsProblem(
        f"The database server at {server.address} offers no TLS, and {server.ssl_mode_set_by} is "
        f"{server.ssl_mode}.",
        do=f"Turn TLS on in the server, or set {server.ssl_mode_set_by} to PREFERRED.",
    )
