"""What of a dump is sent, where to, and what was found on the way: the words that all who load share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from backups.dumpfile.encodings import bytes_of, decoded
from backups.dumpfile.settings import Settings
from backups.text.kinds import kind_word
from backups.text.sentences import phrase


class Does(Enum):
    """What a statement that is sent does."""

    DROP = "drop"
    TABLE = "table"
    SEQUENCE = "sequence"
    NUMBER = "number"
    ROWS = "rows"
    KEYS = "keys"
    LATER = "later"
    DEFINITION = "definition"


class Ready(NamedTuple):
    """A statement that may be sent, as it is to be sent. `table` is the one that it is about, or none."""

    does: Does
    text: bytes
    settings: Settings
    table: str = ""
    kind: str = ""
    name: str = ""


class LeftOut(NamedTuple):
    """What a dump holds and was not made, and why; what `waits` is made in the place of the live database."""

    kind: str
    name: str
    why: str
    waits: bool = False


class Unmade(NamedTuple):
    """A view, trigger, routine or event that the server did not make, and why.

    `before` chose the database's collation for it, where it has one of its own. `do` says what to do
    about it; `is_sound` that it is this server's settings or accounts alone that are against it; `code` is
    the server's error.
    """

    ready: Ready
    why: str
    before: Ready | None = None
    do: str = ""
    is_sound: bool = False
    code: int = 0

    @property
    def words(self) -> str:
        """What could not be made, for a sentence."""
        return phrase(
            "{kind} {ready} could not be made: {why}",
            kind=kind_word(self.ready.kind),
            ready=self.ready.name,
            why=self.why,
        )


class EventState(NamedTuple):
    """An event that was made disabled, and how the dump has it: ENABLE, DISABLE, DISABLE ON SLAVE.

    Its definer is in the character set of its client.
    """

    name: str
    definer: bytes
    state: bytes
    settings: Settings

    def settled(self, state: bytes | None = None) -> Ready:
        """The statement that puts it into its state, or another.

        With its definer, since otherwise whoever alters an event becomes that; and under its own
        settings, since the server takes its body for one of whatever client alters it.
        """
        settings, definer = self.settings, self.definer
        name = bytes_of(f"`{self.name.replace('`', '``')}`", settings.charset)
        if name is None:
            name, definer = quoted(self.name), in_utf8(definer, settings)
            settings = settings.in_utf8
        by = b"DEFINER=" + definer + b" " if definer else b""
        text = b"ALTER " + by + b"EVENT " + name + b" " + (state or self.state)
        return Ready(Does.DEFINITION, text, settings, kind="event", name=self.name)

    def to_enable(self, database: str) -> str:
        """For people: what enables it, and keeps its definer and the character set of its client."""
        charset = self.settings.charset
        as_then = "" if charset.startswith("utf8") else f"SET NAMES {charset}; "
        by = in_utf8(self.definer, self.settings).decode(errors="replace")
        whose = f"DEFINER={by} " if by else ""
        place = (quoted(database) + b"." + quoted(self.name)).decode(errors="replace")
        return f"{as_then}ALTER {whose}EVENT {place} ENABLE;"


class WithoutRole(NamedTuple):
    """What a role defined that the server has not got: it takes the name for an account's, without a word."""

    kind: str
    name: str
    role: str

    @property
    def why(self) -> str:
        """What is not as it was, for a sentence."""
        return phrase(
            "its definer, the role {role}, is not on this server, and became the account {role}@%",
            role=self.role,
        )

    @property
    def cure(self) -> str:
        """What makes the role, and what then."""
        role = quoted(self.role).decode(errors="replace")
        return phrase(
            "Run as an administrator there: CREATE ROLE {role}; grant it what it had, then try again.",
            role=role,
        )


@dataclass(frozen=True)
class LoadOptions:
    """Into which database a dump of `source` goes, and what of it. An empty `tables` is all of it.

    With `current_user_defines` all runs in the name of the user that loads. With `without_what_is_denied`
    a definition that this user's rights do not reach is left unmade like others, and ends no load. With
    `to_be_read_once` tables need no keys but those by which their rows lie.
    """

    database: str
    source: str
    tables: frozenset[str] = frozenset()
    current_user_defines: bool = False
    without_what_is_denied: bool = False
    to_be_read_once: bool = False


@dataclass
class Found:
    """What came by in a dump."""

    # Objects that stand after all is loaded, by kind and name.
    made: dict[tuple[str, str], str] = field(default_factory=dict)
    # CREATE TABLE statements, as the dump has them.
    definitions: dict[str, bytes] = field(default_factory=dict)
    with_rows: set[str] = field(default_factory=set)
    left_out: list[LeftOut] = field(default_factory=list)
    # What is made, and not quite as it was.
    reworded: list[LeftOut] = field(default_factory=list)
    events: list[EventState] = field(default_factory=list)
    # Whose definer is a role, by kind and name; and those of which an account of its name became that.
    of_roles: dict[tuple[str, str], str] = field(default_factory=dict)
    without_role: list[WithoutRole] = field(default_factory=list)
    # Foreign keys to other databases and defaults from there, for tables that stand in their place.
    outward: list[Ready] = field(default_factory=list)
    # Databases of which statements were passed over, with how many.
    others: Counter[str] = field(default_factory=Counter)
    own_statements: int = 0
    # Tables and views as the dump spells them, by the name that this server gives them instead.
    respelled: dict[str, str] = field(default_factory=dict)
    # Tables or views that this server takes for one: their names differ in case only.
    clashing: list[str] = field(default_factory=list)
    unmade: list[Unmade] = field(default_factory=list)
    # What the events among these are to be once they are made.
    states_of_unmade: dict[str, EventState] = field(default_factory=dict)

    def leave_unmade(self, unmade: Sequence[Unmade]) -> None:
        """Note what the server did not make."""
        self.unmade = list(unmade)
        events = {each.ready.name for each in unmade if each.ready.kind == "event"}
        self.states_of_unmade = {event.name: event for event in self.events if event.name in events}
        self.events = [event for event in self.events if event.name not in events]
        for each in unmade:
            self.made.pop((each.ready.kind, each.ready.name), None)

    def leave_out_events(self, names: Collection[str], why: str) -> None:
        """Note that these events were not made."""
        self.left_out += [LeftOut("event", event.name, why) for event in self.events if event.name in names]
        self.events = [event for event in self.events if event.name not in names]
        for name in names:
            self.made.pop(("event", name), None)

    def inventory(self) -> dict[str, list[str]]:
        """The names of all that was made, by kind, sorted; triggers by their table."""
        found: dict[str, list[str]] = {}
        for (kind, name), of in self.made.items():
            found.setdefault(kind, []).append(of if kind == "trigger" else name)
        return {kind: sorted(names) for kind, names in found.items()}


def in_utf8(text: bytes, settings: Settings) -> bytes:
    """A part of a dump's statement for one of our own."""
    if settings.charset.startswith("utf8"):
        return text
    return decoded(text, settings.charset).encode(errors="surrogateescape")


def quoted(name: str) -> bytes:
    """A name as an identifier, in UTF-8."""
    return b"`" + name.replace("`", "``").encode(errors="surrogateescape") + b"`"
