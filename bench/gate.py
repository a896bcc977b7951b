"""What the gate costs the application: nginx with it and without, and the gate's own process."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.common import PROJECT, Options, print_table, say, work_folder
from tests.servers.processes import Server, answers_tcp
from tools.ports import HOST, free_port

_CONNECTIONS = 16
_SECONDS = 4
_ROUNDS = 5
_FILE_BYTES = 2048
# By its name: for "/" nginx starts again with the name of the index file, and asks the gate once more.
_FILE = "/index.html"
_SECOND = "x-second"
_THROUGH_NGINX_WANTED, _PROCESS_WANTED = 0.95, 0.55


@dataclass
class Rates:
    """Requests a second, one figure a round."""

    name: str
    port: int
    path: str
    measured: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.measured)


def measure(_options: Options) -> None:
    """Print the table."""
    with work_folder() as folder, ExitStack() as servers:
        asked = folder / "asked.log"
        gate = servers.enter_context(_gate(folder))
        logging = servers.enter_context(
            _gate(folder, "--access-logfile", str(asked), "--access-logformat", f"%({{{_SECOND}}}i)s")
        )
        bare = servers.enter_context(_gunicorn(folder, "bench.bare", {}))
        without = servers.enter_context(_nginx(folder / "without", logging, gated=False))
        gated = servers.enter_context(_nginx(folder / "gated", logging, gated=True))
        nginxes = [Rates("nginx without a gate", without, _FILE), Rates("nginx with the gate", gated, _FILE)]
        processes = [
            Rates("a function that answers ok", bare, "/"),
            Rates("the gate's process", gate, "/sentinel/ok"),
        ]
        _race(nginxes)
        a_second = _a_second(asked)
        _race(processes)
    _print(nginxes, processes, a_second)


def _a_second(access_log: Path) -> float:
    """The questions that the gate was asked, for each second of nginx's clock in which there was one.

    gunicorn's own clock is the kernel's coarse one and some milliseconds late, so that it counts
    questions of one second's beginning to the second before.
    """
    times = access_log.read_text().split()
    return len(times) / len(set(times))


def _race(rivals: list[Rates]) -> None:
    """Turn by turn, so that what else the machine does falls on both."""
    for number in range(_ROUNDS):
        say(f"{' and '.join(one.name for one in rivals)}: round {number + 1} of {_ROUNDS} …")
        for rival in rivals if number % 2 else reversed(rivals):
            rival.measured.append(_requests_a_second(rival.port, rival.path))


def _requests_a_second(port: int, path: str) -> float:
    wrk = _program("wrk")
    address = f"http://{HOST}:{port}{path}"
    done = subprocess.run(
        [wrk, "--threads", "1", "--connections", str(_CONNECTIONS), "--duration", f"{_SECONDS}s", address],
        capture_output=True,
        text=True,
        check=True,
    )
    if "Non-2xx" in done.stdout:
        sys.exit(f"{address} refused some of the requests, so its figure tells nothing:\n{done.stdout}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    assert found, done.stdout
    return float(found[1])


def _print(nginxes: list[Rates], processes: list[Rates], a_second: float) -> None:
    rows = []
    for (base, ours), wanted in ((nginxes, _THROUGH_NGINX_WANTED), (processes, _PROCESS_WANTED)):
        ratio = ours.median / base.median
        rows += [
            [base.name, f"{base.median:,.0f}", "1", ""],
            [ours.name, f"{ours.median:,.0f}", f"{ratio:.2f}", f"at least {wanted}"],
        ]
    print_table(
        f"The gate, `wrk --threads 1 --connections {_CONNECTIONS} --duration {_SECONDS}s` "
        f"(medians of {_ROUNDS}, turn by turn)",
        ["server", "requests a second", "ratio", "wanted"],
        rows,
        f"nginx serves a file of {_FILE_BYTES} bytes with the configuration of deploy/nginx. While it did, "
        f"{a_second:.2f} questions a second reached the gate's process; at most 1 is wanted.",
    )


@contextmanager
def _gate(folder: Path, *arguments: str) -> Iterator[int]:
    from sentinel import heartbeat

    path = folder / "status" / "last_ok"
    heartbeat.stamp_write(path, datetime.now(UTC))
    settings = {"SENTINEL_HEARTBEAT_PATH": str(path), "DJANGO_SETTINGS_MODULE": "sentinel.settings"}
    with _gunicorn(folder, "sentinel.wsgi", settings, *arguments) as port:
        yield port


@contextmanager
def _gunicorn(folder: Path, application: str, settings: dict[str, str], *arguments: str) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "-c", "sentinel/gunicorn.conf.py", *arguments, application]
    settings = settings | {"SENTINEL_BIND": f"{HOST}:{port}"}
    with Server(
        command, log=folder / f"{port}.log", cwd=PROJECT, env=settings, ready=lambda: answers_tcp(port)
    ):
        yield port


@contextmanager
def _nginx(folder: Path, gate: int, *, gated: bool) -> Iterator[int]:
    """The shipped configuration, which serves a file in the place of the application."""
    port = free_port()
    (folder / "site").mkdir(parents=True)
    (folder / "site" / "index.html").write_bytes(b"x" * _FILE_BYTES)
    folder.chmod(0o755)
    temporary = " ".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    replacements = {
        "pid /run/nginx.pid;": f"daemon off; pid {folder}/pid; error_log {folder}/error.log;"
        + (" user root;" if os.geteuid() == 0 else ""),
        "include /etc/nginx/vedetta": f"include {folder}/vedetta",
        "server_tokens off;": f"server_tokens off; access_log {folder}/access.log; {temporary}",
        "/var/cache": str(folder),
        "/run/vedetta-gate": str(folder),
        "listen 80;": f"listen {HOST}:{port};",
        "127.0.0.1:8001": f"127.0.0.1:{gate}",
        "127.0.0.1:8009": f"127.0.0.1:{free_port()}",
        "proxy_pass http://127.0.0.1:3000;": f"root {folder}/site;",
        "proxy_set_header Host localhost;": f"proxy_set_header Host localhost;"
        f" proxy_set_header {_SECOND} $time_iso8601;",
    }
    if not gated:
        replacements[f"include {folder}/vedetta-gate.conf;"] = ""
    for name in ("nginx.conf", "vedetta-http.conf", "vedetta-gate.conf"):
        text = (PROJECT / "deploy" / "nginx" / name).read_text()
        for old, new in replacements.items():
            text = text.replace(old, new)
        (folder / name).write_text(text)
    command = [_program("nginx"), "-c", str(folder / "nginx.conf")]
    with Server(command, log=folder / "nginx.log", ready=lambda: answers_tcp(port)):
        yield port


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        sys.exit(f"{name} is not installed; `make bench` installs it.")
    return found
