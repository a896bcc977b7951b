"""What the users of a database hold too little or too much of, as their own grants tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from backups import mysql
from backups.actions.steps import verify_place
from backups.actions.steps.scratch import scratch_name
from backups.choices import ArchiveState
from backups.endpoints import database_server, restores_as_another, restoring_server, scratch_server
from backups.errors import Problem
from backups.models import Database, LogArchive
from backups.mysql import excess_rights, grants
from backups.text.sentences import phrase


@dataclass(frozen=True)
class Lacking:
    """Rights that a user does not hold and needs for a `purpose`, and what an administrator can `do`."""

    user: str
    purpose: str
    because: str
    do: str

    @property
    def words(self) -> str:
        """A sentence for a person."""
        return phrase(
            "{user} may not make {purpose}: {because}. {do}",
            user=self.user,
            purpose=self.purpose,
            because=self.because,
            do=self.do,
        )


def told(database: Database, masked: Callable[[str], str]) -> dict[str, Any]:
    """What its users hold too much and too little of, for a run's row; or why that could not be read."""
    try:
        held, lacking = held_too_much(database), held_too_little(database)
    except Problem as problem:
        return {"grants_problem": masked(problem.sentence())}
    return {"grants": [asdict(each) for each in held], "lacking": [asdict(lack) for lack in lacking]}


def heard(result: Mapping[str, Any]) -> tuple[list[excess_rights.Excess], list[Lacking]]:
    """The same again from a run's row. Raises Problem where the worker could not read or tell it."""
    if problem := result.get("grants_problem"):
        raise Problem(str(problem), code="preflight.rights_not_read")
    try:
        held = [excess_rights.Excess(**each) for each in result["grants"]]
        return held, [Lacking(**each) for each in result["lacking"]]
    except (KeyError, TypeError) as error:
        raise Problem(
            phrase("The worker did not look at them."),
            code="preflight.rights_not_told",
            do=phrase("See that portal and worker are of the same version, then try again."),
        ) from error


def held_too_little(database: Database) -> list[Lacking]:
    """What its users would have to hold for backups and test restores, as their own grants tell."""
    lacking = []
    server = database_server(database)
    with mysql.connect(server) as connection:
        info = mysql.probe(connection)
        if missing := grants.missing_for_dump(connection, info, database.database):
            do = phrase("Run as an administrator: {statement}", statement=missing.statement)
            lacking.append(
                Lacking(
                    server.user,
                    phrase("a backup of {database}", database=database.database),
                    missing.because,
                    do,
                )
            )
    scratch, there = scratch_name(database.database, 1), scratch_server(database)
    with mysql.connect(there) as connection:
        if missing := grants.missing_in_scratch(connection, scratch):
            do = verify_place.how_to_allow(connection, database, scratch)
            lacking.append(
                Lacking(
                    there.user, phrase("databases such as {scratch}", scratch=scratch), missing.because, do
                )
            )
    return lacking


def held_too_much(database: Database) -> list[excess_rights.Excess]:
    """What its users hold and could do without; what only a restore needs as well, but of who restores."""
    name = database.database
    server, scratch = database_server(database), scratch_server(database)
    is_same = scratch == server
    archives = LogArchive.objects.filter(database=database).exclude(state=ArchiveState.OFF).exists()
    excess = _excess_at(server, excess_rights.Needs(server.user, name, verifies=is_same, archives=archives))
    if not is_same:
        excess += _excess_at(scratch, excess_rights.Needs(scratch.user, name, dumps=False, verifies=True))
    if restores_as_another(database):
        with suppress(Problem):  # it need not be there
            restoring = restoring_server(database)
            excess += _excess_at(restoring, excess_rights.Needs(restoring.user, name, restores=True))
    return excess


def _excess_at(server: mysql.Server, needs: excess_rights.Needs) -> list[excess_rights.Excess]:
    with mysql.connect(server) as connection:
        spelled = mysql.spelling(connection)(needs.database)
        needs = replace(needs, database=spelled)
        lines = mysql.show_grants(connection)
        others = excess_rights.asleep(lines, mysql.current_role(connection), needs) + excess_rights.stand_ins(
            lines, needs
        )
        return [*excess_rights.excess(grants.of_user(connection), needs), *others]
