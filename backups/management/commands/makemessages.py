"""`manage.py makemessages --locale it`: the catalogue of a language begun, or brought up to date."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import makemessages

# Folders without texts of ours. Each environment holds the catalogues of all of Django.
NOT_OURS = (".venv", "venv", "var", "tests", "bench", "build")


class Command(makemessages.Command):
    """Django's, which knows our own names for texts as well."""

    # `backups.text.sentences` has them. A % in them is no more than that.
    xgettext_options = [
        *makemessages.Command.xgettext_options,
        "--keyword=phrase",
        "--keyword=template",
        # What a run does, which its row has in English.
        "--keyword=phase",
        "--keyword=plural:1,2",
        *(
            f"--flag={place}:{kind}"
            for place in ("phrase:1", "template:1", "plural:1", "plural:2")
            for kind in ("python-brace-format", "no-python-format")
        ),
    ]

    def handle(self, *args: Any, **options: Any) -> Any:
        """Without what is no part of Vedetta, or is for those who write it."""
        options["ignore_patterns"] = [*options["ignore_patterns"], *NOT_OURS]
        return super().handle(*args, **options)
