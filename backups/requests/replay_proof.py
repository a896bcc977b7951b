"""Asking for a proof by replay."""

from __future__ import annotations

from dataclasses import dataclass

from backups.choices import Action
from backups.errors import Problem
from backups.models import LogArchive
from backups.requests.base import NOTHING_DONE, About, DatabaseRequest
from backups.scheduling import proofs
from backups.text.sentences import phrase


@dataclass(frozen=True)
class ReplayProofRequest(DatabaseRequest):
    """Prove that the archived log leads from one backup to the next: which two is chosen when it begins."""

    action = Action.REPLAY

    @property
    def about(self) -> About:
        """The database."""
        return About(database=self.database)

    def refuse_unfit(self) -> None:
        """Raise Problem where no log of the database is archived, or it can be replayed nowhere."""
        archive = LogArchive.objects.filter(database=self.database).first()
        if archive is None or not archive.is_on:
            raise Problem(
                phrase("The binary log of {database} is not archived.", database=self.database),
                code="replay_proof.archive_off",
                safe=NOTHING_DONE,
                do=phrase(
                    "Switch it on (manage.py log_archive on), and prove it when there are two backups since."
                ),
            )
        if (why_not := proofs.not_possible(self.database)) is not None:
            raise Problem(why_not[0], code="replay.beside_live", safe=NOTHING_DONE, do=why_not[1])
