"""A file of `surroundings/`: what stands in it besides nginx's own lines, and how it is asked.

The comments at its top say, as `# name: value`:

    ask:       METHOD /path, with a body's size or a header after it; may be repeated; GET / where not said
    over:      http (where not said), https or http2
    open, closed, dead, hanging, dripping:
               what a visitor gets while the gate is in that state: a status, and after it the words
               `application` (its own answer), `closed` (our page) or `page NAME` (a page of the server's).
               Not said: open is `200 application`, closed is `503 closed`, and the rest as closed.
    because:   why a closed gate does not give `503 closed`, for who reads it
    drill:     what `preflight --gate` finds: closes (where not said), or its other verdicts
    line:      the line of the file that it names then
    warning:   a line that it names though it closes, as it lets in others than whom the drill asks as
    kept:      what is asked for once while the gate is open, before all else, so that a cache has it
"""

from __future__ import annotations

import http.client
import re
import ssl
import subprocess
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.nginx.gates import APPLICATION
from tools.ports import HOST

CLOSED = "Service unavailable: backup status not OK"
_SAID = re.compile(
    r"^# (ask|over|open|closed|dead|hanging|dripping|because|drill|line|warning|kept): +(.*)$", re.MULTILINE
)


@dataclass(frozen=True)
class Surrounding:
    """One file, read."""

    name: str
    asks: tuple[str, ...]
    over: str
    expected: dict[str, str]
    because: str
    drill: str
    line: str
    warning: str
    kept: str


def read(path: Path) -> Surrounding:
    """What the comments of a file say."""
    said: dict[str, list[str]] = {}
    for name, value in _SAID.findall(path.read_text()):
        said.setdefault(name, []).append(value.strip())
    one = {name: values[0] for name, values in said.items()}
    closed = one.get("closed", "503 closed")
    hanging = one.get("hanging", closed)
    return Surrounding(
        name=path.stem,
        asks=tuple(said.get("ask", ["GET /"])),
        over=one.get("over", "http"),
        expected={
            "open": one.get("open", "200 application"),
            "closed": closed,
            "dead": one.get("dead", closed),
            "hanging": hanging,
            "dripping": one.get("dripping", hanging),
        },
        because=one.get("because", ""),
        drill=one.get("drill", "closes"),
        line=one.get("line", ""),
        warning=one.get("warning", ""),
        kept=one.get("kept", ""),
    )


@dataclass(frozen=True)
class Answer:
    """What a visitor got."""

    status: int
    headers: dict[str, str]
    body: str

    def words(self) -> str:
        """As a file says it."""
        if self.body.startswith(APPLICATION):
            return f"{self.status} application"
        if CLOSED in self.body:
            return f"{self.status} closed"
        page = re.match(r"The page (\S+)\.$", self.body)
        return f"{self.status} page {page[1]}" if page else str(self.status)


def fetch(port: int, method: str, path: str, headers: Mapping[str, str], by: str = HOST) -> Answer:
    """An answer to somebody at the address `by`."""
    there = http.client.HTTPConnection(HOST, port, timeout=30, source_address=(by, 0))
    with closing(there) as connection:
        connection.request(method, path, headers=dict(headers))
        response = connection.getresponse()
        return Answer(response.status, dict(response.headers), response.read().decode())


def visit(port: int, surrounding: Surrounding, ask: str, headers: dict[str, str] | None = None) -> Answer:
    """Ask as the file says."""
    method, path, *rest = ask.split()
    given = dict(headers or {})
    body: bytes | None = None
    for word in rest:
        if found := re.fullmatch(r"(\d+)MB", word):
            body = b"x" * (int(found[1]) * 1024 * 1024)
        else:
            name, _, value = word.replace("|", " ").partition("=")
            given[name] = value
    if surrounding.over == "http2":
        return _by_curl(port, f"{surrounding.name}.test", method, path, given, body)
    given["Host"] = f"{surrounding.name}.test"
    with closing(_connection(port, surrounding.over)) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):  # answered before all of it was sent
            connection.request(method, path, body, given)
        response = connection.getresponse()
        text = response.read() if response.status != 101 else response.fp.read(len(APPLICATION))
        return Answer(response.status, dict(response.headers), text.decode())


def _connection(port: int, over: str) -> http.client.HTTPConnection:
    if over == "http":
        return http.client.HTTPConnection(HOST, port, timeout=20)
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(HOST, port, timeout=20, context=trusting)


def _by_curl(
    port: int, host: str, method: str, path: str, headers: dict[str, str], body: bytes | None
) -> Answer:
    """By HTTP/2, which Python does not speak."""
    command = ["curl", "--silent", "--insecure", "--http2", "--include", "--max-time", "20"]
    command += ["--request", method, "--connect-to", f"{host}:443:{HOST}:{port}"]
    for name, value in headers.items():
        command += ["--header", f"{name}: {value}"]
    if body is not None:
        command += ["--header", "Expect:", "--data-binary", "@-"]
    done = subprocess.run([*command, f"https://{host}{path}"], input=body or b"", capture_output=True)
    head, _, text = done.stdout.decode().partition("\r\n\r\n")
    version, status, *_ = head.split()
    assert version == "HTTP/2", head
    fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
    return Answer(int(status), {name.title(): value for name, value in fields.items()}, text)
