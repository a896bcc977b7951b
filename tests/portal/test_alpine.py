"""The Alpine that pages get is the one that needs no eval, as published, beside what unfold asks of it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
import unfold
from django.contrib.staticfiles import finders
from django.test import Client

TEMPLATES = Path(unfold.__file__).parent / "templates" / "unfold"
PLACE = "vedetta/alpine"
# unfold's own, of which portal's templates of the same names are copies with a changed line or two.
COPIED = {
    "layouts/skeleton.html": "66af9f0bb45f98ba4e16ba5e5a11f36d87b8e07430d19066d088b29548491c2e",
    "layouts/unauthenticated.html": "768501529f1a8dae820558f90c1ab782f0703a8504070678b390bc16c9c48cf3",
    "helpers/display_label.html": "2d2f435b36231e460b576eec643c325e5836b0b27402521df456e39d7a6c6df8",
    "helpers/command.html": "ae6ce324d85366131fc82945b3c35c1b980829229508343993e6adcbee4c975d",
    "helpers/welcomemsg.html": "e8eab02522ba2319b937086bbcb6bf2a2bbe1489d236ad90ff23edbe070a7d6b",
}


def found(name: str) -> Path:
    """A static file, wherever it comes from."""
    place = finders.find(name)
    assert isinstance(place, str)
    return Path(place)


def test_it_is_what_was_published() -> None:
    noted = re.search(r"sha256\s+([0-9a-f]{64})\n", found(f"{PLACE}/LICENSE.txt").read_text())
    assert noted
    script = found(f"{PLACE}/alpine-csp.min.js").read_bytes()
    assert hashlib.sha256(script).hexdigest() == noted[1]


def test_it_makes_no_functions_of_text_as_unfolds_own_does() -> None:
    makes = re.compile(rb"\beval\(|\bFunction\(|AsyncFunction|async function\(\)\{\}\)\.constructor")
    assert makes.search(found("unfold/js/alpine/alpine.js").read_bytes())
    assert not makes.search(found(f"{PLACE}/alpine-csp.min.js").read_bytes())


def test_pages_load_it_and_no_other(db: None) -> None:
    page = Client().get("/admin/login/").content.decode()
    assert re.findall(r"/static/v-\w+/(\S*alpine[\w.-]*\.js)", page)[-1] == f"{PLACE}/alpine-csp.min.js"
    assert "alpine/alpine.js" not in page


@pytest.mark.parametrize("name", COPIED)
def test_what_ours_is_a_copy_of_is_as_it_was(name: str) -> None:
    digest = hashlib.sha256((TEMPLATES / name).read_bytes()).hexdigest()
    assert digest == COPIED[name], f"Take over into templates/unfold/{name} what unfold changed in its own."
