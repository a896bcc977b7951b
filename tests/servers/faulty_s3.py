"""An S3 storage that fails as it is told: a proxy on loopback in front of a good one."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from tests.servers.s3 import S3Server
from tests.servers.serving import serve
from tools.ports import HOST

# As S3 says it.
_CODES = {
    403: ("AccessDenied", "Access Denied"),
    404: ("NoSuchKey", "The specified key does not exist."),
    500: ("InternalError", "We encountered an internal error. Please try again."),
    503: ("SlowDown", "Please reduce your request rate."),
}
# A connection closed so is reset instead of ended.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_PER_CONNECTION = frozenset({"connection", "transfer-encoding", "keep-alive"})


@dataclass
class Fault:
    """What goes wrong with requests "METHOD /bucket/key?query" in which `where` is found.

    `do` answers instead of the storage, or returns for the storage to answer. The first `after`
    requests are spared, and after `times` the fault is over.
    """

    do: Callable[[Handler], None]
    where: str = ""
    after: int = 0
    times: int | None = None
    hits: int = 0

    def strikes(self, request: str) -> bool:
        """Whether this request is hit; counts it."""
        if not re.search(self.where, request):
            return False
        if self.after:
            self.after -= 1
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        self.hits += 1
        return True


class FaultyS3:
    """Passes requests on to `storage`, or does what `fault` says; also a context manager."""

    def __init__(self, storage: S3Server) -> None:
        self.storage = storage
        self.fault: Fault | None = None
        self.requests: list[str] = []
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer((HOST, 0), type("BoundHandler", (Handler,), {"proxy": self}))
        self._server.daemon_threads = True
        self.url = f"http://{HOST}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        serve(self._server)
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def in_front_of(self, repository: str) -> str:
        """The repository's address through this proxy."""
        return repository.replace(self.storage.url, self.url)

    @contextlib.contextmanager
    def failing(self, fault: Fault) -> Iterator[Fault]:
        """The fault, for the length of a block."""
        self.fault = fault
        try:
            yield fault
        finally:
            self.fault = None

    def strikes(self, request: str) -> Fault | None:
        """The fault, where it hits this request."""
        with self._lock:
            self.requests.append(request)
            fault = self.fault
            return fault if fault is not None and fault.strikes(request) else None


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    proxy: FaultyS3
    protocol_version = "HTTP/1.1"
    answered = False

    def handle_one_request(self) -> None:
        """Read a request and answer it; a client that goes away is none of our business."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            super().handle_one_request()

    def _serve(self) -> None:
        self.answered = False
        fault = self.proxy.strikes(f"{self.command} {self.path}")
        if fault is not None:
            fault.do(self)
        if not self.answered:
            self.pass_on(self.body())

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815

    def body(self) -> bytes:
        """What the request carries."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def pass_on(self, body: bytes, *, share: float = 1) -> None:
        """Have the storage answer; of its answer's body only this share is sent on."""
        storage = http.client.HTTPConnection(self.proxy.storage.url.removeprefix("http://"), timeout=60)
        with contextlib.closing(storage):
            storage.request(self.command, self.path, body, dict(self.headers))
            answer = storage.getresponse()
            self.send_response_only(answer.status)
            content = answer.read()
            for name, value in answer.getheaders():
                if name.lower() not in _PER_CONNECTION | {"content-length"}:
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else len(content)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(content[: int(len(content) * share)])
        self.answered = True

    def cut(self, *, reset: bool = False) -> None:
        """Close the connection."""
        self.answered = self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            # The files over the socket hold it open until they are closed too.
            self.rfile.close()
        self.connection.shutdown(socket.SHUT_RDWR) if not reset else self.connection.close()

    def log_message(self, *_: object) -> None:
        """Nothing: the tests look at `requests`."""


def status(code: int) -> Callable[[Handler], None]:
    """The storage says no, in the way of S3."""
    return refuse(code, *_CODES[code])


def refuse(code: int, name: str, message: str) -> Callable[[Handler], None]:
    """The storage says no, with this status, name and message."""

    def say(handler: Handler) -> None:
        handler.body()
        text = f"<Error><Code>{name}</Code><Message>{message}</Message></Error>".encode()
        handler.send_response_only(code)
        handler.send_header("Content-Type", "application/xml")
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(text)
        handler.answered = True

    return say


def delay(seconds: float) -> Callable[[Handler], None]:
    """The storage answers later."""

    def wait(_handler: Handler) -> None:
        time.sleep(seconds)

    return wait


def hang(handler: Handler) -> None:
    """The storage takes the request and never answers."""
    handler.body()
    handler.proxy.stopping.wait()
    handler.cut()


def drop(handler: Handler) -> None:
    """The connection ends without an answer."""
    handler.body()
    handler.cut()


def truncate(handler: Handler) -> None:
    """The connection ends in the middle of the answer."""
    handler.pass_on(handler.body(), share=0.5)
    handler.cut()


def reset_upload(handler: Handler) -> None:
    """The connection is reset in the middle of what is uploaded."""
    handler.rfile.read(int(handler.headers.get("Content-Length") or 0) // 2)
    handler.cut(reset=True)
