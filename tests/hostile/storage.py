"""What a hostile storage may answer to restic, each given the request's handler.

They are for a REST server (`RestServer.misbehave`); the last ones answer as S3 does.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping

from tests.servers.rest import RestHandler

Misdeed = Callable[[RestHandler], None]
_HUGE = 1 << 40
STRANGE_NAMES = (
    "../../../../etc/passwd", "/etc/passwd", "", ".", "a" * 5000, "\x1b[2J", "name\nwith a line",
    "--password-command=touch", "\u202egnp", "0" * 64, "\0", "%2e%2e%2f",
)  # fmt: skip


def silence(handler: RestHandler) -> None:
    """Nothing, ever: until the client goes."""
    handler.rfile.read(1)


def drip(handler: RestHandler) -> None:
    """A body by the byte."""
    _begin(handler, {"Content-Length": str(_HUGE)})
    _slowly(handler, b"x" * 10_000)


def slow_head(handler: RestHandler) -> None:
    """The head of an answer by the byte."""
    _slowly(handler, b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 10_000)


def endless_body(handler: RestHandler) -> None:
    """A body as fast as it is read, until the client goes."""
    _begin(handler, {"Content-Length": str(_HUGE)})
    while True:
        handler.wfile.write(b"x" * (1 << 20))


def endless_head(handler: RestHandler) -> None:
    """Header lines without an end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        handler.wfile.write(b"X-More: " + b"x" * 1000 + b"\r\n")


def too_short(handler: RestHandler) -> None:
    """Less than was said."""
    _begin(handler, {"Content-Length": "100000"})
    handler.wfile.write(b"x" * 100)


def garbage(handler: RestHandler) -> None:
    """No HTTP at all."""
    handler.wfile.write(bytes(range(256)) * 100)


def status(code: int) -> Misdeed:
    """No, for ever."""

    def say(handler: RestHandler) -> None:
        text = b"<h1>\x1b[31mno</h1>" * 1000
        _begin(handler, {"Content-Length": str(len(text))}, code)
        handler.wfile.write(text)

    return say


def redirect(address: str) -> Misdeed:
    """Go elsewhere."""
    return lambda handler: _begin(handler, {"Location": address, "Content-Length": "0"}, 307)


def in_a_circle(handler: RestHandler) -> None:
    """Go where you are."""
    _begin(handler, {"Location": handler.path, "Content-Length": "0"}, 307)


def listing(*names: str, size: int = 1) -> Misdeed:
    """Files of these names, whatever is asked for."""

    def say(handler: RestHandler) -> None:
        text = json.dumps([{"name": name, "size": size} for name in names]).encode()
        kind = "application/vnd.x.restic.rest.v2"
        _begin(handler, {"Content-Type": kind, "Content-Length": str(len(text))})
        handler.wfile.write(text)

    return say


def endless_listing(handler: RestHandler) -> None:
    """A list of files that does not end."""
    _begin(handler, {"Content-Type": "application/vnd.x.restic.rest.v2", "Content-Length": str(_HUGE)})
    number = 0
    handler.wfile.write(b"[")
    while True:
        names = (f'{{"name":"{each:064x}","size":1}},' for each in range(number, number + 10_000))
        handler.wfile.write("".join(names).encode())
        number += 10_000


def deep(handler: RestHandler) -> None:
    """JSON of nothing but beginnings."""
    text = b"[" * 5_000_000
    _begin(handler, {"Content-Type": "application/vnd.x.restic.rest.v2", "Content-Length": str(len(text))})
    handler.wfile.write(text)


def s3_list_that_goes_on(handler: RestHandler) -> None:
    """A part of a list, each time with the word that there is more."""
    number = time.monotonic_ns()
    _xml(
        handler,
        "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>more</NextContinuationToken>"
        f"<Contents><Key>{number:064x}</Key><Size>1</Size></Contents></ListBucketResult>",
    )


def s3_bomb(handler: RestHandler) -> None:
    """An entity that is a billion others."""
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    _xml(
        handler,
        f'<!DOCTYPE l [<!ENTITY l0 "lol">{entities}]><ListBucketResult><Name>&l9;</Name></ListBucketResult>',
    )


def s3_error(code: int, name: str, message: str) -> Misdeed:
    """An error in S3's way, with a message of any text."""
    return lambda handler: _xml(
        handler, f"<Error><Code>{name}</Code><Message>{message}</Message></Error>", code
    )


def where(pattern: str, misdeed: Misdeed) -> Callable[[RestHandler], bool]:
    """`misdeed` to the requests "METHOD /path" in which the pattern is found, and good answers to others."""

    def misbehave(handler: RestHandler) -> bool:
        if not re.search(pattern, f"{handler.command} {handler.path}"):
            return False
        misdeed(handler)
        return True

    return misbehave


MISDEEDS: Mapping[str, Misdeed] = {
    "silent": silence,
    "a body by the byte": drip,
    "a head by the byte": slow_head,
    "a body without an end": endless_body,
    "a head without an end": endless_head,
    "less than was said": too_short,
    "no HTTP": garbage,
    "401 for ever": status(401),
    "403 for ever": status(403),
    "404 for ever": status(404),
    "500 for ever": status(500),
    "redirects in a circle": in_a_circle,
    "strange names": listing(*STRANGE_NAMES),
    "a list of many": listing(*(f"{each:064x}" for each in range(100_000))),
    "a list without an end": endless_listing,
    "deep JSON": deep,
}


# Of a storage that speaks S3, whatever is asked of it.
S3_MISDEEDS: Mapping[str, Misdeed] = {
    "a list that goes on": s3_list_that_goes_on,
    "an entity of a billion": s3_bomb,
    "an error of a megabyte": s3_error(403, "AccessDenied", "x" * (1 << 20)),
    "an error that steers": s3_error(500, "InternalError", "\u202e&#27;[2J"),
    **{name: MISDEEDS[name] for name in ("a body by the byte", "a body without an end", "silent", "no HTTP")},
}


def _xml(handler: RestHandler, text: str, code: int = 200) -> None:
    data = b'<?xml version="1.0" encoding="UTF-8"?>' + text.encode()
    _begin(handler, {"Content-Type": "application/xml", "Content-Length": str(len(data))}, code)
    if handler.command != "HEAD":
        handler.wfile.write(data)


def _begin(handler: RestHandler, headers: Mapping[str, str], code: int = 200) -> None:
    handler.send_response(code)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()


def _slowly(handler: RestHandler, data: bytes) -> None:
    handler.wfile.flush()
    for byte in data:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        time.sleep(0.1)
