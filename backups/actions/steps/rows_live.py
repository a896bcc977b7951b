"""The live tables that rows are given back to, with all that foreign keys connect with them."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from backups import mysql
from backups.actions.steps.rows_moment import Live
from backups.differences.kept_rows import Change
from backups.dumpfile.quoted import NAME_BYTES, unquoted
from backups.endpoints import database_server
from backups.errors import Problem
from backups.models import Database
from backups.requests.rows_back import UNSEEN_KEYS
from backups.rows_back.script import Counts
from backups.runs.progress import Progress
from backups.text.sentences import phrase

_NEXT_NUMBER = re.compile(rb" AUTO_INCREMENT=\d+")


def live_of(database: Database, chosen: Collection[str], progress: Progress) -> Live:
    """The chosen tables and all that foreign keys connect. Raises Problem where one is not there."""
    server = database_server(database)
    progress.mask_secrets([server.password])
    with mysql.connect(server) as connection:
        info = mysql.probe(connection)
        there = {each.name for each in mysql.listed_tables(connection, database.database) if each.is_table}
        keys = mysql.foreign_keys(connection, database.database)
        into = mysql.foreign_keys_into(connection, database.database)
        by_engine = mysql.foreign_keys_into_by_engine(connection, database.database)
    if missing := sorted(set(chosen) - there):
        raise Problem(
            phrase("{tables} is not there any more.", tables=mysql.named(missing)),
            code="rows.table_is_gone",
            safe=_UNTOUCHED,
            do=phrase("Restore it from the snapshot."),
        )
    tables = _connected(chosen, keys) & there
    for table, other in [*into, *(by_engine or [])]:
        if other in tables:
            raise Problem(
                phrase(
                    "A foreign key of {table}, in another database, refers to {other}. What the script "
                    "would do there cannot be proved.",
                    table=table,
                    other=other,
                ),
                code="rows.key_from_elsewhere",
                safe=_UNTOUCHED,
                do=phrase("Restore the table in place, or drop that foreign key for the time."),
            )
    return Live(server, info, database.database, sorted(tables), keys_unseen=by_engine is None)


def _connected(chosen: Collection[str], keys: Collection[mysql.ForeignKey]) -> set[str]:
    found = set(chosen)
    while more := {
        other
        for key in keys
        for one, other in ((key.table, key.referenced), (key.referenced, key.table))
        if one in found and other not in found
    }:
        found |= more
    return found


def triggers_that_run(database: Database, live: Live, counts: Mapping[str, Counts]) -> list[dict[str, Any]]:
    """The triggers that the script sets off, each with its table and for how many rows."""
    with mysql.connect(database_server(database)) as connection:
        known = mysql.trigger_events(connection, live.database)
    found = []
    for name, table, event in known:
        of = counts.get(table, Counts())
        rows = {"INSERT": of.inserted, "UPDATE": of.updated, "DELETE": of.deleted}.get(event, 0)
        if rows:
            found.append({"trigger": name, "table": table, "event": event.lower(), "rows": rows})
    return found


_KEY_LINE = re.compile(rb"^  (?:PRIMARY |UNIQUE )?KEY [^\n]*", re.MULTILINE)


def unseen(live: Live, made: Iterable[Change], definitions: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Tables of which rows go, or change what is in a key, where keys of other databases cannot be seen.

    Such keys may delete or change rows there. They are told of as triggers are, and to be known.
    """
    if not live.keys_unseen:
        return []
    rows: Counter[str] = Counter()
    for each in made:
        keys = b"".join(_KEY_LINE.findall(definitions.get(each.table, b"")))
        if each.found is not None and (each.then is None or _changed(each) & _names(keys)):
            rows[each.table] += 1
    return [
        {"trigger": "foreign keys of other databases", "table": table, "event": UNSEEN_KEYS, "rows": count}
        for table, count in sorted(rows.items())
    ]


def _changed(change: Change) -> set[bytes]:
    then, found = change.then or {}, change.found or {}
    return {name for name in then if then[name] != found.get(name)}


def _names(keys: bytes) -> set[bytes]:
    return {unquoted(name).encode(errors="surrogateescape") for name in _NAME.findall(keys)}


_NAME = re.compile(NAME_BYTES, re.S)


def defined(live: Live) -> str:
    """A digest of how these tables and the triggers are defined, whatever number comes next."""
    found = hashlib.sha256()
    with mysql.connect(live.server) as connection:
        for table in live.tables:
            found.update(_NEXT_NUMBER.sub(b"", mysql.definition(connection, live.database, table)) + b"\0")
        for table, digest in mysql.trigger_digests(connection, live.database):
            if table in live.tables:
                found.update(f"{table}\0{digest}\0".encode(errors="surrogateescape"))
    return found.hexdigest()


_UNTOUCHED = phrase("The live database was not touched.")
