"""As deployed, portal and worker are one user and have the socket's folder in common."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parents[2]


def test_in_compose_both_containers_have_the_sockets_folder() -> None:
    services = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]
    found = re.search(r"DOWNLOADS_SOCKET=(/data/\S+)", (PROJECT / "Dockerfile").read_text())

    assert found
    for name in ("portal", "db_backup"):
        assert "./data:/data" in services[name]["volumes"]
        assert "user" not in services[name]
        assert "DOWNLOADS_SOCKET" not in services[name]["environment"]
    assert not any(volume.startswith("./data") for volume in services["sentinel"]["volumes"])


def test_with_systemd_both_units_have_one_user_and_one_folder() -> None:
    seen = set()
    for name in ("portal", "worker"):
        unit = (PROJECT / "deploy" / "systemd" / f"vedetta-{name}.service").read_text()
        lines = dict(re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE))
        assert "AF_UNIX" in lines["RestrictAddressFamilies"]
        seen.add((lines["User"], lines["StateDirectory"].split()[0]))

    assert seen == {("vedetta", "vedetta")}
