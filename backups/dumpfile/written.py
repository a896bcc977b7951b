"""A statement that was read, written as a dump would have it: with its settings, to be read again."""

from __future__ import annotations

from backups.dumpfile.ready import Unmade
from backups.dumpfile.settings import KEPT


def as_dumped(unmade: Unmade) -> bytes:
    """The statements that make it, whatever the settings before them."""
    statements = [unmade.before.text] if unmade.before else []
    changed = unmade.ready.settings.changed
    settings = [f"SET {name} = {_literal(changed.get(name))};\n".encode() for name in KEPT]
    return b"".join([*settings, *map(delimited, [*statements, unmade.ready.text])])


def _literal(value: str | None) -> str:
    return "DEFAULT" if value is None else f"'{value}'"


def delimited(text: bytes) -> bytes:
    """A statement with a delimiter that does not occur in it."""
    delimiter = b";;"
    while delimiter in text:
        delimiter += b";"
    return b"DELIMITER %s\n%s\n%s\nDELIMITER ;\n" % (delimiter, text, delimiter)
