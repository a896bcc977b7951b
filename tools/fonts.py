"""`python -m tools.fonts`: unfold's fonts, cut down to what the portal's pages show.

Its icon font has thousands of icons, of which pages show some eighty, and each weight of Inter has letters of
many more languages. What is cut lies in portal/static/vedetta/fonts and is committed, so nobody needs this to
install Vedetta. Run it after an icon was added, or after an update of django-unfold; a test says when.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fontTools import subset
from fontTools.ttLib import TTFont

from tools.shell import ROOT

FOLDER = ROOT / "portal" / "static" / "vedetta" / "fonts"
ICONS = FOLDER / "icons.woff2"
WEIGHTS = ("Regular", "Medium", "SemiBold", "Bold")
# Of most of Europe's languages; fonts.css has the whole font come for any other.
LETTERS = (
    *range(0x20, 0x7F), *range(0xA0, 0x180), *range(0x2000, 0x2070), *range(0x20A0, 0x20D0),
    *range(0x2100, 0x2150), *range(0x2190, 0x2200), *range(0x2200, 0x2300),
)  # fmt: skip
_GIVEN = re.compile(r"""\b(?:\w+_)?icon=["'](\w+)["']""")
_ELEMENT = re.compile(r"material-symbols-outlined[^>]*>([^<]*)<")
_TAGS = re.compile(r"\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
_IN_STYLES = re.compile(r"""content: ?["']([a-z_0-9]{3,})["']""")
_IN_CODE = re.compile(r"""\bicon["']?\s*[:=]\s*["'](\w+)["']|content-\[["'](\w+)["']\]""")


def main() -> None:
    """Cut all fonts."""
    FOLDER.mkdir(exist_ok=True)
    icons = TTFont(_of_unfold("material-symbols/Material-Symbols-Outlined.woff2"))
    known = ligatures(icons)
    names = sorted(icons_in_use())
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"fonts: no icon is called {', '.join(unknown)}.")
    letters = {ord(letter) for name in names for letter in name}
    _cut(icons, ICONS, letters, {known[name] for name in names})
    for weight in WEIGHTS:
        font, to = TTFont(_of_unfold(f"inter/Inter-{weight}.woff2")), FOLDER / f"Inter-{weight}.woff2"
        if not _is_cut_of(to, font):
            _cut(font, to, set(LETTERS), set())


def icons_in_use() -> set[str]:
    """The icons that templates, styles and code name, ours and unfold's."""
    from portal.unfold import UNFOLD

    found = set(_named_in(UNFOLD))
    for folder in (ROOT / "templates", ROOT / "portal", ROOT / "backups", _unfold()):
        for file in folder.rglob("*.html"):
            text = file.read_text(encoding="utf-8")
            found.update(_GIVEN.findall(text))
            for inside in _ELEMENT.findall(text):
                found.update(re.findall(r"[a-z]\w+", _TAGS.sub(" ", inside)))
        for file in folder.rglob("*.css"):
            found.update(_IN_STYLES.findall(file.read_text(encoding="utf-8")))
        for file in folder.rglob("*.py"):
            for match in _IN_CODE.finditer(file.read_text(encoding="utf-8")):
                found.add(match[1] or match[2])
    return found


def ligatures(font: TTFont) -> dict[str, str]:
    """What is to be written for each icon of a font, and the glyph that it becomes."""
    letters = {glyph: chr(code) for code, glyph in font.getBestCmap().items()}
    found = {}
    for lookup in font["GSUB"].table.LookupList.Lookup:
        for table in lookup.SubTable:
            for first, several in getattr(table, "ligatures", {}).items():
                for each in several:
                    parts = [letters.get(glyph) for glyph in (first, *each.Component)]
                    if None not in parts:
                        found["".join(filter(None, parts))] = each.LigGlyph
    return found


def _named_in(value: Any) -> Iterator[str]:
    """The icons that unfold's settings name."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key in {"icon", "SITE_SYMBOL"}:
                yield each
            else:
                yield from _named_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from _named_in(each)


def _is_cut_of(file: Path, font: TTFont) -> bool:
    """Whether it holds what it would hold again: a cut of the same is a little different each time."""
    if not file.is_file():
        return False
    cut = TTFont(file)
    is_as_old = cut["head"].fontRevision == font["head"].fontRevision
    return is_as_old and set(cut.getBestCmap()) == set(font.getBestCmap()) & set(LETTERS)


def _cut(font: TTFont, to: Path, letters: set[int], glyphs: set[str]) -> None:
    options = subset.Options()
    options.flavor = "woff2"
    options.hinting = False
    options.recalc_timestamp = False
    options.name_IDs = ["*"]  # with the copyright and the licence
    options.drop_tables += ["FFTM"]
    options.layout_features = [*options.layout_features, "tnum"]
    # Else each icon comes back, whose name can be written with the letters of the others.
    options.layout_closure = not glyphs
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=letters, glyphs=glyphs)
    cutter.subset(font)
    subset.save_font(font, str(to), options)
    print(f"{to.relative_to(ROOT)}: {to.stat().st_size / 1000:.1f} kB")


def _unfold() -> Path:
    spec = find_spec("unfold")
    if spec is None or spec.origin is None:
        raise SystemExit("fonts: django-unfold is not installed; run `make setup`.")
    return Path(spec.origin).parent


def _of_unfold(name: str) -> Path:
    return _unfold() / "static" / "unfold" / "fonts" / name


if __name__ == "__main__":
    main()
