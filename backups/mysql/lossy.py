"""Views that the server itself shows, and so the dump programs write, with `?` in the place of letters.

It shows a view in the character set of the client that made it, which may lack what the view reads:
`SELECT *` by a latin1 client from a table with a Cyrillic column. information_schema has it whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import MySQLdb

from backups import at_first_use
from backups.dumpfile.encodings import bytes_of, is_known, is_utf8
from backups.dumpfile.quoted import NAME, TEXT
from backups.mysql.answers import anything, as_text, fetch_one
from backups.mysql.names import quote
from backups.mysql.schemas import Question, rows_of
from backups.text.sentences import phrase

_CREATE = at_first_use.pattern(r"CREATE ALGORITHM=(\w+) DEFINER=.*? SQL SECURITY (\w+) VIEW ", re.S)
_CHECKED = {"LOCAL": "WITH LOCAL CHECK OPTION", "CASCADED": "WITH CASCADED CHECK OPTION"}
_QUOTED = at_first_use.pattern(f"{TEXT}|{NAME}", re.S)


class LossyView(NamedTuple):
    """A view, the character set of its client, and how a dump is to have it; empty where nobody knows."""

    name: str
    charset: str
    statement: bytes

    @property
    def words(self) -> str:
        """What a person should know of it."""
        if not self.statement:
            return phrase(
                "The server shows view {name} with ? in the place of some letters, and so does every "
                "dump. {charset} lacks these letters: it is the character set of the client that made "
                "the view. Make it again as a client of utf8mb4.",
                name=self.name,
                charset=self.charset,
            )
        return phrase(
            "View {name} has letters that {charset} lacks. That is the character set of the client "
            "that made the view. It is dumped and restored as one made by a client of utf8mb4.",
            name=self.name,
            charset=self.charset,
        )


class _View(NamedTuple):
    """A view as information_schema has it: its text, its check option, who defined it, and whose client."""

    name: str
    text: str
    checked: str
    definer: str
    charset: str


def lossy_views(connection: Any, database: str) -> list[LossyView]:
    """The views of a database that the dump programs do not write as they are."""
    rows = rows_of(
        connection,
        database,
        Question(
            "VIEWS",
            "TABLE_NAME, VIEW_DEFINITION, CHECK_OPTION, DEFINER, CHARACTER_SET_CLIENT",
            condition="AND CHARACTER_SET_CLIENT NOT LIKE 'utf8%%' ORDER BY TABLE_NAME",
        ),
    )
    views = (_View(*map(str, row)) for row in rows)
    return [
        LossyView(view.name, view.charset, _statement(connection, database, view))
        for view in views
        if _may_lack(view.charset) and bytes_of(view.text + view.definer, view.charset) is None
    ]


def routines_with_lossy_definer(connection: Any, database: str) -> list[str]:
    """The routines whose definer MariaDB shows in a character set that lacks it."""
    rows = rows_of(
        connection,
        database,
        Question(
            "ROUTINES",
            "ROUTINE_NAME, DEFINER, CHARACTER_SET_CLIENT",
            by="ROUTINE_SCHEMA",
            condition="AND CHARACTER_SET_CLIENT NOT LIKE 'utf8%%' ORDER BY ROUTINE_NAME",
        ),
    )
    return [
        name
        for name, definer, charset in (tuple(map(str, row)) for row in rows)
        if _may_lack(charset) and bytes_of(definer, charset) is None
    ]


def _may_lack(charset: str) -> bool:
    """Whether what is lacking is lacking there, and not only unknown to us."""
    return is_known(charset) and not is_utf8(charset)


def _statement(connection: Any, database: str, view: _View) -> bytes:
    """The three lines in which the dump programs make a view, proved by what the server shows of it."""
    name, text, checked, definer, charset = view
    with suppress(MySQLdb.Error):
        statement = f"SHOW CREATE VIEW {quote(database)}.{quote(name)}"
        _, shown, *_ = fetch_one(connection, statement, anything, as_text, anything, anything)
        head = _CREATE.match(shown)
        body = "".join(_without_database(text, database))
        ending = f" {_CHECKED[checked]}" if checked in _CHECKED else ""
        if head and shown.endswith(f" AS {_as_shown(body, charset)}{ending}"):
            user, _, host = definer.rpartition("@")
            checking = f"\n/*!50002 {_CHECKED[checked]} */;" if ending else ";"
            return (
                f"/*!50001 CREATE ALGORITHM={head[1]} */\n"
                f"/*!50013 DEFINER={quote(user)}@{quote(host)} SQL SECURITY {head[2]} */\n"
                f"/*!50001 VIEW {quote(name)} AS {body} */{checking}\n"
            ).encode()
    return b""


def _without_database(text: str, database: str) -> Iterator[str]:
    """The text as it is shown to a client that has the database chosen: without its name before others."""
    own = f"{quote(database)}."
    at = 0
    while at < len(text):
        if text.startswith(f"{own}`", at):
            at += len(own)
        found = _QUOTED.match(text, at)
        end = found.end() if found else at + 1
        yield text[at:end]
        at = end


def _as_shown(text: str, charset: str) -> str:
    return "".join(c if c < "\x80" or bytes_of(c, charset) is not None else "?" for c in text)
