"""`make release`: wheel, source archive, image and notes, what they are made of, and whether holes are known.

All is built from what is committed. The list of parts, in CycloneDX's form, goes by the lock files and not by
what is installed here; to it come the scripts that Django and unfold carry along, restic and the images.
pip-audit asks PyPI for known holes; where it cannot ask, or no Docker is there for the image, that is said.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import backups
from tools import images, restic
from tools.setup import BUILD_REQUIREMENTS, PRODUCT_REQUIREMENTS
from tools.shell import ROOT, VENV_PYTHON, SetupError

DIST = ROOT / "dist"
_SECONDS = 600
_IMAGE_SECONDS = 3600
_SCHEMA = "1.6"


@dataclass(frozen=True)
class Script:
    """A script of others that an installed package carries along; some do not tell their version."""

    package: str
    file: str
    npm: str
    version: str = ""


_ADMIN, _UNFOLD = "contrib/admin/static/admin/js/vendor", "static/unfold/js"
SCRIPTS = (
    Script("django", f"{_ADMIN}/jquery/jquery.js", "jquery", r"jQuery JavaScript Library v([\d.]+)"),
    Script("django", f"{_ADMIN}/select2/select2.full.js", "select2", r"Select2 ([\d.]+)"),
    Script("django", f"{_ADMIN}/xregexp/xregexp.min.js", "xregexp", r'\bversion="([\d.]+)"'),
    Script("unfold", f"{_UNFOLD}/alpine/alpine.js", "alpinejs", r'\bversion:"([\d.]+)"'),
    Script("unfold", f"{_UNFOLD}/chart/chart.js", "chart.js", r'\bversion="([\d.]+)"'),
    Script("unfold", f"{_UNFOLD}/htmx/htmx.js", "htmx.org", r'\bversion:"([\d.]+)"'),
    Script("unfold", f"{_UNFOLD}/simplebar/simplebar.js", "simplebar", r"simplebar - v([\d.]+)"),
    Script("unfold", "contrib/filters/static/unfold/filters/js/nouislider/nouislider.min.js", "nouislider"),
    Script("unfold", "contrib/filters/static/unfold/filters/js/wnumb/wNumb.min.js", "wnumb"),
    Script("unfold", "contrib/forms/static/unfold/forms/js/trix/trix.js", "trix", r"Trix ([\d.]+)"),
)


def main() -> None:
    """Build all, write the list, then ask for holes.

    Ends with 1 where some are known, or --must-audit was in vain.
    """
    parser = argparse.ArgumentParser(prog="make release", description=__doc__)
    parser.add_argument(
        "--must-audit", action="store_true", help="fail where nobody could be asked for holes"
    )
    must_audit = parser.parse_args().must_audit
    try:
        for told in build():
            print(f"release: {told}", flush=True)
        path = write_list()
        print(f"release: what it is made of is in {path}", flush=True)
        unasked = audit()
    except SetupError as error:
        sys.exit(f"release: {error}")
    if not unasked:
        print("release: no hole is known in any package, by PyPI's word of today")
        return
    told = (
        f"NOT AUDITED: {unasked} So it is open whether holes are known in them. Run this once more where "
        "PyPI itself can be reached, before anybody installs what you release."
    )
    if must_audit:
        sys.exit(f"release: {told}")
    print(f"release: {told}")


def build() -> Iterator[str]:
    """Make notes, packages and image; says of each where it is, or why not. Raises SetupError."""
    yield f"the notes of {backups.__version__} are in {write_notes()}"
    with committed() as (sources, commit):
        yield from map(str, build_packages(sources, DIST, commit))
        yield build_image(sources, commit)


def write_notes() -> Path:
    """What CHANGELOG.md says of this version, and nothing of the ones before. Raises SetupError."""
    text = (ROOT / "CHANGELOG.md").read_text()
    version = re.escape(backups.__version__)
    found = re.search(rf"^## {version}\b.*\n((?:(?!## ).*\n)*)", text, re.MULTILINE)
    if found is None or not found[1].strip():
        raise SetupError(
            f"CHANGELOG.md has nothing under `## {backups.__version__}`: write there what is new."
        )
    DIST.mkdir(exist_ok=True)
    path = DIST / f"vedetta-{backups.__version__}.md"
    path.write_text(f"# Vedetta {backups.__version__}\n\n{found[1].strip()}\n")
    return path


@contextmanager
def committed() -> Iterator[tuple[Path, str]]:
    """A folder with what is committed, for the length of a block, and the commit. Raises SetupError."""
    if _git("status", "--porcelain"):
        raise SetupError("the checkout has changes that are not committed, and a release is of a commit.")
    commit = _git("rev-parse", "HEAD").strip()
    with tempfile.TemporaryDirectory(prefix="vedetta-release-") as folder:
        archive, sources = Path(folder, "sources.tar"), Path(folder, "vedetta")
        _git("archive", "--output", str(archive), commit)
        with tarfile.open(archive) as tar:
            tar.extractall(sources, filter="data")
        yield sources, commit


def _git(*words: str) -> str:
    done = _ran("git", "-C", ROOT, *words)
    if done.returncode:
        raise SetupError(f"git could not be asked: {_last_line(done.stderr)}")
    return done.stdout


def build_packages(sources: Path, to: Path, commit: str) -> list[Path]:
    """The wheel and the source archive of a folder, which is written to, put into `to`. Raises SetupError.

    With the setuptools that is pinned and installed: with build isolation pip would fetch the newest.
    """
    to = to.resolve()
    to.mkdir(exist_ok=True)
    (sources / "backups" / "commit.txt").write_text(f"{commit}\n")
    program = (
        "import sys; from setuptools import build_meta as b; print(getattr(b, sys.argv[1])(sys.argv[2]))"
    )
    found = []
    for kind in ("build_sdist", "build_wheel"):
        done = _ran(VENV_PYTHON, "-c", program, kind, to, cwd=sources)
        if done.returncode:
            raise SetupError(f"{kind} failed: {_last_line(done.stderr)}")
        found.append(to / done.stdout.splitlines()[-1])
    return found


def build_image(sources: Path, commit: str) -> str:
    """Build the image where Docker runs; answers in a sentence what came of it. Raises SetupError."""
    if shutil.which("docker") is None or _ran("docker", "info").returncode:
        return "NO IMAGE: no Docker runs here. Run this once more where one does, or leave the image away."
    tag = f"vedetta:{backups.__version__}"
    named = [("VEDETTA_COMMIT", commit), *images.defaults().items()]
    arguments = [word for name, value in named for word in ("--build-arg", f"{name}={value}")]
    done = _ran("docker", "build", "--tag", tag, *arguments, sources, seconds=_IMAGE_SECONDS)
    if done.returncode:
        raise SetupError(f"the image could not be built: {_last_line(done.stderr)}")
    return f"the image is {tag}"


def write_list() -> Path:
    """The list of all parts, checked against CycloneDX's own schema. Raises SetupError."""
    # It takes more than a second to load, which all processes that look for tests would spend.
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    bom = _of_lock(PRODUCT_REQUIREMENTS)
    bom["metadata"]["component"]["version"] = backups.__version__
    builders = _of_lock(BUILD_REQUIREMENTS)["components"]
    # They make a part of it and are in none.
    bom["components"] += [
        {**each, "bom-ref": f"build-{each['bom-ref']}", "scope": "excluded"} for each in builders
    ]
    bom["components"] += [*_scripts(), _restic(), *_images()]
    text = json.dumps(bom, indent=2, ensure_ascii=False) + "\n"
    if (problem := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)) is not None:
        raise SetupError(f"the list is not as CycloneDX {_SCHEMA} has it: {problem}")
    DIST.mkdir(exist_ok=True)
    path = DIST / f"vedetta-{backups.__version__}.cdx.json"
    path.write_text(text)
    return path


