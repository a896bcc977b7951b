"""What a release is made of is listed whole, and nobody takes an audit that was not made for a clean one."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

import backups
from tests.tools.test_pins import pinned
from tools import release
from tools.setup import BUILD_REQUIREMENTS, PRODUCT_REQUIREMENTS
from tools.shell import ROOT, SetupError

CLEAN = {"name": "django", "version": "5.2.19", "vulns": []}
HOLED = {"name": "django", "version": "5.2.19", "vulns": [{"id": "CVE-2026-0001"}, {"id": "CVE-2026-0002"}]}
SKIPPED = {"name": "apprise", "skip_reason": "Dependency not found on PyPI"}


# `make release` checks the list against its schema; below, each script of others has to be listed.
@pytest.mark.soak
def test_the_list_holds_every_package_with_its_hashes_and_all_that_is_carried_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "DIST", tmp_path)

    whole = json.loads(release.write_list().read_text())

    assert whole["metadata"]["component"]["version"] == backups.__version__
    parts = whole["components"]
    by_name = {each["name"]: each for each in parts}
    for name, version in (pinned(PRODUCT_REQUIREMENTS) | pinned(BUILD_REQUIREMENTS)).items():
        assert by_name[name]["version"] == version
        lock = (BUILD_REQUIREMENTS if name in ("pip", "setuptools") else PRODUCT_REQUIREMENTS).read_text()
        entry = re.split(r"\n(?=[a-z])", lock.partition(f"\n{name}==")[2] or lock)[0]
        hashes = [
            each["content"] for link in by_name[name]["externalReferences"] for each in link.get("hashes", [])
        ]
        assert hashes
        assert all(f"sha256:{digest}" in entry for digest in hashes)
    assert by_name["htmx.org"]["purl"] == f"pkg:npm/htmx.org@{by_name['htmx.org']['version']}"
    assert {"restic", "mysql", "jquery", "trix"} <= set(by_name)


def test_no_script_is_carried_along_that_is_not_listed() -> None:
    """Those of others lie in a folder of their own, with their licence."""
    there = set()
    for package in ("django", "unfold"):
        root = release.installed(package)
        there |= {
            (package, str(folder.relative_to(root)))
            for folder in (each.parent for each in root.rglob("static/**/LICENSE*"))
            if any(folder.glob("*.js"))
        }

    assert there == {(script.package, str(Path(script.file).parent)) for script in release.SCRIPTS}


def answered(answer: object) -> subprocess.CompletedProcess[str]:
    told = json.dumps({"dependencies": answer}) if isinstance(answer, list) else str(answer)
    return subprocess.CompletedProcess([], 1, told, "urllib3: Failed to resolve the host\n")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ([CLEAN], ""),
        (
            [CLEAN, SKIPPED],
            "of 1 of the 2 packages in requirements.txt nothing is told (Dependency not found",
        ),
        ("", "pip-audit had no answer for requirements.txt (urllib3: Failed to resolve the host)."),
        ("[]", "pip-audit had no answer for requirements.txt (urllib3: Failed to resolve the host)."),
    ],
)
def test_what_nobody_could_be_asked_of_is_said(
    monkeypatch: pytest.MonkeyPatch, answer: object, why: str
) -> None:
    """PyPI's answers by pip-audit, which these tests cannot count on."""
    monkeypatch.setattr(release, "_ran", lambda *_: answered(answer))

    assert release.audit().startswith(why)
    assert bool(release.audit()) is bool(why)


def test_a_known_hole_stops_the_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "_ran", lambda *_: answered([SKIPPED, HOLED]))

    with pytest.raises(SetupError, match=r"django 5\.2\.19: CVE-2026-0001, CVE-2026-0002"):
        release.audit()


def test_where_an_audit_is_demanded_none_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(release, "build", lambda: iter(["NO IMAGE"]))
    monkeypatch.setattr(release, "write_list", lambda: tmp_path / "list.cdx.json")
    monkeypatch.setattr(release, "_ran", lambda *_: answered([SKIPPED]))
    monkeypatch.setattr("sys.argv", ["make release"])
    release.main()
    assert "NOT AUDITED" in capsys.readouterr().out

    monkeypatch.setattr("sys.argv", ["make release", "--must-audit"])
    with pytest.raises(SystemExit, match="release: NOT AUDITED"):
        release.main()


def test_the_notes_are_what_the_changelog_says_of_this_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ROOT / "CHANGELOG.md"
    monkeypatch.setattr(release, "DIST", tmp_path / "dist")
    assert "**To be done:**" in release.write_notes().read_text(), f"{whole} tells of this version"

    monkeypatch.setattr(release, "ROOT", tmp_path)
    version = backups.__version__
    (tmp_path / "CHANGELOG.md").write_text(
        f"# Changes\n\n## Unreleased\n\n- New.\n\n## {version}\n\n- Now.\n\n## 0.9.0\n\n- Before.\n"
    )
    assert release.write_notes().read_text() == f"# Vedetta {version}\n\n- Now.\n"
    (tmp_path / "CHANGELOG.md").write_text("# Changes\n\n## Unreleased\n\n- New.\n")
    with pytest.raises(SetupError, match=f"nothing under `## {version}`"):
        release.write_notes()


def test_a_release_is_of_a_commit_whole_and_of_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*words: str) -> str:
        argv = ["git", "-C", str(tmp_path), "-c", "user.name=Ada", "-c", "user.email=ada@example.com", *words]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()

    monkeypatch.setattr(release, "ROOT", tmp_path)
    git("init", "--quiet")
    (tmp_path / "kept").write_text("of the commit")
    with pytest.raises(SetupError, match="not committed"), release.committed():
        pass
    git("add", "kept")
    git("commit", "--quiet", "--message", "First")

    with release.committed() as (sources, commit):
        assert [file.name for file in sources.iterdir()] == ["kept"]
        assert commit == git("rev-parse", "HEAD")


def test_where_no_docker_runs_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.release.shutil.which", lambda _name: None)

    assert release.build_image(tmp_path, "0" * 40).startswith("NO IMAGE: no Docker runs here.")
