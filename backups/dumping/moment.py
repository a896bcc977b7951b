"""Whether a dump is of one moment in what has no rows: views, triggers, events, routines, libraries.

The transaction of a dump program holds rows alone. What else it writes is as it finds it when its turn
comes, so it is looked at before and after, and with what the stream holds.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from backups import mysql
from backups.dumpfile.digesting import Digester
from backups.dumpfile.rewriting import without_state
from backups.dumpfile.sections import ROUTINES, Kind
from backups.errors import Problem
from backups.text.kinds import kind_word
from backups.text.sentences import joined, phrase

DEFINED = frozenset({Kind.VIEW, Kind.TRIGGER, Kind.EVENT, Kind.LIBRARY, *ROUTINES})
_AGAIN = phrase("Back up again when the change is done.")
# A server's event thread is as late as it is busy, and a clock tells whole seconds.
_CLOCK_SECONDS = 2.0

# Behind each statement of a dump.
_END = b";"

Key = tuple[str, str]


class Seen(NamedTuple):
    """A definition at a moment: a digest of all that the server tells of it, and when it was altered last."""

    digest: str
    at: str


class Content(NamedTuple):
    """What a dump of a database has to hold at a moment.

    `ending` are events that the server itself drops when they are over: when that is on the clock of
    this machine, None where nobody knows.
    """

    inventory: mysql.Inventory
    definitions: dict[Key, Seen]
    ending: dict[str, float | None]

    @property
    def names(self) -> list[str]:
        """All that the dump programs go through as they do through tables."""
        return [name for kind in ("table", "view", "sequence") for name in self.inventory.get(kind, [])]

    @classmethod
    def of(
        cls,
        connection: Any,
        database: str,
        without: Collection[str] = (),
        look: Callable[[mysql.Described], None] = lambda _: None,
    ) -> Content:
        """All but the views `without` which the dump is made; `look` is shown each definition.

        `connection` has the database chosen.
        """
        engines = mysql.engines(connection, database)
        held = mysql.inventory(connection, database)
        if views := [view for view in held.pop("view", []) if view not in without]:
            held["view"] = views
        dumped = [table for table in held.pop("table", []) if mysql.is_dumped(engines.get(table))]
        definitions = {}
        for one in mysql.described(connection, database):
            if one.kind != Kind.VIEW or one.name not in without:
                definitions[one.kind, one.name] = Seen(_digest(one), one.at)
                look(one)
        now = time.monotonic()
        ending = mysql.events_that_end(connection, database)
        return cls(
            {"table": dumped, **held} if dumped else held,
            definitions,
            {name: None if left is None else now + left for name, left in ending.items()},
        )

    def of_tables(self, chosen: Collection[str]) -> Content:
        """What a dump of these tables alone has to hold of it, them and their triggers; without any, all."""
        if not chosen:
            return self
        held = {
            kind: [table for table in self.inventory.get(kind, []) if table in chosen]
            for kind in ("table", Kind.TRIGGER)
        }
        return Content({kind: names for kind, names in held.items() if names}, {}, {})


def _digest(one: mysql.Described) -> str:
    text = without_state(_body(one)) if one.kind == Kind.EVENT else _body(one)
    return hashlib.sha256(b"\0".join([text, *one.besides])).hexdigest()


def _body(one: mysql.Described) -> bytes:
    """Without the last semicolon, which MySQL keeps where others were sent with it and a load drops."""
    return one.text.removesuffix(_END)


class Unlike:
    """Collects what of a database, as it is after a dump, the dump does not surely hold so.

    Of routines and libraries the stream keeps no text, but the server knows when they were altered.
    """

    def __init__(self, digester: Digester, before: Content) -> None:
        self._kept, self._before = digester.definitions_kept(), before
        self.found: set[Key] = set()

    def look(self, one: mysql.Described) -> None:
        """Take in a definition as it is after the dump."""
        key = (one.kind, one.name)
        before = self._before.definitions.get(key)
        if before is None:
            return
        if one.kind in (Kind.VIEW, Kind.TRIGGER, Kind.EVENT):
            section = self._kept.get(key)
            is_like = section is not None and section.tells(_body(one) + _END) and section.tells(one.mode)
        else:
            is_like = one.at == before.at
        if not is_like:
            self.found.add(key)


def refuse_two_moments(held: mysql.Inventory, before: Content, after: Content, database: str) -> None:
    """Raise Problem unless a dump holds what the database held before it, and that is there unaltered."""
    now = time.monotonic() + _CLOCK_SECONDS
    over = {name for name, at in before.ending.items() if at is None or now >= at}
    for (kind, name), seen in before.definitions.items():
        then = after.definitions.get((kind, name))
        if then is None and not (kind == Kind.EVENT and name in over):
            raise _not_of_one_moment(kind, name, database, phrase("dropped or renamed"))
        if then is not None and then.digest != seen.digest:
            raise altered(kind, name, database)
    for kind in sorted(DEFINED):
        if _more(held.get(kind, []), before.inventory.get(kind, [])):
            for made, name in sorted(after.definitions.keys() - before.definitions.keys()):
                if made == kind:
                    raise _not_of_one_moment(kind, name, database, phrase("made"))
    _refuse_other_inventory(_without(held, over), _without(before.inventory, over), after.inventory, database)


def _more(names: list[str], others: list[str]) -> bool:
    return any(names.count(name) > others.count(name) for name in set(names))


def _without(inventory: mysql.Inventory, events: Collection[str]) -> mysql.Inventory:
    """An inventory without events that may be dropped at any moment."""
    kept = [name for name in inventory.get(Kind.EVENT, []) if name not in events]
    others = {kind: names for kind, names in inventory.items() if kind != Kind.EVENT}
    return {**others, Kind.EVENT: kept} if kept else others


def _refuse_other_inventory(
    held: mysql.Inventory, before: mysql.Inventory, after: mysql.Inventory, database: str
) -> None:
    """A table that was made or dropped just before it was looked for is no harm."""
    defined = {kind: names for kind, names in before.items() if kind in DEFINED}
    now = {kind: names for kind, names in after.items() if kind not in DEFINED}
    if held in (before, {**defined, **now}):
        return
    raise Problem(
        phrase(
            "The dump of {database} does not hold what the database holds: {differences}.",
            database=database,
            differences=_differences(before, held),
        ),
        code="dump.incomplete",
        do=phrase(
            "If tables were just created or dropped, back up again. If not, check that the user may "
            "see all of it: press Test connection, or run `manage.py preflight`. The dump program must not "
            "be older than the server."
        ),
    )


def altered_defaults(
    connection: Any, database: str, before: tuple[str, str], made_under: Mapping[str, str]
) -> str:
    """What to say where a database has other defaults than before the dump; nothing where it has not.

    The dump programs switch the defaults for whatever was made under others, and tell these others by
    what the database has just then. Raises Problem where that may have been either. `before` and
    `made_under` are of before the dump.
    """
    now = mysql.database_defaults(connection, database)
    if now == before:
        return ""
    what = phrase(
        "The default character set of {database} was altered while the dump ran (ALTER DATABASE: "
        "from {before}, {before_2} to {now}, {now_2})",
        database=database,
        before=before[0],
        before_2=before[1],
        now=now[0],
        now_2=now[1],
    )
    if made := next((name for name, collation in made_under.items() if collation == now[1]), None):
        raise Problem(
            phrase(
                "{what}. The {made} was made under the new one, so the dump is not of one moment.",
                what=what,
                made=made,
            ),
            code="dump.changed_meanwhile",
            do=_AGAIN,
        )
    return phrase(
        "{what}. The snapshot has it as it was before. The rows of the tables are not affected.",
        what=what,
    )


def altered(kind: str, name: str, database: str) -> Problem:
    """What is wrong where a definition was altered during a dump."""
    return _not_of_one_moment(kind, name, database, phrase("altered"))


def _not_of_one_moment(kind: str, name: str, database: str, how: str) -> Problem:
    return Problem(
        phrase(
            "The {kind} {name} of {database} was {how} while the dump ran, so the dump is not of one moment.",
            kind=kind_word(kind),
            name=name,
            database=database,
            how=how,
        ),
        code="dump.changed_meanwhile",
        do=_AGAIN,
    )


def differing(one: Digester, other: Digester) -> list[Key]:
    """The definitions of one dump that another one of the same database does not hold so."""
    found, wanted = _digests(other), _digests(one)
    return [key for key, digests in wanted.items() if found.get(key) != digests]


def _digests(digester: Digester) -> dict[Key, list[str]]:
    digests: dict[Key, list[str]] = {}
    for section in digester.sections({}, whatever_state=True):
        if section["kind"] in DEFINED:
            digests.setdefault((section["kind"], section["name"]), []).append(section["sha256"])
    return digests


def _differences(wanted: mysql.Inventory, held: mysql.Inventory) -> str:
    differences = []
    for kind in sorted({*wanted, *held}):
        missing = set(wanted.get(kind, [])) - set(held.get(kind, []))
        extra = set(held.get(kind, [])) - set(wanted.get(kind, []))
        counts = phrase(
            "{count} of {count_2}", count=len(held.get(kind, [])), count_2=len(wanted.get(kind, []))
        )
        if wanted.get(kind, []) != held.get(kind, []):
            names = ", ".join(sorted(missing or extra)[:3])
            told = phrase("{kind}: {counts}", kind=kind_word(kind), counts=counts)
            differences.append(told + (f" ({names})" if names else ""))
    return joined(differences, "; ")
