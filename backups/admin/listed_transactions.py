"""Links to the list of transactions, from pages that name one."""

from __future__ import annotations

from django.db.models import Q
from django.urls import reverse
from django.utils.http import urlencode

from backups.models import Database, LogTransaction
from backups.text.checked import row_number


def transaction_url(database: Database, name: str) -> str:
    """Where a transaction is listed, by its file and position or its GTID; alone, where its GTID is known.

    The list is for who may restore.
    """
    listed = LogTransaction.objects.filter(piece__database=database, piece__forgotten_at=None)
    file, _, position = name.rpartition(":")
    at = row_number(position) or 0
    row = listed.filter(Q(piece__file=file, position=at) | Q(gtid=name)).first()
    gtid = row.gtid if row is not None else ""
    query = f"?{urlencode({'gtid': gtid})}" if gtid else ""
    return reverse("database-transactions", args=[database.pk]) + query
