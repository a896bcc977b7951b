"""Make this machine ready: `python3 -m tools.setup [run|lint|test|bench]`. Quick when it has been done.

run    the virtual environment and the programs that the product needs
lint   the above and the development requirements
test   the above and the servers that the tests start
bench  the above, a load generator, and of the tools that Vedetta is measured beside those that can be had
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 -- an older Python comes here first
    sys.exit("setup: Vedetta needs Python 3.11 or newer; name one with `make PYTHON=python3.11`.")

import argparse
import hashlib
import signal
from pathlib import Path

from tools import mariadb_plugins, mysql, restic
from tools.shell import (
    LOG,
    ROOT,
    VENV,
    VENV_PYTHON,
    SetupError,
    locked,
    output_of,
    run,
    say,
)
from tools.system import (
    BENCH_NEEDS,
    COMPARED,
    LIGHT_BROWSER,
    PRODUCT_NEEDS,
    TEST_NEEDS,
    install_missing,
    install_what_can_be,
    is_known_to_apt,
)

# What installs the others, and builds what comes as source alone.
BUILD_REQUIREMENTS = ROOT / "requirements-build.txt"
PRODUCT_REQUIREMENTS = ROOT / "requirements.txt"
# Holds the product's too, in the same versions.
DEVELOPMENT_REQUIREMENTS = ROOT / "requirements-dev.txt"


def main() -> None:
    """Do what is missing for the purpose given on the command line."""
    parser = argparse.ArgumentParser(prog="tools.setup")
    parser.add_argument("purpose", nargs="?", default="run", choices=["run", "lint", "test", "bench"])
    purpose = parser.parse_args().purpose
    # So that clean-up in `finally` also happens when `make` is told to stop.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with locked(LOG.parent / "setup.lock", "waiting for another set-up of this checkout"):
            _prepare(purpose)
    except SetupError as error:
        sys.exit(f"setup: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _prepare(purpose: str) -> None:
    if purpose == "test":
        _install_light_browser()
    install_missing(PRODUCT_NEEDS + {"test": TEST_NEEDS, "bench": BENCH_NEEDS}.get(purpose, ()))
    if purpose == "bench":
        install_what_can_be(COMPARED)
    _make_venv()
    _install_requirements(PRODUCT_REQUIREMENTS if purpose == "run" else DEVELOPMENT_REQUIREMENTS)
    restic.install()
    if purpose in {"test", "bench"}:
        mysql.install()
    if purpose == "test":
        mariadb_plugins.install()


def _install_light_browser() -> None:
    """Where it is to be had; asked for once, because a machine without a network waits for it."""
    asked = LOG.parent / f"asked-for-{LIGHT_BROWSER.package}"
    if LIGHT_BROWSER.present() or asked.exists() or not is_known_to_apt(LIGHT_BROWSER.package):
        return
    asked.parent.mkdir(parents=True, exist_ok=True)
    asked.touch()
    install_what_can_be((LIGHT_BROWSER,))


def _make_venv() -> None:
    """Make `.venv`, also where one is there whose Python has gone or is another version."""
    version = output_of([VENV_PYTHON, "-c", "import sys; print(sys.version_info[:2])"])
    if version is not None and version.strip() == str(sys.version_info[:2]):
        return
    say("making .venv")
    run([sys.executable, "-m", "venv", "--clear", VENV])


def _install_requirements(requirements: Path) -> None:
    """Install pinned packages, unless exactly these, or the larger set that holds them, are in."""
    if any(_is_current(path) for path in {requirements, DEVELOPMENT_REQUIREMENTS}):
        return
    say(f"installing {requirements.name} (log: {LOG})")
    # One after the other: what builds a package has to be in before it, for with build isolation pip would
    # fetch the newest of it, by no hash.
    _pip_install("--only-binary", ":all:", "--requirement", BUILD_REQUIREMENTS)
    _pip_install("--no-build-isolation", "--requirement", requirements)
    _stamp(requirements).write_text(_digest(requirements))


def _pip_install(*arguments: str | Path) -> None:
    run([VENV_PYTHON, "-m", "pip", "install", "--require-hashes", *arguments])


def _is_current(requirements: Path) -> bool:
    stamp = _stamp(requirements)
    return stamp.is_file() and stamp.read_text() == _digest(requirements)


def _stamp(requirements: Path) -> Path:
    return VENV / f"{requirements.name}.installed"


def _digest(requirements: Path) -> str:
    content = BUILD_REQUIREMENTS.read_bytes() + requirements.read_bytes()
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    main()
