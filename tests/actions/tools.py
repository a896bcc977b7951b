"""What a test of verifications stands on: users with the least grants, and runs played here."""

from __future__ import annotations

import dataclasses
import gzip
import json
import re
import secrets
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backups import mysql
from backups.choices import Action, Trigger
from backups.endpoints import repository_access
from backups.models import Database, Repository, Run, Snapshot, Verification
from backups.runs import lifecycle
from backups.runs.asked import Asker, Wanted
from backups.worker import executor
from tests.backups.worlds import PROJECT, Shop, wait_until
from tests.servers import DatabaseServer

GRANTS = PROJECT / "deploy" / "mysql"


def shipped_grants(flavour: str, database: str, *purposes: str) -> list[str]:
    """The grants of deploy/mysql for these purposes, each as "SELECT ON `shop`.*"."""
    text = (GRANTS / f"grants-{flavour}.sql").read_text()
    found = []
    purpose = ""
    for line in text.splitlines():
        if line.startswith("-- ["):
            purpose = line[4 : line.index("]")]
        elif line.startswith("GRANT ") and purpose in purposes:
            grant = line.removeprefix("GRANT ").rpartition(" TO ")[0]
            found.append(_named(grant, database))
    assert found
    return list(dict.fromkeys(found))


def _named(grant: str, database: str) -> str:
    """A grant of deploy/mysql for another database."""
    derived = re.sub(
        r"`orders\\_tracker((?:\\_|\w)+)%`",
        # As the sentences of Vedetta have it for long names.
        lambda found: mysql.prefix_pattern(database[:40] + found[1].replace("\\_", "_")),
        grant,
    )
    return derived.replace(r"`orders\_tracker`", mysql.name_pattern(database))


def with_user(shop: Shop, grants: Sequence[str]) -> Shop:
    """The same database, seen by a new user with these grants and no others."""
    if shop.server.flavour == "mysql":
        # As deploy/mysql says: the binary log is on.
        shop.server.execute("SET GLOBAL log_bin_trust_function_creators = 1")
    suffix = secrets.token_hex(4)
    seen = dataclasses.replace(shop, user=f"least_{suffix}", password=f"'\"\\ {suffix}")
    shop.server.create_user(seen.user, seen.password, grants)
    return seen


def with_least(shop: Shop, *purposes: str) -> Shop:
    """The same database, seen by a user with the shipped grants for `purposes`."""
    return with_user(shop, shipped_grants(shop.server.flavour, shop.name, *purposes))


def play(action: Action, trigger: Trigger = Trigger.CLI, **rows: Any) -> Run:
    """Play a run in this process, as a command would, but without what follows it."""
    run = lifecycle.run_enqueue(Wanted(action, **rows), Asker(trigger), send=False)
    played = executor.execute(run.pk)
    assert played is not None
    played.children.all().delete()
    return played


def back_up(database: Database) -> Snapshot:
    """A good backup's snapshot."""
    run = play(Action.BACKUP, database=database)
    assert run.status == "succeeded", f"{run.error}\n{log_of(run)}"
    assert run.snapshot is not None
    return run.snapshot


def verify(database: Database, snapshot: Snapshot | None = None) -> Run:
    """A verification, however it ends. No scratch database may be left."""
    run = play(Action.VERIFY, database=database, snapshot=snapshot)
    assert "scratch" not in run.result
    return run


def verdict(run: Run) -> Verification:
    """What a verification found; fails with its error where it came to no verdict."""
    found = Verification.objects.filter(run=run).first()
    assert found is not None, f"{run.error}\n{log_of(run)}"
    return found


def log_of(run: Run) -> str:
    """A run's whole log."""
    return "\n".join(run.lines.values_list("text", flat=True))


def scratch_databases(server: DatabaseServer) -> list[str]:
    """The scratch databases that a server has."""
    rows = server.query(
        "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA"
        " WHERE SCHEMA_NAME REGEXP '__verify_(beside_)?[0-9]+$'"
    )
    return [str(name) for (name,) in rows]


