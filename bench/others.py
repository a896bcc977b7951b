"""Other people's tools for the same work, beside which Vedetta is measured."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.common import find_restic
from bench.peers import KEEP, Peer, Tool
from tests.backups.worlds import RESTIC_PASSWORD, Shop
from tools.system import find_program

NOT_INSTALLED = "not installed"
_MYDUMPER = (
    "mydumper --defaults-file client.cnf --database orders_tracker --outputdir dump --routines --triggers"
    " --events"
)
_TO_RESTIC = "restic backup --quiet --host shop dump && rm -r dump"
MYDUMPER = Tool("mydumper + restic", f"{_MYDUMPER} && {_TO_RESTIC}", programs=("mydumper",))
MYDUMPER_ZSTD = Tool(
    "mydumper (zstd) + restic",
    # Old versions pack with gzip alone, new ones in other words; all leave files that zstd packs.
    f"{_MYDUMPER} && zstd --quiet --rm -T0 dump/*.sql && {_TO_RESTIC}",
    programs=("mydumper", "zstd"),
)
PHYSICAL = Tool(
    "mariadb-backup + restic",
    "mariadb-backup --defaults-file=client.cnf --backup --stream=mbstream --target-dir=state"
    " 2> mariadb-backup.log"
    " | restic backup --quiet --host shop --stdin --stdin-filename /mysql/server.mbstream",
    programs=("mariadb-backup", "mbstream"),
)
BORGMATIC = Tool(
    "borgmatic + borg",
    "borgmatic --config borgmatic.json create",
    night="borgmatic --config borgmatic.json prune compact",
    begin="borg init --error --encryption repokey-blake2 repository",
    programs=("borgmatic", "borg", "mysqldump"),
)
OTHERS = (MYDUMPER, MYDUMPER_ZSTD, PHYSICAL, BORGMATIC)
_DUMP_OPTIONS = "--single-transaction --quick --routines --triggers --events"


def peer_of(tool: Tool, shop: Shop, folder: Path, restic: Path) -> Peer | None:
    """The tool with a folder and a repository of its own in `folder`; None where it is not installed."""
    if not tool.installed:
        return None
    peer = Peer(tool, shop, folder / re.sub(r"\W+", "-", tool.name), restic)
    write_borgmatic(shop, peer.folder, [shop.name])
    return peer


def write_borgmatic(shop: Shop, folder: Path, databases: Sequence[str]) -> None:
    """Write borgmatic.json, in the form that the installed version reads. JSON is YAML as well."""
    nothing = folder / "nothing"
    nothing.mkdir()
    path = folder / "borgmatic.json"
    path.touch(mode=0o600)
    config = borgmatic_config(shop, folder, databases)
    path.write_text(json.dumps(config if version_of("borgmatic") >= (1, 8) else in_sections(config)))


def borgmatic_config(shop: Shop, folder: Path, databases: Sequence[str]) -> dict[str, object]:
    """borgmatic's settings, as its versions since 1.8 have them."""
    server = {
        "hostname": shop.server.host,
        "port": shop.server.port,
        "username": shop.user,
        "password": shop.password,
        "options": _DUMP_OPTIONS,
    }
    keep = re.findall(r"--(keep-\w+) (\d+)", KEEP)
    return {
        "source_directories": [str(folder / "nothing")],
        "repositories": [{"path": str(folder / "repository")}],
        "encryption_passphrase": RESTIC_PASSWORD,
        **{name.replace("-", "_"): int(count) for name, count in keep},
        "mysql_databases": [{"name": name, **server} for name in databases],
    }


def in_sections(config: dict[str, object]) -> dict[str, dict[str, object]]:
    """The same in sections, as its versions before 1.8 have them, which name repositories by their paths."""

    def part(*names: str) -> dict[str, object]:
        return {name: config[name] for name in config if name.startswith(names)}

    (repository,) = config["repositories"]  # type: ignore[misc]
    return {
        "location": {**part("source_directories"), "repositories": [repository["path"]]},  # type: ignore[has-type]
        "storage": part("encryption_passphrase"),
        "retention": part("keep_"),
        "hooks": part("mysql_databases"),
    }


def version_of(program: str) -> tuple[int, ...]:
    """The version that a program tells of itself, and (0,) where it is not here or tells none."""
    return version_in(_told_by(program))


def version_in(text: str) -> tuple[int, ...]:
    """The first version in what a program prints: 10.11.19 of "mariadb-backup based on 10.11.19-MariaDB"."""
    found = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(map(int, found[0].split("."))) if found else (0,)


def versions() -> str:
    """Which versions were measured, for the note below a table."""
    programs = ("mydumper", "mariadb-backup", "borgmatic", "borg", "restic", "mariadbd")
    told = {program: version_of(program) for program in programs}
    return ", ".join(
        f"{program} {'.'.join(map(str, version))}" for program, version in told.items() if any(version)
    )


def _told_by(program: str) -> str:
    path = str(find_restic()) if program == "restic" else find_program(program)
    if path is None:
        return ""
    option = "version" if program == "restic" else "--version"
    done = subprocess.run([path, option], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr
