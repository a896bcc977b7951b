"""The snapshot that a command names by its id alone, of whichever database it is."""

from __future__ import annotations

import re

from backups.errors import Problem
from backups.management.base import WrongUsage
from backups.models import Snapshot
from backups.text.sentences import phrase


def snapshot_named(text: str) -> Snapshot:
    """The one snapshot that is there and whose id begins so. Raises Problem."""
    if not re.fullmatch(r"[0-9a-f]{4,64}", text):
        raise WrongUsage(
            phrase("{text} is no snapshot.", text=repr(text)),
            do=phrase("Give at least four digits of its id (0-9, a-f)."),
        )
    related = ("database__repository", "database__server", "repository")
    known = Snapshot.objects.filter(snapshot_id__startswith=text).select_related(*related).defer("manifest")
    present = list(known.present().order_by("pk")[:2])
    if len(present) > 1:
        raise Problem(
            phrase("Several snapshots begin with {text}.", text=text),
            code="snapshot.ambiguous",
            do=phrase("Give more digits of the id."),
        )
    if present:
        return present[0]
    if known.exists():
        raise Problem(
            phrase("Snapshot {text} is not in the repository any more.", text=text), code="snapshot.gone"
        )
    raise Problem(
        phrase("There is no snapshot {text}.", text=text),
        code="snapshot.unknown",
        do=phrase("List them with `manage.py snapshots`."),
    )
