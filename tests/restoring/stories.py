"""What tests of restores share: shops whose user may restore, and what a database holds, as bytes."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backups import restic
from backups.catalog import records
from backups.choices import Action, DefinerPolicy, RestoreMode, Status, Trigger
from backups.endpoints import repository_access
from backups.models import Database, Restore, Run, Snapshot
from backups.requests import RestoreRequest, UndoRequest
from backups.runs import lifecycle
from backups.runs.asked import Asker, Wanted
from backups.worker import executor
from tests.backups.worlds import SHOP, Shop, all_routines, make_shop
from tests.servers import DatabaseServer

NAME_IN_DUMP = b"<database>"
# What a shop changes after its snapshot: rows, a table more, one less, and every kind of definition.
LATER = """
INSERT INTO orders (customer, note) VALUES (3, 'written after the snapshot');
UPDATE customers SET name = 'Ada Lovelace' WHERE id = 1;
CREATE TABLE parcels (id INT PRIMARY KEY);
INSERT INTO parcels VALUES (7);
DROP VIEW open_orders;
CREATE VIEW every_parcel AS SELECT id FROM parcels;
DROP TRIGGER orders_noted;
DROP PROCEDURE close_orders;
DROP FUNCTION twice;
DROP EVENT nightly;
DELIMITER ;;
CREATE TRIGGER customers_noted BEFORE UPDATE ON customers FOR EACH ROW
BEGIN
  -- of later
  SET NEW.name = TRIM(NEW.name);
END;;
CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC NO SQL
BEGIN
  RETURN n + n; -- otherwise
END;;
CREATE EVENT hourly ON SCHEDULE EVERY 1 HOUR DISABLE DO DELETE FROM journal;;
DELIMITER ;
"""


def may_restore(server: DatabaseServer, name: str) -> list[str]:
    """The grants that a user needs to restore `name` in every mode."""
    pattern = re.sub(r"([_%\\])", r"\\\1", name).replace("`", "``")
    foreign = (
        ["SET USER ON *.*"]
        if server.flavour == "mariadb"
        else ["SET_ANY_DEFINER, ALLOW_NONEXISTENT_DEFINER, SYSTEM_USER ON *.*"]
    )
    return [f"ALL ON `{pattern}`.*", f"ALL ON `{pattern}\\_%`.*", all_routines(server), *foreign]


def make_restorable(server: DatabaseServer, script: str = SHOP, *, name: str = "") -> Shop:
    """A database made by `script` and a user who may restore it."""
    if server.flavour == "mysql":  # its binary log is on
        server.execute("SET GLOBAL log_bin_trust_function_creators = 1")
    name = name or f"shop_{secrets.token_hex(4)}"
    return make_shop(server, script, name=name, grants=may_restore(server, name))


def quoted(name: str) -> str:
    """A name as an identifier."""
    return "`" + name.replace("`", "``") + "`"


def databases_of(shop: Shop) -> list[str]:
    """All databases whose name begins with the shop's."""
    names = [str(name) for (name,) in shop.server.query("SHOW DATABASES")]
    return sorted(name for name in names if name.startswith(shop.name))


def drop_all(shop: Shop) -> None:
    """Everything of the shop on its server."""
    for name in databases_of(shop):
        shop.server.execute(f"DROP DATABASE {quoted(name)}")
    shop.server.execute(f"DROP USER IF EXISTS '{shop.user}'@'%'")


