"""What a failed TLS handshake means, in sentences."""

from __future__ import annotations

from backups.mysql.problems import TlsProblem
from backups.mysql.server import Server
from backups.text.sentences import phrase, template

# A server says no more to a user whose account demands TLS.
_OR_TLS = template(", and whether the account demands TLS, as {setting} is DISABLED")
# Both give away that the certificate is for another name; MySQL's client does not say.
_WRONG_NAME = ("Validation of SSL server certificate failed", "hostname", "host name", "IP address mismatch")


def or_tls(server: Server) -> str:
    """What to check besides where a server refused an account over a connection without TLS, or nothing."""
    return phrase(_OR_TLS, setting=server.ssl_mode_set_by) if server.ssl_mode == "DISABLED" else ""


def tls_problem(text: str, server: Server) -> TlsProblem:
    """What a failed TLS handshake means, by the words of either client library."""
    where = phrase("the database server at {address}", address=server.address)
    if "SSL is required" in text:
        return no_tls(server)
    if any(words in text for words in _WRONG_NAME):
        return TlsProblem(
            phrase(
                "The certificate of {where} is not for the name {host} ({text}).",
                where=where,
                host=server.host,
                text=text,
            ),
            do=phrase(
                "Set {address_set_by} to the name in the certificate, or have a certificate made for "
                "this name.",
                address_set_by=server.address_set_by,
            ),
        )
    if "certificate" in text:
        return TlsProblem(
            phrase("The certificate of {where} cannot be verified ({text}).", where=where, text=text),
            do=phrase(
                "Check that {ssl_ca_set_by} is the authority that issued it.",
                ssl_ca_set_by=server.ssl_ca_set_by,
            ),
        )
    return TlsProblem(
        phrase("No TLS connection to {where}: {text}.", where=where, text=text),
        do=phrase(
            "Check {ssl_mode_set_by} and {ssl_ca_set_by}.",
            ssl_mode_set_by=server.ssl_mode_set_by,
            ssl_ca_set_by=server.ssl_ca_set_by,
        ),
    )


def no_tls(server: Server) -> TlsProblem:
    """What to say where a server offers no TLS and it is wanted."""
    if server.ssl_mode == "PREFERRED":
        return TlsProblem(
            phrase(
                "The database server at {address} offered TLS, and then did not use it. No password "
                "was sent.",
                address=server.address,
            ),
            do=phrase(
                "Try again. If it stays so, see what stands between here and the server. For a server "
                "without TLS, set {ssl_mode_set_by} to DISABLED.",
                ssl_mode_set_by=server.ssl_mode_set_by,
            ),
        )
    return TlsProblem(
        phrase(
            "The database server at {address} offers no TLS, and {ssl_mode_set_by} is {ssl_mode}.",
            address=server.address,
            ssl_mode_set_by=server.ssl_mode_set_by,
            ssl_mode=server.ssl_mode,
        ),
        do=phrase(
            "Turn TLS on in the server, or set {ssl_mode_set_by} to PREFERRED.",
            ssl_mode_set_by=server.ssl_mode_set_by,
        ),
    )
