"""An HTTP server on loopback that keeps what it is sent, headers included, and answers as it is told to."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.servers.serving import serve


@dataclass
class Request:
    """One request, as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> Any:
        """Its JSON."""
        return json.loads(self.body)


@dataclass
class Inbox:
    """What came, and what is answered: `headers` too, and `body` as often as `times`."""

    status: int = 200
    body: bytes = b"ok"
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0
    port: int = 0
    requests: list[Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def inbox() -> Iterator[Inbox]:
    """One that listens, until the end of the block."""
    kept = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kept.requests.append(Request(self.command, self.path, dict(self.headers), body))
            time.sleep(kept.delay)
            self.send_response(kept.status)
            for name, value in kept.headers.items():
                self.send_header(name, value)
            self.end_headers()
            for _ in range(kept.times):
                try:
                    self.wfile.write(kept.body)
                except OSError:
                    return

        do_PUT = do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Not on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    kept.port = int(server.server_address[1])
    serve(server)
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
