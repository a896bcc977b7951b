"""The throw-away server of `make run --verify-server`: test restores go there, and to nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backups import mysql
from tools import mysql as mysql_for_tests
from tools.mariadb import MariaDB
from tools.private_server import PrivateServer, PrivateServerError
from tools.shell import ROOT, output_of
from tools.system import find_program

_PLACE = "`orders\\_tracker\\_\\_verify\\_%`"
_ANY_PLACE = "`%\\_\\_verify\\_%`"
_ACCOUNT = "'vedetta'@'%'"
# Nothing here is worth a log to restore it from, and nothing that is loaded is to run.
_OPTIONS = ("--skip-log-bin", "--event-scheduler=OFF", "--innodb-flush-log-at-trx-commit=2")


@dataclass(frozen=True)
class Like:
    """What it has to have in common with the server that is backed up."""

    info: mysql.ServerInfo
    lower_case_table_names: int

    @classmethod
    def asked(cls, server: mysql.Server) -> Like:
        """As the server itself says. Raises Problem."""
        with mysql.connect(server) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT @@lower_case_table_names")
            ((cases,),) = cursor.fetchall()
            return cls(mysql.probe(connection), int(cases))


@dataclass(frozen=True)
class _VerifyMariaDB(MariaDB):
    lower_case_table_names: int

    def statements(self, account: str) -> Sequence[str]:
        return _grants("mariadb", account)

    def options(self) -> Sequence[str]:
        return (*_OPTIONS, f"--lower-case-table-names={self.lower_case_table_names}")


@dataclass(frozen=True)
class _VerifyMySQL(PrivateServer):
    lower_case_table_names: int

    flavour = "MySQL"

    def program(self) -> str:
        for program in (find_program("mysqld"), str(mysql_for_tests.home() / "bin" / "mysqld")):
            version = output_of([program, "--no-defaults", "--version"]) if program else None
            # Debian's MariaDB goes by this name too.
            if program and version is not None and "MariaDB" not in version:
                return program
        raise PrivateServerError(
            "The database that is backed up is of MySQL, and this machine has no mysqld to start beside it: "
            "install MySQL's server (its service need not run), or set VERIFY_MYSQL_HOST to a MySQL server."
        )

    def making(self, data: Path) -> Sequence[str | Path]:
        return [
            self.program(),
            "--no-defaults",
            "--initialize-insecure",
            f"--datadir={data}",
            f"--lower-case-table-names={self.lower_case_table_names}",
        ]

    def statements(self, account: str) -> Sequence[str]:
        # Who is on this machine may reach the socket, and that one has no password.
        return (*_grants("mysql", account), "ALTER USER 'root'@'localhost' ACCOUNT LOCK")

    def options(self) -> Sequence[str]:
        return (
            *_OPTIONS,
            "--mysqlx=OFF",
            "--secure-file-priv=NULL",
            f"--lower-case-table-names={self.lower_case_table_names}",
        )


def verify_server(like: Like, folder: Path, *, port: int, user: str, password: str) -> PrivateServer:
    """One of the same kind, whose data are in a folder below `folder`."""
    kind = _VerifyMySQL if like.info.flavour == mysql.MYSQL else _VerifyMariaDB
    # Neither kind starts on the other's data, nor MySQL on those of another spelling.
    cases = 1 if like.lower_case_table_names else 0
    name = f"verify-{like.info.flavour.lower()}{'-lower-case' if cases else ''}"
    return kind(folder / name, port, user, password, lower_case_table_names=cases)


def _grants(flavour: str, account: str) -> list[str]:
    """What deploy/mysql lists under [verify], for databases of any name."""
    found, is_of_verify = [], False
    for line in (ROOT / "deploy" / "mysql" / f"grants-{flavour}.sql").read_text().splitlines():
        if line.startswith("-- ["):
            is_of_verify = line.startswith("-- [verify]")
        elif is_of_verify and line.startswith("GRANT "):
            found.append(line.rstrip(";").replace(_PLACE, _ANY_PLACE).replace(_ACCOUNT, account))
    return found
