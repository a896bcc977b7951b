"""`manage.py makemessages --locale it`: the catalogue of a language begun, or brought up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.commands import makemessages

# Folders without texts of ours. Each environment holds the catalogues of all of Django.
NOT_OURS = (".venv", "venv", "var", "tests", "bench", "build")
# One that is met on the way would be taken for the one to write to, whatever LOCALE_PATHS says.
_OF_CATALOGUES = "locale"
# Lines of the head that say when it was made and by whom: two branches would always differ in them.
_OF_THE_DAY = ('"POT-Creation-Date:', '"Report-Msgid-Bugs-To:')


class Command(makemessages.Command):
    """Django's, which knows our own names for texts as well."""

    # A guess stands beside the English that it was of.
    msgmerge_options = [*makemessages.Command.msgmerge_options, "--previous"]
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
        """Without what is no part of Vedetta or is for those who write it, and so that only texts differ."""
        options["ignore_patterns"] = [*options["ignore_patterns"], *NOT_OURS, _OF_CATALOGUES]
        if not options["no_location"]:
            options["add_location"] = options["add_location"] or "file"
        options["no_wrap"] = options["no_obsolete"] = True
        return super().handle(*args, **options)

    def write_po_file(self, potfile: str, locale: str) -> None:
        """Django's, without what changes from day to day."""
        super().write_po_file(potfile, locale)
        file = Path(potfile).parent / locale / "LC_MESSAGES" / f"{self.domain}.po"
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        file.write_text("".join(line for line in lines if not line.startswith(_OF_THE_DAY)), encoding="utf-8")