def _of_lock(lock: Path) -> dict[str, Any]:
    """The packages of a lock file with their hashes, as cyclonedx-py lists them."""
    argv: list[str | Path] = [
        VENV_PYTHON, "-W", "ignore", "-m", "cyclonedx_py", "requirements", lock,
        "--pyproject", ROOT / "pyproject.toml", "--spec-version", _SCHEMA, "--output-reproducible",
    ]  # fmt: skip
    done = _ran(*argv)
    if done.returncode:
        raise SetupError(f"cyclonedx-py could not read {lock.name}: {_last_line(done.stderr)}")
    found = json.loads(done.stdout)
    return dict(found)


def _scripts() -> Iterator[dict[str, Any]]:
    for script in SCRIPTS:
        version = version_of(script)
        yield {
            "type": "library",
            "bom-ref": f"script-{script.npm}",
            "name": script.npm,
            "purl": f"pkg:npm/{script.npm}{f'@{version}' if version else ''}",
            "description": f"Carried along by {script.package}: {script.file}",
            **({"version": version} if version else {}),
        }


def version_of(script: Script) -> str:
    """The version that a script tells of itself; empty for those that do not. Raises SetupError."""
    try:
        text = (installed(script.package) / script.file).read_text()
    except OSError:
        text = None
    found = re.search(script.version, text) if text and script.version else None
    if text is None or (script.version and found is None):
        raise SetupError(
            f"{script.package} does not carry {script.file} along as it did, with its version: put SCRIPTS "
            "in tools/release.py right."
        )
    return found[1] if found else ""


