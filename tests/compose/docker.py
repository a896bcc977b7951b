"""A Docker to test with: the machine's own, or a private daemon; the images, or stand-ins for them.

Stand-ins are made from Debian's packages where no registry answers, under the names that the
Dockerfile and the Compose file use. What was a stand-in is said in the test's output.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.conftest import NAMES
from tests.servers.processes import Server
from tools import images, restic
from tools.shell import ROOT, cache_dir, run, say
from tools.system import Need, find_program, install_missing

NAMED = images.defaults()
BASE = NAMED["DEBIAN_IMAGE"]
IMAGES = Path(__file__).parent / "images"
STAND_INS = {NAMED[f"{name.upper()}_IMAGE"]: name for name in ("restic", "mysql", "nginx", "postgres")}
LABEL = "vedetta.stand-in"
OWN_AUTHORITIES = Path("/usr/local/share/ca-certificates")
PULL_SECONDS = 600
# A file server of Debian's may keep old states and serve lists past their date.
APT_CONFIGURATION = 'Acquire::Check-Valid-Until "false";\n'
FETCH_COMPOSE = (
    "apt-get update && cd /tmp && apt-get download docker-compose && dpkg -x docker-compose_*.deb x"
    " && cp $(find x -name docker-compose -type f -perm -1) /out/"
)


class Docker:
    """The docker command, bound to one daemon and to plugins of its own."""

    def __init__(self, folder: Path, host: str = "") -> None:
        # What tests/conftest.py hides from Django would hide .env from Compose.
        hidden = {name + suffix for name in NAMES for suffix in ("", "_FILE")}
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        self.environment = {**kept, "DOCKER_CONFIG": str(folder / "config"), "DOCKER_BUILDKIT": "0"}
        if host:
            self.environment["DOCKER_HOST"] = host
        self.stand_ins: list[str] = []

    def __call__(self, *arguments: str, timeout: float = 900) -> str:
        done = subprocess.run(
            ["docker", *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )
        output = done.stdout.decode(errors="replace")
        assert done.returncode == 0, f"docker {' '.join(arguments)}: {output[-4000:]}"
        return output

    def answers(self) -> bool:
        """Whether a daemon is there."""
        try:
            self("version", timeout=10)
        except (AssertionError, subprocess.TimeoutExpired, FileNotFoundError):
            return False
        return True

    def has(self, *query: str) -> bool:
        """Whether a question about something is answered."""
        try:
            self(*query, timeout=PULL_SECONDS)
        except (AssertionError, subprocess.TimeoutExpired):
            return False
        return True


@contextlib.contextmanager
def docker() -> Iterator[Docker]:
    """A daemon with everything that the Compose file needs to be built and started."""
    install_missing(tuple(Need(name, _found(program)) for name, program in NEEDS.items()))
    with tempfile.TemporaryDirectory(prefix="vedetta-docker-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        found = Docker(folder)
        if not found.answers():
            found = Docker(folder, stack.enter_context(_daemon(folder)))
        _images(found)
        _compose(found, folder)
        # As Compose does it.
        named = [
            f"--build-arg={name}={image}"
            for name, image in NAMED.items()
            if name not in ("NGINX_IMAGE", "POSTGRES_IMAGE")
        ]
        found("build", *named, "--tag", "vedetta:latest", str(ROOT))
        if found.stand_ins:
            say(
                f"stand-ins from Debian's packages, because no registry answers: {', '.join(found.stand_ins)}"
            )
        yield found


NEEDS = {"docker.io": "dockerd", "iptables": "iptables", "debootstrap": "debootstrap"}


def _found(program: str) -> Callable[[], bool]:
    return lambda: find_program(program) is not None or Docker(Path("/nowhere")).answers()


@contextlib.contextmanager
def _daemon(folder: Path) -> Iterator[str]:
    address = f"unix://{folder}/docker.sock"
    data = cache_dir() / "docker"
    data.mkdir(parents=True, exist_ok=True)
    argv = [
        str(find_program("dockerd")),
        f"--data-root={data}",
        f"--exec-root={folder}/exec",
        f"--pidfile={folder}/pid",
        f"--host={address}",
    ]
    client = Docker(folder, address)
    server = Server(argv, log=folder / "log", ready=client.answers, start_seconds=60, stop_seconds=60)
    with server:
        yield address


def _images(found: Docker) -> None:
    for image in (BASE, *STAND_INS):
        label = _label_of(found, image)
        is_real = label in ("", "<no value>")
        if is_real or (label is None and found.has("pull", "--quiet", image)):
            continue
        if label != _digest(image):
            _stand_in(found, image)
        found.stand_ins.append(image)


def _label_of(found: Docker, image: str) -> str | None:
    """Which stand-in an image is, None where there is no such image."""
    try:
        return found("image", "inspect", "--format", f'{{{{index .Config.Labels "{LABEL}"}}}}', image).strip()
    except AssertionError:
        return None


def _digest(image: str) -> str:
    """What tells the stand-ins of today from older ones."""
    if image == BASE:
        return "debootstrap"
    files = sorted((IMAGES / STAND_INS[image]).iterdir())
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def _stand_in(found: Docker, image: str) -> None:
    say(f"making a stand-in for {image}")
    label = f"{LABEL}={_digest(image)}"
    with tempfile.TemporaryDirectory(prefix="vedetta-image-") as name:
        if image == BASE:
            _bootstrap(found, Path(name) / "root", label)
            return
        context = Path(name) / "context"
        shutil.copytree(IMAGES / STAND_INS[image], context)
        if STAND_INS[image] == "restic":
            shutil.copy(restic.PROGRAM, context / "restic")
        found("build", f"--build-arg=BASE={BASE}", "--label", label, "--tag", image, str(context))


def _bootstrap(found: Docker, root: Path, label: str) -> None:
    run(["debootstrap", "--variant=minbase", "trixie", root])
    for certificate in OWN_AUTHORITIES.glob("*.crt"):
        place = root / OWN_AUTHORITIES.relative_to("/")
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(certificate, place)
    (root / "etc/apt/apt.conf.d/99stand-in").write_text(APT_CONFIGURATION)
    archive = root.with_suffix(".tar")
    run(["tar", "--directory", root, "--exclude=./var/cache/apt/archives/*.deb", "-cf", archive, "."])
    found("import", "--change", f"LABEL {label}", str(archive), BASE)


def _compose(found: Docker, folder: Path) -> None:
    """Compose as Debian 13 packs it, which works with an old daemon too; unless it is there already."""
    if found.has("compose", "version"):
        return
    kept = cache_dir() / "docker-compose"
    if not kept.is_file():
        out = folder / "out"
        out.mkdir()
        found("run", "--rm", "--volume", f"{out}:/out", BASE, "sh", "-c", FETCH_COMPOSE)
        shutil.move(out / "docker-compose", kept)
    plugins = folder / "config" / "cli-plugins"
    plugins.mkdir(parents=True)
    (plugins / "docker-compose").symlink_to(kept)


def until(what: str, holds: Callable[[], bool], seconds: float = 120) -> float:
    """Wait until something holds; answers how many seconds that took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() < began + seconds, f"{what}: not within {seconds:g} seconds"
        time.sleep(0.5)
    return time.monotonic() - began
