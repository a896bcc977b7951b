"""All that is installed is known by its hash, what builds it included; images are named in one place each."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest

from tools import setup
from tools.shell import ROOT

LOCKS = sorted(ROOT.glob("requirements*.txt"))


def pinned(lock: Path) -> dict[str, str]:
    """Name and version of each package of a lock file."""
    return dict(re.findall(r"^([\w.-]+)(?:\[[\w,]+])?==(\S+)", lock.read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_each_package_has_its_hashes(lock: Path) -> None:
    entries = re.split(r"\n(?=[a-z])", lock.read_text().strip())

    assert {re.split(r"[\[=]", entry)[0] for entry in entries} == set(pinned(lock))
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_what_builds_is_of_one_version_wherever_it_is_named() -> None:
    build = pinned(setup.BUILD_REQUIREMENTS)

    assert set(build) == {"pip", "setuptools"}
    assert build.items() <= pinned(setup.DEVELOPMENT_REQUIREMENTS).items()
    assert {name: version(name) for name in build} == build


def test_set_up_lets_pip_fetch_nothing_that_has_no_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(setup, "VENV", tmp_path)
    monkeypatch.setattr(setup, "run", lambda argv: calls.append([str(word) for word in argv]))

    setup._install_requirements(setup.PRODUCT_REQUIREMENTS)

    builders, packages = calls
    assert builders[-2:] == ["--requirement", str(setup.BUILD_REQUIREMENTS)]
    assert packages[-2:] == ["--requirement", str(setup.PRODUCT_REQUIREMENTS)]
    assert all("--require-hashes" in call for call in calls)
    # The first builds nothing, and the second with what the first brought.
    assert builders[builders.index("--only-binary") + 1] == ":all:"
    assert "--no-build-isolation" in packages


def test_other_builders_are_installed_though_the_packages_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []
    other = tmp_path / "requirements-build.txt"
    other.write_text(setup.BUILD_REQUIREMENTS.read_text() + "# another\n")
    monkeypatch.setattr(setup, "VENV", tmp_path)
    monkeypatch.setattr(setup, "run", calls.append)

    setup._install_requirements(setup.PRODUCT_REQUIREMENTS)
    setup._install_requirements(setup.PRODUCT_REQUIREMENTS)
    assert len(calls) == 2
    monkeypatch.setattr(setup, "BUILD_REQUIREMENTS", other)
    setup._install_requirements(setup.PRODUCT_REQUIREMENTS)

    assert len(calls) == 4


def test_the_image_is_built_from_the_same_files_in_the_same_way() -> None:
    text = (ROOT / "Dockerfile").read_text()
    installs = re.findall(r"^ +&& \$pip (.+?) \\$", text, re.MULTILINE)

    assert re.search(r'pip="[^"]+ install [^"]*--require-hashes"', text)
    assert installs == [
        "--only-binary :all: --requirement requirements-build.txt",
        "--no-build-isolation --requirement requirements.txt",
    ]
    assert not re.search(r"pip install(?!.*--require-hashes)", text)
