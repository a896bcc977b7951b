"""What the commands share that pause, mute and retire a database, or end that, as its page's dialogs do."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from backups.choices import StandDownKind
from backups.configuration import bootstrap
from backups.errors import Problem
from backups.keeping import stand_downs
from backups.management.base import VedettaCommand, database_named, given
from backups.management.people import moment, person, reason
from backups.models import Database
from backups.reports import closing
from backups.text.sentences import phrase

Told = Mapping[str, Any]


class _StandDownCommand(VedettaCommand):
    """A command of one database and one kind."""

    kind: StandDownKind

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("database", metavar="DATABASE", type=given, help=phrase("its name in the portal"))

    def follow(self, database: Database, gate: str) -> Told:
        """Make schedules and gate follow; answers what the object tells of the gate. Raises Problem."""
        try:
            bootstrap.apply()
        except Problem as problem:
            problem.safe = phrase("It is saved, but not in force everywhere yet.")
            raise
        self.say(phrase("The gate: {words}", words=gate))
        looks = database.gates_app and not (
            stand_downs.is_retired(database) and closing.others_gate(database)
        )
        return {"gate_closes_at": _told(closing.closes_at(database)) if looks else None}


class Begins(_StandDownCommand):
    """One that has a database stand down."""

    # Whether it may end by itself, and whether it has to.
    is_timed, has_an_end = True, False

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        super().add_own_arguments(parser)
        if self.is_timed:
            parser.add_argument(
                "--until", metavar="TIME", type=moment, required=self.has_an_end,
                help=phrase("when it ends by itself, by TIME_ZONE, as in 2027-01-31T06:00"),
            )  # fmt: skip
        parser.add_argument(
            "--reason", metavar="TEXT", type=reason, required=True,
            help=phrase("why; everybody who signs in reads it"),
        )  # fmt: skip

    def work(self, **options: Any) -> Told:
        database = database_named(options["database"])
        wish = stand_downs.Wish(options["reason"], person(), options.get("until"))
        made = stand_downs.begin(database, self.kind, wish)
        self.say(phrase("{kind}: {how}", kind=made.get_kind_display(), how=stand_downs.told(made)))
        is_retirement = self.kind == StandDownKind.RETIREMENT
        words = closing.gate_words_without if is_retirement else closing.gate_words
        return {
            "database": database.name,
            "kind": self.kind.value,
            "by": made.made_by,
            "reason": made.reason,
            "until": _told(made.until),
            **self.follow(database, words(database)),
        }


class Ends(_StandDownCommand):
    """One that ends what stands."""

    def work(self, **options: Any) -> Told:
        database, by = database_named(options["database"]), person()
        if not stand_downs.end(database, self.kind, by=by):
            raise stand_downs.not_standing(database, self.kind)
        self.say(stand_downs.ENDED[self.kind])
        found = {"database": database.name, "kind": self.kind.value, "by": by}
        return {**found, **self.follow(database, closing.gate_words(database))}


def _told(time: datetime | None) -> str | None:
    return time.astimezone(UTC).isoformat(timespec="seconds") if time else None
