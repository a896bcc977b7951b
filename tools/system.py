"""The machine's own packages: what is missing, and installing it without starting any service."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.shell import LOG, SetupError, output_of, run, say

POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_TEXT = "#!/bin/sh\n# Vedetta's set-up: installing a package starts no service.\nexit 101\n"
ADMIN_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"


@dataclass(frozen=True)
class Need:
    """A Debian package, and how to see that what it brings is there already."""

    package: str
    present: Callable[[], bool]


def find_program(name: str) -> str | None:
    """The path of a program, looked for in the administrator's folders too."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{ADMIN_FOLDERS}")


def _program(name: str) -> Callable[[], bool]:
    return lambda: find_program(name) is not None


def _has_ensurepip() -> bool:
    return importlib.util.find_spec("ensurepip") is not None


def _has_python_headers() -> bool:
    return Path(sysconfig.get_path("include"), "Python.h").exists()


def _has_c_headers() -> bool:
    return Path("/usr/include/stdio.h").exists()


def _has_time_zones() -> bool:
    return Path("/usr/share/zoneinfo/Europe/Rome").exists()


def postgresql_programs() -> Path | None:
    """Where Debian keeps the newest PostgreSQL server's programs, which are on nobody's path."""
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(found, key=lambda program: float(program.parts[-3]), default=None)
    return newest.parent if newest else None


def find_browser() -> str | None:
    """The path of a browser without windows, the lighter one first."""
    return shutil.which("chromium-headless-shell") or shutil.which("chromium")


def _has_client_library() -> bool:
    return output_of(["pkg-config", "--exists", "libmariadb"]) is not None


PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
PRODUCT_NEEDS = (
    Need("tzdata", _has_time_zones),
    Need(f"{PYTHON}-venv", _has_ensurepip),
    Need(f"{PYTHON}-dev", _has_python_headers),
    Need("gcc", _program("gcc")),
    Need("libc6-dev", _has_c_headers),
    Need("pkg-config", _program("pkg-config")),
    Need("libmariadb-dev", _has_client_library),
    Need("mariadb-client", _program("mariadb-dump")),
    # The server's program without the service that the package mariadb-server would add.
    Need("mariadb-server-core", _program("mariadbd")),
)
# It draws pages with a third of the computing that the whole browser takes; without it, that one does.
LIGHT_BROWSER = Need("chromium-headless-shell", _program("chromium-headless-shell"))
TEST_NEEDS = (
    Need("nginx-light", _program("nginx")),
    Need("caddy", _program("caddy")),
    Need("chromium", lambda: find_browser() is not None),
    Need("curl", _program("curl")),
    Need("openssl", _program("openssl")),
    Need("postgresql", lambda: postgresql_programs() is not None),
)
BENCH_NEEDS = (*TEST_NEEDS, Need("wrk", _program("wrk")))
# Other people's tools, beside which `make bench` measures: one that is not to be had is said there.
COMPARED = (
    Need("mydumper", _program("mydumper")),
    Need("zstd", _program("zstd")),
    Need("mariadb-backup", _program("mariadb-backup")),
    Need("borgbackup", _program("borg")),
    Need("borgmatic", _program("borgmatic")),
)


def os_release() -> dict[str, str]:
    """The fields of /etc/os-release; none where there is no such file."""
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {name: value.strip("\"'") for name, _, value in pairs}


def is_debian_kind() -> bool:
    """Whether this is Debian or a distribution made from it."""
    release = os_release()
    family = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    return "debian" in family and shutil.which("apt-get") is not None


def install_missing(needs: tuple[Need, ...]) -> None:
    """Install the packages whose contents are not there yet, or say what a person has to do."""
    missing = [need.package for need in needs if not need.present()]
    if not missing:
        return
    names = " ".join(missing)
    if not is_debian_kind():
        raise SetupError(
            "this machine has no apt-get, so please install by hand what Debian calls "
            f"{names}, then try again."
        )
    prefix = _as_root()
    if prefix is None:
        raise SetupError(
            "packages are missing; please run `sudo apt-get install --no-install-recommends "
            f"{names}`, then try again."
        )
    say(f"installing {names} (log: {LOG})")
    with _no_services(prefix):
        _apt_install(prefix, missing)
    _keep_disabled(prefix, missing)


def install_what_can_be(needs: tuple[Need, ...]) -> None:
    """Install what is missing, and say what cannot be had: the set-up goes on without it."""
    if len(needs) > 1:
        with contextlib.suppress(SetupError):
            install_missing(needs)
    for need in needs:  # apt-get installs nothing where it does not know one of them
        try:
            install_missing((need,))
        except SetupError as error:
            say(f"going on without {need.package}: {error}")


def is_known_to_apt(package: str) -> bool:
    """Whether apt-get has heard of a package, so that it is worth a try to install it."""
    return is_debian_kind() and output_of(["apt-cache", "show", "--no-all-versions", package]) is not None


def _as_root() -> list[str] | None:
    """What to put before a command so that it runs as root; None where that takes a password."""
    if os.geteuid() == 0:
        return []
    if output_of(["sudo", "-n", "true"]) is not None:
        return ["sudo", "-n"]
    return None


def _apt_install(prefix: list[str], packages: list[str]) -> None:
    apt_get = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--yes"]
    options = ["-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0"]
    # A foreign source that does not answer must not be in the way of Debian's own packages.
    with contextlib.suppress(SetupError):
        run([*apt_get, *options, "update"])
    run([*apt_get, *options, "install", "--no-install-recommends", *packages])


@contextlib.contextmanager
def _no_services(prefix: list[str]) -> Iterator[None]:
    """Forbid packages to start services meanwhile. A policy of the administrator's stands."""
    if POLICY.exists() and POLICY.read_text() != POLICY_TEXT:
        yield
        return
    draft = LOG.parent / "policy-rc.d"
    draft.parent.mkdir(parents=True, exist_ok=True)
    draft.write_text(POLICY_TEXT)
    try:
        run([*prefix, "install", "-m", "755", draft, POLICY])
        yield
    finally:
        run([*prefix, "rm", "-f", POLICY])
        draft.unlink()


def _keep_disabled(prefix: list[str], installed: list[str]) -> None:
    """Keep what came for tests and measurements from starting with the machine."""
    for package, service in (
        ("nginx-light", "nginx"),
        ("caddy", "caddy"),
        ("postgresql", "postgresql"),
        ("borgmatic", "borgmatic.timer"),
    ):
        if package in installed and shutil.which("systemctl"):
            run([*prefix, "systemctl", "disable", service])
