"""An address of the application, asked as a visitor asks."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from contextlib import closing
from dataclasses import dataclass
from email.message import Message
from urllib.parse import SplitResult, urlsplit

from backups.errors import Problem
from backups.gate import bounded_http
from backups.text.sentences import phrase
from sentinel import heartbeat

CLOSED_PAGE = b"Service unavailable: backup status not OK"
ANSWER_SECONDS = 10.0
_MOST_BYTES = 64 * 1024
_LONGEST_URL = 500


@dataclass(frozen=True)
class Answer:
    """What came back: a status, whether the page is the gate's, and from where; or why nothing came."""

    status: int | None = None
    is_ours: bool = False
    problem: str = ""
    # A cache says of itself that it had this.
    is_cached: bool = False
    # Where it was asked, if not at the address that a visitor from here gets.
    at: str = ""

    @property
    def closed(self) -> bool:
        """Whether this is how a closed gate looks."""
        return self.status == 503 and self.is_ours


def checked(url: str) -> SplitResult:
    """The parts of an address that may be asked. Raises Problem."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  which is read when it is asked for
    except ValueError:
        parts = urlsplit("")
    readable = re.fullmatch(r"[!-~]+", url) is not None and len(url) <= _LONGEST_URL and "#" not in url
    if not readable or parts.scheme not in {"http", "https"} or not parts.hostname or "\\" in url:
        raise Problem(
            phrase("A drill cannot ask this address."),
            code="gate.drill_address",
            do=phrase("Give one as in https://shop.example.com/orders, percent-encoded, with http or https."),
        )
    if "@" in parts.netloc:
        raise Problem(
            phrase("The address holds a user or password. A drill asks without one."),
            code="gate.drill_password",
            do=phrase("Give an address that visitors may see."),
        )
    return parts


def ask(url: str, word: str = "", at: str = "") -> Answer:
    """One request: within `ANSWER_SECONDS` with all that is part of it, 64 kB, no redirect followed.

    `at` is which of the addresses of its name is asked, by default the first that answers.
    """
    parts = checked(url)
    connection = _connection(parts, at)
    answer = bounded_http.within(ANSWER_SECONDS, connection, lambda: _asked(connection, parts, word))
    return answer or Answer(
        problem=phrase(
            "nothing, or not all of it, came within {answer_seconds} seconds",
            answer_seconds=f"{ANSWER_SECONDS:g}",
        )
    )


def _connection(parts: SplitResult, at: str) -> http.client.HTTPConnection:
    assert parts.hostname is not None  # noqa: S101
    if parts.scheme == "https":
        return _Encrypted(parts.hostname, parts.port, at or parts.hostname)
    return _Plain(parts.hostname, parts.port, at or parts.hostname)


class _Plain(http.client.HTTPConnection):
    """HTTP to one of the addresses of a host."""

    def __init__(self, host: str, port: int | None, at: str) -> None:
        super().__init__(host, port, timeout=ANSWER_SECONDS)
        self._at = at

    def connect(self) -> None:
        self.sock = socket.create_connection((self._at, self.port), ANSWER_SECONDS)


class _Encrypted(http.client.HTTPSConnection):
    """The same over TLS, with the host's own certificate."""

    def __init__(self, host: str, port: int | None, at: str) -> None:
        self._trust = ssl.create_default_context()
        super().__init__(host, port, timeout=ANSWER_SECONDS, context=self._trust)
        self._at = at

    def connect(self) -> None:
        self.sock = socket.create_connection((self._at, self.port), ANSWER_SECONDS)
        self.sock = self._trust.wrap_socket(self.sock, server_hostname=self.host)


# What browsers send, by which servers tell them from others; nothing that makes a cache ask anew.
_AS_A_VISITOR = {
    "User-Agent": "Mozilla/5.0 (compatible; Vedetta)",
    "Accept": "text/html,application/xhtml+xml,*/*;q=0.8",
    "Connection": "close",
}
_CACHES_SAY = ("X-Cache", "X-Cache-Status", "X-Proxy-Cache", "CF-Cache-Status", "Cache-Status")


def _is_cached(headers: Message) -> bool:
    said = " ".join(headers.get(name, "") for name in _CACHES_SAY)
    return "Age" in headers or re.search(r"\b(hit|stale|updating|revalidated)\b", said, re.I) is not None


def _asked(connection: http.client.HTTPConnection, parts: SplitResult, word: str) -> Answer:
    target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    headers = dict(_AS_A_VISITOR)
    if word:
        headers[heartbeat.DRILL_HEADER] = word
    try:
        with closing(connection):
            connection.request("GET", target, headers=headers)
            response = connection.getresponse()
            is_ours = CLOSED_PAGE in response.read(_MOST_BYTES)
            return Answer(response.status, is_ours, is_cached=_is_cached(response.headers))
    except ssl.SSLCertVerificationError as error:
        return Answer(
            problem=phrase(
                "its certificate is not trusted here ({verify_message}); name the file of its authority "
                "in SSL_CERT_FILE, or give the address that it is for",
                verify_message=error.verify_message.rstrip("."),
            )
        )
    except ssl.SSLError:
        return Answer(
            problem=phrase("no TLS is spoken there; give the address with http, or the port of https")
        )
    except UnicodeError:
        return Answer(problem=phrase("its host is none that could be looked up"))
    except OSError as error:
        return Answer(problem=error.strerror or type(error).__name__)
    except (http.client.HTTPException, ValueError):
        return Answer(problem=phrase("what came is no HTTP"))
