"""References to secrets from before these were to be declared, told of each database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache

from backups.models import Database, Repository, Server
from backups.models.kinds import RefersToSecrets
from backups.secret_references import how_to_declare, is_declared
from backups.text.sentences import phrase


def words(databases: Sequence[Database]) -> dict[int, list[str]]:
    """What each database, its server and its repository refer to from before references were to be declared.

    By the database's key; in a few queries for all of them, since the line to add is one for all rows.
    """
    # Many databases share a few servers and repositories, and have no references of their own.
    is_known = cache(is_declared)
    shared: dict[int, list[str]] = {}
    old = {each.pk: dict(_undeclared(each, is_known, shared)) for each in databases}
    if not any(old.values()):
        return {pk: [] for pk in old}
    rows = [*Database.objects.all(), *Server.objects.all(), *Repository.objects.all()]
    every = [reference for row in rows for reference in row.references()]
    return {
        pk: [
            phrase(
                "{row} refers to {references}, which is not declared. It is still read, but no other "
                "row can be given it. {how_to_declare}",
                row=row,
                references=", ".join(references),
                how_to_declare=how_to_declare(references, every),
            )
            for row, references in found.items()
        ]
        for pk, found in old.items()
    }


def is_any(rows: Iterable[RefersToSecrets]) -> bool:
    """Whether any of these rows refers to something that was to be declared."""
    return any(not is_declared(each) for row in rows for each in row.references())


def _undeclared(
    database: Database, is_known: Callable[[str], bool], shared: dict[int, list[str]]
) -> Iterator[tuple[str, list[str]]]:
    for row in (database, database.server, database.repository):
        # An object for all that have the same server or repository.
        found = shared.get(id(row))
        if found is None:
            found = shared[id(row)] = [each for each in row.references() if not is_known(each)]
        if found:
            yield f"{type(row).__name__} {row}", found
