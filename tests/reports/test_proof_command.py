"""`manage.py report` in a portal that backed up and verified: written, checked, tampered with."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backups.dumpfile import manifests
from backups.keys import InstallationKey, manifest_digest
from tests.actions.tools import with_least
from tests.backups.conftest import (
    MakePortal,
    empty_repository,
    make_portal,
    mariadb_shop,
    migrated,
)
from tests.backups.worlds import Shop

__all__ = ["empty_repository", "make_portal", "mariadb_shop", "migrated"]


@pytest.mark.one_flavour("mariadb")
def test_a_report_of_a_real_portal_is_written_and_checked(
    mariadb_shop: Shop, make_portal: MakePortal, tmp_path: Path
) -> None:
    """All of it in one portal, which takes a while to be made."""
    portal = make_portal(with_least(mariadb_shop, "dump", "verify"))
    backup = portal.backup().json
    assert portal.manage("verify", "--json").json["verdict"] == "identical"
    time.sleep(1)  # a report tells of what was over when its second began
    today = datetime.now(UTC).date()
    days = ["--from", f"{today - timedelta(days=1)}", "--to", f"{today + timedelta(days=1)}"]
    written = {form: tmp_path / f"proof.{form}" for form in ("json", "csv", "html")}

    told = {
        form: portal.manage("report", *days, "--output", str(path), "--json")
        for form, path in written.items()
    }

    assert {ran.code for ran in told.values()} == {0}, told
    outcome = told["json"].json
    assert (outcome["signed"], outcome["format"], outcome["totals"]["identical"]) == (True, "json", 1)
    (database,) = json.loads(written["json"].read_text())["report"]["databases"]
    (listed,) = database["backups"]["listed"]
    manifest = json.loads(portal.rows("SELECT manifest FROM backups_snapshot")[0]["manifest"])
    assert manifests.has_form(manifest)
    assert listed["snapshot_id"] == backup["snapshot_id"]
    assert listed["manifest_sha256"] == manifest_digest(manifest)
    assert (listed["is_good"], listed["dump_sha256"]) == (True, backup["sha256"])
    (proof,) = database["verifications"]["listed"]
    assert (proof["verdict"], proof["snapshot_id"]) == ("identical", backup["snapshot_id"])
    assert proof["compared"]
    assert database["restore_times"]["measured"] == 1
    assert database["backups"]["asked_for"] == 1

    # Here, and by an auditor who has the public half alone, as text or in a file.
    public = tmp_path / "key"
    public.write_text(f"{outcome['public_key']}\n")
    for path in written.values():
        assert portal.manage("report", "--verify", str(path), "--json").json["verdict"] == "genuine"
    nowhere = f"sqlite:///{tmp_path / 'none.sqlite3'}"
    for key in (outcome["public_key"], str(public)):
        check = ["report", "--verify", str(written["csv"]), "--public-key", key]
        assert portal.manage(*check, VEDETTA_KEY="", DATABASE_URL=nowhere).code == 0

    content = written["json"].read_bytes()
    middle = len(content) // 2
    changed = bytes([content[middle] ^ 1])
    (tmp_path / "changed").write_bytes(content[:middle] + changed + content[middle + 1 :])
    (tmp_path / "cut").write_bytes(content[:middle])
    for name, verdict, sentence in (
        ("changed", "changed", "was changed after it was signed"),
        ("cut", "not_whole", "does not end as a report does"),
    ):
        ran = portal.manage("report", "--verify", str(tmp_path / name), "--json")
        assert (ran.code, ran.json["verdict"], ran.json["status"]) == (1, verdict, "failed")
        assert sentence in ran.json["error"]
    other = InstallationKey.made().public_signing
    ran = portal.manage("report", "--verify", str(written["json"]), "--public-key", other)
    assert ran.code == 1
    assert len(ran.err.strip().splitlines()) == 1
    assert "signed with another key" in ran.err

    # Of a range in which nothing was; to standard output, and where the key is not.
    none = portal.manage("report", "--from", "2020-01-01", "--to", "2020-03-31", VEDETTA_KEY="")
    assert none.code == 0
    document = json.loads(none.out)
    assert document["report"]["totals"]["good_backups"] == 0
    assert document["report"]["databases"][0]["plan"]["planned"] is None
    assert document["signature"] is None
    assert "is not signed" in none.err
    for wrong in (["--json"], ["--verify", str(public), "--from", "2026-01-01"], ["--public-key", other]):
        assert portal.manage("report", *wrong).code == 2
