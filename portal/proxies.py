"""Who a request comes from, and whose word counts about it: TRUSTED_PROXIES, and nobody else's.

A proxy says in headers what it knows of a visitor: the address (X-Forwarded-For), whether HTTPS was used
(X-Forwarded-Proto) and below which path the portal is served (SCRIPT_NAME). Anybody can send such headers.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_network,
)
from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# The words that stand for no address of their own. The first is believed whether it is said or not.
SOCKET, NEIGHBOURS = "unix", "neighbours"
_THIS_MACHINE = (ip_network("127.0.0.1"), ip_network("::1"))
# What a provider gives to one customer at least, who may take a new address of it for each request.
_IPV6_PREFIX = 64
# Stands in the place of an address where there is none to be had; it is nobody's.
_NOWHERE = "0.0.0.0"  # noqa: S104  nothing listens here
# Where the proxy is noted whose word was not taken; the first page tells of it.
UNBELIEVED = "vedetta.unbelieved_proxy"
# The address that a proxy of ours was asked from, where that says itself whom it asks for.
UNLISTED = "vedetta.unlisted_proxy"
_SCHEME = "HTTP_X_FORWARDED_PROTO"
_SAID = re.compile(r"HTTP_(X_FORWARDED_\w+|FORWARDED|X_REAL_IP|SCRIPT_NAME|PATH_INFO)")
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)+")
# /proc/net/route(5): destination and mask are hexadecimal, in the machine's byte order.
_ROUTES, _ADDRESSES = Path("/proc/net/route"), Path("/proc/net/if_inet6")


@dataclass(frozen=True)
class Trusted:
    """The proxies that are believed, and whoever may open the portal's Unix socket.

    `networks` are listed: of a chain of proxies they may be any. `near` are believed when they ask the
    portal themselves, and are visitors like others where another proxy names them. `all_paths`: of anybody
    path and scheme are taken, as FORWARDED_ALLOW_IPS=* told versions that knew no TRUSTED_PROXIES.
    """

    networks: tuple[Network, ...] = ()
    near: tuple[Network, ...] = ()
    all_paths: bool = False

    def knows(self, peer: Address | None) -> bool:
        """Whether it is a proxy of ours that asks; None is who came by the Unix socket."""
        return peer is None or any(peer in network for network in (*self.near, *self.networks))

    def visitor(self, peer: Address | None, forwarded: str) -> Address | None:
        """The address from which a proxy of ours was asked; None where that is not to be had.

        `forwarded` is X-Forwarded-For, to whose end each proxy adds whom it was asked by. So it is read from
        there, for as long as it was a proxy of ours that wrote: a visitor may have sent what stands before.
        """
        found = peer
        for number, text in enumerate(reversed(forwarded.split(","))):
            wrote_it = self.knows(found) if number == 0 else any(found in each for each in self.networks)
            if not wrote_it or (hop := address_in(text)) is None:
                break
            found = hop
        return found


def trusted(words: Sequence[str]) -> Trusted:
    """What TRUSTED_PROXIES says: addresses, networks and `neighbours`. Raises ValueError with the wrong word.

    This machine itself is believed anyhow.
    """
    listed = tuple(_network(word) for word in words if word not in (SOCKET, NEIGHBOURS))
    return Trusted(listed, (*_THIS_MACHINE, *(neighbours() if NEIGHBOURS in words else ())))


def trusted_before(words: Sequence[str]) -> Trusted:
    """The same of FORWARDED_ALLOW_IPS, for where there is no TRUSTED_PROXIES yet. Raises ValueError.

    Of its * is made what it was meant for: the networks that this machine, or container, is in.
    """
    if "*" in words:
        return Trusted((), (*_THIS_MACHINE, *neighbours()), all_paths=True)
    return Trusted((), (*_THIS_MACHINE, *map(_network, words)))


def _network(word: str) -> Network:
    try:
        return ip_network(word)
    except ValueError:
        raise ValueError(word) from None


def neighbours(routes: Path = _ROUTES, addresses: Path = _ADDRESSES) -> Iterator[Network]:
    """The networks that this machine, or container, is in itself; none where the kernel does not tell."""
    for _, destination, gateway, *_, mask, _, _, _ in _lines(routes)[1:]:
        if int(mask, 16) and not int(gateway, 16):
            yield IPv4Network((_ipv4(destination), str(_ipv4(mask))))
    for address, _, prefix, _, _, _ in _lines(addresses):
        yield IPv6Interface((int(address, 16), int(prefix, 16))).network


def _lines(path: Path) -> list[list[str]]:
    try:
        return [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    except (OSError, UnicodeError):
        return []


def _ipv4(told: str) -> IPv4Address:
    return IPv4Address(struct.pack("=I", int(told, 16)))


def address_in(text: str) -> Address | None:
    """The address that a proxy wrote, which may have a port or a zone; None where it is none."""
    told = text.strip().strip('"')
    if told.startswith("["):
        told = told[1:].partition("]")[0]
    elif told.count(":") == 1:
        told = told.partition(":")[0]
    try:
        address = ip_address(told.partition("%")[0])
    except ValueError:
        return None
    # As a socket for both kinds has an IPv4 address.
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def counted_as(request: HttpRequest) -> str:
    """The address under which a visitor's failed sign-ins are counted: of an IPv6 address its /64."""
    address = address_in(str(request.META.get("REMOTE_ADDR", "")))
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, _IPV6_PREFIX), strict=False).network_address)
    return _NOWHERE if address is None else str(address)


