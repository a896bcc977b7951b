"""One nginx that serves all surroundings, each under a name of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.nginx.gates import APPLICATION, Application, Gate, fastcgi, listening, uwsgi
from tests.nginx.surrounding import read, visit
from tests.servers.processes import Server, answers_tcp
from tools.ports import HOST, free_port

PROJECT = Path(__file__).resolve().parents[2]
FRAGMENTS = PROJECT / "deploy" / "nginx"
CONFIGURATION = (Path(__file__).parent / "nginx.conf").read_text()
SURROUNDINGS = sorted((Path(__file__).parent / "surroundings").glob("*.conf"))


@dataclass(frozen=True)
class World:
    """The nginx, and the gate that it asks."""

    gate: Gate
    http: int
    https: int
    folder: Path

    def gate_becomes(self, state: str) -> None:
        """And the verdict of the second before is over."""
        self.gate.becomes(state)
        now = time.time()
        time.sleep(int(now) + 1.02 - now)


def program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        pytest.fail(f"{name} is not installed; `make test` installs it.")
    return found


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with nginx(tmp_path_factory.mktemp("nginx"), CONFIGURATION) as made:
        made.gate.becomes("open")
        for surrounding in map(read, SURROUNDINGS):
            if surrounding.kept:
                visit(made.http, surrounding, surrounding.kept)
        yield made


@contextmanager
def nginx(
    folder: Path,
    configuration: str,
    more: Mapping[str, int | str] | None = None,
    fragments: Path = FRAGMENTS,
) -> Iterator[World]:
    """An nginx with this configuration, with the places of the test and `more` of them, and what it asks."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    gate = Gate()
    with ExitStack() as servers:
        servers.callback(gate.close)
        application = servers.enter_context(listening(Application))
        ports: dict[str, int | str] = {
            **dict.fromkeys(("127.0.0.1:8001", "sentinel:8001"), gate.port),
            **dict.fromkeys(("127.0.0.1:8000", "portal:8000"), application),
            **dict.fromkeys(("127.0.0.1:3000", "frontend:80", "backend:80"), application),
            "127.0.0.1:9000": servers.enter_context(fastcgi()),
            "127.0.0.1:9001": servers.enter_context(uwsgi()),
            "127.0.0.1:8009": free_port(),
            "127.0.0.1:8443": free_port(),
            "127.0.0.1:8080": free_port(),
            **(more or {}),
        }
        _site(folder / "www")
        _certificate(folder)
        (folder / "mime.types").touch()
        for name in ("vedetta-http.conf", "vedetta-gate.conf"):
            path = fragments / name
            (folder / name).write_text(_moved(path.read_text(), folder, ports))
        (folder / "surroundings").mkdir()
        for path in SURROUNDINGS:
            text = _moved(path.read_text(), folder, ports)
            (folder / "surroundings" / path.name).write_text(_named(text, path.stem, ports))
        text = _moved(configuration, folder, ports)
        user = "user root;\n" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(f"daemon off;\n{user}{text}")
        http, https = int(ports["127.0.0.1:8080"]), int(ports["127.0.0.1:8443"])
        servers.enter_context(
            Server(
                [program("nginx"), "-c", folder / "nginx.conf"],
                log=folder / "nginx.log",
                ready=lambda: answers_tcp(http),
                stop_seconds=2,
            )
        )
        yield World(gate, http, https, folder)


def _moved(text: str, folder: Path, ports: Mapping[str, int | str]) -> str:
    """The addresses and folders of this test in the place of those of real life."""
    moved = dict.fromkeys(("/etc/nginx", "/var/cache", "/tmp", "/srv", "/run/vedetta-gate"), str(folder))
    for address, there in ports.items():
        moved[address] = f"{HOST}:{there}" if isinstance(there, int) else there
    moved["_timeout 2s"] = "_timeout 1s"  # one second less for each state of the gate
    moved["127.0.0.0/8    yes"] = "127.0.0.1/32   yes"  # so that there is somebody who is not trusted
    return re.sub("|".join(map(re.escape, moved)), lambda found: moved[found[0]], text)


def _named(text: str, stem: str, ports: Mapping[str, int | str]) -> str:
    """Its servers under the name of the file."""
    for listen, name in (("listen 80", "127.0.0.1:8080"), ("listen 443", "127.0.0.1:8443")):
        text = re.sub(rf"{listen}\b", f"server_name {stem}.test; listen {HOST}:{ports[name]}", text)
    return text


def _site(folder: Path) -> None:
    (folder / "files").mkdir(parents=True)
    for name in ("index.html", "app.js", "report.pdf", "files/a.pdf"):
        (folder / name).write_text(APPLICATION)
    for name in ("maintenance.html", "50x.html", "404.html", "403.html"):
        (folder / name).write_text(f"The page {name}.")
    password = "{PLAIN}of-the-tests"
    (folder.parent / "passwords").write_text(f"anna:{password}\n")


def _certificate(folder: Path) -> None:
    names = ",".join(f"DNS:{path.stem}.test" for path in SURROUNDINGS)
    subprocess.run(
        [
            program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", f"subjectAltName={names}",
            "-keyout", folder / "key.pem", "-out", folder / "certificate.pem",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
