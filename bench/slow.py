"""Which server goes on answering while slow clients hold its connections: the gate under each of them."""

from __future__ import annotations

import functools
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.common import PROJECT, Options, print_table, say, work_folder
from bench.rest import family_memory_mb
from tests.servers.processes import Server, ServerError, answers_tcp
from tests.slow import honest
from tests.slow.clients import SHAPES
from tools.ports import HOST, free_port

_CONNECTIONS = 350
_SECONDS, _QUIET_SECONDS = 5.0, 2.0
_ALL = "all at once"
_REQUIREMENTS = PROJECT / "requirements-candidates.txt"


@dataclass(frozen=True)
class Candidate:
    """A server, and how it is started at an address by the Python that has it."""

    name: str
    command: Callable[[Path, str], list[str]]


def _gunicorn(*options: str, application: str = "sentinel.wsgi") -> Callable[[Path, str], list[str]]:
    """With no configuration file."""
    return lambda python, address: [
        str(python), "-m", "gunicorn", "--log-level", "error", "--no-control-socket", *options,
        "--bind", address, application,
    ]  # fmt: skip


def _shipped(python: Path, address: str) -> list[str]:
    return [
        str(python), "-m", "gunicorn", "-c", "sentinel/gunicorn.conf.py", "--bind", address, "sentinel.wsgi",
    ]  # fmt: skip


def _granian(python: Path, address: str) -> list[str]:
    host, _, port = address.rpartition(":")
    return [
        str(python.with_name("granian")), "--interface", "wsgi", "--host", host, "--port", port, "--no-ws",
        "--log-level", "error", "sentinel.wsgi:application",
    ]  # fmt: skip


def _waitress(python: Path, address: str) -> list[str]:
    return [
        str(python.with_name("waitress-serve")), "--listen", address, "--connection-limit", "4000",
        "--asyncore-use-poll", "--threads", "4", "sentinel.wsgi:application",
    ]  # fmt: skip


_MANY = ("--worker-connections", "4000", "--keep-alive", "5")
CANDIDATES = (
    Candidate("gunicorn, no configuration", _gunicorn()),
    Candidate("gunicorn gthread, 4 threads (before)", _gunicorn("-k", "gthread", "--threads", "4")),
    Candidate("gunicorn gthread, 500 threads", _gunicorn("-k", "gthread", "--threads", "500", *_MANY)),
    Candidate("**gunicorn, as shipped**", _shipped),
    Candidate("gunicorn gevent", _gunicorn("-k", "gevent", *_MANY)),
    Candidate("gunicorn gevent, no keep-alive", _gunicorn("-k", "gevent", *_MANY, "--keep-alive", "0")),
    Candidate("gunicorn gevent pywsgi", _gunicorn("-k", "gevent_pywsgi", *_MANY)),
    Candidate("gunicorn tornado", _gunicorn("-k", "tornado")),
    Candidate("gunicorn asgi", _gunicorn("-k", "asgi", *_MANY, application="bench.asgi:application")),
    Candidate("gunicorn uvicorn", _gunicorn("-k", "uvicorn_worker.UvicornWorker", application="bench.asgi")),
    Candidate("granian", _granian),
    Candidate("waitress", _waitress),
)


def measure(_options: Options) -> None:
    """Print the table."""
    from sentinel import heartbeat

    rows = []
    with work_folder() as folder:
        heartbeat_path = folder / "status" / "last_ok"
        heartbeat.stamp_write(heartbeat_path, datetime.now(UTC))
        python = _python_with_all(folder / "venv")
        for candidate in CANDIDATES:
            rows.append([candidate.name, *_row(candidate, python, folder, heartbeat_path)])
    print_table(
        f"The gate under {_CONNECTIONS} slow clients, {_SECONDS:.0f} s of each kind",
        ["server", *SHAPES, _ALL, "MB"],
        rows,
        "Median of an honest request to that of the same server left alone, or how many of them were not "
        "answered with 200 within two seconds; MB of memory after the last.",
    )


def _python_with_all(folder: Path) -> Path:
    """A Python that has the candidates, which the product does not need."""
    say("installing the candidates …")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", _REQUIREMENTS],
        check=True,
    )
    return python


def _row(candidate: Candidate, python: Path, folder: Path, heartbeat_path: Path) -> list[str]:
    cells, memory = [], 0.0
    for name, shapes in {**{shape: [shape] for shape in SHAPES}, _ALL: []}.items():
        say(f"{candidate.name}: {name} …")
        port = free_port()
        server = Server(
            candidate.command(python, f"{HOST}:{port}"),
            log=folder / "server.log",
            cwd=PROJECT,
            env={
                "SENTINEL_HEARTBEAT_PATH": str(heartbeat_path),
                "DJANGO_SETTINGS_MODULE": "sentinel.settings",
                "PYTHONPATH": str(PROJECT),
            },
            ready=functools.partial(answers_tcp, port),
            stop_seconds=10,
        )
        try:
            with server:
                cell, memory = _cell(f"{HOST}:{port}", shapes, server.pid)
        except ServerError as error:
            say(str(error))
            cell = "did not start"
        cells.append(cell)
    return [*cells, f"{memory:.0f}"]


def _cell(address: str, shapes: Sequence[str], pid: int) -> tuple[str, float]:
    path = "/sentinel/ok"
    quiet = honest.visits(address, path, _QUIET_SECONDS)
    if quiet.failures:
        sys.exit(f"{address} refused a request while it was left alone: {quiet.failures[0]}")
    with honest.attacked(address, path, shapes, _CONNECTIONS):
        fared = honest.visits(address, path, _SECONDS)
        memory = family_memory_mb(pid)
    if fared.failures:
        return f"{len(fared.failures)} of {fared.asked} failed", memory
    return f"{fared.median / quiet.median:.1f}", memory
