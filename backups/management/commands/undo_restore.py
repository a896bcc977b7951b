"""`manage.py undo_restore`: back to the tables that the newest restore kept, or drop them."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from backups import services
from backups.choices import Action, RestoreMode, Trigger
from backups.console import VedettaCommand, add_database, database_named
from backups.errors import Problem
from backups.models import Database, Restore


class Command(VedettaCommand):
    """Undo the newest replacement of a database, or give its kept tables up."""

    help = "Swap the tables back that the newest restore with --replace kept, or drop them."

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        add_database(parser)
        parser.add_argument(
            "--drop", action="store_true", help="drop the kept tables instead: no way back after that"
        )

    def work(self, **options: Any) -> Mapping[str, Any]:
        database = database_named(options["database"])
        restore = _newest(database)
        if options["drop"]:
            run = self.play(Action.DROP_KEPT, database=database, options={"restore": restore.pk})
            self.say(run.result["sentence"])
            return {"run_id": run.pk}
        queued = services.restore_enqueue(
            database=database,
            snapshot=restore.snapshot,
            mode=RestoreMode.UNDO,
            target=restore.target,
            trigger=Trigger.CLI,
            undo_of=restore,
            send=False,
        )
        run = self.play_queued(queued)
        self.say(f"{restore.target} is again what it was before restore {restore.run_id}.")
        return {"run_id": run.pk, "target": restore.target}


def _newest(database: Database) -> Restore:
    kept = Restore.objects.filter(database=database, swapped_at__isnull=False)
    found = kept.filter(undone_at=None, dropped_at=None).first()
    if found is None:
        raise Problem(f"No restore of {database} keeps tables, so there is nothing to undo.")
    return found
