"""Nothing in option files, login paths or the environment changes what a dump holds, by really setting it.

Each row of docs/configuration.md's list: the programs look where they look, find it there, and a
dump of ours is the same all the same.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from backups import mysql, process, restic
from backups.dumping.order import Order, Report
from backups.dumping.program import command
from tests.backups.conftest import MakePortal
from tests.backups.worlds import PROJECT, Shop, client_dir

# Each leaves something out, or writes it otherwise.
TRAP = """\
[client]
default-character-set = latin1
[client_trap]
host = 192.0.2.1
[mysqldump]
where = "1=0"
no-data
replace
compatible = ansi
skip-triggers
ignore-table = {shop}.orders
[mariadb-dump]
where = "1=0"
no-data
replace
skip-triggers
ignore-table = {shop}.orders
"""
# What MariaDB's and MySQL's programs and libraries read, and what makes a program write otherwise.
SET = {
    "MYSQL_PWD": "not the password",
    "MYSQL_UNIX_PORT": "/nonexistent/other.sock",
    "MARIADB_UNIX_PORT": "/nonexistent/other.sock",
    "MYSQL_TCP_PORT": "1",
    "MYSQL_GROUP_SUFFIX": "_trap",
    "MARIADB_GROUP_SUFFIX": "_trap",
    "MYSQL_HISTFILE": "{folder}/history",
    "MARIADB_HISTFILE": "{folder}/history",
    "MYSQL_DEBUG": "d:t:O,{folder}/trace",
    "LIBMYSQL_PLUGINS": "no_such_plugin",
    "LIBMYSQL_PLUGIN_DIR": "/nonexistent",
    "MARIADB_PLUGIN_DIR": "/nonexistent",
    "LIBMYSQL_ENABLE_CLEARTEXT_PLUGIN": "1",
    "LD_LIBRARY_PATH": "/nonexistent",
    "LD_PRELOAD": "/nonexistent/trap.so",
    "TZ": "Asia/Kathmandu",
    "LANG": "tr_TR.ISO-8859-9",
    "LC_ALL": "tr_TR.ISO-8859-9",
    "LC_NUMERIC": "de_DE.UTF-8",
    "GZIP": "-1",
    "POSIXLY_CORRECT": "1",
}
# In which an option file lies, by how it is told where that is.
FOLDERS = {"HOME": ".my.cnf", "MYSQL_HOME": "my.cnf", "MARIADB_HOME": "my.cnf"}
LOGIN = "MYSQL_TEST_LOGIN_FILE"
ETC = "/etc/mysql"
may_cover = pytest.mark.skipif(
    not shutil.which("unshare")
    or subprocess.run(["unshare", "--mount", "true"], check=False).returncode != 0,
    reason="option files of the machine can be covered by an administrator alone",
)


def test_client_programs_see_of_the_environment_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*SET, *FOLDERS, LOGIN, "MYSQL_HOST", "MYSQL_PASSWORD", "SSL_CERT_FILE", "TMPDIR"):
        monkeypatch.setenv(name, "set")

    assert mysql.client_environment().keys() <= {"PATH", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"}


@pytest.mark.one_flavour("mariadb")
@may_cover
def test_all_of_them_at_once_change_no_byte_of_a_dump(shop: Shop, tmp_path: Path) -> None:
    places, environment = traps(shop, tmp_path, [*FOLDERS, LOGIN, ETC, *SET])

    wanted = dumped(shop, {}, {})
    assert b"INSERT INTO `orders`" in wanted
    assert dumped(shop, places, environment) == wanted

    # The trap is one: a program that is not kept from it leaves the rows out.
    assert b"INSERT INTO `orders`" in natively(shop, {}, {})
    assert b"`orders`" not in natively(shop, places, {})
    assert not list(tmp_path.glob("trace*"))


@pytest.mark.soak
@may_cover
@pytest.mark.parametrize("name", [*FOLDERS, LOGIN, ETC, *SET])
def test_each_of_them_changes_nothing(name: str, shop: Shop, make_portal: MakePortal, tmp_path: Path) -> None:
    portal = make_portal(shop)
    wanted = portal.backup().json["sha256"]
    places, environment = traps(shop, tmp_path, [name])

    seen = {**os.environ, **portal.environment, **environment}
    for words in (["preflight"], ["backup", "--json"]):
        ran = seeing(places, [sys.executable, "manage.py", *words], seen)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "backup" not in words or f'"sha256": "{wanted}"'.encode() in ran.stdout
    if name in (*FOLDERS, LOGIN) and looks_there(name, shop):
        assert b"`orders`" not in natively(shop, {}, environment)


def looks_there(name: str, shop: Shop) -> bool:
    """Which programs look where: no dump program goes by MYSQL_HOME, and MariaDB's by no login path."""
    return name == "HOME" or (name == LOGIN and shop.server.flavour == "mysql")