# ---------------------------------------------------------------- In gunicorn and in Django


def paths_kept(
    headers: Sequence[tuple[str, str]], peer: Any, path: str, ours: Trusted | None = None
) -> list[tuple[str, str]]:
    """A request's headers, SCRIPT_NAME among them only where a proxy of ours named a path that is asked for.

    `peer` is gunicorn's: an address and port, or of a Unix socket nothing of the kind. What does not fit the
    address would be an error of the server's, and `//host` the address of another machine on our pages.
    """
    ours = ours or settings.TRUSTED_PROXIES
    believed = ours.all_paths or ours.knows(address_in(peer[0]) if isinstance(peer, tuple) else None)
    return [
        (name, value)
        for name, value in headers
        if name != "SCRIPT_NAME" or (believed and _is_below(path, value))
    ]


def _is_below(path: str, prefix: str) -> bool:
    return _PREFIX.fullmatch(prefix) is not None and (path == prefix or path.startswith(f"{prefix}/"))


def tell_visitors_apart(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware that puts the visitor's address into REMOTE_ADDR, and drops what strangers say of it.

    It stands before all others.
    """

    def respond(request: HttpRequest) -> HttpResponseBase:
        ours: Trusted = settings.TRUSTED_PROXIES
        meta = request.META
        told = str(meta.get("REMOTE_ADDR", ""))
        peer = address_in(told)
        if ours.knows(peer):
            forwarded = meta.get("HTTP_X_FORWARDED_FOR", "")
            visitor = ours.visitor(peer, forwarded)
            meta["REMOTE_ADDR"] = "" if visitor is None else str(visitor)
            if visitor is not None and _asks_for_another(visitor, forwarded):
                meta[UNLISTED] = str(visitor)
        else:
            _disbelieve(meta, told, all_but_scheme=ours.all_paths)
        return get_response(request)

    return respond


def _asks_for_another(visitor: Address, forwarded: str) -> bool:
    """Whether an address stands before the visitor's: a proxy that is not listed, or somebody's invention."""
    hops = [address_in(text) for text in forwarded.split(",")]
    before = hops[: len(hops) - hops[::-1].index(visitor) - 1] if visitor in hops else []
    return any(hop not in (None, visitor) for hop in before)


def _disbelieve(meta: dict[str, Any], peer: str, *, all_but_scheme: bool) -> None:
    """Forget what a stranger said in the place of a proxy, and note who it was."""
    said = [name for name in meta if _SAID.fullmatch(name)]
    if not said:
        return
    meta[UNBELIEVED] = peer
    if all_but_scheme:
        said = [name for name in said if name != _SCHEME]
    else:
        # Led to HTTPS from there it would be led so for ever; see `in_no_circle`, which takes it back.
        says_https = meta.get(_SCHEME, "").strip().lower() == "https"
        meta["wsgi.url_scheme"] = "https" if says_https else "http"
    for name in said:
        del meta[name]


def in_no_circle(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware that stands after the one that redirects to HTTPS: there a stranger's word was let pass.

    So people go on signing in behind a proxy that is not listed yet; nothing else is believed of it.
    """

    def respond(request: HttpRequest) -> HttpResponseBase:
        if UNBELIEVED in request.META and not settings.TRUSTED_PROXIES.all_paths:
            request.META["wsgi.url_scheme"] = "http"
        return get_response(request)

    return respond
