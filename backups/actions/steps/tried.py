"""What a form holds, tried before it is saved: nothing is stored, and nothing changed on the other side."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

from backups import mysql, restic, validators
from backups.actions.steps.scratch import scratch_name
from backups.actions.steps.snapshot_list import is_dump
from backups.endpoints import repository_access, server_of_form
from backups.errors import Problem
from backups.models import Repository, Server
from backups.mysql import grants
from backups.requests.set_up_questions import RepositoryQuestion, ServerQuestion
from backups.snapshots.naming import database_in
from backups.text.sentences import phrase

# What a right is needed for, as the answer has it.
BACKUP, VERIFY = "backup", "verify"
# Of a server with more databases the rest is left to the test of each.
_LOOKED_AT = 20
_SHOWN = 200
_LIST_SECONDS = 15.0


def server(question: ServerQuestion) -> dict[str, Any]:
    """What answers there, which databases its user sees, and what GRANT each still needs. Raises Problem."""
    place = question.place
    refuse_undeclared(place.password_ref)
    row = Server(
        name=place.host, host=place.host, port=place.port, user=place.user, password_ref=place.password_ref,
        ssl_mode=place.ssl_mode, ssl_ca=place.ssl_ca,
    )  # fmt: skip
    at = server_of_form(row)
    with mysql.connect(at) as connection:
        info = mysql.probe(connection)
        seen = mysql.databases(connection)
        looked_at = [question.database] if question.database else seen[:_LOOKED_AT]
        return {
            "software": str(info),
            "is_encrypted": at.stays_here or mysql.is_encrypted(connection),
            "databases": seen[:_SHOWN],
            "count": len(seen),
            "named": question.database,
            "is_seen": mysql.database_exists(connection, question.database) if question.database else True,
            "lacking": [each for name in looked_at for each in _lacking(connection, info, name)],
        }


def _lacking(connection: Any, info: mysql.ServerInfo, database: str) -> list[dict[str, Any]]:
    """What the user lacks for backups of a database, and for test restores where they go beside it."""
    found = {BACKUP: grants.missing_for_dump(connection, info, database)}
    if not settings.VERIFY_MYSQL_HOST:
        found[VERIFY] = grants.missing_in_scratch(connection, scratch_name(database, 1))
    return [
        {
            "database": database,
            "purpose": purpose,
            "statements": list(missing.statements or (missing.statement,)),
        }
        for purpose, missing in found.items()
        if missing is not None
    ]


def repository(question: RepositoryQuestion) -> dict[str, Any]:
    """What lies at a location: nothing yet, the repository of a row, or another one. Raises Problem."""
    for reference in (question.password_ref, question.access_key_ref, question.secret_key_ref):
        if reference:
            refuse_undeclared(reference)
    known = None if question.row is None else Repository.objects.filter(pk=question.row).first()
    row = known or Repository(name="")
    row.url, row.password_ref = question.url, question.password_ref
    row.access_key_ref, row.secret_key_ref = question.access_key_ref, question.secret_key_ref
    access = repository_access(row)
    try:
        found_id = restic.probe(access)
    except (restic.NoRepository, restic.NoBucket):
        if access.names.known:
            raise
        return {"state": "new"}
    there = Repository.objects.filter(restic_id=found_id).exclude(restic_id="").first()
    if there is not None and there.pk == row.pk:
        return {"state": "ours", "name": there.name}
    told: dict[str, Any] = {"state": "existing", "name": there.name if there else "", "held": []}
    if there is None:
        listed = restic.snapshots(access, deadline=_LIST_SECONDS, on_unreadable=lambda _: None)
        held = Counter(database_in(info.tags) for info in listed if is_dump(info))
        told["held"] = [[name, count] for name, count in sorted(held.items())][:_SHOWN]
    return told


def refuse_undeclared(reference: str) -> None:
    """Raise Problem for what no row may refer to, whatever asks for it: nobody learns anything of that."""
    try:
        validators.secret_reference(reference)
        validators.declared_reference(reference)
    except ValidationError as error:
        raise Problem(
            phrase("The worker did not look for it, because rows may not refer to it."),
            code="secret.not_declared",
            do=" ".join(error.messages),
        ) from None
