"""What the program that sends may do on the network: no redirect, few bytes, no address of the link itself.

Whoever sets up a channel says where a message goes. An answer does not: a redirect could lead to what only
the worker reaches, and an answer without end would fill its memory.
"""

from __future__ import annotations

import ipaddress
import socket
from contextvars import ContextVar
from typing import Any, NamedTuple

SECONDS = 10.0
# Of an answer; more than its beginning nobody is shown.
MOST_BYTES = 4096


class Answered(NamedTuple):
    """A service's answer: its status, and how its body begins."""

    status: int
    text: str


# Of a context rather than a thread, because Apprise hands its context on to threads of its own.
answered: ContextVar[list[Answered]] = ContextVar("answered")


def begin() -> None:
    """From now on, all requests of this process are so."""
    import requests
    import requests.adapters

    send = requests.adapters.HTTPAdapter.send

    def bounded(self: Any, request: Any, *_: Any, **options: Any) -> Any:
        # What is packed may be a thousand times as long.
        request.headers["Accept-Encoding"] = "identity"
        # For how long it is all silent; how long it may take in all, the process has a deadline for.
        options.update(stream=True, timeout=SECONDS)
        response = send(self, request, **options)
        begin: bytes = response.raw.read(MOST_BYTES, decode_content=False)
        response._content, response._content_consumed = begin, True
        response.raw.close()
        text = begin.decode("utf-8", "replace")
        answered.get([]).append(Answered(response.status_code, text))
        return response

    requests.adapters.HTTPAdapter.send = bounded  # type: ignore[method-assign]
    requests.Session.get_redirect_target = lambda *_: None  # type: ignore[method-assign]
    look_up = socket.getaddrinfo

    def public(*arguments: Any, **options: Any) -> Any:
        found = [each for each in look_up(*arguments, **options) if not _is_of_the_link(str(each[4][0]))]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "an address that is not asked")
        return found

    socket.getaddrinfo = public


# Amazon's over IPv6, Alibaba's, and all that a network translates from IPv6.
_OF_CLOUDS = [
    ipaddress.ip_network(each) for each in ("fd00:ec2::254/128", "100.100.100.200/32", "64:ff9b::/96")
]


def _is_of_the_link(address: str) -> bool:
    """Where clouds tell a machine its own credentials, and where nobody runs a service for people."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None) or found
    if any(mapped in network for network in _OF_CLOUDS):
        return True
    return mapped.is_link_local or mapped.is_multicast or mapped.is_unspecified