def installed(package: str) -> Path:
    """The folder of an installed package."""
    found = importlib.util.find_spec(package)
    assert found is not None and found.origin is not None  # noqa: S101, PT018  both are requirements
    return Path(found.origin).parent


def _restic() -> dict[str, Any]:
    version = restic.UPSTREAM_VERSION
    return {
        "type": "application",
        "bom-ref": "restic",
        "name": "restic",
        "version": version,
        "purl": f"pkg:github/restic/restic@v{version}",
        "description": "What set-up takes where it can be fetched; else a distribution's or an image's.",
        "externalReferences": [
            {
                "type": "distribution",
                "url": restic.UPSTREAM_URL.format(version=version, arch=arch),
                "hashes": [{"alg": "SHA-256", "content": sha256}],
            }
            for arch, sha256 in restic.UPSTREAM_SHA256.items()
        ],
    }


def _images() -> Iterator[dict[str, Any]]:
    for variable, image in images.defaults().items():
        name, _, tag = image.rpartition(":")
        yield {
            "type": "container",
            "bom-ref": f"image-{variable}",
            "name": name,
            "version": tag,
            "description": f"{variable} of docker-compose.yml, by tag.",
        }


def audit() -> str:
    """Ask for known holes; answers in a sentence why nobody could be asked of some part, empty otherwise.

    Raises SetupError where one is known.
    """
    unasked = [why for lock in (PRODUCT_REQUIREMENTS, BUILD_REQUIREMENTS) if (why := _audited(lock))]
    return unasked[0] if unasked else ""


def _audited(lock: Path) -> str:
    done = _ran(
        VENV_PYTHON, "-m", "pip_audit", "--progress-spinner", "off", "--require-hashes", "--disable-pip",
        "--format", "json", "--requirement", lock,
    )  # fmt: skip
    try:
        asked = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return f"pip-audit had no answer for {lock.name} ({_last_line(done.stderr)})."
    holes = [
        f"{each['name']} {each['version']}: {', '.join(hole['id'] for hole in each['vulns'])}"
        for each in asked
        if each.get("vulns")
    ]
    if holes:
        raise SetupError(
            "holes are known in what is pinned; `make requirements ARGS=--upgrade` may mend them.\n  "
            + "\n  ".join(holes)
        )
    skipped = [each["skip_reason"] for each in asked if "skip_reason" in each]
    if not skipped:
        return ""
    return f"of {len(skipped)} of the {len(asked)} packages in {lock.name} nothing is told ({skipped[0]})."


def _ran(
    *argv: str | Path, cwd: Path | None = None, seconds: int = _SECONDS
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False,
            cwd=cwd, env=os.environ | {"PYTHONUTF8": "1"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise SetupError(f"{argv[2]} gave no answer within {seconds} seconds.") from None


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1][:300]


if __name__ == "__main__":
    main()
