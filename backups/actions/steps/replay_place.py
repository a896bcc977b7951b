"""Where a log is replayed, by which user, and whether that may be."""

from __future__ import annotations

from dataclasses import replace

from django.conf import settings

from backups import mysql
from backups.endpoints import to_verify_at
from backups.errors import Problem
from backups.models import Database
from backups.replaying.rights import missing_for_replay
from backups.secret_references import Secret, named_place
from backups.text.sentences import phrase


def replaying_place(
    database: Database, place: mysql.Server, info: mysql.ServerInfo, target: str
) -> mysql.Server:
    """The same server as who replays there sees it, before anything is made. Raises Problem where it may not.

    MariaDB checks no right on tables when it applies a log, so on the server of the live database it is done
    only where REPLAY_ON_LIVE says so. MySQL keeps its users to the databases that they have rights on.
    """
    refuse_beside_live(database, place, info.flavour)
    server = _server(place)
    with mysql.connect(server) as connection:
        missing = missing_for_replay(connection, info, target)
    if missing is not None:
        raise mysql.MissingPrivilege(
            phrase(
                "The user {user} at {address} may not replay a log there: {because}.",
                user=server.user,
                address=server.address,
                because=missing.because,
            ),
            code="replay.may_not",
            do=phrase("Run as an administrator: {statement}", statement=missing.statement),
        )
    return server


def _server(place: mysql.Server) -> mysql.Server:
    """The same, as REPLAY_MYSQL_USER where that is of this server: its password is shown to no other."""
    here, there = (place.host, place.port), (settings.MYSQL_HOST, settings.MYSQL_PORT)
    if not settings.REPLAY_MYSQL_USER or not mysql.same_address(here, there):
        return place
    if place.skips_binary_log:
        # What was begun outside of the log goes on outside of it, by who may do that.
        return place
    password = Secret("env:REPLAY_MYSQL_PASSWORD", of=phrase("the password of REPLAY_MYSQL_USER"))
    return replace(
        place,
        user=settings.REPLAY_MYSQL_USER,
        password=password.resolve(),
        account_set_by=phrase(
            "REPLAY_MYSQL_USER and {named_place}", named_place=named_place("env:REPLAY_MYSQL_PASSWORD")
        ),
    )


def refuse_beside_live(database: Database, place: mysql.Server, flavour: str) -> None:
    """Raise Problem where the live database's server is a MariaDB, the replay would be there, and nobody
    said that it may."""
    if flavour != mysql.MARIADB or settings.REPLAY_ON_LIVE:
        return
    live = (database.server.host, database.server.port)
    if not mysql.same_address(live, (place.host, place.port)):
        return
    raise Problem(
        phrase(
            "The log would be replayed at {address}, beside the live database. MariaDB checks no right on "
            "tables then, so that is not done unasked.",
            address=place.address,
        ),
        code="replay.beside_live",
        safe=phrase("Nothing was touched."),
        do=phrase(
            "For a file (--output), a proof or the undo of a transaction, {place}: they are made there. Or, "
            "if Vedetta's own check of each event is enough for you, set REPLAY_ON_LIVE=true.",
            place=to_verify_at(database, phrase("another server")),
        ),
    )
