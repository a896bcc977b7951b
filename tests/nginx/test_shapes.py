"""A gate that is closed is so for a request of any shape."""

from __future__ import annotations

import socket
from contextlib import closing, suppress

from tests.nginx.conftest import World
from tests.nginx.gates import APPLICATION
from tools.ports import HOST

_PATHS = [
    "/", "//", "/./", "/..;/", "/;/", "/%2e%2e/", "/%2f", "/a/../", "/a%00b", "/?vedetta=1", "/_vedetta_gate",
    "/_vedetta_closed", "/vedetta/../", "/vedetta/..%2f", "/vedetta/%2e%2e/orders", "//vedetta/../orders",
    "/vedetta;/orders", "/VEDETTA/", "/vedetta", "/orders#/vedetta/", "http://plain.test/orders",
]  # fmt: skip
_METHODS = ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "get", "X"]
_HEADERS = [
    "X-Original-URL: /vedetta/", "X-Rewrite-URL: /vedetta/", "X-Accel-Redirect: /", "Range: bytes=0-1",
    "Upgrade: websocket\r\nConnection: upgrade", "Expect: 100-continue", "Expect: x", "Content-Length: 0",
    "Transfer-Encoding: chunked", "X-HTTP-Method-Override: GET", "X-Backup-Status: fresh",
    "X-Vedetta-Drill: " + "f" * 32, "X-Vedetta-Drill: ", "If-None-Match: *", "Cache-Control: only-if-cached",
]  # fmt: skip
_LINES = [
    *(f"GET {path} HTTP/1.1" for path in _PATHS),
    *(f"{method} /orders HTTP/1.1" for method in _METHODS),
    *(f"GET /orders HTTP/1.1\r\n{header}" for header in _HEADERS),
    "GET /orders HTTP/1.0",
    "GET /orders HTTP/0.9",
    "GET /orders",
    "GET /orders HTTP/1.1\r\nHost: elsewhere.test",
]


def answer(port: int, lines: str) -> bytes:
    """What comes back, the connection closed behind the request."""
    with closing(socket.create_connection((HOST, port), timeout=20)) as connection:
        connection.sendall(f"{lines}\r\nHost: plain.test\r\nConnection: close\r\n\r\n0\r\n\r\n".encode())
        said = b""
        with suppress(ConnectionResetError):
            while piece := connection.recv(1 << 16):
                said += piece
        return said


def test_no_shape_of_a_request_opens_a_closed_gate(world: World) -> None:
    world.gate_becomes("closed")
    told = {lines: answer(world.http, lines) for lines in _LINES}
    assert [lines for lines, said in told.items() if APPLICATION.encode() in said] == []
    world.gate_becomes("open")
    assert APPLICATION.encode() in answer(world.http, _LINES[0])
