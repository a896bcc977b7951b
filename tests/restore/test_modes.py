"""Each mode of a restore on real servers: afterwards the target dumps as its source did."""

from __future__ import annotations

import gzip
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from backups.choices import DefinerPolicy, RestoreMode, Status
from backups.models import Database, Run
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import AWKWARD, Shop
from tests.restore.stories import (
    LATER,
    content,
    databases_of,
    drop_all,
    dump_of,
    log_of,
    make_restorable,
    restore,
    store,
    stored,
    untouched,
)
from tests.servers import FLAVOURS, DatabaseServer
from tools import sample

BackUp = Callable[[Database], Run]
Read = Callable[[Shop], list[bytes]]


def succeeded(run: Run) -> Run:
    assert run.status == Status.SUCCEEDED, f"{run.error}\n{log_of(run)}"
    return run


def content_of(shop: Shop) -> list[bytes]:
    return content(shop.server, shop.name)


# ---------------------------------------------------------------- The awkward and the sample database


@pytest.fixture(scope="module", params=["awkward", "sample"])
def source_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture(scope="module", params=FLAVOURS)
def source(request: pytest.FixtureRequest, source_kind: str) -> Shop:
    """A database that every mode has to bring back as it was."""
    server: DatabaseServer = request.getfixturevalue(f"{request.param}_server")
    if source_kind == "sample":
        script = "\n$$$\n".join(sample.statements(0.2))
        shop = make_restorable(server, f"DELIMITER $$$\n{script}\n$$$\n")
    else:
        shop = make_restorable(server, "", name="awk `ward` %_")
        for part in ("common", server.flavour):
            text = (AWKWARD / f"awkward_{part}.sql").read_bytes()
            server.client("--binary-mode", "--default-character-set=utf8mb4", shop.name, stdin=text)
    request.addfinalizer(lambda: drop_all(shop))
    return shop


def test_every_mode_gives_the_same_bytes(
    source: Shop, make_database: MakeDatabase, back_up: BackUp, tmp_path: Path
) -> None:
    server = source.server
    database = make_database(source)
    was = content_of(source)
    saved = succeeded(back_up(database)).snapshot
    assert saved is not None

    by_file = succeeded(restore(database, RestoreMode.FILE, snapshot=saved, target=str(tmp_path)))
    server.create_database(f"{source.name}_by_hand")
    server.client(
        "--binary-mode", "--default-character-set=utf8mb4", "--max-allowed-packet=1G",
        f"{source.name}_by_hand", stdin=Path(by_file.result["file"]).read_bytes(),
    )  # fmt: skip
    assert content(server, f"{source.name}_by_hand") == was

    succeeded(restore(database, RestoreMode.NEW, snapshot=saved, target=f"{source.name}_new"))
    assert content(server, f"{source.name}_new") == was

    server.execute("CREATE TABLE `of later` (id INT); INSERT INTO `of later` VALUES (1)", source.name)
    with_more = content_of(source)
    replaced = succeeded(restore(database, RestoreMode.REPLACE, snapshot=saved, without_safety=True))
    assert content_of(source) == was
    undone = restore(
        database, RestoreMode.UNDO, snapshot=saved, undo_of=replaced.restore, target=source.name
    )
    assert content_of(succeeded(undone) and source) == with_more

    server.execute("DROP TABLE `of later`", source.name)
    succeeded(restore(database, RestoreMode.IN_PLACE, snapshot=saved, without_safety=True))
    assert content_of(source) == was


# ---------------------------------------------------------------- Snapshots by other hands
