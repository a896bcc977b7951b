"""Static files: below the path at which a proxy serves the portal, kept by browsers, and few of them."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.core.handlers.wsgi import WSGIHandler
from django.test import Client, RequestFactory
from fontTools.ttLib import TTFont

from portal import static_files
from tests.admin.conftest import Login, login, past, person, quick_passwords, roles, status_folder
from tools import fonts
from tools.history import History

__all__ = ["login", "past", "person", "quick_passwords", "roles", "status_folder"]

GZIP = {"Accept-Encoding": "gzip"}
LINKED = re.compile(r'(?:href|src|data-charts)="(/static/[^"]+)"')
IN_STYLES = re.compile(r'url\("([^"]+)"\)[^;]*;(?: unicode-range: ([^,;]+))?')
# At the first visit of a page with charts: fonts, styles, scripts and the page itself.
MOST_BYTES = 500_000


def test_static_files_follow_the_path_of_each_request(db: None) -> None:
    handler = WSGIHandler()

    def page(under: str) -> str:
        # The handler itself, because the test client does not take the path from SCRIPT_NAME.
        environ = RequestFactory().get("/admin/login/").environ | {"SCRIPT_NAME": under}
        return b"".join(handler(environ, lambda *_: BytesIO().write)).decode()

    versioned = f"static/v-{static_files.version()}/unfold/"
    assert f'href="/{versioned}' in page("")
    assert f'href="/vedetta/{versioned}' in page("/vedetta")
    assert '"/static/' not in page("/vedetta")
    assert f'href="/{versioned}' in page("")


def test_what_an_address_says_of_its_file_decides_how_long_it_is_kept(db: None) -> None:
    client = Client(headers=GZIP)
    digest = static_files.version()
    now, before, plain = (
        client.get(f"/static/{part}vedetta/vedetta.css") for part in (f"v-{digest}/", "v-0123456789ab/", "")
    )
    assert now.getvalue() == before.getvalue() == plain.getvalue()
    assert now["Cache-Control"] == "max-age=315360000, public, immutable"
    # Of the version before, or after, this one: it may be another file there.
    assert before["Cache-Control"] == plain["Cache-Control"] == "max-age=60, public"
    known = client.get(f"/static/v-{digest}/vedetta/vedetta.css", headers={"If-None-Match": now["ETag"]})
    assert (known.status_code, known["Cache-Control"]) == (304, now["Cache-Control"])
    assert client.get(f"/static/v-{digest}/vedetta/none.css").status_code == 404


def test_another_file_makes_another_address(tmp_path: Path, settings: Any) -> None:
    settings.WHITENOISE_USE_FINDERS, settings.STATIC_ROOT = False, tmp_path
    found = set()
    for content in ("a {}", "b {}", "a {} "):
        (tmp_path / "a.css").write_text(content)
        static_files.version.cache_clear()
        found.add(static_files.version())
    static_files.version.cache_clear()
    assert len(found) == 3


@pytest.mark.parametrize("address", ["/admin/login/", "/admin/", "/admin/backups/run/"])
def test_the_first_visit_of_a_page_loads_little(past: History, login: Login, address: str) -> None:
    """Everything that a browser of Latin letters fetches, as large as it is sent."""
    client = Client() if "login" in address else login("superuser")
    html = client.get(address).content.decode()
    loaded = {address: len(client.get(address, headers=GZIP).content)}
    for name in LINKED.findall(html):
        if "/chart/" not in name or 'class="chart"' in html:
            loaded[name] = sent(name)
        if name.endswith("/fonts.css"):
            folder = name.rpartition("/")[0]
            for file, letters in IN_STYLES.findall((fonts.FOLDER / "fonts.css").read_text()):
                if letters in {"", "U+0000-017F"}:
                    loaded[file] = sent(f"{folder}/{file}")
    assert sum(loaded.values()) < MOST_BYTES, loaded
    assert len(loaded) > 15


def sent(name: str) -> int:
    response = Client(headers=GZIP).get(name)
    assert response.status_code == 200, name
    return len(response.getvalue())


# ---------------------------------------------------------------- Fonts


def test_every_icon_that_pages_show_is_in_the_font() -> None:
    there = fonts.ligatures(TTFont(fonts.ICONS))
    missing = fonts.icons_in_use() - set(there)
    assert not missing, "Run `python -m tools.fonts`, and commit what it writes."
    # Of settings, a template, an action, and a style.
    assert {"dashboard", "chevron_right", "health_and_safety", "calendar_today"} <= set(there)
    assert "zoom_in" not in there


@pytest.mark.parametrize("weight", fonts.WEIGHTS)
def test_letters_are_in_the_font_or_in_the_whole_one_beside_it(weight: str) -> None:
    cut = set(TTFont(fonts.FOLDER / f"Inter-{weight}.woff2").getBestCmap())
    assert set(map(ord, "Città perché ß Łódź “…” → ≥ €")) <= cut
    styles = (fonts.FOLDER / "fonts.css").read_text()
    assert f"../../unfold/fonts/inter/Inter-{weight}.woff2" in styles
    assert finders.find(f"unfold/fonts/inter/Inter-{weight}.woff2")


def test_fonts_carry_their_licences() -> None:
    for name in ("LICENSE-Inter.txt", "LICENSE-Material-Symbols.txt"):
        assert "icense" in (fonts.FOLDER / name).read_text()[:1000]
