"""What the errors of damaged tables mean, and how such a table is brought back."""

from __future__ import annotations

import re
import shlex

from MySQLdb.constants import ER

from backups import at_first_use
from backups.mysql.names import quote
from backups.mysql.problems import DamagedTable, ServerGone, text_of
from backups.mysql.server import Server
from backups.text.sentences import phrase

_FILE_NOT_RENAMED = 7

# A file is missing, short or not what it should be; a table is marked as crashed; a tablespace is gone.
_DAMAGE = frozenset(
    {29, 126, 127, 130, 134, 144, 145, 175, 176, 180, 194}
    | {ER.FILE_NOT_FOUND, ER.CANT_OPEN_FILE, ER.NOT_FORM_FILE}
    | {ER.NOT_KEYFILE, ER.OLD_KEYFILE, ER.CRASHED_ON_USAGE, ER.CRASHED_ON_REPAIR}
    | {1712, 1812, 1814, 1877, 1932}  # which the driver does not name
)
_ENGINES_DAMAGE = at_first_use.pattern(r"\berror:? (?:126|127|130|134|144|145|175|176|180|194|1877)\b")
_NAMED_TABLE = tuple(
    at_first_use.pattern(text)
    for text in (
        r"(?i)show create table `((?:[^`]|``)+)`",
        r"when dumping table `((?:[^`]|``)+)`",
        r"`(?:[^`]|``)+`\.`((?:[^`]|``)+)`",
        r"'(?:\./)?[^/'\s]+/([^/'#]+?)(?:#[^/']*)?(?:\.[A-Za-z]{3})?'",
        r"[Tt]able '(?:[^'/.]+\.)?([^'/]+)'",
        r"[Cc]an't (?:find|open) file: '([^'/.]+)",
    )
)


def damaged_table(database: str, table: str | None, why: str) -> DamagedTable:
    """What to say of a table that the server cannot read; `table` is None where nobody knows which it is."""
    named = f"{quote(database)}.{quote(table)}" if table and database else phrase("that table")
    which = (
        phrase("The table {table} of {database}", table=table, database=database)
        if table
        else phrase("A table of {database}", database=database or phrase("the server"))
    )
    return DamagedTable(
        phrase("{which} is damaged: the server cannot read it as it should ({why}).", which=which, why=why),
        do=phrase(
            "Restore that table from the newest good snapshot: {restoring}. That works for every "
            "engine and leaves all other tables as they are. What was written to the table since is "
            "lost. To save that, try a repair first. For MyISAM, Aria, ARCHIVE or CSV, REPAIR TABLE "
            "{named} may work; it may drop rows, and it needs the file of rows. If the file of keys "
            "(.MYI, .MAI) is gone, use REPAIR TABLE {named} USE_FRM. CHECK TABLE {named} says more; "
            "for InnoDB, see the server's own log. Then back up again.",
            restoring=restoring(table),
            named=named,
        ),
    )


def restoring(table: str | None) -> str:
    """The command that brings a damaged table back, though no backup of it can be made before."""
    which = shlex.quote(table) if table else "TABLE"
    return (
        f"`manage.py restore --snapshot latest --replace --table {which} --without-safety-backup` (and "
        "--database NAME where the portal has several)"
    )


def lost_at_table(server: Server, database: str, table: str) -> ServerGone:
    """What to say where the server went as it read a table: MySQL's InnoDB ends it at a damaged page."""
    return ServerGone(
        phrase(
            "The connection to the database server at {address} was lost while it read the table "
            "{table} of {database}.",
            address=server.address,
            table=table,
            database=database,
        ),
        do=phrase(
            "See the server's own log, then try again. If it is lost at this table each time, the table "
            "is damaged: restore it from the newest good snapshot, in which its rows still are: "
            "{restoring}.",
            restoring=restoring(table),
        ),
    )


def is_damage(code: int, text: str) -> bool:
    """Whether an error is of a table's files. Numbers below 1000 are the engines' and the system's own."""
    return code in _DAMAGE or (code == ER.GET_ERRNO and _ENGINES_DAMAGE.search(text) is not None)


def is_immovable(error: Exception) -> bool:
    """Whether an error is of a RENAME that met a table with damaged files."""
    code = error.args[0] if error.args else 0
    return code in (_FILE_NOT_RENAMED, ER.ERROR_ON_RENAME) or is_damage(code, text_of(error))


def table_in(text: str) -> str | None:
    """The table that an error of server or dump program names, where it does."""
    for pattern in _NAMED_TABLE:
        if found := pattern.search(text):
            return _decoded(found[1]) if "/" in found[0] else found[1].replace("``", "`")
    return None


def _decoded(file_name: str) -> str:
    """A table by its file's name, in which what is no ASCII letter or digit is written @0041."""
    return re.sub(r"@([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), file_name)
