"""What the server answers to a replay, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import MySQLdb
from MySQLdb.constants import CR, ER

from backups import mysql
from backups.dumpfile.log_positions import Place
from backups.errors import Problem
from backups.mysql.error_numbers import problem_from_number
from backups.mysql.problems import text_of
from backups.replaying.rights import replay_grant
from backups.text.sentences import phrase

# What is to be changed is not there, or what is to be made is there already, or it is of another form. The
# driver does not name 1677, ER_SLAVE_CONVERSION_FAILED, and 1761, ER_FOREIGN_DUPLICATE_KEY.
_DOES_NOT_FIT = frozenset(
    {
        ER.KEY_NOT_FOUND, ER.DUP_ENTRY, ER.DUP_ENTRY_WITH_KEY_NAME, ER.DUP_UNIQUE, ER.DUP_KEY, ER.DUP_KEYNAME,
        ER.DUP_FIELDNAME, ER.NO_SUCH_TABLE, ER.TABLE_EXISTS_ERROR, ER.BAD_TABLE_ERROR, ER.UNKNOWN_TABLE,
        ER.BAD_FIELD_ERROR, ER.CANT_DROP_FIELD_OR_KEY, ER.KEY_DOES_NOT_EXITS, ER.SP_DOES_NOT_EXIST,
        ER.SP_ALREADY_EXISTS, ER.TRG_DOES_NOT_EXIST, ER.TRG_ALREADY_EXISTS, ER.EVENT_DOES_NOT_EXIST,
        ER.EVENT_ALREADY_EXISTS, ER.NO_REFERENCED_ROW, ER.NO_REFERENCED_ROW_2, ER.ROW_IS_REFERENCED,
        ER.ROW_IS_REFERENCED_2, 1677, 1761,
    }
)  # fmt: skip
# MariaDB's for a sequence of which a row event does not tell all columns.
_SEQUENCE_INCOMPLETE = 4085
_MAY_NOT = frozenset(
    {
        ER.SPECIFIC_ACCESS_DENIED_ERROR, ER.TABLEACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR,
        ER.COLUMNACCESS_DENIED_ERROR, ER.PROCACCESS_DENIED_ERROR,
    }
)  # fmt: skip
BEFORE_OR_LATER = phrase("Choose a moment before it, or a later backup to begin with.")
_OF_ITS_KIND = phrase("Play it on a server of the same kind and release as the one that wrote the log.")
_LOST = (CR.SERVER_GONE_ERROR, CR.SERVER_LOST)


class ReplayProblem(Problem):
    """The log, or what the server makes of it, ends the replay."""

    code = "replay.failed"


@dataclass
class Where:
    """The target of a replay, and how far in the log it is: the transaction that is being sent."""

    server: mysql.Server
    info: mysql.ServerInfo
    target: str
    file: str = ""
    start: int = 0
    # Where the first of those begins that are sent together with it.
    first: int = 0

    @property
    def place(self) -> str:
        """For sentences."""
        if not 0 < self.first < self.start:
            return phrase("{file}, position {position}", file=self.file, position=self.start)
        return phrase("{file}, position {first} to {last}", file=self.file, first=self.first, last=self.start)

    @contextmanager
    def translated(self, driver: MySQLdb.connections.Connection) -> Iterator[None]:
        """Turn the driver's errors into sentences about a transaction. `driver` is asked who we are."""
        try:
            yield
        except MySQLdb.Error as error:
            number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
            # Not its text, which names values of rows: of a key that is there twice, for one.
            raise self._problem(number, text_of(error), driver) from (
                None if number in _DOES_NOT_FIT else error
            )

    def _problem(self, number: int, text: str, driver: MySQLdb.connections.Connection) -> Problem:
        if number in _DOES_NOT_FIT:
            return does_not_fit(self, number)
        if number == _SEQUENCE_INCOMPLETE:
            return sequence_incomplete(self)
        # MySQL says no more of a table on which a right is missing than that it is an unknown error.
        is_untold = number == ER.UNKNOWN_ERROR and self.info.flavour == mysql.MYSQL
        if number in _MAY_NOT or is_untold:
            return may_not(self, number, replay_grant(driver, self.info, self.target))
        if number in (ER.BINLOG_CREATE_ROUTINE_NEED_SUPER, ER.BINLOG_UNSAFE_ROUTINE):
            return mysql.RefusesFunctions(
                phrase(
                    "The log makes a trigger or function at {place}, and the server at {address} takes none "
                    "from the user {user} while it writes a binary log.",
                    place=self.place,
                    address=self.server.address,
                    user=self.server.user,
                ),
                do=mysql.TRUST_FUNCTION_CREATORS,
            )
        problem = problem_from_number(number, text, self.server, self.target)
        if number not in _LOST:
            problem.what = phrase(
                "{problem} That was at {place} of the log.", problem=problem.what, place=self.place
            )
        return problem


def does_not_fit(where: Where, number: int) -> ReplayProblem:
    """A change that cannot be made to what is there: error `number` of the server."""
    return ReplayProblem(
        phrase(
            "The log does not fit the data that it is played onto: what is changed at {place} is not there, "
            "or is there already (error {number}).",
            place=where.place,
            number=number,
        ),
        code="replay.does_not_fit",
        do=phrase(
            "Something changed the database without being logged, or the backup is of another moment than "
            "it says. Choose an earlier moment, or another backup to begin with, and make a backup now."
        ),
        params={"file": where.file, "position": where.start, "number": number},
    )


