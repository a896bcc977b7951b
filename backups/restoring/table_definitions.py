"""How tables are defined, to be compared before and after a swap."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Sequence
from typing import Any

from backups import mysql, process
from backups.dumpfile.rewriting import with_sequences

# It goes up with every row that an application writes meanwhile.
_NEXT_NUMBER = re.compile(rb" AUTO_INCREMENT=\d+")

# By table: SHOW CREATE TABLE, and of each foreign key its name and the database and table it refers to.
Defined = dict[str, list[Any]]


def of_tables(server: mysql.Server, database: str, tables: Sequence[str], tick: process.Tick) -> Defined:
    """How tables are defined now; without a text where the server cannot tell. Raises Problem."""
    found: Defined = {}

    def look() -> None:
        with mysql.connect(server) as connection:
            mysql.set_dump_session_format(connection)
            known_as = mysql.spelling(connection)(database)
            for table in tables:
                text = _NEXT_NUMBER.sub(b"", mysql.definition(connection, database, table))
                text = with_sequences(text, known_as, database)
                found[table] = [text.decode(errors="replace"), []]
            for key in mysql.foreign_keys(connection, database):
                if key.table in found:
                    found[key.table][1].append([key.name, key.schema, key.referenced])

    process.run_in_thread(look, tick, lambda: None)
    return found


def moved(defined: Defined, source: str, target: str) -> Defined:
    """How tables of `source` should be defined once they are in `target`."""
    return {
        table: [
            with_sequences(text.encode(), source, target).decode(),
            [[name, target if schema == source else schema, referenced] for name, schema, referenced in keys],
        ]
        for table, (text, keys) in defined.items()
    }


def packed(defined: Defined) -> bytes:
    """For a row of the portal's."""
    return zlib.compress(json.dumps(defined).encode())


def unpacked(stored: bytes | memoryview | None) -> Defined:
    """What `packed` made; nothing where nothing was stored."""
    return dict(json.loads(zlib.decompress(bytes(stored)))) if stored else {}
