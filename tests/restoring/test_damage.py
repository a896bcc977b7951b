"""Damaged snapshots are refused before anything is swapped; a restore of one database leaves others be."""

from __future__ import annotations

import itertools
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from backups import restic
from backups.choices import Action, RestoreMode, Status, Trigger
from backups.models import Database, Run, Snapshot
from backups.runs import lifecycle
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import SHOP, Shop
from tests.restoring.stories import (
    LATER,
    content,
    databases_of,
    drop_all,
    dump_of,
    failed,
    make_restorable,
    restore,
    store,
    stored,
    succeeded,
    untouched,
)
from tests.rows import change_server
from tests.servers import DatabaseServer

BackUp = Callable[[Database], Run]


# ---------------------------------------------------------------- Damage


def test_flipped_byte_in_a_pack_is_refused(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = mariadb_shop
    database = make_database(shop)
    snapshot = back_up(database).snapshot
    assert snapshot is not None
    packs = [file for file in Path(database.repository.url, "data").rglob("*") if file.is_file()]
    for pack in packs:
        data = bytearray(pack.read_bytes())
        data[len(data) // 3] ^= 1
        pack.chmod(0o600)
        pack.write_bytes(data)
    shop.server.load(LATER, shop.name)

    with untouched(shop):
        failed(restore(database, RestoreMode.REPLACE, without_safety=True))
        failed(restore(database, RestoreMode.IN_PLACE, without_safety=True))
        failed(restore(database, RestoreMode.NEW, target=f"{shop.name}_new"))


def test_another_dump_under_the_manifest_that_was_signed_is_refused(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    """As a row can have it that somebody wrote: it would be the newest that was made here."""
    shop = mariadb_shop
    database = make_database(shop)
    ours = back_up(database).snapshot
    shop.server.load(LATER, shop.name)
    theirs = back_up(database).snapshot
    assert ours is not None and theirs is not None  # noqa: PT018
    Snapshot.objects.filter(pk=theirs.pk).update(
        manifest=ours.manifest, signature=ours.signature, dump_sha256=theirs.dump_sha256
    )

    with untouched(shop):
        said = failed(restore(database, RestoreMode.REPLACE, snapshot=theirs, without_safety=True))

    assert "is damaged: what it holds is not what was backed up" in said


def damaged(dump: bytes, how: str) -> bytes:
    """A dump that restic takes for good and that is not what was backed up."""
    if how == "truncated":
        return dump[: len(dump) // 2]
    if how == "a row changed":
        return dump.replace(b"'Ada'", b"'Eve'")
    if how == "a row missing":
        return re.sub(rb"\(3,'Edsger'\)", b"(4,'Edsger')", dump)
    if how == "a trigger missing":
        return re.sub(rb"(?s)/\*!50003 CREATE\*/.*?;;\n", b"", dump, count=1)
    at = dump.rindex(b"sha256")
    return dump[: at + 12] + bytes([dump[at + 12] ^ 1]) + dump[at + 13 :]


DAMAGES = ("truncated", "a row changed", "a row missing", "a trigger missing", "the manifest")
MODES = (RestoreMode.REPLACE, RestoreMode.IN_PLACE, RestoreMode.NEW, RestoreMode.FILE)
# What overwrites, a file, and of the damages those that differ most; all with all of them in the long run.
OFTEN = {
    ("truncated", RestoreMode.IN_PLACE),
    ("a trigger missing", RestoreMode.REPLACE),
    ("the manifest", RestoreMode.FILE),
}


@pytest.mark.parametrize(
    ("how", "mode"),
    [
        pytest.param(*case, marks=() if case in OFTEN else pytest.mark.soak)
        for case in itertools.product(DAMAGES, MODES)
    ],
)
def test_damaged_dump_is_refused_before_the_swap(
    how: str,
    mode: RestoreMode,
    mariadb_shop: Shop,
    make_database: MakeDatabase,
    back_up: BackUp,
    tmp_path: Path,
) -> None:
    shop = mariadb_shop
    database = make_database(shop)
    whole = back_up(database).snapshot
    assert whole is not None
    dump = stored(whole)
    broken = damaged(dump, how)
    assert broken != dump
    snapshot = store(database, broken)
    shop.server.load(LATER, shop.name)
    targets = {RestoreMode.NEW: f"{shop.name}_new", RestoreMode.FILE: str(tmp_path / "out")}

    with untouched(shop):
        sentence = failed(
            restore(
                database,
                mode,
                snapshot=snapshot,
                target=targets.get(mode, shop.name),
                without_safety=True,
            )
        )

    assert f"Snapshot {snapshot.short_id} is" in sentence
    assert "not whole" in sentence or "damaged" in sentence
    assert not list((tmp_path / "out").glob("*")), "no file, not even in part"


@pytest.mark.parametrize(
    "mode",
    [
        RestoreMode.REPLACE,
        *(
            pytest.param(mode, marks=pytest.mark.soak)
            for mode in (RestoreMode.FILE, RestoreMode.NEW, RestoreMode.IN_PLACE)
        ),
    ],
)
def test_restic_that_breaks_off_is_not_held_against_the_snapshot(
    mode: RestoreMode,
    mariadb_shop: Shop,
    make_database: MakeDatabase,
    back_up: BackUp,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What came of the dump is cut in the middle of a statement, and that is restic's doing."""
    shop = mariadb_shop
    database = make_database(shop)
    succeeded(back_up(database))
    breaking, real = tmp_path / "restic", restic.find()
    breaking.write_text(
        f'#!/bin/sh\ncase " $* " in\n*" dump "*) {real} "$@" | head -c 3000\n'
        'echo "Fatal: gone" >&2; exit 1 ;;\n'
        f'*) exec {real} "$@" ;;\nesac\n'
    )
    breaking.chmod(0o755)
    monkeypatch.setattr(restic, "find", lambda: str(breaking))
    targets = {RestoreMode.NEW: f"{shop.name}_new", RestoreMode.FILE: str(tmp_path / "out")}

    with untouched(shop):
        told = failed(restore(database, mode, target=targets.get(mode, shop.name), without_safety=True))

    assert "restic" in told
    assert "not whole" not in told
    assert "cut" not in told


# ---------------------------------------------------------------- Restoring `a` into `b`


def reaching_out(server: DatabaseServer, name: str) -> str:
    """What a database may hold that names itself."""
    sequences = """
CREATE SEQUENCE numbers START WITH 100;
CREATE TABLE drawn (id BIGINT PRIMARY KEY DEFAULT (nextval(numbers)), t INT);
INSERT INTO drawn (t) VALUES (1), (2);
"""
    return (
        SHOP
        + (sequences if server.flavour == "mariadb" else "")
        + f"""
ALTER DATABASE `{name}` CHARACTER SET latin1 COLLATE latin1_general_ci;
CREATE TRIGGER `{name}`.qualified BEFORE INSERT ON `{name}`.customers FOR EACH ROW
  SET NEW.name = TRIM(NEW.name);
CREATE VIEW `{name}`.own AS SELECT id FROM `{name}`.customers;
"""
    )


@pytest.mark.parametrize(
    "by_us",
    [
        # tests/restoring/test_general_log.py has one of ours, on MariaDB.
        pytest.param(True, marks=pytest.mark.soak),
        pytest.param(False, marks=pytest.mark.one_flavour("mariadb")),
    ],
)
def test_restoring_into_another_name_never_writes_to_the_first(
    by_us: bool, db_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    """Seen in the server's own log of statements, and by a trigger that is still there once."""
    shop = make_restorable(db_server)
    db_server.create_database(shop.name)
    db_server.load(reaching_out(db_server, shop.name), shop.name)
    database = make_database(shop)
    was = content(db_server, shop.name)
    if by_us:
        succeeded(back_up(database))
    else:
        store(database, dump_of(db_server, shop.name, "--databases"))
    target = f"{shop.name}_new"
    db_server.execute(
        "SET GLOBAL log_output = 'TABLE'; TRUNCATE mysql.general_log; SET GLOBAL general_log = 1"
    )

    with untouched_but(shop, target):
        succeeded(restore(database, RestoreMode.NEW, target=target))

    db_server.execute("SET GLOBAL general_log = 0")
    written = [
        statement
        for (statement,) in db_server.query(
            "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log WHERE user_host LIKE %s "
            "AND command_type = 'Query'",
            None,
            [f"%{shop.user}%"],
        )
        if re.search(rf"`?{shop.name}`?(\.|\s|$)", statement) and not statement.startswith(("SELECT", "SHOW"))
    ]
    assert [one for one in written if "DROP PROCEDURE" not in one] == []
    triggers = db_server.query(
        "SELECT TRIGGER_SCHEMA FROM information_schema.TRIGGERS WHERE TRIGGER_NAME = 'qualified' "
        "AND TRIGGER_SCHEMA LIKE %s ORDER BY 1",
        None,
        [f"{shop.name}%"],
    )
    assert triggers == [(shop.name,), (target,)]
    assert content(db_server, shop.name) == was
    drop_all(shop)


class untouched_but:  # noqa: N801  reads as a statement
    """The shop's database is the same after the block, in which `made` may appear beside it."""

    def __init__(self, shop: Shop, made: str) -> None:
        self.shop, self.made = shop, made

    def __enter__(self) -> None:
        self.was = content(self.shop.server, self.shop.name)
        self.names = databases_of(self.shop)

    def __exit__(self, *_: object) -> None:
        assert content(self.shop.server, self.shop.name) == self.was
        assert databases_of(self.shop) == sorted([*self.names, self.made])


# ---------------------------------------------------------------- Files


def test_file_is_whole_private_and_the_dump_itself(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp, tmp_path: Path
) -> None:
    database = make_database(mariadb_shop, dump_format="sql.gz")
    back_up(database)
    Database.objects.update(dump_format="sql")
    plain = back_up(Database.objects.get()).snapshot
    assert plain is not None

    runs = [
        succeeded(restore(database, RestoreMode.FILE, snapshot=each, target=str(tmp_path / "out")))
        for each in Snapshot.objects.all()
    ]

    files = sorted((tmp_path / "out").iterdir())
    assert sorted(run.result["file"] for run in runs) == [str(file) for file in files]
    for file in files:
        assert re.fullmatch(rf"{mariadb_shop.name}-\d{{8}}-\d{{6}}-[0-9a-f]{{8}}\.sql", file.name)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stored(plain) in {file.read_bytes() for file in files}


def test_folder_that_cannot_be_written_is_told(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp, tmp_path: Path
) -> None:
    database = make_database(mariadb_shop)
    back_up(database)
    (tmp_path / "file").write_text("not a folder")

    sentence = failed(restore(database, RestoreMode.FILE, target=str(tmp_path / "file")))

    assert "cannot be written" in sentence
    assert "No file was left there." in sentence


# ---------------------------------------------------------------- The backup before


@pytest.mark.parametrize(
    "mode", [RestoreMode.REPLACE, pytest.param(RestoreMode.IN_PLACE, marks=pytest.mark.soak)]
)
def test_failed_backup_before_stops_the_restore(
    mode: RestoreMode,
    mariadb_shop: Shop,
    make_database: MakeDatabase,
    back_up: BackUp,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop = mariadb_shop
    database = make_database(shop)
    back_up(database)
    shop.server.load(LATER, shop.name)
    shop.execute(  # on which dump programs hang, so that no backup is begun
        "CREATE EVENT odd ON SCHEDULE EVERY 1 DAY DISABLE COMMENT ';;' DO DELETE FROM journal"
    )
    names = databases_of(shop)

    sentence = failed(restore(database, mode))

    assert sentence.startswith("The backup before the restore failed, so nothing was restored:")
    assert f"{shop.name} was not touched." in sentence
    assert shop.query("SELECT id FROM parcels") == [(7,)]
    assert databases_of(shop) == names
    child = Run.objects.get(trigger=Trigger.RESTORE)
    assert child.status == Status.FAILED

    shop.execute("DROP EVENT odd")
    succeeded(restore(database, mode, without_safety=True))
    assert Run.objects.filter(trigger=Trigger.RESTORE).count() == 1


def test_second_restore_of_the_same_target_is_refused(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    from backups.errors import Refused
    from tests.restoring.stories import enqueue

    database = make_database(mariadb_shop)
    back_up(database)
    first = enqueue(database, RestoreMode.REPLACE)
    lifecycle.run_claim(first.pk, worker="elsewhere:1:x")

    for mode in (RestoreMode.REPLACE, RestoreMode.IN_PLACE, RestoreMode.NEW):
        with pytest.raises(Refused, match=f"goes to {mariadb_shop.name} as well"):
            enqueue(database, mode)
    # As one that lies on the same server by another spelling of its address.
    spelled = {"127.0.0.1": "localhost", "localhost": "127.0.0.1"}
    change_server(database, host=spelled.get(database.server.host, database.server.host.upper()))
    with pytest.raises(Refused, match=f"goes to {mariadb_shop.name} as well"):
        enqueue(database, RestoreMode.REPLACE)
    other = enqueue(database, RestoreMode.NEW, target=f"{mariadb_shop.name}_new")
    assert (other.action, other.status) == (Action.RESTORE, Status.QUEUED)
