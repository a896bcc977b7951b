"""Where a server's binary log ends now, and which server and log it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from backups import mysql
from backups.dumpfile.dialect import Dialect
from backups.dumpfile.log_positions import Place, WhyNot, sentence_of
from backups.errors import Problem
from backups.models import LogArchive
from backups.mysql.log_states import NotExact, log_end
from backups.mysql.schemas import spelling_for
from backups.replaying.settings import Collations
from backups.shipping.fetch import LogLost
from backups.shipping.statements import Speech
from backups.text.sentences import phrase

PROMPT = timedelta(milliseconds=250)
_TRIES = 3


class NoLog(mysql.MySQLProblem):
    """The server does not say where its binary log ends."""

    code = "log.not_told"


@dataclass(frozen=True)
class LogEnd:
    """The end of a server's log at a `moment` by our clock: all that was committed before lies before.

    `is_prompt` says that it was told at once, so that what lies before was committed before as well.
    """

    moment: datetime
    place: Place
    flavour: str
    # Its UUID where it has one, else its id.
    server: str
    # lower_case_table_names.
    cases: int
    speech: Speech
    is_prompt: bool

    @property
    def spelled(self) -> Callable[[str], str]:
        """In which form names are equal there."""
        return spelling_for(self.cases)


def ask(server: mysql.Server) -> LogEnd:
    """Ask a server where its log ends. Raises MySQLProblem."""
    with mysql.connect(server) as connection:
        info = mysql.probe(connection)
        who = mysql.log_server(connection)
        cases = mysql.name_cases(connection)
        speech = _speech(connection, info, cases)
        try:
            moment, place, took = _prompt_end(connection)
        except NotExact as why:
            raise no_log(server, why.why) from None
    return LogEnd(moment, place, info.flavour, server_name(who), cases, speech, took <= PROMPT)


def _prompt_end(connection: Any) -> tuple[datetime, Place, timedelta]:
    """A server that writes a large transaction keeps whoever asks waiting, and tells of the end after it."""
    for _ in range(_TRIES):
        moment = timezone.now()
        place = log_end(connection)
        took = timezone.now() - moment
        if took <= PROMPT:
            break
    return moment, place, took


def _speech(connection: Any, info: mysql.ServerInfo, cases: int) -> Speech:
    dialect = Dialect.of(is_mariadb=info.flavour == mysql.MARIADB, number=info.number)
    return Speech(dialect, Collations.of(connection), folds_case=bool(cases))


def server_name(who: dict[str, object]) -> str:
    """What tells a server from others: its UUID where it has one, else its id."""
    return str(who.get("uuid") or who.get("id") or "")


def no_log(server: mysql.Server, why: WhyNot) -> NoLog:
    """What to say of a server whose log cannot be followed."""
    return NoLog(
        phrase(
            "The binary log of the database server at {address} cannot be followed: {why}.",
            address=server.address,
            why=sentence_of(why),
        ),
        code=f"log.{why.value}",
        do=phrase("Set that right there. It is asked again each minute."),
    )


def another(archive: LogArchive, end: LogEnd) -> Problem | None:
    """Why the server that answers is not the one that was followed; None where it is."""
    address = archive.database.server.address
    if archive.server_uuid != end.server:
        return LogLost(
            phrase(
                "Another server answers at {address}: its binary log does not follow the one before.",
                address=address,
            ),
            code="log.another_server",
        )
    followed, named = (archive.gtids or {}).get("database"), archive.database.database
    if followed not in (None, named):
        return LogLost(
            phrase(
                "The name of the database on its server was changed from {before} to {name}.",
                before=followed,
                name=named,
            ),
            code="log.database_changed",
        )
    if archive.address != address:
        return LogLost(
            phrase(
                "The address of the server was changed from {before} to {address}.",
                before=archive.address,
                address=address,
            ),
            code="log.address_changed",
        )
    return None
