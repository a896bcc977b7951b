"""`python -m tools.catalogue`: the catalogues brought up to date with the texts, and compiled.

It changes `.po` files as `manage.py makemessages` does, compiles them into the `.mo` files that Vedetta
reads, and lists what is still to be translated; then it ends with 1. It needs gettext's programs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.shell import ROOT, VENV_PYTHON

LOCALES = ROOT / "portal" / "locale"
# Of the settings, which signs nothing here.
_SECRET_KEY = "of-the-catalogues-where-nothing-is-signed"  # noqa: S105


def main() -> None:
    """Bring all catalogues up to date, or say what is missing."""
    if shutil.which("msgfmt") is None:
        sys.exit("catalogue: install gettext, for example with `apt-get install gettext`.")
    catalogues = sorted(LOCALES.glob("*/LC_MESSAGES/django.po"))
    languages = [option for path in catalogues for option in ("--locale", path.parent.parent.name)]
    _run(VENV_PYTHON, "manage.py", "makemessages", *languages)
    left = [_compiled(path) for path in catalogues]
    sys.exit(1 if any(left) else 0)


def _compiled(path: Path) -> bool:
    """Compile a catalogue; whether something in it is not translated, or only guessed (fuzzy)."""
    _run("msgfmt", "--check-format", "--check-domain", "--no-hash", "-o", path.with_suffix(".mo"), path)
    open_texts = [
        subprocess.run(
            ["msgattrib", which, "--no-wrap", "--no-obsolete", path],
            stdout=subprocess.PIPE, check=True, text=True,
        ).stdout
        for which in ("--untranslated", "--only-fuzzy")
    ]  # fmt: skip
    for text in filter(None, open_texts):
        print(text)
    if any(open_texts):
        print(f"{path.relative_to(ROOT)}: translate the texts above; where they are guessed, see if it fits.")
    return any(open_texts)


def _run(*arguments: str | Path) -> None:
    environment = {"SECRET_KEY": _SECRET_KEY, **os.environ}
    if subprocess.run(arguments, cwd=ROOT, env=environment, check=False).returncode:
        sys.exit(1)


if __name__ == "__main__":
    main()
