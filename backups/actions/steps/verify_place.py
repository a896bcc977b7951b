"""The server that test restores go to: whether it fits what is backed up, and what we may do there.

Asked by preflight, and by each verification before it loads what would prove nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from backups import mysql
from backups.actions.steps import room, scratch_log
from backups.dumpfile.spelling import respelled
from backups.endpoints import (
    database_server,
    scratch_server,
    to_verify_apart,
    to_verify_at,
    verifies_elsewhere,
)
from backups.errors import Problem
from backups.models import Database
from backups.mysql import grants
from backups.snapshots import selection
from backups.text.sentences import phrase

_NOTHING_MADE = phrase("Nothing was made there, and the live database was not touched.")
SAME_NAMES = phrase("a server with the lower_case_table_names of the one that is backed up")


@dataclass
class OwnServer:
    """What the database's own server told of it; nothing where it gave no answer."""

    info: mysql.ServerInfo | None = None
    inventory: mysql.Inventory = field(default_factory=dict)


# ---------------------------------------------------------------- Before a verification


def refuse_other_kind(
    database: Database, server: mysql.Server, info: mysql.ServerInfo, *, of: Collection[str], what: str
) -> None:
    """Raise Problem where the server named for test restores is neither MySQL nor MariaDB as wanted.

    `of` are the kinds that would do, as far as known, the best first; `what` begins the sentence. Of the
    database's own server this is not asked: what it dumped in another life may still be tried on it.
    """
    kinds = [kind for kind in of if kind in (mysql.MARIADB, mysql.MYSQL)]
    if not verifies_elsewhere(database) or not kinds or info.flavour in kinds:
        return
    wanted = phrase("a server of {kinds}", kinds=kinds[0])
    do = phrase("For a proof, {to_verify_apart}", to_verify_apart=to_verify_apart(database, wanted))
    if not database.verify_host and database.is_primary:
        do = phrase("{do}, or {place}", do=do, place=to_verify_at(database, wanted))
    raise Problem(
        phrase(
            "{what} is of {kinds}, and its test restores go to {info} at {address} (see {address_set_by}).",
            what=what,
            kinds=kinds[0],
            info=info,
            address=server.address,
            address_set_by=server.address_set_by,
        ),
        code="verify.place_of_other_kind",
        safe=_NOTHING_MADE,
        do=phrase("{do}.", do=do),
    )


def how_to_allow(connection: Any, database: Database, scratch: str) -> str:
    """What lets the user make the database `scratch` there, as a whole sentence."""
    another = to_verify_at(database, phrase("another server"))
    if mysql.has_partial_revokes(connection):
        return phrase("Here partial_revokes allows no grant for it: {another}.", another=another)
    base = scratch.rpartition("__verify_")[0]
    pattern = mysql.prefix_pattern(f"{base}__verify_")
    return phrase(
        "Run as an administrator: {statement} or {another}.",
        statement=f"GRANT ALL ON {pattern}.* TO {mysql.account(connection)};",
        another=another,
    )


# ---------------------------------------------------------------- In preflight


def looked_at(database: Database, own: OwnServer, *, scratch: str) -> tuple[str, list[str]]:
    """Where test restores go, in a sentence, and what is worth a warning. Raises Problem where they fail.

    `scratch` is a name like those that verifications take.
    """
    if not verifies_elsewhere(database):
        forbidden = _forbidden_on_its_own(database, scratch) if own.info is not None else ()
        return _on_its_own_server(database), list(forbidden)
    server = scratch_server(database)
    with mysql.connect(server) as connection:
        info = mysql.probe(connection)
        kind = own.info.flavour if own.info else database.server.flavour
        refuse_other_kind(
            database,
            server,
            info,
            of=[kind],
            what=phrase("Nothing would be proved: {database}", database=database),
        )
        _refuse_other_spelling(connection, database, server, own)
        _refuse_without_grants(connection, database, server, scratch)
        if (newest := selection.newest_to_prove(database)) is not None:
            another = to_verify_at(database, phrase("another server"))
            # As the verification will: what is left out of the binary log takes no room in it.
            mysql.try_to_leave_out(connection, scratch)
            room.refuse_without_room(connection, server, newest, instead=another)
        warnings = list(_warnings(connection, database, server, info, own))
    return phrase(
        "Test restores go to {info} at {address} (see {address_set_by}).",
        info=info,
        address=server.address,
        address_set_by=server.address_set_by,
    ), warnings