def traps(shop: Shop, folder: Path, names: Sequence[str]) -> tuple[dict[str, Path], dict[str, str]]:
    """Option files that are laid where these names say: folders of the machine to cover, what to set."""
    options = TRAP.format(shop=shop.name)
    places, environment = {}, {}
    for name in names:
        if name == ETC:
            places[ETC] = folder / "etc"
            places[ETC].mkdir()
            (places[ETC] / "my.cnf").write_text(options)
        elif name == LOGIN:
            environment[LOGIN] = str(login_file(folder / "login.cnf", options))
        elif name in FOLDERS:
            place = folder / name.lower()
            place.mkdir()
            (place / FOLDERS[name]).write_text(options)
            environment[name] = str(place)
        else:
            environment[name] = SET[name].format(folder=folder)
    return places, environment


def login_file(path: Path, options: str) -> Path:
    """A login path file, obfuscated as MySQL's programs read it: each line under a key beside it."""
    key = bytes(range(20))
    folded = bytearray(16)
    for at, byte in enumerate(key):
        folded[at % 16] ^= byte
    content = b"\0\0\0\0" + key
    for line in options.splitlines(keepends=True):
        padder = padding.PKCS7(128).padder()
        padded = padder.update(line.encode()) + padder.finalize()
        encryptor = Cipher(algorithms.AES(bytes(folded)), modes.ECB()).encryptor()  # noqa: S305
        content += struct.pack("<i", len(padded)) + encryptor.update(padded) + encryptor.finalize()
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def seeing(
    places: Mapping[str, Path],
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    pass_fds: Sequence[int] = (),
) -> subprocess.CompletedProcess[bytes]:
    """Run a command that sees other folders in the place of the machine's."""
    script = "".join(f'mount --bind "{own}" "{there}" && ' for there, own in places.items())
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", f'{script}exec "$@"', "sh", *command],
        cwd=PROJECT, env=environment, capture_output=True, check=False, timeout=120, pass_fds=pass_fds,
    )  # fmt: skip


def dumped(shop: Shop, places: Mapping[str, Path], environment: Mapping[str, str]) -> bytes:
    """What restic would be given, started in such an environment: the dump up to its manifest."""
    server = mysql.Server(shop.server.host, shop.server.port, shop.user, shop.password)
    order_fd = process.secret_fd(Order(server, shop.name, client_dir(shop.server)).as_json())
    report_fd = process.secret_fd(b"")
    with patch.dict(os.environ, environment):
        seen = restic.Access("restic", "/r", "").environment()
    try:
        done = seeing(places, command(order_fd, report_fd, iter(())), seen, [order_fd, report_fd])
        assert done.returncode == 0, (Report(report_fd).read(), done.stderr)
    finally:
        os.close(order_fd)
        os.close(report_fd)
    return done.stdout.partition(b"\n-- Vedetta manifest")[0]


def natively(shop: Shop, places: Mapping[str, Path], environment: Mapping[str, str]) -> bytes:
    """What the flavour's own dump program writes where nobody keeps it from anything."""
    server = shop.server
    program = server.client_dir / {"mariadb": "mariadb-dump", "mysql": "mysqldump"}[server.flavour]
    args = [f"--host={server.host}", f"--port={server.port}", f"--user={server.user}", shop.name]
    seen = {"PATH": os.environ["PATH"], "MYSQL_PWD": server.password, **environment}
    return seeing(places, [program, *args], seen).stdout