def restic(repository: Repository, *args: str, stdin: bytes | None = None) -> bytes:
    """What restic itself answers, used as a shell script would."""
    access = repository_access(repository)
    done = subprocess.run(
        [access.program, *args], env=access.environment(), input=stdin, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def dumped(snapshot: Snapshot) -> bytes:
    """The bytes that a snapshot holds."""
    return restic(snapshot.repository, "dump", snapshot.snapshot_id, snapshot.path)


def unpacked(snapshot: Snapshot) -> bytes:
    """The dump in a snapshot, out of its gzip."""
    content = dumped(snapshot)
    return gzip.decompress(content) if snapshot.path.endswith(".gz") else content


def stored(snapshot_like: Snapshot, content: bytes, *, path: str = "", manifest: bool = True) -> Snapshot:
    """Other content stored by hand in the way of a snapshot, under the tags and the row of ours."""
    repository = snapshot_like.repository
    path = path or snapshot_like.path
    tags = [argument for tag in snapshot_like.tags for argument in ("--tag", tag)]
    answer = restic(
        repository, "backup", "--json", "--host", "vedetta", *tags,
        "--stdin", "--stdin-filename", path, stdin=content,
    )  # fmt: skip
    snapshot_id = json.loads(answer.splitlines()[-1])["snapshot_id"]
    sync(repository)
    stored = Snapshot.objects.get(snapshot_id=snapshot_id)
    if manifest:
        stored.manifest = snapshot_like.manifest
        stored.dump_sha256 = snapshot_like.dump_sha256
        stored.made_here = snapshot_like.made_here
        stored.save()
    return stored


def sync(repository: Repository) -> None:
    """Bring the list of snapshots from the repository."""
    run = play(Action.SNAPSHOTS, repository=repository)
    assert run.status == "succeeded", run.error


def wrapped_clients(shop: Shop, folder: Path, **scripts: str) -> str:
    """A MYSQL_CLIENT_DIR in which some programs do something of their own.

    Each script is a shell's, in which $REAL is the real program.
    """
    folder.mkdir()
    for program in shop.server.client_dir.iterdir():
        if program.name in ("mariadb", "mariadb-dump", "mysql", "mysqldump"):
            own = folder / program.name
            if script := scripts.get(program.name.replace("-", "_")):
                own.write_text(f"#!/bin/bash\nREAL={program}\n{script}\n")
                own.chmod(0o755)
            else:
                own.write_text(f'#!/bin/bash\nexec {program} "$@"\n')
                own.chmod(0o755)
    return str(folder)


def meddling_clients(shop: Shop, folder: Path, statement: str) -> str:
    """A MYSQL_CLIENT_DIR whose dump program first runs a statement, once, in the scratch database."""
    program = {"mariadb": "mariadb-dump", "mysql": "mysqldump"}[shop.server.flavour]
    client = shop.server.client_dir / shop.server.flavour
    script = (
        'place="${!#}"\n'
        'if [[ "$place" == *__verify_* && ! -e "$0.did" ]]; then\n'
        f'  touch "$0.did"; {client} "$1" "$2" "$3" "$4" "$place" <<< "{statement}" || exit 1\n'
        'fi\nexec "$REAL" "$@"'
    )
    return wrapped_clients(shop, folder, **{program.replace("-", "_"): script})


def damage(repository: Repository) -> Path:
    """Flip a byte in the middle of the largest pack, which holds data; gives the pack."""
    packs = [path for path in (Path(repository.url) / "data").rglob("*") if path.is_file()]
    pack = max(packs, key=lambda path: path.stat().st_size)
    content = bytearray(pack.read_bytes())
    content[len(content) // 3] ^= 0xFF
    pack.chmod(0o600)
    pack.write_bytes(content)
    return pack


def whole_locks(repository: Repository) -> list[Path]:
    """The locks in a repository, without those that are still being written."""
    return [path for path in (Path(repository.url) / "locks").iterdir() if "-tmp-" not in path.name]


class ExclusiveLock:
    """A living restic that holds a repository's exclusive lock, for the length of a block."""

    def __init__(self, repository: Repository) -> None:
        self._access = repository_access(repository)
        self._repository = repository

    def __enter__(self) -> subprocess.Popen[bytes]:
        # So slowly that it never comes to an end.
        self._process = subprocess.Popen(
            [self._access.program, "--limit-download", "1", "check", "--read-data", "--no-cache"],
            env=self._access.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: whole_locks(self._repository), "restic to hold its lock")
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for lock in whole_locks(self._repository):
            lock.unlink()