def dump_of(server: DatabaseServer, name: str, *options: str) -> bytes:
    """A database as the server's own dump program writes it, by the administrator, comments kept."""
    program = {"mariadb": "mariadb-dump", "mysql": "mysqldump"}[server.flavour]
    args: list[str | Path] = [
        server.client_dir / program, f"--defaults-file={server.defaults_file()}",
        "--single-transaction", "--routines", "--triggers", "--events", "--skip-dump-date",
        "--no-tablespaces", "--skip-add-locks", "--order-by-primary", "--default-character-set=utf8mb4",
        "--max-allowed-packet=1G",
    ]  # fmt: skip
    args += ["--set-gtid-purged=OFF"] if server.flavour == "mysql" else ["--dump-history"]
    done = subprocess.run([*args, *options, name], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def content(server: DatabaseServer, name: str) -> list[bytes]:
    """What a database holds: its dump without comments and without its own name.

    MySQL adds the character set to a collation that was stated once it has read its own dump, and
    drops a semicolon that it had kept behind a body.
    """
    told = dump_of(server, name).replace(quoted(name).encode(), NAME_IN_DUMP)
    lines = [line for line in told.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith((b"--", b"/*M!999999", b"/*!999999"))]
    if server.flavour == "mysql":
        lines = [re.sub(rb" CHARACTER SET \w+ COLLATE ", b" COLLATE ", line) for line in lines]
        lines = [_KEPT_SEMICOLON.sub(b"", line) for line in lines]
    return lines


_KEPT_SEMICOLON = re.compile(rb";(?= ;;\Z)")


def with_events_disabled(lines: list[bytes]) -> list[bytes]:
    """What a new database holds after a restore of this content: its events do not run."""
    return [_EVENT_STATE.sub(rb"\1 DISABLE", line) for line in lines]


_EVENT_STATE = re.compile(
    rb"(\bEVENT .* ON COMPLETION (?:NOT )?PRESERVE) (?:ENABLE|DISABLE(?: ON (?:SLAVE|REPLICA))?)"
)


def enqueue(
    database: Database,
    mode: RestoreMode,
    *,
    snapshot: Snapshot | None = None,
    target: str | None = None,
    tables: Sequence[str] = (),
    definers: DefinerPolicy = DefinerPolicy.KEEP,
    without_safety: bool = False,
    undo_of: Restore | None = None,
) -> Run:
    """A queued restore, by default of the newest snapshot into the database itself, or an undo of one."""
    if undo_of is not None:
        return UndoRequest(undo_of).submit(Asker(Trigger.CLI), send=False)
    wanted = RestoreRequest(
        database,
        snapshot or database.snapshots.filter(forgotten_at=None)[0],
        mode,
        database.database if target is None else target,
        tables=tuple(tables),
        definers=definers,
        without_safety=without_safety,
    )
    return wanted.submit(Asker(Trigger.CLI), send=False)


def restore(database: Database, mode: RestoreMode, **wishes: Any) -> Run:
    """Play a restore in this process, and give its run."""
    played = executor.execute(enqueue(database, mode, **wishes).pk, send_follow_ups=False)
    assert played is not None
    return played


def succeeded(run: Run) -> Run:
    """The run, which must have gone well."""
    assert run.status == Status.SUCCEEDED, f"{run.error}\n{log_of(run)}"
    return run


def failed(run: Run) -> str:
    """The sentence with which a run must have failed."""
    assert run.status == Status.FAILED, f"{run.status}: {run.error}"
    assert "unexpected" not in run.error, log_of(run)
    return run.error


def undo(run: Run) -> Run:
    """Undo the restore that a run was, in this process."""
    return restore(run.restore.database, RestoreMode.UNDO, undo_of=run.restore)


def replace(database: Database, **wishes: object) -> Run:
    """A replacement without the backup before, which other tests look at."""
    return succeeded(restore(database, RestoreMode.REPLACE, **{"without_safety": True, **wishes}))


def again(run: Run, action: Action) -> Run:
    """Play what is done with a restore that is over."""
    queued = lifecycle.run_enqueue(
        Wanted(action, database=run.database, options={"restore": Restore.objects.get(run=run).pk}),
        Asker(Trigger.CLI),
        send=False,
    )
    played = executor.execute(queued.pk, send_follow_ups=False)
    assert played is not None
    return played


def log_of(run: Run) -> str:
    """All lines of a run's log."""
    return "\n".join(run.lines.values_list("text", flat=True))


def store(database: Database, dump: bytes, *, path: str | None = None, is_ours: bool = True) -> Snapshot:
    """A snapshot of any bytes, made as the old scripts did: a pipe into `restic backup --stdin`.

    To the portal it is its own, unless it is said not to be.
    """
    access = repository_access(database.repository)
    path = path or f"/mysql/{database.database}.sql"
    done = subprocess.run(
        [access.program, "backup", "--json", "--stdin", "--stdin-filename", path,
         "--host", "vedetta", "--tag", f"database:{database.name}"],
        input=dump, env={**os.environ, **access.environment()}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    newest = max(restic.snapshots(access), key=lambda info: info.time)
    provenance = records.Provenance(signature="" if is_ours else None)
    return records.snapshot_record(
        newest, repository=database.repository, database=database, provenance=provenance
    )


def stored(snapshot: Snapshot) -> bytes:
    """The dump as it lies in the repository."""
    access = repository_access(snapshot.repository)
    args = restic.dump_args(snapshot.snapshot_id, snapshot.path)
    return restic.call(access, restic.Command(args, "reading the dump")).stdout


@contextmanager
def untouched(shop: Shop) -> Iterator[None]:
    """The shop's database and the list of its databases are the same after the block."""
    before = content(shop.server, shop.name)
    names = databases_of(shop)
    yield
    assert content(shop.server, shop.name) == before
    assert databases_of(shop) == names
