"""The SQL file that a restore to a moment made: offered on the restore's page for a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_POST

from backups.admin import asked
from backups.admin.base import page_url
from backups.admin.restore_moment import command_of, is_to_download
from backups.admin.restoring import MAY_RESTORE, has_left, noted_and_streamed, refuse_http_1_0
from backups.downloads import asking
from backups.errors import Problem
from backups.models import Restore
from backups.moments.until import Until
from backups.text.sentences import phrase


@dataclass(frozen=True)
class KeptFile:
    """What a run says of the file that it made: its name, its size in bytes, until when it is kept."""

    name: str
    bytes: int
    until: datetime

    @property
    def is_over(self) -> bool:
        """Whether it is removed since."""
        return self.until <= timezone.now()


def kept_file(restore: Restore) -> KeptFile | None:
    """The file of a restore; None of one that made none for the portal."""
    if not is_to_download(restore):
        return None
    result = restore.run.result if isinstance(restore.run.result, dict) else {}
    try:
        told = result["kept_file"]
        until = datetime.fromisoformat(str(told["until"]))
        return KeptFile(str(told["name"]), int(told["bytes"]), until) if until.tzinfo else None
    except (KeyError, OverflowError, TypeError, ValueError):
        return None  # it is not over, or is of a row that we did not write


def _until(restore: Restore) -> Until | None:
    """The moment of a restore; None also of a row that another version wrote. Raises Problem."""
    try:
        return Until.from_row(restore.until)
    except (KeyError, TypeError, ValueError):
        return None


@MAY_RESTORE
@require_POST
def download_view(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Pass the file on from the worker, for a ticket that is good once."""
    restore = get_object_or_404(Restore.objects.select_related("run", "snapshot", "database"), pk=pk)
    try:
        until = _until(restore)
        if until is None or kept_file(restore) is None:
            raise Problem(phrase("This restore made no file to be downloaded."), code="restore.no_file")
        refuse_http_1_0(request, command_of(restore.database, until))
        person = asked.person_of(request)
        content = asking.begin_file(person, restore.snapshot, restore.run_id, has_left(request))
    except Problem as problem:
        messages.error(request, phrase("Nothing was downloaded. {sentence}", sentence=problem.sentence()))
        return HttpResponseRedirect(page_url(restore))
    return noted_and_streamed(request, restore, content, ".")
