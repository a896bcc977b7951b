"""A REST server for restic on loopback, that asks for a password or keeps all files where it is told to."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from tests.servers.serving import serve
from tools.ports import HOST

_TYPES = ("data", "index", "keys", "locks", "snapshots")


class RestServer:
    """Serves the repository in `folder`; also a context manager.

    With `append_only` nothing but locks is deleted, with `keeps_locks` not even those. `answer` is
    given to every request in the place of a good one. As a proxy it takes any host's name. What
    `misbehave` is given and answers itself, of which it says True, is not answered otherwise.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.user = ""
        self.append_only = self.keeps_locks = False
        self.answer = 0
        self.misbehave: Callable[[RestHandler], bool] = lambda _: False
        self.requests: list[str] = []
        self._server = ThreadingHTTPServer((HOST, 0), type("BoundHandler", (RestHandler,), {"rest": self}))
        self._server.daemon_threads = True
        self.url = f"http://{HOST}:{self._server.server_address[1]}/"

    @property
    def repository(self) -> str:
        """The address as restic takes it."""
        return f"rest:{self.url}"

    def __enter__(self) -> Self:
        serve(self._server)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class RestHandler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    rest: RestServer

    def handle_one_request(self) -> None:
        """Read a request and answer it; a client that goes away is none of our business."""
        with suppress(ConnectionError, TimeoutError):
            super().handle_one_request()

    def _serve(self) -> None:
        body = self._body()
        path = urlsplit(self.path).path
        self.rest.requests.append(f"{self.command} {self.path}")
        wanted = base64.b64encode(self.rest.user.encode()).decode()
        if self.rest.misbehave(self):
            self.close_connection = True
            return None
        if self.rest.answer:
            return self._say(self.rest.answer)
        if self.rest.user and self.headers.get("Authorization") != f"Basic {wanted}":
            return self._say(401)
        return self._of_repository(path, body)

    do_GET = do_HEAD = do_POST = do_DELETE = _serve  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _of_repository(self, path: str, body: bytes) -> None:
        kind, _, name = path.strip("/").partition("/")
        if self.command == "POST" and not kind:
            for folder in _TYPES:
                (self.rest.folder / folder).mkdir(parents=True, exist_ok=True)
            return self._say(200)
        if kind in _TYPES and not name:
            return self._list(self.rest.folder / kind)
        return self._of_file(kind, self._file(kind, name), body)

    def _file(self, kind: str, name: str) -> Path:
        folder = self.rest.folder / kind
        return folder / name[:2] / name if kind == "data" else folder / name

    def _of_file(self, kind: str, file: Path, body: bytes) -> None:
        if self.command == "POST":
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(body)
            return self._say(200)
        if not file.is_file():
            return self._say(404)
        if self.command == "DELETE":
            if self.rest.append_only and (kind != "locks" or self.rest.keeps_locks):
                return self._say(403)
            file.unlink()
            return self._say(200)
        content = file.read_bytes()
        if found := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            content = content[int(found[1]) : int(found[2]) + 1 if found[2] else None]
            return self._say(206, content)
        return self._say(200, content)

    def _list(self, folder: Path) -> None:
        files = [path for path in folder.rglob("*") if path.is_file()]
        listed = [{"name": path.name, "size": path.stat().st_size} for path in files]
        self._say(200, json.dumps(listed).encode(), "application/vnd.x.restic.rest.v2")

    def _say(self, status: int, content: bytes = b"", kind: str = "application/octet-stream") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing: the tests look at `requests`."""
