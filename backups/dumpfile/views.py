"""What a view's text says of databases."""

from __future__ import annotations

import re
from collections.abc import Collection

from backups import at_first_use
from backups.dumpfile.quoted import DOUBLE_BYTES, NAME_BYTES, TEXT_BYTES

# Each database that a view reads from by its name.
FROM_DATABASE = at_first_use.pattern(rb"\b(?:from|join) \(*+(`(?:[^`]|``)*+`)\.`", re.I)
# What is in quotes is text. A name is passed over whole whatever follows it.
_COLUMN_OF_DATABASE = at_first_use.pattern(
    TEXT_BYTES + rb"|" + DOUBLE_BYTES + rb"|" + NAME_BYTES + rb"(?:\.(`(?:[^`]|``)*+`\.`(?:[^`]|``)*+`))?",
    re.S,
)


def reads_another(view: bytes, own: Collection[str]) -> bool:
    """Whether a view names another database that it reads from than its `own`, by whichever of its names."""
    names = {f"`{name.replace('`', '``')}`".encode(errors="surrogateescape") for name in own}
    return any(found[1] not in names for found in FROM_DATABASE.finditer(view))


def without_own_name(view: bytes) -> bytes:
    """A view's statement without the database's name before its columns.

    MariaDB adds it where the view's definer is no user any more, but not to the tables they are
    of: loaded into another database, the view would be refused. One that names the databases of
    its tables is left as it is.
    """
    if FROM_DATABASE.search(view):
        return view
    return _COLUMN_OF_DATABASE.sub(lambda found: found[1] or found[0], view)
