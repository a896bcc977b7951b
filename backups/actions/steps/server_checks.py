"""What is asked of the database's own server before a backup."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings

from backups import mysql, process
from backups.actions.steps.checks import Found, Tick
from backups.configuration import environment
from backups.dumping.mysqldump import refuse_what_cuts_dumps
from backups.endpoints import database_server, verifies_elsewhere
from backups.errors import Problem
from backups.models import Database
from backups.mysql import grants
from backups.text.sentences import joined, phrase

# Beyond it, a replica's delay is more than what comes and goes.
_BEHIND_SECONDS = 60
# Of what no dump carries; the snapshot's page has all of it.
_SHOWN = 10
# CHECK TABLE reads a table with all its keys.
_CHECK_SECONDS = 6 * 60 * 60


def server_answers(database: Database, found: Found, _tick: Tick | None) -> str:
    """Whether the server answers and is one that can be backed up. Raises Problem."""
    found.server = database_server(database)
    with _connected(found.server, database) as connection:
        found.info = mysql.probe(connection)
        found.warnings += mysql.server_warnings(found.info)
        found.data_length = mysql.data_length(connection, database.database)
        _note_left_out(connection, database, found)
        elsewhere = {left.table for left in found.left_out}
        loose = mysql.tables_without_snapshot(connection, database.database)
        found.loose = [table for table in loose if table.rpartition(" (")[0] not in elsewhere]
        if found.loose:
            found.warnings.append(
                phrase(
                    "Not InnoDB, so not covered by the consistent snapshot. Rows that are written to "
                    "them during a dump may come out torn: {loose}.",
                    loose=", ".join(found.loose),
                )
            )
        _note_lossy(connection, database, found)
        replica = mysql.replica(connection)
        if replica is not None:
            _note_replica(replica, found)
            if mysql.inventory(connection, database.database).get("event"):
                found.notes.append(
                    phrase(
                        "Its events are stored as a replica has them, disabled: enable them after a restore."
                    )
                )
        in_the_clear = not found.server.stays_here and not mysql.is_encrypted(connection)
    return phrase(
        "{info} at {address} has {database}.{replica}{format}",
        info=found.info,
        address=found.server.address,
        database=database.database,
        replica=f" {replica}." if replica else "",
        format=_in_the_clear(found.server) if in_the_clear else "",
    )


@contextmanager
def _connected(server: mysql.Server, database: Database) -> Iterator[Any]:
    """A connection; a refused one says where the environment has another user than the portal goes by."""
    try:
        with mysql.connect(server, database.database) as connection:
            yield connection
    except mysql.AccessDenied as denied:
        denied.do = environment.user_not_taken_over(database) or denied.do
        raise


def _in_the_clear(server: mysql.Server) -> str:
    return phrase(
        " The connection is not encrypted: anybody who listens on the network can read it. Turn TLS "
        "on in the server. With {ssl_mode_set_by} at REQUIRED or more, nothing is sent without TLS.",
        ssl_mode_set_by=server.ssl_mode_set_by,
    )


def _note_left_out(connection: Any, database: Database, found: Found) -> None:
    found.left_out = mysql.not_in_backup(connection, database.database)
    if found.left_out:
        shown = joined((left.words for left in found.left_out[:_SHOWN]), "; ")
        more = (
            phrase("; and {count} more", count=len(found.left_out) - _SHOWN)
            if len(found.left_out) > _SHOWN
            else ""
        )
        found.warnings.append(
            phrase("Not in any backup, as no dump carries it: {shown}{more}.", shown=shown, more=more)
        )


def _note_lossy(connection: Any, database: Database, found: Found) -> None:
    """What clients of other character sets have made, and no dump program writes as it is."""
    found.warnings += [view.words for view in mysql.lossy_views(connection, database.database)]
    if found.info is None or found.info.flavour != mysql.MARIADB:
        return
    if routines := mysql.routines_with_lossy_definer(connection, database.database):
        found.warnings.append(
            phrase(
                "The server shows the definer of these routines with ? in the place of some letters, "
                "and so does every dump: {routines}. The character set of the client that made them "
                "lacks these letters. Make them again as a client of utf8mb4.",
                routines=", ".join(routines),
            )
        )


def _note_replica(replica: mysql.Replica, found: Found) -> None:
    """A fresh backup of a replica that stands still is one of old data."""
    if not replica.runs or replica.behind is None:
        found.warnings.append(
            phrase(
                "{replica}: what is backed up may be old. See SHOW REPLICA STATUS there, or back up the "
                "source.",
                replica=replica,
            )
        )
    elif replica.behind > _BEHIND_SECONDS:
        found.warnings.append(phrase("{replica}: what is backed up is that old.", replica=replica))
    else:
        found.notes.append(f"{replica}.")


def _unreached(what: str) -> Problem:
    """Also where nobody was asked, as the password was not to be had."""
    return Problem(
        phrase("{what}, because the check of the database failed. That check says why.", what=what),
        code="preflight.database_failed",
    )


def client_fits(database: Database, found: Found, _tick: Tick | None) -> str:
    """Whether its client programs are there, and the connection is as wanted. Raises Problem."""
    if found.server is None or found.info is None:
        raise _unreached(phrase("No client was chosen"))
    found.clients = mysql.clients(found.info, settings.MYSQL_CLIENT_DIR, settings.RESTIC_CACHE_DIR)
    found.warnings += mysql.client_warnings(found.info, found.clients)
    mysql.refuse_uncorrectable(found.server, found.info)
    refuse_what_cuts_dumps(mysql.DumpSource(found.server, found.info, found.clients, database.database))
    if process.find_program("gzip") is None:
        found.warnings.append(phrase("gzip is not installed: BACKUP_DUMP_FORMAT=sql.gz will not work."))
    return f"{found.clients} ({found.clients.dump})"


def may_dump(database: Database, found: Found, _tick: Tick | None) -> str:
    """Whether the user holds the rights of a dump. Raises Problem."""
    if found.server is None or found.info is None:
        raise _unreached(phrase("The privileges were not read"))
    with mysql.connect(found.server, database.database) as connection:
        missing = grants.missing_for_dump(connection, found.info, database.database)
        if missing:
            raise mysql.MissingPrivilege(
                phrase(
                    "The user {user} may not see all of {database}, so the dump would leave something "
                    "out ({because}).",
                    user=found.server.user,
                    database=database.database,
                    because=missing.because,
                ),
                do=phrase("Run as an administrator: {statement}", statement=missing.statement),
            )
        mysql.refuse_what_hangs(connection, database.database)
        or_else = phrase(", or restore without the safety backup: undoing it keeps the routine's text")
        mysql.refuse_unlinked_routines(
            connection, database.database, or_else=or_else if found.is_safety_copy else ""
        )
        if refused := grants.refused_by_binary_log(connection, database.database):
            found.warnings.append(
                phrase(
                    "{user} could not {doing} here. The server writes a binary log and "
                    "{refused}. {trust_function_creators}",
                    user=found.server.user,
                    doing=_doing(database),
                    refused=refused,
                    trust_function_creators=mysql.TRUST_FUNCTION_CREATORS,
                )
            )
    found.warnings += _forbidden_tables(found.server, database)
    return phrase("{user} may dump all of {database}.", user=found.server.user, database=database.database)


def tables_are_sound(database: Database, found: Found, tick: Tick | None) -> str:
    """A damaged table is found before anything is dumped where the server lets it be known."""
    server, name = found.server, database.database
    if server is None or found.info is None:
        raise _unreached(phrase("The tables were not looked at"))
    with mysql.connect(server, name, read_seconds=_CHECK_SECONDS) as connection:
        thread = connection.thread_id()
        answers: list[str] = []

        def look() -> None:
            mysql.refuse_unreadable(connection, name)
            mysql.refuse_short(connection, name)
            answers.append(_checked(connection, server, name))

        if tick is None:
            look()
        else:
            process.run_in_thread(look, tick, lambda: mysql.kill(server, thread))
    return answers[0]


def _checked(connection: Any, server: mysql.Server, database: str) -> str:
    wanted = settings.BACKUP_CHECK_TABLES
    if wanted == "off":
        return phrase("All tables can be opened; they were not checked further (BACKUP_CHECK_TABLES).")
    tables = mysql.checked_tables(connection, database, with_innodb=wanted == "all")
    for table in tables:
        mysql.check_table(connection, server, database, table)
    return phrase(
        "All tables can be opened, and CHECK TABLE finds no fault with {count} of them.", count=len(tables)
    )


def views_are_readable(database: Database, found: Found, _tick: Tick | None) -> str:
    """Whether each view can be dumped. Raises Problem."""
    if found.server is None or found.info is None:
        raise _unreached(phrase("The views were not looked at"))
    with mysql.connect(found.server, database.database) as connection:
        views = mysql.broken_views(connection, database.database)
        if not found.is_safety_copy:
            mysql.refuse_broken_views(connection, views, database.database)
    found.broken_views = [view.name for view in views]
    if views:
        found.warnings.append(
            phrase(
                "These views of {database} cannot be read any more and are left out; their statements "
                "are kept in the snapshot's list of what is not in it: {broken_views}.",
                database=database.database,
                broken_views=", ".join(found.broken_views),
            )
        )
    return phrase("All views of {database} that a backup holds can be read.", database=database.database)


def _doing(database: Database) -> str:
    """What of a backup is loaded on the live server."""
    return (
        phrase("restore its backups")
        if verifies_elsewhere(database)
        else phrase("verify or restore its backups")
    )


def _forbidden_tables(server: mysql.Server, database: Database) -> Iterator[str]:
    """What could not be verified or restored here, because the server makes no such tables for us."""
    name = database.database
    with mysql.loading_connections(server, name, 1) as (connection,):
        with mysql.translated(server, name):
            keyless = mysql.tables_without_primary_key(connection.driver, name)
        for setting, way_out in connection.key_rules().items() if keyless else ():
            yield (
                phrase(
                    "{user} could not {doing} here. The server's {setting} is on, and "
                    "these tables have no primary key: {keyless}. {way_out}",
                    user=server.user,
                    doing=_doing(database),
                    setting=setting,
                    keyless=mysql.named(keyless),
                    way_out=way_out,
                )
            )
