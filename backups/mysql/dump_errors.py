"""What the end of a dump program means, in sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence

from MySQLdb.constants import CR, ER

from backups import at_first_use
from backups.mysql.damage_errors import lost_at_table, table_in
from backups.mysql.error_numbers import problem_from_number
from backups.mysql.problems import MySQLProblem, OfTheServer, ServerGone
from backups.mysql.server import Server
from backups.text.kinds import kind_word
from backups.text.sentences import phrase
from backups.text.terminal import bounded

# What ended a dump that is none of a table's, and what can be done.
_ENDED_DUMPS = {
    1104: phrase("Raise the server's max_join_size, or set its sql_big_selects to 1."),
    1205: phrase("See who holds the table there (SHOW PROCESSLIST; XA RECOVER), then back up again."),
    1213: phrase("Somebody changes a table's definition meanwhile: back up again."),
    1317: phrase("Somebody or something ended it there (KILL): back up again."),
    1969: phrase("Raise the server's max_statement_time, or that of the account."),
    3024: phrase(
        "Raise the server's max_execution_time, or use a dump program that can be told --init-command."
    ),
}


_GONE_MEANWHILE = at_first_use.pattern(
    r"SHOW CREATE (PROCEDURE|FUNCTION|PACKAGE BODY|PACKAGE|LIBRARY|EVENT|TRIGGER) `?(\S.*?)`?':"
    r" .*(?:does not exist|[Uu]nknown event)",
    re.S,
)


def dump_problem(stderr: Sequence[str], code: int, server: Server, database: str) -> MySQLProblem:
    """What a dump program's end means."""
    stderr = [bounded(line) for line in stderr if not means_nothing(line)]
    for line in reversed(stderr):
        if found := re.search(r"(?:Got error|Error|ERROR):? (\d{4}):? (.*)|(.*) \((\d{4})\)$", line):
            text, number = (found[2], found[1]) if found[1] else (found[3], found[4])
            return _dump_problem_from(int(number), text, server, database)
        # The engines' and the system's own.
        if found := re.search(r"(.*) \((\d{2,3})\)$", line):
            return _dump_problem_from(int(found[2]), found[1], server, database)
        if "field count for table" in line:
            return _dump_problem_from(ER.TABLE_DEF_CHANGED, line, server, database)
        if found := re.search(r"Routine (.*) is missing one or more of its imported libraries", line):
            return unlinked(found[1])
    last = next((line for line in reversed(stderr) if line.strip()), "")
    if code < 0:
        return MySQLProblem(
            phrase("The dump program was killed by signal {signal}.", signal=-code),
            code="dump.program_killed",
            do=phrase("Try again."),
        )
    if not last:
        # Seen of both flavours' where the server went as the last rows of a table were on their way.
        return ServerGone(
            phrase(
                "The dump program gave no reason (exit status {code}). The connection to the database "
                "server at {address} may have been lost between two tables.",
                code=code,
                address=server.address,
            ),
            do=phrase("See the server's own log, then try again."),
        )
    return MySQLProblem(
        phrase("The dump program failed (exit status {code}): {last}.", code=code, last=last),
        code="dump.program_failed",
    )


def means_nothing(line: str) -> bool:
    """Whether a dump program says a line whatever is granted, and leaves nothing out for it.

    mysqldump 9.7 asks for masking policies, a feature of another edition.
    """
    return "masking_policy" in line


def unlinked(routine: str, or_else: str = "") -> MySQLProblem:
    """What is wrong where a routine's library is gone. `or_else` is a further way out."""
    return MySQLProblem(
        phrase(
            "The routine {routine} uses a library that is not there. The dump program stops at such a "
            "routine.",
            routine=routine,
        ),
        code="dump.library_missing",
        do=phrase("Make the library again, or drop the routine{or_else}.", or_else=or_else),
    )


def _dump_problem_from(code: int, text: str, server: Server, database: str) -> MySQLProblem:
    if code in (ER.BAD_FIELD_ERROR, ER.NO_SUCH_TABLE) and not text.isascii():
        # MariaDB's dump program names the character set as it connects, and no more.
        return OfTheServer(
            phrase(
                "The dump program asked for a table or column of {database} that is not there ({text}).",
                database=database,
                text=text,
            ),
            code="dump.changed_meanwhile",
            do=phrase(
                "If it was not altered or dropped just now, the server reads names that are not ASCII "
                "in a wrong character set. Take skip-character-set-client-handshake out of its "
                "configuration, or set its character_set_server to utf8mb4. Then back up again."
            ),
        )
    if code in (ER.TABLE_DEF_CHANGED, ER.NO_SUCH_TABLE):
        return MySQLProblem(
            phrase(
                "A table of {database} was altered or dropped while the dump ran ({text}).",
                database=database,
                text=text,
            ),
            code="dump.changed_meanwhile",
            do=phrase("Back up again when the change is done."),
        )
    if code == ER.VIEW_INVALID:
        # Those that could not be read before were refused, or left out.
        named = re.search(r"`((?:[^`]|``)+)`", text)
        view = (
            phrase("the view {replace}", replace=named[1].replace("``", "`")) if named else phrase("a view")
        )
        return MySQLProblem(
            phrase(
                "Something that {view} of {database} reads was altered, renamed or dropped while the "
                "dump ran (error {code}). So the dump is not of one moment.",
                view=view,
                database=database,
                code=code,
            ),
            code="dump.changed_meanwhile",
            do=phrase("Back up again when the change is done."),
        )
    if gone := _GONE_MEANWHILE.search(text):
        kind, name = gone[1].lower(), gone[2].replace("``", "`")
        return MySQLProblem(
            phrase(
                "The {kind} {name} of {database} was dropped or renamed while the dump ran (error "
                "{code}), so the dump is not of one moment.",
                kind=kind_word(kind),
                name=name,
                database=database,
                code=code,
            ),
            code="dump.changed_meanwhile",
            do=phrase("Back up again when the change is done."),
        )
    if code in (ER.BAD_DB_ERROR, ER.DBACCESS_DENIED_ERROR) and len(database.splitlines()) > 1:
        # It was there a moment ago. Seen in MariaDB 10.11, whose dump program asks for another name.
        return MySQLProblem(
            phrase(
                "The name {database} holds a line break. The dump program cannot dump the events of "
                "such a database.",
                database=repr(database),
            ),
            code="dump.name_with_line_break",
            do=phrase("Move its tables into a database with another name, or drop its events."),
        )
    if code in (CR.SERVER_GONE_ERROR, CR.SERVER_LOST) and (table := table_in(text)):
        return lost_at_table(server, database, table)
    if code in _ENDED_DUMPS:
        return OfTheServer(
            phrase(
                "The database server at {address} ended the dump of {database}: {text} (error {code}).",
                address=server.address,
                database=database,
                text=text,
                code=code,
            ),
            code="dump.ended_by_server",
            do=_ENDED_DUMPS[code],
        )
    return problem_from_number(code, text, server, database)
