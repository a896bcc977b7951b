"""Servers, snapshots and addresses that mean harm: none gets a file, a program or a command out of us."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError

from backups import mysql, process, restic
from backups.dump import stream_dump
from backups.errors import Problem
from backups.load import client_fed
from backups.stream import Digester
from backups.validators import repository_url
from tests.backups.worlds import client_dir, make_shop
from tests.security.rogue import RogueServer
from tests.servers import DatabaseServer

SECRET = "of this machine alone"


@pytest.fixture
def our_file(tmp_path: Path) -> Path:
    """A file that nobody is to have."""
    file = tmp_path / "ours.txt"
    file.write_text(SECRET)
    return file


def nothing() -> None:
    """Nobody watches."""


def access_to(
    server: DatabaseServer, *, port: int = 0
) -> tuple[mysql.Server, mysql.ServerInfo, mysql.Clients]:
    """As the administrator of a server; with `port`, of another that passes for it."""
    known = mysql.Server(server.host, server.port, server.user, server.password)
    with mysql.connect(known) as connection:
        info = mysql.probe(connection)
    there = mysql.Server(server.host, port or server.port, "root", "x", ssl_mode="DISABLED")
    return (there if port else known), info, mysql.clients(info, client_dir(server))


# ---------------------------------------------------------------- A server that asks for files


def test_a_server_that_asks_for_our_files_gets_none(db_server: DatabaseServer, our_file: Path) -> None:
    """Neither from the driver nor from the flavour's own dump and load programs."""
    with RogueServer(str(our_file)) as rogue:
        server, info, programs = access_to(db_server, port=rogue.port)

        with pytest.raises(Problem), mysql.connect(server):
            pass
        assert rogue.asked
        rogue.asked = 0
        with pytest.raises(Problem):
            stream_dump(server, "shop", info=info, programs=programs, digester=Digester())
        assert rogue.asked
        rogue.asked = 0
        run_the_client(server, programs, b"SELECT 1;\n")
        assert rogue.asked
    assert SECRET.encode() not in rogue.received


def run_the_client(server: mysql.Server, programs: mysql.Clients, statements: bytes) -> None:
    """The load program on its own: the product would have stopped before."""
    option_fd, input_fd = process.secret_fd(mysql.option_file(server)), process.secret_fd(statements)
    args = mysql.load_args(server, "shop", programs=programs, option_file_path=f"/dev/fd/{option_fd}")
    try:
        with process.child(
            args, env=mysql.client_environment(), stdin=input_fd, pass_fds=[option_fd]
        ) as client:
            assert client.wait() != 0
    finally:
        os.close(option_fd)
        os.close(input_fd)


# ---------------------------------------------------------------- A snapshot that gives orders

# What whoever can write to the repository could put into a dump for this machine's client.
ORDERS = {
    "reads a file": "LOAD DATA LOCAL INFILE '{ours}' INTO TABLE took;",
    "runs a program": "system touch '{mark}'",
    "runs a program, short": "\\! touch '{mark}'",
    "runs a script": "source {script}",
    "runs a script, short": "\\. {script}",
    "writes a file": "tee {mark}\nSELECT 1;",
    "pipes": "pager touch {mark}\nSELECT 1;",
    "in a comment of MariaDB": "/*M! system touch '{mark}' */;",
    "behind a delimiter": "DELIMITER ;;\nsystem touch '{mark}';;\nDELIMITER ;",
}


@pytest.mark.parametrize("order", ORDERS)
def test_a_dump_gives_this_machines_client_no_orders(
    db_server: DatabaseServer, our_file: Path, order: str
) -> None:
    server, _, programs = access_to(db_server)
    db_server.query("SET GLOBAL local_infile = 1")  # the server's own leave, which MySQL's does not give
    shop = make_shop(db_server, "CREATE TABLE took (what TEXT);")
    mark, script = our_file.parent / "mark", our_file.parent / "script.sql"
    script.write_text(f"INSERT INTO `{shop.name}`.took VALUES ('{SECRET}');\n")
    text = ORDERS[order].format(ours=our_file, mark=mark, script=script) + "\n"

    with suppress(Problem):
        client_fed(server, programs, shop.name, iter([text.encode()]), nothing)

    assert shop.query("SELECT * FROM took") == []
    assert not mark.exists()


# ---------------------------------------------------------------- A location that gives orders

RUNNING = [
    "sftp:-oProxyCommand=touch:/path",
    "sftp://-oProxyCommand=touch/path",
    "sftp:user@-oProxyCommand=touch:/path",
    "sftp://user@-oProxyCommand=touch:22//path",
    "sftp:-lroot@host:/path",
    "rclone:--config=/tmp/x:path",
    'rclone::sftp,ssh="touch x":path',
    'rclone:remote,ssh="touch x":path',
    "rclone:-vv:x",
]


@pytest.mark.parametrize("url", RUNNING)
def test_a_location_that_would_run_a_program_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="gives ssh or rclone an option"):
        repository_url(url)


@pytest.mark.parametrize(
    "url",
    ["/srv/restic", "-odd/folder", "sftp:user@host:/srv/a-b", "sftp://user@host:2222//srv", "sftp:host:-x/y",
     "rclone:my-remote:path/to-it", "rclone:b2 prod:bucket", "s3:https://host/bucket", "rest:https://host/"],
)  # fmt: skip
def test_an_honest_location_is_taken(url: str) -> None:
    repository_url(url)


@pytest.mark.parametrize("url", ["sftp:user@host:/srv/-x", "sftp://user@host:22//srv", "rclone:my-remote:-x"])
def test_what_is_taken_is_no_option_to_what_restic_starts(url: str, tmp_path: Path) -> None:
    """Seen from the program that the real restic starts."""
    for name in ("ssh", "rclone"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/arguments\nexit 1\n')
        program.chmod(0o700)
    repository_url(url)
    found = restic.find()
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "RESTIC_PASSWORD": "x", "RESTIC_REPOSITORY": url}
    subprocess.run(
        [found, *restic.cat_config_args()], env=environment, capture_output=True, timeout=60, check=False
    )
    arguments = (tmp_path / "arguments").read_text().splitlines()
    known = {"-l", "-p", "-s", "--stdio", "--b2-hard-delete"}
    assert [one for one in arguments if one.startswith("-") and one not in known] == []


def test_ids_and_names_are_no_options_to_restic(tmp_path: Path) -> None:
    """Whatever a repository calls a snapshot, a pack, a lock or a path."""
    option = f"--password-command=touch {tmp_path}/mark"
    access = restic.Access(restic.find(), str(tmp_path / "repository"), "x")
    restic.call(access, restic.init_args(), doing="making it")
    for args in (
        restic.snapshots_args(option),
        restic.dump_args(option, option),
        restic.cat_lock_args(option),
        restic.repair_packs_args([option]),
        restic.forget_args([option], prune=False),
        restic.check_args(read_data_subset=option),
        restic.forget_dry_run_args(
            selection=restic.Selection(option, option, option), keep_daily=1, keep_weekly=0, keep_monthly=0
        ),
        restic.backup_args(path=f"/{option}", host=option, tags=[option], command=["true", option]),
    ):
        with suppress(restic.ResticError):
            restic.call(access, args, doing="trying", deadline=30)
    assert not (tmp_path / "mark").exists()
