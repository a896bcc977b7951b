"""The button that starts a proof of a database's log; where none can be made it says what to set."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.forms import BaseDialogForm

from backups.admin import live
from backups.admin.base import VedettaAdmin, get_or_none
from backups.admin.dialogs import FactsForm, dialog, waits_for_worker
from backups.choices import Action
from backups.models import Database, LogArchive, Run
from backups.requests import ReplayProofRequest
from backups.scheduling import proofs
from backups.text import formatting
from backups.text.sentences import joined, phrase


class ProofForm(FactsForm):
    """Where it would be made, and why it cannot be."""

    def facts(self, object_id: str) -> list[tuple[str, Any]]:
        """The server that test restores go to, and what is to be set first."""
        database = get_or_none(Database.objects.select_related("server"), object_id)
        if database is None:
            raise Http404
        host, port = database.test_restores_at
        where = (phrase("Where"), phrase("{host}, in a scratch database", host=f"{host}:{port}"))
        if (why_not := proofs.not_possible(database)) is not None:
            return [where, (phrase("Not possible yet"), joined(why_not))]
        usual = live.typical(live.earlier(Run(action=Action.REPLAY, database=database)))
        return [where, (phrase("Usually takes"), formatting.duration(usual.seconds)), *waits_for_worker()]


class ProvingAdmin(VedettaAdmin):
    """Pages of databases with this button."""

    def has_prove_log_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether this person may start verifications, and the log of this database is stored."""
        if not self.has_run_verify_permission(request):
            return False
        stored = Database.objects.filter(log_archive__in=LogArchive.objects.wanted())
        return object_id is None or get_or_none(stored, object_id) is not None

    @action(
        description=_("Prove the log"), icon="replay", permissions=["prove_log"],
        dialog=dialog(
            phrase("Prove the stored log?"),
            phrase("A backup is restored into a scratch database, the log up to a later backup is replayed "
"on it, and all of it is compared with that, byte for byte. The live database is not touched."),
            phrase("Prove it"),
            form_class=ProofForm,
        ),
    )  # fmt: skip
    def prove_log(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Start a proof by replay of the newest stretch of the log."""
        database = self.found(request, object_id)
        return self.start(request, database, ReplayProofRequest(database))