def log_of(database: Database, own: OwnServer, *, scratch: str) -> scratch_log.ScratchLog | None:
    """What would become of a scratch database in a binary log; None where none can be made, or asked."""
    if own.info is None and not verifies_elsewhere(database):
        return None
    with suppress(Problem):
        server = scratch_server(database)
        with mysql.connect(server) as connection:
            if grants.missing_in_scratch(connection, scratch) is None:
                return scratch_log.looked_at(connection, database, server, scratch)
    return None


def _on_its_own_server(database: Database) -> str:
    live = database_server(database)
    return phrase(
        "Test restores go to the database's own server, {address}, into databases beside it. They "
        "are safer on a server that holds nothing else: {place}.",
        address=live.address,
        place=to_verify_at(database, "one"),
    )


def _forbidden_on_its_own(database: Database, scratch: str) -> Iterator[str]:
    """A warning alone: the rights of a dump are enough for who verifies nothing."""
    with suppress(Problem), mysql.connect(database_server(database)) as connection:
        if missing := grants.missing_in_scratch(connection, scratch):
            yield (
                phrase(
                    "No verification of {database} can be made: {user} may not make and fill databases "
                    "such as {scratch}, into which test restores go: {because}. {how_to_allow}",
                    database=database,
                    user=database.server.user,
                    scratch=scratch,
                    because=missing.because,
                    how_to_allow=how_to_allow(connection, database, scratch),
                )
            )


def _refuse_other_spelling(connection: Any, database: Database, server: mysql.Server, own: OwnServer) -> None:
    if (names := respelled(own.inventory)) and mysql.folds_names(connection):
        raise Problem(
            phrase(
                "Nothing would be proved: test restores of {database} go to {address}. That server "
                "gives tables and views names in lower case (lower_case_table_names=1), and the "
                "database has {names}.",
                database=database,
                address=server.address,
                names=mysql.named(names),
            ),
            code="verify.place_in_lower_case",
            do=phrase("For a proof, {place}.", place=to_verify_at(database, SAME_NAMES)),
        )


def _refuse_without_grants(connection: Any, database: Database, server: mysql.Server, scratch: str) -> None:
    if missing := grants.missing_in_scratch(connection, scratch):
        raise mysql.MissingPrivilege(
            phrase(
                "The user {user} at {address} may not make and fill databases such as {scratch}, into "
                "which test restores go: {because}.",
                user=server.user,
                address=server.address,
                scratch=scratch,
                because=missing.because,
            ),
            do=how_to_allow(connection, database, scratch),
        )


def _warnings(
    connection: Any, database: Database, server: mysql.Server, info: mysql.ServerInfo, own: OwnServer
) -> Iterator[str]:
    if own.info is not None and own.info.number[:2] != info.number[:2]:
        yield (
            phrase(
                "{database} is on {info}, but its test restores go to {info_2}. Another release may "
                "write or refuse some things differently, and these are not proved. Use the same "
                "release there.",
                database=database,
                info=own.info,
                info_2=info,
            )
        )
    if not room.is_known(connection, server):
        yield (
            phrase(
                "Vedetta cannot see how much room {address} has left for test restores of {database}. "
                "Set VERIFY_MAX_MB to what may be taken. Or install MariaDB's plugin DISKS and grant "
                "FILE.",
                address=server.address,
                database=database,
            )
        )
    if {"trigger", "function"} & own.inventory.keys() and mysql.refuses_functions(connection):
        yield (
            phrase(
                "Test restores of {database} will fail at {address}. That server writes a binary log "
                "and takes triggers and functions only from administrators. {trust_function_creators}",
                database=database,
                address=server.address,
                trust_function_creators=mysql.TRUST_FUNCTION_CREATORS,
            )
        )
