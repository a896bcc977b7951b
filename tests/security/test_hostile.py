"""Servers, snapshots and addresses that mean harm: none gets a file, a program or a command out of us."""

from __future__ import annotations

import subprocess
from contextlib import nullcontext, suppress
from pathlib import Path

import MySQLdb
import pytest
from django.core.exceptions import ValidationError

from backups import mysql, process, restic
from backups.dumpfile.digesting import Digester
from backups.dumpfile.ready import LoadOptions
from backups.dumping.streaming import Outlet, stream_dump
from backups.errors import Problem
from backups.loading.loader import Destination, DumpStream, load
from backups.loading.problems import NotADump
from backups.loading.progress import Loading
from backups.validators import repository_url
from tests.backups.worlds import client_dir, make_shop
from tests.hostile import HostileServer, ask_for_file
from tests.servers import DatabaseServer

SECRET = "of this machine alone"


@pytest.fixture
def our_file(tmp_path: Path) -> Path:
    """A file that nobody is to have."""
    file = tmp_path / "ours.txt"
    file.write_text(SECRET)
    return file


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
    """Neither from the driver, also where it loads, nor from the flavour's own dump program."""
    with HostileServer(ask_for_file(str(our_file))) as rogue:
        server, info, programs = access_to(db_server, port=rogue.port)

        with pytest.raises(Problem), mysql.connect(server):
            pass
        assert rogue.statements
        rogue.statements.clear()
        with pytest.raises(Problem):
            stream_dump(mysql.DumpSource(server, info, programs, "shop"), Outlet(Digester()))
        assert rogue.statements
        rogue.statements.clear()
        with pytest.raises(Problem), mysql.loading_connections(server, "shop", 1):
            pass
        assert rogue.statements
    assert SECRET.encode() not in rogue.heard


# ---------------------------------------------------------------- A snapshot that gives orders

# What whoever can write to the repository could put into a dump for a client that would load it.
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


# On MySQL what its client would do by another word, and what it would not.
@pytest.mark.parametrize(
    "order",
    [
        each
        if each in ("runs a program", "reads a file", "in a comment of MariaDB")
        else pytest.param(each, marks=pytest.mark.one_flavour("mariadb"))
        for each in ORDERS
    ],
)
def test_a_dump_gives_this_machine_no_orders(db_server: DatabaseServer, our_file: Path, order: str) -> None:
    """Neither where it is read, nor where a statement of it came as far as to the server."""
    server, info, _ = access_to(db_server)
    db_server.query("SET GLOBAL local_infile = 1")  # the server's own leave, which MySQL's does not give
    shop = make_shop(db_server, "CREATE TABLE took (what TEXT);")
    mark, script = our_file.parent / "mark", our_file.parent / "script.sql"
    script.write_text(f"INSERT INTO `{shop.name}`.took VALUES ('{SECRET}');\n")
    text = ORDERS[order].format(ours=our_file, mark=mark, script=script)
    dump = our_file.parent / "dump.sql"
    dump.write_text(text + "\n")

    # To MySQL a comment of MariaDB's is any other: there is nothing to refuse.
    is_comment = db_server.flavour == "mysql" and text.startswith("/*M!")
    with (
        nullcontext() if is_comment else pytest.raises(NotADump),
        process.child(process.Program(["/bin/cat", str(dump)], {}), stdout=process.PIPE) as source,
    ):
        destination = Destination(server, info, LoadOptions(shop.name, source=shop.name))
        load(DumpStream(source, gzip=False), destination, Loading(), tick=lambda: None)
    with mysql.loading_connections(server, shop.name, 1) as (connection,), suppress(MySQLdb.Error):
        connection.run(text.encode())

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
    restic.call(access, restic.Command(restic.init_args(), "making it"))
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
            restic.call(access, restic.Command(args, "trying", deadline=30))
    assert not (tmp_path / "mark").exists()
