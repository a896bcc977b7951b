"""The servers' own client programs: which of them fit, and their arguments."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from backups import at_first_use, process
from backups.mysql.connection import VERIFYING
from backups.mysql.problems import MySQLProblem
from backups.mysql.server import MARIADB, MYSQL, Server, ServerInfo, version_number
from backups.mysql.session import BEGIN_DUMPING
from backups.text.sentences import phrase


class Clients(NamedTuple):
    """The client programs that fit a server: one, which dumps. `before_dump` stands before its arguments.

    `options` are those that it lists, without dashes; empty where it lists none.
    """

    dump: str
    flavour: str
    version: str
    before_dump: tuple[str, ...] = ()
    options: frozenset[str] = frozenset()

    @property
    def number(self) -> tuple[int, ...]:
        """The version for comparison."""
        return version_number(self.version)

    def knows(self, option: str, *, since: tuple[int, ...]) -> bool:
        """Whether it has an option; by its version, from `since` on, where it does not list them."""
        return option in self.options if self.options else self.number >= since

    @property
    def takes_init_command(self) -> bool:
        """Whether it can be told how to begin its session, as MySQL's newer ones can: by its list alone."""
        return "init-command" in self.options

    def __str__(self) -> str:
        return f"{self.flavour} {self.version}"


@dataclass(frozen=True)
class ProbedServer:
    """A server that was asked what it is, with the client programs that fit it."""

    server: Server
    info: ServerInfo
    programs: Clients


@dataclass(frozen=True)
class DumpSource(ProbedServer):
    """A database on such a server, and what of it is dumped: all, unless something else is said.

    With `tables_only` without its events and routines, `without_routines` without the latter; `leave_out` are
    tables, views and sequences. `only` are tables, where nothing else is dumped. `tells_position` has
    MariaDB's program tell the place in the binary log in comments, see dumpfile.master_data.
    """

    database: str
    structure_only: bool = False
    tables_only: bool = False
    without_routines: bool = False
    leave_out: Sequence[str] = ()
    only: Sequence[str] = ()
    tells_position: bool = False


def client_warnings(info: ServerInfo, programs: Clients) -> list[str]:
    """What may go wrong with this client on this server."""
    if programs.number >= info.number[:2]:
        return []
    server = ".".join(map(str, info.number))
    return [
        phrase(
            "The client ({version}) is older than the server ({server}): it may not know all features.",
            version=programs.version,
            server=server,
        )
    ]


def clients(server: ServerInfo, folder: str = "", notes: str = "") -> Clients:
    """The flavour's own dump program, from `folder`: one, or several separated by colons.

    What programs say of themselves is kept in the folder `notes`, for as long as they are the same.
    Raises MySQLProblem where there are none, or the other flavour's alone.
    """
    strange = None
    for place in process.program_folders(folder):
        dump = process.find_program(*_DUMP_NAMES[server.flavour], folder=place)
        if not dump:
            continue
        found = _known(dump, notes) or _looked_at(dump, notes)
        if found.flavour == server.flavour:
            return found
        strange = strange or found
    # In the place of the other flavour's it would stop the backups of that one.
    name = (
        phrase("add its folder to MYSQL_CLIENT_DIR, behind a colon")
        if folder
        else phrase("name its folder in MYSQL_CLIENT_DIR")
    )
    raise MySQLProblem(
        _why_not(server, strange, folder),
        code="mysql.no_client",
        do=phrase(
            "Install {flavour}'s own {dump_names}, or {name}.",
            flavour=server.flavour,
            dump_names=_DUMP_NAMES[server.flavour][0],
            name=name,
        ),
    )


def _why_not(server: ServerInfo, strange: Clients | None, folder: str) -> str:
    place = phrase("in {folder}", folder=folder) if folder else phrase("on this machine")
    other = MYSQL if server.flavour == MARIADB else MARIADB
    if strange is None and not process.find_program(_DUMP_NAMES[other][0], folder=folder):
        return phrase(
            "No client programs for {flavour} are installed {place}.", flavour=server.flavour, place=place
        )
    return phrase(
        "The server is {server}, but all client programs {place} are {other}'s. They {unfit}.",
        server=server,
        place=place,
        other=other,
        unfit=_UNFIT[server.flavour],
    )


