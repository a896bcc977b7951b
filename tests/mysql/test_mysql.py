"""Argument lists and sentences of the MySQL side, and the option file on the real clients."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import MySQLdb
import pytest
from MySQLdb.constants import ER
from pytest_django.fixtures import Settings

from backups import endpoints, mysql, process
from backups.actions.steps import checks, server_checks
from backups.errors import Problem
from backups.models import Database, Server
from backups.mysql.connection import connect_options
from backups.mysql.error_numbers import problem_from_number
from tests.backups.conftest import MakeDatabase, MakePortal
from tests.backups.worlds import Shop, client_dir
from tests.servers import DatabaseServer

SERVER = mysql.Server("db.example.com", 3307, "dump", "pass'word")
MARIADB = mysql.ServerInfo("MariaDB", "10.11.19-MariaDB-deb12")
MYSQL = mysql.ServerInfo("MySQL", "9.7.4")
COMMON = (
    "--single-transaction --quick --triggers --skip-dump-date --no-tablespaces"
    " --order-by-primary --skip-add-locks --max-allowed-packet=1G"
)
OF_ALL = "--routines --events -- shop"
CONNECTION = (
    "--defaults-file=/dev/fd/9 --host=db.example.com --port=3307 --user=dump --default-character-set=utf8mb4"
)
UNVERIFIED = "--ssl --skip-ssl-verify-server-cert"
PREFERRED_8 = "--ssl-mode=PREFERRED --get-server-public-key"
SINCE_8 = "--set-gtid-purged=OFF --column-statistics=0"
PASSWORDS = [
    "plain",
    " blanks at both ends ",
    "back\\slash\\",
    'double " quote',
    "single ' quote",
    "# hash; semicolon",
    "[client]\nuser=root",
    "tab\there",
    "carriage\rreturn",
    "größe ☂",
    "%s $HOME `id` \\n \\t \\s",
    "=equals=",
]


@pytest.mark.parametrize(
    ("info", "clients", "wanted"),
    [
        (
            MARIADB,
            mysql.Clients("/bin/mariadb-dump", "MariaDB", "10.11.19"),
            f"/bin/mariadb-dump {CONNECTION} {UNVERIFIED} {COMMON} --dump-history {OF_ALL}",
        ),
        (
            MARIADB,
            mysql.Clients("/bin/mariadb-dump", "MariaDB", "10.6.1"),
            f"/bin/mariadb-dump {CONNECTION} {UNVERIFIED} {COMMON} {OF_ALL}",
        ),
        (
            MARIADB,
            mysql.Clients("/bin/mariadb-dump", "MariaDB", "10.6.1", ("stdbuf", "-o1M")),
            f"stdbuf -o1M /bin/mariadb-dump {CONNECTION} {UNVERIFIED} {COMMON} {OF_ALL}",
        ),
        (
            MYSQL,
            mysql.Clients("/bin/mysqldump", "MySQL", "9.7.4"),
            f"/bin/mysqldump {CONNECTION} {PREFERRED_8} {COMMON} {SINCE_8} {OF_ALL}",
        ),
        (
            MYSQL,
            mysql.Clients("/bin/mysqldump", "MySQL", "5.7.44"),
            f"/bin/mysqldump {CONNECTION} --ssl-mode=PREFERRED {COMMON} --set-gtid-purged=OFF {OF_ALL}",
        ),
    ],
    ids=["mariadb", "older-mariadb", "mariadb-buffered", "mysql", "older-mysql"],
)
def test_dump_is_told_this_and_nothing_else(
    info: mysql.ServerInfo, clients: mysql.Clients, wanted: str
) -> None:
    source = mysql.DumpSource(SERVER, info, clients, "shop")

    args = mysql.dump_args(source, option_file_path="/dev/fd/9")

    assert args == tuple(wanted.split(" "))


def test_dump_of_some_tables_leaves_out_the_others_and_what_is_of_no_table() -> None:
    clients = mysql.Clients("/bin/mariadb-dump", "MariaDB", "10.6.1")

    source = mysql.DumpSource(SERVER, MARIADB, clients, "shop", tables_only=True, leave_out=["a view", "-t"])

    args = mysql.dump_args(source, option_file_path="/dev/fd/9")

    assert args[-4:] == ("--ignore-table=shop.a view", "--ignore-table=shop.-t", "--", "shop")
    assert not {"--routines", "--events"} & set(args)


@pytest.mark.one_flavour("mysql")
@pytest.mark.parametrize("password", PASSWORDS)
def test_password_of_any_characters_reaches_the_server(db_server: DatabaseServer, password: str) -> None:
    db_server.create_user("quoting", password)
    server = mysql.Server(db_server.host, db_server.port, "quoting", password)
    with mysql.connect(server) as connection:
        clients = mysql.clients(mysql.probe(connection), client_dir(db_server))
    fd = process.secret_fd(mysql.option_file(server))
    try:
        done = subprocess.run(
            [
                db_server.client_dir / db_server.flavour,
                *mysql.connection_args(server, clients, f"/dev/fd/{fd}"),
                "-e",
                "SELECT 'inside'",
            ],
            pass_fds=[fd],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        os.close(fd)

    assert "inside" in done.stdout, done.stderr


LOST = "2013: Lost connection to server during query when dumping table `t` at row: 5"
NO_EVENT = "Couldn't execute 'show events': Access denied for user 'u'@'%' to database 'd' (1044)"
MARKED = "1194: Table 'b' is marked as crashed and should be repaired"
MISSING = "Tablespace is missing for table `d`.`t`."
SHORT = "1030: Got error 175 - 'File too short; Expected more data in file'"


def damaged(table: str) -> tuple[type[Problem], str]:
    """How a damaged table of the database d is told."""
    return mysql.DamagedTable, f"The table {table} of d is damaged"


ENDS: list[tuple[str, int, type[Problem], str]] = [
    (f"mysqldump: Got error: {LOST}", 3, mysql.ServerGone, "was lost"),
    (f"mysqldump: Error {LOST}", 3, mysql.ServerGone, "was lost"),
    (
        "mariadb-dump: Error 1412: Table definition has changed",
        3,
        mysql.MySQLProblem,
        "was altered or dropped",
    ),
    ("mysqldump: Couldn't execute 'x': Table 'd.z9' doesn't exist (1146)", 2, mysql.MySQLProblem, "dropped"),
    ("Error in field count for table: `z9` !  Aborting.", 3, mysql.MySQLProblem, "was altered or dropped"),
    ("Got error: 1045: Access denied for user 'u'@'h'", 2, mysql.AccessDenied, "wrong user or password"),
    (f"mariadb-dump: {NO_EVENT}", 2, mysql.MySQLProblem, "grants"),
    (f"mariadb-dump: Error {MARKED} when dumping table `a ``b` at row: 0", 3, *damaged("a `b")),
    ("mysqldump: Couldn't execute 'show create table `t`': Table './d/t' is marked (145)", 2, *damaged("t")),
    (f"mysqldump: Couldn't execute 'show create table `t`': {MISSING} (1812)", 2, *damaged("t")),
    (f"mysqldump: Error {SHORT} from storage engine when dumping table `t` at row: 0", 3, *damaged("t")),
    ("x: Couldn't execute 'show fields': File './d/a@0020b.MYD' not found (29)", 2, *damaged("a b")),
    (
        "mysqldump: Error 2013: Lost connection when dumping table `t` at row: 7",
        3,
        mysql.ServerGone,
        "table t of d",
    ),
    (
        "mariadb-dump: Couldn't execute 'SELECT `id`, `ц` FROM `t`': Unknown column 'Ñ†' in 'SELECT' (1054)",
        2,
        mysql.OfTheServer,
        "Take skip-character-set-client-handshake out of its configuration",
    ),
    (
        "mariadb-dump: Couldn't execute 'SHOW FIELDS FROM `v ``1`': View 'd.v `1' references invalid (1356)",
        2,
        mysql.MySQLProblem,
        "Something that the view v `1 of d reads was altered, renamed or dropped while the dump ran",
    ),
    ("", -9, mysql.MySQLProblem, "killed by signal 9"),
    ("", 7, mysql.ServerGone, "connection to the database server at db.example.com:3307 may have been lost"),
    ("nobody expects this", 2, mysql.MySQLProblem, "nobody expects this"),
]


@pytest.mark.parametrize(("stderr", "code", "kind", "said"), ENDS)
def test_end_of_a_dump_program_is_named(stderr: str, code: int, kind: type[Problem], said: str) -> None:
    problem = mysql.dump_problem(stderr.splitlines(), code, SERVER, "d")

    assert isinstance(problem, kind)
    assert said in problem.sentence()


RUNS_WITH = "The server is running with the --{} option so it cannot execute this statement"


@pytest.mark.parametrize(
    ("code", "text", "do"),
    [
        (1290, RUNS_WITH.format("read-only"), "Use the server that can be written to"),
        (1290, RUNS_WITH.format("super-read-only"), "Use the server that can be written to"),
        (1290, RUNS_WITH.format("secure-timestamp=YES"), "Start the server with secure_timestamp=NO"),
        (1290, RUNS_WITH.format("max-session-mem-used=8192"), "Raise the server's max_session_mem_used"),
        (1290, RUNS_WITH.format("secure-file-priv"), "Take --secure-file-priv out of the server's conf"),
        (1290, "言語 (--event-scheduler=DISABLED)", "Take --event-scheduler out of the server's conf"),
        (199, "Initialization of encryption failed for ./d/t", "aria_encrypt_tables"),
        (
            1153,
            "Got a packet bigger than 'max_allowed_packet' bytes",
            "the server's max_allowed_packet",
        ),
    ],
)
def test_a_setting_of_the_servers_is_named_with_the_way_out(code: int, text: str, do: str) -> None:
    problem = problem_from_number(code, text, SERVER, "d")

    assert isinstance(problem, mysql.OfTheServer)
    assert do in problem.do


@pytest.mark.parametrize(
    ("length", "limit", "told"),
    [
        (100, 101, ""),
        (5_000_000, 0, ""),
        (
            2048,
            2048,
            "has 2048 bytes. The database server at db.example.com:3307 takes at most 2048 bytes",
        ),
        (3_000_000, 1 << 20, "SET GLOBAL max_allowed_packet = 4194304;"),
        (3_000_000, 1 << 20, "A statement has 3.0 MB. The"),
        ((1 << 22) - 1, 1 << 20, "SET GLOBAL max_allowed_packet = 8388608;"),
        ((1 << 30) - 100, 1 << 24, "SET GLOBAL max_allowed_packet = 1073741824;"),
        ((1 << 30) + 100, 1 << 30, "No server takes a statement this long."),
    ],
)
def test_a_statement_that_no_packet_holds_is_told_with_both_sizes(length: int, limit: int, told: str) -> None:
    if not told:
        mysql.refuse_too_long(length, limit, SERVER)
        return
    with pytest.raises(mysql.OfTheServer) as caught:
        mysql.refuse_too_long(length, limit, SERVER)

    assert told in caught.value.sentence()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("10.11.19-MariaDB-0+deb12u1-log", (10, 11, 19)),
        ("9.7.4", (9, 7, 4)),
        ("8.0", (8, 0)),
        ("5.5.5-10.6.1-MariaDB", (10, 6, 1)),
        ("unknown", ()),
    ],
)
def test_version_number_is_read(text: str, number: tuple[int, ...]) -> None:
    assert mysql.version_number(text) == number


def test_the_servers_own_client_is_chosen(db_server: DatabaseServer) -> None:
    with mysql.connect(_root(db_server)) as connection:
        info = mysql.probe(connection)
    clients = mysql.clients(info, client_dir(db_server))

    assert info.flavour == clients.flavour == {"mariadb": "MariaDB", "mysql": "MySQL"}[db_server.flavour]
    assert clients.number[:2] == info.number[:2]
    assert mysql.client_warnings(info, clients) == []


def test_dump_program_is_run_with_a_larger_buffer(db_server: DatabaseServer) -> None:
    assert _own_clients(db_server).before_dump == (shutil.which("stdbuf"), "--output=256K")


# As where a dump program brings a C library that is older than stdbuf's.
@pytest.mark.parametrize(
    "ends", ["echo 'ERROR: cannot be preloaded: ignored.' >&2; shift; exec \"$@\"", "exit 125"]
)
def test_larger_buffer_is_done_without_where_the_program_does_not_take_it(
    db_server: DatabaseServer, ends: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdbuf = tmp_path / "stdbuf"
    stdbuf.write_text(f"#!/bin/sh\n{ends}\n")
    stdbuf.chmod(0o755)
    # Looked for beside this Python first, then on the PATH.
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))

    assert _own_clients(db_server).before_dump == ()


def _own_clients(db_server: DatabaseServer) -> mysql.Clients:
    with mysql.connect(_root(db_server)) as connection:
        return mysql.clients(mysql.probe(connection), client_dir(db_server))


def test_a_folder_without_clients_is_a_sentence(db_server: DatabaseServer) -> None:
    with mysql.connect(_root(db_server)) as connection:
        info = mysql.probe(connection)

    with pytest.raises(mysql.MySQLProblem, match="No client programs"):
        mysql.clients(info, "/nowhere")


TLS = [
    ("MariaDB", "10.11.19", "DISABLED", "--skip-ssl"),
    ("MariaDB", "11.8.9", "PREFERRED", UNVERIFIED),
    ("MariaDB", "11.8.9", "REQUIRED", UNVERIFIED),
    ("MariaDB", "11.8.9", "VERIFY_CA", "--ssl --ssl-verify-server-cert --ssl-ca=/ca.pem"),
    ("MariaDB", "11.8.9", "VERIFY_IDENTITY", "--ssl --ssl-verify-server-cert --ssl-ca=/ca.pem"),
    ("MySQL", "8.4.1", "DISABLED", "--ssl-mode=DISABLED --get-server-public-key"),
    ("MySQL", "8.4.1", "REQUIRED", "--ssl-mode=REQUIRED"),
    ("MySQL", "8.4.1", "VERIFY_CA", "--ssl-mode=VERIFY_CA --ssl-ca=/ca.pem"),
    ("MySQL", "8.4.1", "VERIFY_IDENTITY", "--ssl-mode=VERIFY_IDENTITY --ssl-ca=/ca.pem"),
]


@pytest.mark.parametrize(("flavour", "version", "mode", "wanted"), TLS)
def test_clients_are_told_of_tls(flavour: str, version: str, mode: str, wanted: str) -> None:
    server = replace(SERVER, ssl_mode=mode, ssl_ca="/ca.pem")
    programs = mysql.Clients("dump", flavour, version)

    args = mysql.connection_args(server, programs, "/dev/fd/9")

    assert args == tuple(f"{CONNECTION} {wanted}".split(" "))


def test_account_is_quoted_for_a_grant(db_server: DatabaseServer) -> None:
    db_server.execute("CREATE USER IF NOT EXISTS 'it''s'@'%' IDENTIFIED BY 'x'")
    with mysql.connect(mysql.Server(db_server.host, db_server.port, "it's", "x")) as connection:
        account = mysql.account(connection)

    assert account == "'it''s'@'%'"
    db_server.execute(f"GRANT USAGE ON *.* TO {account}")


def test_what_goes_over_a_network_in_the_clear_is_said(
    mariadb_shop: Shop, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make_database(mariadb_shop)

    def said() -> str:
        return server_checks.server_answers(database, checks.Found(), None)

    assert "not encrypted" not in said(), "it stays on this machine"
    monkeypatch.setattr(mysql.Server, "stays_here", False)
    assert "The connection is not encrypted" in said()
    monkeypatch.setattr(mysql, "is_encrypted", lambda _: True)
    assert "not encrypted" not in said()


def test_a_name_without_an_address_is_told_as_such() -> None:
    server = mysql.Server("no-such-host.invalid", 3306, "u", "p")
    with pytest.raises(mysql.ServerUnreachable) as raised, mysql.connect(server):
        pass
    assert raised.value.sentence() == (
        "No address is known here for the name of the database server, no-such-host.invalid. "
        "See whether this machine's DNS works, and check MYSQL_HOST and MYSQL_PORT."
    )


@pytest.mark.parametrize(
    ("of", "account", "address"),
    [
        ("first", "Check MYSQL_USER and MYSQL_PASSWORD.", "check MYSQL_HOST and MYSQL_PORT."),
        (
            "scratch",
            "Check VERIFY_MYSQL_USER and VERIFY_MYSQL_PASSWORD.",
            "check VERIFY_MYSQL_HOST and VERIFY_MYSQL_PORT.",
        ),
        (
            "further",
            "Check the user and password of server db:3306 in the portal.",
            "check the host and port of server db:3306 in the portal.",
        ),
    ],
)
def test_who_is_refused_or_gets_no_answer_is_told_where_that_was_set(
    mariadb_server: DatabaseServer,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    of: str,
    account: str,
    address: str,
) -> None:
    for name in ("MYSQL_PASSWORD", "VERIFY_MYSQL_PASSWORD"):
        monkeypatch.setenv(name, "wrong")
    settings.VERIFY_MYSQL_USER = "nobody"

    def asked(port: int) -> str:
        settings.VERIFY_MYSQL_HOST, settings.VERIFY_MYSQL_PORT = mariadb_server.host, port
        there = Server(name="db:3306", host=mariadb_server.host, port=port, user="nobody")
        row = Database(name="shop", server=there, is_primary=of != "further")
        server = endpoints.scratch_server(row) if of == "scratch" else endpoints.database_server(row)
        with pytest.raises(Problem) as raised, mysql.connect(server):
            pass
        return raised.value.sentence()

    assert account in asked(mariadb_server.port)
    assert address in asked(1)


def _root(server: DatabaseServer) -> mysql.Server:
    return mysql.Server(server.host, server.port, server.user, server.password)


@pytest.mark.parametrize(
    ("number", "text", "named", "do"),
    [
        (1049, "Unknown database 'shop'", "shop", "Check MYSQL_DATABASE"),
        (1049, "Unknown database 'library'", "library", "Make that database, or grant"),
        (
            1044,
            "Access denied for user 'dump'@'%' to database 'library'",
            "library",
            "Make that database, or grant",
        ),
    ],
)
def test_missing_database_is_the_one_that_the_server_names(
    number: int, text: str, named: str, do: str
) -> None:
    """A view of shop may read another one."""
    with pytest.raises(mysql.UnknownDatabase) as told, mysql.translated(SERVER, "shop"):
        raise MySQLdb.OperationalError(number, text)

    assert f"has no database '{named}' that user dump may see" in told.value.what
    assert told.value.do.startswith(do)


@pytest.mark.one_flavour("mariadb")
@pytest.mark.parametrize("charset", ["latin1", "sjis", "eucjpms", "binary"])
def test_a_remark_has_its_number_in_any_character_set(db_server: DatabaseServer, charset: str) -> None:
    """Python does not know all of them."""
    with mysql.loading_connections(_root(db_server), "mysql", 1) as (connection,):
        connection.run(f"SET character_set_client = {charset}, sql_mode = ''".encode())
        connection.run(b"DROP TABLE IF EXISTS not_there")

        assert len(connection.noted()) == 1
        assert 0 not in connection.noted()


def test_a_statement_holds_no_other(db_server: DatabaseServer) -> None:
    """A name or text that got out of its quotes would begin the next one; ours are one each."""
    with mysql.connect(_root(db_server)) as connection:
        with pytest.raises(MySQLdb.ProgrammingError) as refused:
            mysql.execute(connection, "SET @one = 1; SET @two = 2")
        assert refused.value.args[0] == ER.PARSE_ERROR


def test_an_error_in_another_character_set_ends_no_process(db_server: DatabaseServer) -> None:
    """The driver keeps a null pointer for its text; what looks at that is ended by the system."""
    with mysql.loading_connections(_root(db_server), "mysql", 1) as (connection,):
        connection.run(b"SET NAMES latin1")
        with pytest.raises(mysql.MySQLProblem, match="error 1146"), connection.translated(b"SELECT"):
            connection.run(b"SELECT * FROM `not there \xfc`")


# ---------------------------------------------------------------- One meaning of a host


@pytest.mark.parametrize(
    ("host", "driver", "program", "address"),
    [
        ("localhost", {"host": "127.0.0.1", "port": 3310}, "--host=127.0.0.1 --port=3310", "localhost:3310"),
        ("::1", {"host": "::1", "port": 3310}, "--host=::1 --port=3310", "::1:3310"),
        (
            "/run/mysqld/mysqld.sock", {"unix_socket": "/run/mysqld/mysqld.sock"},
            "--protocol=SOCKET --socket=/run/mysqld/mysqld.sock", "/run/mysqld/mysqld.sock",
        ),
    ],
)  # fmt: skip
def test_a_host_is_the_same_to_driver_and_program(
    host: str, driver: dict[str, object], program: str, address: str
) -> None:
    server = mysql.Server(host, 3310, "dump", "p")
    clients = mysql.Clients("/bin/mysqldump", "MySQL", "8.4.0")

    options = connect_options(server, "")
    args = mysql.connection_args(server, clients, "/dev/fd/9")

    assert {name: options[name] for name in ("host", "port", "unix_socket") if name in options} == driver
    assert [each for each in args if each.startswith(("--host", "--port", "--protocol", "--socket"))] == (
        program.split()
    )
    assert server.address == address


@pytest.mark.one_flavour("mariadb")
@pytest.mark.parametrize("by_socket", [True, pytest.param(False, marks=pytest.mark.soak)])
def test_a_server_by_its_socket_and_by_localhost(
    shop: Shop, make_portal: MakePortal, by_socket: bool
) -> None:
    """Driver and program go the same way: where nothing listens on the port, and where no socket is known."""
    portal = make_portal(shop)
    host, port = (str(shop.server.socket), 1) if by_socket else ("localhost", shop.server.port)

    portal.environment |= {"MYSQL_HOST": host, "MYSQL_PORT": str(port)}
    assert portal.manage("bootstrap", "--moved", "database").code == 0
    checked = portal.manage("preflight", "--json")
    assert checked.code == 0, checked.out
    assert portal.backup().code == 0


def test_localhost_that_gives_no_answer_names_the_socket() -> None:
    server = mysql.Server("localhost", 1, "dump", "p")

    said = "To use the server's socket, give its path"
    with pytest.raises(mysql.ServerUnreachable, match=said), mysql.connect(server):
        pass


@pytest.mark.parametrize("is_file", [False, True])
def test_sentences_name_what_is_really_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_file: bool
) -> None:
    (tmp_path / "p").write_text("of a file\n")
    monkeypatch.setenv("MYSQL_PASSWORD_FILE" if is_file else "MYSQL_PASSWORD", str(tmp_path / "p"))
    errors = ((1045, ""), (1049, "Unknown database 'shop'"), (2003, ""), (2026, "certificate"))

    def said(*, is_primary: bool) -> str:
        there = Server(name="h:1", host="h", port=1, user="u", ssl_mode="REQUIRED")
        server = endpoints.database_server(Database(name="shop", server=there, is_primary=is_primary))
        return " ".join(problem_from_number(*error, server, "shop").sentence() for error in errors)

    first, further = said(is_primary=True), said(is_primary=False)
    assert f"MYSQL_USER and MYSQL_PASSWORD{'_FILE' if is_file else ''}." in first
    assert "MYSQL_DATABASE" in first
    assert "MYSQL_SSL_CA" in first
    assert "MYSQL_" not in further
    assert further.count("of server h:1 in the portal") == 3
    assert further.count("of shop in the portal") == 1
