"""The servers' own client programs: which of them fit, and their arguments."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from backups import process
from backups.mysql.connection import VERIFYING
from backups.mysql.problems import MySQLProblem
from backups.mysql.server import MARIADB, MYSQL, Server, ServerInfo, version_number


@dataclass(frozen=True)
class Clients:
    """The client programs that fit a server: one, which dumps. `before_dump` stands before its arguments."""

    dump: str
    flavour: str
    version: str
    before_dump: tuple[str, ...] = ()

    @property
    def number(self) -> tuple[int, ...]:
        """The version for comparison."""
        return version_number(self.version)

    def __str__(self) -> str:
        return f"{self.flavour} {self.version}"


def client_warnings(info: ServerInfo, programs: Clients) -> list[str]:
    """What may go wrong with this client on this server."""
    if programs.number >= info.number[:2]:
        return []
    server = ".".join(map(str, info.number))
    return [
        f"The client ({programs.version}) is older than the server ({server}): it may not know all features."
    ]


def clients(server: ServerInfo, folder: str = "") -> Clients:
    """The flavour's own dump program, from `folder`: one, or several separated by colons.

    Raises MySQLProblem where there are none, or the other flavour's alone.
    """
    strange = None
    for place in process.program_folders(folder):
        dump = process.find_program(*_DUMP_NAMES[server.flavour], folder=place)
        if not dump:
            continue
        # By its own word: Debian's `mysqldump` is MariaDB's under another name.
        flavour, _, version = client_version(dump).partition(" ")
        found = Clients(dump, flavour, version, _before_dump(dump))
        if flavour == server.flavour:
            return found
        strange = strange or found
    raise MySQLProblem(
        _why_not(server, strange, folder),
        do=f"Install {server.flavour}'s own {_DUMP_NAMES[server.flavour][0]}, or name its folder in "
        "MYSQL_CLIENT_DIR.",
    )


def _why_not(server: ServerInfo, strange: Clients | None, folder: str) -> str:
    place = f"in {folder}" if folder else "on this machine"
    other = MYSQL if server.flavour == MARIADB else MARIADB
    if strange is None and not process.find_program(_DUMP_NAMES[other][0], folder=folder):
        return f"No client programs for {server.flavour} are installed {place}."
    return (
        f"The server is {server}, and the client programs {place} are {other}'s alone, which "
        f"{_UNFIT[server.flavour]}."
    )


_DUMP_NAMES = {MARIADB: ("mariadb-dump", "mysqldump"), MYSQL: ("mysqldump",)}
# Seen with MariaDB's 10.11 and 11.8 on MySQL 9.7, and with MySQL's 9.7 on MariaDB 10.11. No option helps.
_UNFIT = {
    MYSQL: "write a dump of MySQL that MySQL does not take back (values of generated columns)",
    MARIADB: "cannot log in to MariaDB and know nothing of its sequences and packages",
}


def _before_dump(program: str) -> tuple[str, ...]:
    """coreutils' stdbuf, where it is there and this program starts with it and has no complaint.

    A dump program writes 4 KB at a time to a pipe, on which two programs spend an eighth of all the
    processor time of a backup.
    """
    stdbuf = process.find_program("stdbuf")
    if stdbuf is None:
        return ()
    before = (stdbuf, "--output=256K")
    try:
        tried = process.run([*before, program, "--version"], env=client_environment(), deadline=10)
    except (process.NotInstalled, process.DeadlineExceeded):
        return ()
    return () if tried.returncode or tried.stderr_tail else before


def client_environment() -> dict[str, str]:
    """What a client program gets to see. Without HOME, where it would find ~/.mylogin.cnf."""
    return {name: value for name, value in process.base_environment().items() if name != "HOME"}


def client_version(program: str) -> str:
    """Flavour and version of a client program, as in "MariaDB 10.11.19". Raises MySQLProblem."""
    try:
        answer = process.run([program, "--version"], env=client_environment(), deadline=10)
    except (process.NotInstalled, process.DeadlineExceeded) as error:
        raise MySQLProblem(f"{program} does not say its version: {error}.") from None
    text = answer.stdout.decode(errors="replace")
    flavour = MARIADB if "mariadb" in text.lower() else MYSQL
    found = re.search(r"(?:Distrib|from|Ver) (\d+\.\d+\.\d+)", text.replace("Ver 10.19 ", ""))
    return f"{flavour} {found[1] if found else '0'}"


def option_file(server: Server) -> bytes:
    """The clients' option file, which alone carries the password.

    Quoting as in https://dev.mysql.com/doc/refman/8.4/en/option-files.html
    """
    escaped = server.password.replace("\\", "\\\\").replace('"', '\\"')
    for plain, escape in (("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        escaped = escaped.replace(plain, escape)
    return f'[client]\npassword="{escaped}"\n'.encode()


def connection_args(server: Server, programs: Clients, option_file_path: str) -> tuple[str, ...]:
    """What every client is told: the option file first, as they demand."""
    args = [
        f"--defaults-file={option_file_path}",
        f"--host={server.host}",
        f"--port={server.port}",
        f"--user={server.user}",
        "--default-character-set=utf8mb4",
        *_tls_args(server, programs),
    ]
    return tuple(args)


def _tls_args(server: Server, programs: Clients) -> list[str]:
    """--ssl-mode, and what comes closest to it for MariaDB's clients, which do not have it."""
    authority = [f"--ssl-ca={server.ssl_ca}"] if server.ssl_mode in VERIFYING else []
    if programs.flavour == MYSQL:
        # caching_sha2_password asks for the server's key where neither TLS nor its cache helps.
        asks = server.ssl_mode in ("DISABLED", "PREFERRED") and programs.number >= (8,)
        key = ["--get-server-public-key"] if asks else []
        return [f"--ssl-mode={server.ssl_mode}", *authority, *key]
    if server.ssl_mode == "DISABLED":
        return ["--skip-ssl"]
    if authority:
        return ["--ssl", "--ssl-verify-server-cert", *authority]
    # A wish and not a demand, see refuse_plaintext; from 11.4 they refuse what they cannot verify.
    return ["--ssl", "--skip-ssl-verify-server-cert"]


def dump_args(
    server: Server,
    database: str,
    *,
    info: ServerInfo,
    programs: Clients,
    option_file_path: str,
    structure_only: bool = False,
    tables_only: bool = False,
    leave_out: Sequence[str] = (),
    aloud: bool = False,
) -> tuple[str, ...]:
    """A whole, consistent dump of one database.

    With `tables_only` without its events and routines; `leave_out` are tables, views and sequences.
    `aloud` has the program say on standard error where it is.
    """
    args = [
        *programs.before_dump,
        programs.dump,
        *connection_args(server, programs, option_file_path),
        "--single-transaction",
        "--quick",
        "--triggers",
        "--skip-dump-date",
        "--no-tablespaces",
        # Otherwise the optimizer may choose another index, and another order, each time.
        "--order-by-primary",
        # MariaDB's would keep a table's own DEFAULT nextval(…) from being loaded.
        "--skip-add-locks",
        "--max-allowed-packet=1G",
    ]
    if programs.flavour == MYSQL:
        args.append("--set-gtid-purged=OFF")
        if programs.number >= (8,):
            args.append("--column-statistics=0")
    elif info.flavour == MARIADB and not structure_only and min(info.number, programs.number) >= (10, 11):
        args.append("--dump-history")
    if structure_only:
        args.append("--no-data")
    if aloud:
        args.append("--verbose")
    if not tables_only:
        args += ["--routines", "--events"]
    args += [f"--ignore-table={database}.{name}" for name in leave_out]
    return (*args, "--", database)
