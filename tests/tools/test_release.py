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
from tools.shell import SetupError

CLEAN = {"name": "django", "version": "5.2.19", "vulns": []}
HOLED = {"name": "django", "version": "5.2.19", "vulns": [{"id": "CVE-2026-0001"}, {"id": "CVE-2026-0002"}]}
SKIPPED = {"name": "apprise", "skip_reason": "Dependency not found on PyPI"}


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
    monkeypatch.setattr(release, "write_list", lambda: tmp_path / "list.cdx.json")
    monkeypatch.setattr(release, "_ran", lambda *_: answered([SKIPPED]))
    monkeypatch.setattr("sys.argv", ["make release"])
    release.main()
    assert "NOT AUDITED" in capsys.readouterr().out

    monkeypatch.setattr("sys.argv", ["make release", "--must-audit"])
    with pytest.raises(SystemExit, match="release: NOT AUDITED"):
        release.main()
