"""`manage.py compilemessages --locale it`: the catalogue of a language as Vedetta reads it."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import compilemessages

from backups.management.commands.makemessages import NOT_OURS


class Command(compilemessages.Command):
    """Django's, without the catalogues of what is installed beside Vedetta."""

    def handle(self, **options: Any) -> Any:
        """Compile our own."""
        options["ignore_patterns"] = [*options["ignore_patterns"], *NOT_OURS]
        return super().handle(**options)