_DUMP_NAMES = {MARIADB: ("mariadb-dump", "mysqldump"), MYSQL: ("mysqldump",)}
# Seen with MariaDB's 10.11 and 11.8 on MySQL 9.7, and with MySQL's 9.7 on MariaDB 10.11. No option helps.
_UNFIT = {
    MYSQL: phrase("write a dump of MySQL that MySQL does not take back (values of generated columns)"),
    MARIADB: phrase("cannot log in to MariaDB and know nothing of its sequences and packages"),
}


def _before_dump(program: str) -> tuple[str, ...]:
    """coreutils' stdbuf, where it is there and this program starts with it and has no complaint.

    A dump program writes 4 KB at a time to a pipe, on which two programs spend an eighth of all the
    processor time of a backup.
    """
    before = _buffering(*_stdbuf())
    if not before:
        return ()
    try:
        tried = process.run(
            process.Program([*before, program, "--version"], client_environment()), deadline=10
        )
    except (process.NotInstalled, process.DeadlineExceeded):
        return ()
    return () if tried.returncode or tried.stderr_tail else before


# Nothing by which a client program would find options, log in otherwise or write otherwise: no HOME, where
# it looks for option files and login paths, no name of its own, no language and no time zone.
_SEEN_BY_CLIENTS = ("PATH", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")


def client_environment() -> dict[str, str]:
    """What a client program gets to see of our environment."""
    seen = process.base_environment()
    return {name: seen[name] for name in _SEEN_BY_CLIENTS if name in seen}


_QUESTION = "dump program"


def _known(program: str, notes: str) -> Clients | None:
    """A dump program as it was when it was looked at, where neither it nor stdbuf is another by now."""
    kept = process.said_before(notes, f"{_QUESTION} {program}", program, *_stdbuf())
    try:
        options = frozenset(map(str, kept["options"]))
        before = _buffering(*_stdbuf()) if kept["buffers"] is True else ()
        found = Clients(program, str(kept["flavour"]), str(kept["version"]), before, options)
    except (KeyError, TypeError):
        return None
    return found if found.flavour in _DUMP_NAMES else None


def _stdbuf() -> tuple[str, ...]:
    found = process.find_program("stdbuf")
    return (found,) if found else ()


def _buffering(stdbuf: str = "") -> tuple[str, ...]:
    return (stdbuf, "--output=256K") if stdbuf else ()


def _looked_at(program: str, notes: str) -> Clients:
    """A dump program, told by what it can do: Debian's `mysqldump` is MariaDB's under another name.

    By its own word where it does not list its options. Raises MySQLProblem.
    """
    options = frozenset(_OPTION.findall(_said(program, "--no-defaults", "--help")))
    said = _said(program, "--version")
    flavour = MARIADB if "mariadb" in said.lower() else MYSQL
    if options & _ONLY_MYSQLS:
        flavour = MYSQL
    elif options & _ONLY_MARIADBS:
        flavour = MARIADB
    found = re.search(r"(?:Distrib|from|Ver) (\d+\.\d+\.\d+)", said.replace("Ver 10.19 ", ""))
    looked = Clients(program, flavour, found[1] if found else "0", _before_dump(program), options)
    to_keep = {
        "flavour": looked.flavour, "version": looked.version, "options": sorted(options),
        "buffers": bool(looked.before_dump),
    }  # fmt: skip
    process.keep_said(notes, f"{_QUESTION} {program}", to_keep, program, *_stdbuf())
    return looked


_OPTION = at_first_use.pattern(r"^ +(?:-\S, )?--([a-z0-9-]+)", re.M)
_ONLY_MYSQLS = frozenset({"set-gtid-purged"})
_ONLY_MARIADBS = frozenset({"gtid", "system", "dump-history"})


def _said(program: str, *arguments: str) -> str:
    try:
        answer = process.run(process.Program([program, *arguments], client_environment()), deadline=10)
    except (process.NotInstalled, process.DeadlineExceeded) as error:
        raise MySQLProblem(
            phrase("{program} does not say its version: {error}.", program=program, error=error),
            code="mysql.client_without_version",
        ) from None
    return answer.stdout.decode(errors="replace")


def option_file(server: Server) -> bytes:
    """The clients' option file, which alone carries the password.

    Quoting as in https://dev.mysql.com/doc/refman/8.4/en/option-files.html
    """
    escaped = server.password.replace("\\", "\\\\").replace('"', '\\"')
    for plain, escape in (("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        escaped = escaped.replace(plain, escape)
    return f'[client]\npassword="{escaped}"\n'.encode()


def connection_args(
    server: Server, programs: Clients, option_file_path: str, methods: str = ""
) -> tuple[str, ...]:
    """What every client is told: the option file first, as they demand. `methods` as for `dump_args`."""
    args = [
        f"--defaults-file={option_file_path}",
        *(
            ["--protocol=SOCKET", f"--socket={server.socket}"]
            if server.socket
            else [f"--host={server.tcp_host}", f"--port={server.port}"]
        ),
        f"--user={server.user}",
        "--default-character-set=utf8mb4",
        *_tls_args(server, programs),
        *([f"--plugin-dir={methods}"] if methods else []),
    ]
    return tuple(args)


def _tls_args(server: Server, programs: Clients) -> list[str]:
    """--ssl-mode, and what comes closest to it for MariaDB's clients, which do not have it."""
    authority = [f"--ssl-ca={server.ssl_ca}"] if server.ssl_mode in VERIFYING else []
    if programs.flavour == MYSQL:
        # caching_sha2_password asks for the server's key where neither TLS nor its cache helps.
        may_ask = programs.knows("get-server-public-key", since=(8,))
        asks = server.ssl_mode in ("DISABLED", "PREFERRED") and may_ask
        key = ["--get-server-public-key"] if asks else []
        return [f"--ssl-mode={server.ssl_mode}", *authority, *key]
    if server.ssl_mode == "DISABLED":
        return ["--skip-ssl"]
    if authority:
        return ["--ssl", "--ssl-verify-server-cert", *authority]
    # A wish and not a demand, see methods.must_be_held_to_tls; from 11.4 they refuse what they cannot verify.
    return ["--ssl", "--skip-ssl-verify-server-cert"]


def keeps_history(info: ServerInfo, programs: Clients) -> bool:
    """Whether the history of system-versioned tables can be dumped with them."""
    since = (10, 11)
    return info.flavour == MARIADB and info.number >= since and programs.knows("dump-history", since=since)


def dump_args(
    source: DumpSource,
    *,
    option_file_path: str,
    with_history: bool = True,
    aloud: bool = False,
    methods: str = "",
) -> tuple[str, ...]:
    """A whole, consistent dump of the source.

    `with_history` asks for what system-versioned tables held before, where the program can.
    `aloud` has the program say on standard error where it is. `methods` is the folder out of which it loads
    methods to log in by; empty is its own.
    """
    programs = source.programs
    args = [
        *programs.before_dump,
        programs.dump,
        *connection_args(source.server, programs, option_file_path, methods),
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
    if programs.takes_init_command:
        args.append(f"--init-command={BEGIN_DUMPING}")
    if programs.flavour == MYSQL:
        args.append("--set-gtid-purged=OFF")
        if programs.knows("column-statistics", since=(8,)):
            args.append("--column-statistics=0")
    elif with_history and not source.structure_only and keeps_history(source.info, programs):
        args.append("--dump-history")
    if source.structure_only:
        args.append("--no-data")
    if source.tells_position:
        args.append("--master-data=2")
    if aloud:
        args.append("--verbose")
    if not source.tables_only and not source.only:
        args += ["--events"] if source.without_routines else ["--routines", "--events"]
    args += [f"--ignore-table={source.database}.{name}" for name in source.leave_out]
    return (*args, "--", source.database, *source.only)
