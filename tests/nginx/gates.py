"""A gate that stands, falls, hangs or drips as a test says, and an application behind it."""

from __future__ import annotations

import contextlib
import http.server
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tests.servers.serving import serve
from tools.ports import HOST, free_port

STATES = ("open", "closed", "dead", "hanging", "dripping")
APPLICATION = "This is the application."
_ANSWER = "HTTP/1.1 {status}\r\nX-Backup-Status: {word}\r\nContent-Length: {length}\r\n\r\n{word}"
_DRIP_SECONDS = 0.4


class Gate:
    """Listens on `port` while it is not dead. What it was asked is kept, heads as they came."""

    def __init__(self) -> None:
        self.state = "dead"
        self.drill = ""
        self.asked: list[str] = []
        self.port = free_port()
        self._listener: socket.socket | None = None
        self._connections: set[socket.socket] = set()

    def becomes(self, state: str) -> None:
        """Take another state; of a dead gate no connection stays."""
        self.state = state
        if state == "dead":
            self.close()
        elif self._listener is None:
            self._listener = socket.create_server((HOST, self.port), backlog=512)
            threading.Thread(target=self._serve, args=[self._listener], daemon=True).start()

    def close(self) -> None:
        """End what listens and what is connected."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _serve(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        self._connections.add(connection)
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as lines:
            while head := _head(lines):
                self.asked.append(head)
                self._say(connection, self._words(head))
        self._connections.discard(connection)

    def _words(self, head: str) -> str:
        drilled = bool(self.drill) and f"x-vedetta-drill: {self.drill}\r\n" in head.lower()
        status, word = ("200 OK", "fresh")
        if self.state == "closed" or drilled:
            status, word = ("503 Service Unavailable", "stale")
        return _ANSWER.format(status=status, word=word, length=len(word))

    def _say(self, connection: socket.socket, words: str) -> None:
        if self.state == "hanging":
            while self.state == "hanging":
                time.sleep(0.05)
            raise OSError
        if self.state != "dripping":
            connection.sendall(words.encode())
            return
        for letter in words:
            if self.state != "dripping":
                raise OSError
            connection.sendall(letter.encode())
            time.sleep(_DRIP_SECONDS)


def _head(lines: Iterable[bytes]) -> str:
    found = ""
    for line in lines:
        found += line.decode("latin-1")
        if line == b"\r\n":
            return found
    return ""


class Application(http.server.BaseHTTPRequestHandler):
    """Answers what its path says: /broken, /forbidden, /private, /gone; else that it is there."""

    protocol_version = "HTTP/1.1"
    codes = {"/broken": 500, "/forbidden": 403, "/private": 401, "/gone": 404, "/overloaded": 503}

    def do_GET(self) -> None:
        self._take_body()
        if self.headers.get("Upgrade"):
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.end_headers()
            self.wfile.write(APPLICATION.encode())
            self.close_connection = True
            return
        told = [f"{name}: {value}" for name, value in self.headers.items()]
        body = "\n".join([APPLICATION, self.path, *told]).encode()
        self.send_response(self.codes.get(self.path.partition("?")[0], 200))
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_GET  # noqa: N815

    def _take_body(self) -> None:
        left = int(self.headers.get("Content-Length", 0))
        while left > 0:
            left -= len(self.rfile.read(min(left, 65536))) or left
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                self.rfile.read(size + 2)
            self.rfile.readline()

    def log_message(self, *arguments: object) -> None:
        pass


class _FastCgi(socketserver.StreamRequestHandler):
    """Takes any FastCGI request and answers as the application."""

    def handle(self) -> None:
        request = 0
        while head := self.rfile.read(8):
            _, kind, request, length, padding = struct.unpack("!BBHHBx", head)
            self.rfile.read(length + padding)
            if kind == 5 and not length:
                break
        content = f"Content-Type: text/html\r\n\r\n{APPLICATION}".encode()
        for kind, body in ((6, content), (6, b""), (3, bytes(8))):
            self.wfile.write(struct.pack("!BBHHBx", 1, kind, request, len(body), 0) + body)


class _Uwsgi(socketserver.StreamRequestHandler):
    """Takes any uwsgi request and answers as the application."""

    def handle(self) -> None:
        (length,) = struct.unpack("<xHx", self.rfile.read(4))
        self.rfile.read(length)
        self.wfile.write(f"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n{APPLICATION}".encode())


class _Threads(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 512


@contextmanager
def listening(handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    """A server of this kind; gives its port."""
    with _Threads((HOST, 0), handler) as server:
        serve(server)
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def fastcgi() -> contextlib.AbstractContextManager[int]:
    """The application by FastCGI."""
    return listening(_FastCgi)


def uwsgi() -> contextlib.AbstractContextManager[int]:
    """The application by uwsgi's protocol."""
    return listening(_Uwsgi)
