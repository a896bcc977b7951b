"""A script's statements, run one after the other over one connection. What fails tells no value of a row."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import MySQLdb
from MySQLdb.constants import ER

from backups.mysql.answers import as_number, fetch_one
from backups.mysql.connection import opened, refuse_missing_authority, refuse_unencrypted
from backups.mysql.error_numbers import translated
from backups.mysql.load_errors import refuse_too_long
from backups.mysql.problems import MySQLProblem
from backups.mysql.server import Server
from backups.mysql.session import BEGIN_SHORT
from backups.text.sentences import phrase


class StatementFailed(MySQLProblem):
    """The server refused a statement of a script; `number` is its error, `at` which statement it was."""

    code = "mysql.statement_failed"

    def __init__(self, server: Server, at: int, number: int) -> None:
        super().__init__(
            phrase(
                "The server at {address} refused statement {at} of the script (error {number}).",
                address=server.address,
                at=at,
                number=number,
            ),
            code="mysql.statement_failed",
        )
        self.at, self.number = at, number

    @property
    def is_guard(self) -> bool:
        """Whether it is that a row was not as the script wants it."""
        return self.number == ER.DATA_OUT_OF_RANGE


class ScriptConnection:
    """A connection that runs a script. `thread` is for others to end it."""

    def __init__(self, driver: Any, server: Server) -> None:
        self.driver, self._server = driver, server
        self.thread = int(driver.thread_id())
        self.sent = 0

    def refuse_too_long(self, statements: Collection[bytes]) -> None:
        """Raise OfTheServer for a script of which the server would not take a statement, and hang up."""
        with translated(self._server):
            (limit,) = fetch_one(self.driver, "SELECT @@max_allowed_packet", as_number)
        refuse_too_long(max(map(len, statements), default=0), int(limit), self._server)

    def run(self, statements: Iterable[bytes]) -> None:
        """Run statements one after the other, and drop what they are answered with.

        The limits of a conversation are looked at once for all of these: a script has hundreds of thousands,
        and each of them takes less time than such a look. Raises StatementFailed.
        """
        try:
            with self.driver.conversation.waiting(for_work=True):
                for statement in statements:
                    self.sent += 1
                    self.driver.query(statement)
                    self.driver.drop_answers()
        except MySQLdb.Error as error:
            # Not its text, which names values: of a key that is there twice, for one. Nor as a cause.
            number = int(error.args[0]) if error.args and isinstance(error.args[0], int) else 0
            raise StatementFailed(self._server, self.sent, number) from None


@contextmanager
def script_connection(server: Server, database: str) -> Iterator[ScriptConnection]:
    """A connection for the length of a block; what it did not commit is rolled back. Raises MySQLProblem."""
    refuse_missing_authority(server)
    with translated(server, database):
        # Statements may take any time.
        driver = opened(server, database, read_timeout=None, init_command=BEGIN_SHORT)
    try:
        with translated(server, database):
            refuse_unencrypted(server, driver)
        yield ScriptConnection(driver, server)
    finally:
        with suppress(MySQLdb.Error):
            driver.close()
