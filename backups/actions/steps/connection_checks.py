"""Over how many connections a backup and a restore of now would go, told before there is one."""

from __future__ import annotations

from backups import mysql
from backups.actions.steps.checks import Found, Tick
from backups.actions.steps.dump_connections import options
from backups.actions.steps.load_connections import chosen_for
from backups.dumping import connections
from backups.dumping.parallel import ParallelOptions
from backups.errors import Problem
from backups.models import Database
from backups.text.sentences import phrase, plural


def connections_told(database: Database, found: Found, _tick: Tick | None) -> str:
    """How many connections there will be, and why. This stops nothing."""
    if found.server is None or found.info is None:
        return phrase("Not looked at, because the check of the database failed.")
    wanted = options()
    dumped = connections.looked_at(found.server, database.database, wanted)
    loaded = chosen_for(found.data_length, found.server)
    if wanted.connections > 1 and (why := _missing(found.server, database, wanted)):
        found.warnings.append(
            phrase(
                "DUMP_CONNECTIONS is {wished}, but a backup of {database} dumps over one connection: {why}.",
                wished=wanted.connections,
                database=database.database,
                why=why,
            )
        )
    return phrase(
        "A backup dumps over {dump} ({dumped_because}), a restore loads over {load} ({loaded_because}).",
        dump=plural("{n} connection", "{n} connections", n=dumped.number),
        dumped_because=dumped.because,
        load=plural("{n} connection", "{n} connections", n=loaded.number),
        loaded_because=loaded.because,
    )


def _missing(server: mysql.Server, database: Database, wanted: ParallelOptions) -> str:
    try:
        return connections.missing(server, database.database, wanted)
    except Problem as problem:
        return problem.what.rstrip(".")