def sequence_incomplete(where: Where) -> ReplayProblem:
    """MariaDB cannot apply what it logs of sequences while binlog_row_image is MINIMAL."""
    return ReplayProblem(
        phrase(
            "A sequence is changed at {place} of the log, which MariaDB cannot play: it was written with "
            "binlog_row_image = MINIMAL.",
            place=where.place,
        ),
        code="replay.sequence_incomplete",
        do=phrase(
            "Choose a moment before it. So that it does not happen again, run as an administrator: "
            "SET GLOBAL binlog_row_image = 'FULL'; write it into the server's configuration as well."
        ),
    )


def may_not(where: Where, number: int, grant: str) -> mysql.MissingPrivilege:
    """The server refused us what a replay needs; `grant` is the statement that gives it."""
    return mysql.MissingPrivilege(
        phrase(
            "The user {user} may not play the log at {place} into {target} (error {number}).",
            user=where.server.user,
            place=where.place,
            target=where.target,
            number=number,
        ),
        code="replay.may_not",
        do=phrase("Run as an administrator: {grant}", grant=grant),
    )


def packet_too_small(where: Where, limit: int, needed: int) -> ReplayProblem:
    """A row is larger than the server takes; its limit and the one that is needed, in bytes."""
    return ReplayProblem(
        phrase(
            "The log holds a row at {place} that does not go into one packet: the server at {address} takes "
            "{limit} MB (max_allowed_packet), and {needed} MB are needed.",
            place=where.place,
            address=where.server.address,
            limit=limit >> 20,
            needed=needed >> 20,
        ),
        code="replay.packet_too_small",
        do=phrase(
            "Run as an administrator: SET GLOBAL max_allowed_packet = {bytes}; write it into the server's "
            "configuration as well, then try again.",
            bytes=needed,
        ),
        params={"needed": needed},
    )


def setting_withheld(where: Where, names: str) -> mysql.MissingPrivilege:
    """A session setting of a statement that we may not have; an incomplete one would make something else."""
    right = "BINLOG REPLAY, SUPER" if where.info.flavour == mysql.MARIADB else "SESSION_VARIABLES_ADMIN"
    return mysql.MissingPrivilege(
        phrase(
            "The statement at {place} of the log ran with another {names}, and the user {user} may not set "
            "that.",
            place=where.place,
            names=names,
            user=where.server.user,
        ),
        code="replay.setting_withheld",
        do=phrase("Grant {right} on the server, then try again.", right=right),
    )


def unknown_collation(where: Where, number: int) -> ReplayProblem:
    """A statement's client used a collation that the server does not have."""
    return ReplayProblem(
        phrase(
            "The statement at {place} of the log came from a client with a character set that the server at "
            "{address} does not have (collation {number}).",
            place=where.place,
            address=where.server.address,
            number=number,
        ),
        code="replay.unknown_collation",
        do=_OF_ITS_KIND,
    )


def xa_unknown(where: Where) -> ReplayProblem:
    """What is committed was prepared before the log that we have begins."""
    return ReplayProblem(
        phrase(
            "An XA transaction is committed at {place} of the log that was prepared before the backup: its "
            "rows are in neither.",
            place=where.place,
        ),
        code="replay.xa_before_base",
        do=BEFORE_OR_LATER,
    )


def stands_in_the_way(where: Where) -> ReplayProblem:
    """An event that a replay of rows cannot have, or none that we know."""
    return ReplayProblem(
        phrase(
            "The log cannot be played past {place}: there is an event that is not known or cannot be played.",
            place=where.place,
        ),
        code="replay.barrier",
        do=BEFORE_OR_LATER,
        params={"file": where.file, "position": where.start},
    )


def other_flavour(where: Where, version: str) -> ReplayProblem:
    """The log was written by the other kind of server; `version` is what that calls itself."""
    return ReplayProblem(
        phrase(
            "The log was written by {version}, and {info} cannot play it.",
            version=repr(version),
            info=where.info,
        ),
        code="replay.other_flavour",
        do=_OF_ITS_KIND,
    )


def within_transaction(place: Place) -> ReplayProblem:
    """A replay is to begin or end where a transaction has begun and not ended."""
    return ReplayProblem(
        phrase(
            "{file}, position {position} of the log is within a transaction.",
            file=place.file,
            position=place.position,
        ),
        code="replay.within_transaction",
        do=phrase("Choose a moment before or after that transaction."),
    )


def base_not_in_log(place: Place) -> ReplayProblem:
    """The file in which the base's place is was not among what there is of the log."""
    return ReplayProblem(
        phrase(
            "The backup is of {file}, position {position} of the log, and that part of the log is missing.",
            file=place.file,
            position=place.position,
        ),
        code="replay.base_not_in_log",
        do=phrase("Choose a later backup to begin with, or restore the backup as it is."),
    )


def gap(at: Place, start: int) -> ReplayProblem:
    """The next part of a file begins behind the end of the one before."""
    return ReplayProblem(
        phrase(
            "The log has a gap: of {file}, what is between position {position} and {start} is missing.",
            file=at.file,
            position=at.position,
            start=start,
        ),
        code="replay.gap",
        do=BEFORE_OR_LATER,
    )


def log_ends_early(at: Place, until: Place) -> ReplayProblem:
    """What there is of the log does not reach the end that was asked for."""
    return ReplayProblem(
        phrase(
            "What is stored of the log ends at {file}, position {position}. The moment that was asked for "
            "is later ({until_file}, position {until}).",
            file=at.file,
            position=at.position,
            until_file=until.file,
            until=until.position,
        ),
        code="replay.log_ends_early",
        do=phrase("Choose a moment up to there."),
    )
