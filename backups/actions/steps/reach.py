"""What a verification may not reach: it is compared by its definition, and not opened."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from MySQLdb.constants import ER

from backups import mysql
from backups.dumpfile.ready import Unmade
from backups.dumpfile.views import reads_another
from backups.loading.loader import READS_WHAT_IS_UNMADE
from backups.mysql import grants
from backups.text.kinds import kind_word
from backups.text.sentences import phrase


class NotRun(NamedTuple):
    """A view or routine of which the definition was compared, and not whether it runs, with the reason."""

    kind: str
    name: str
    why: str

    @property
    def words(self) -> str:
        """For a list of what was not compared."""
        return phrase(
            "whether {kind} {name} runs: {why}. Its definition is as it was",
            kind=kind_word(self.kind),
            name=self.name,
            why=self.why.rstrip("."),
        )


def beyond(unmade: Sequence[Unmade], own: Collection[str], refused: Collection[str]) -> list[Unmade]:
    """Of what the server did not make, what needs something outside of the database that it was loaded into.

    That is another database, which is not there or which we may not read, or one of the functions that
    were `refused` as such. `own` are the names of the database, there and where it was dumped.
    """
    names = {each.ready.name for each in unmade}
    functions = {each.lower() for each in refused}
    found = [each for each in unmade if _is_beyond(each, own, names) or _calls(each.why, functions)]
    upon = [each for each in unmade if each not in found and each.why == READS_WHAT_IS_UNMADE]
    # Of what these read nothing more is known than that some of it could not be made.
    return [*found, *upon] if len(found) + len(upon) == len(unmade) else found


def _is_beyond(each: Unmade, own: Collection[str], names: Collection[str]) -> bool:
    if mysql.is_denied(each.code) or (each.code == ER.VIEW_INVALID and reads_another(each.ready.text, own)):
        return True
    missing = _NO_TABLE.search(each.why)
    if missing and missing["database"] in own:
        return missing["table"] in names
    return bool(missing or _NO_DATABASE.search(each.why))


def _calls(why: str, functions: Collection[str]) -> bool:
    """Whether the server has not got one of these functions, in lower case."""
    missing = _NO_FUNCTION.search(why)
    return bool(missing and missing[1].lower() in functions)


_NO_FUNCTION = re.compile(r"FUNCTION [^ .]++\.(.+?) does not exist")
_NO_TABLE = re.compile(
    r"(?:Table|View) '(?P<database>[^'.]+)\.(?P<table>[^']+)' (?:doesn't exist|references invalid)"
)
_NO_DATABASE = re.compile(r" has no database '")


def refuse_less_than_all(server: mysql.Server, database: str) -> None:
    """Raise MissingPrivilege where we may not do all in a scratch database.

    Only of one in which we may does it tell something that its server takes no dump, or denies a part.
    """
    with mysql.connect(server) as connection:
        if (missing := grants.missing_in_scratch(connection, database)) is not None:
            raise mysql.MissingPrivilege(
                phrase(
                    "The user {user} may not make all in the scratch database {database} ({because}).",
                    user=server.user,
                    database=database,
                    because=missing.because,
                ),
                do=phrase("Run as an administrator: {statement}", statement=missing.statement),
            )
