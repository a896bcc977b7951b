"""Texts for people: English that remembers what it is made of, so that a reader's language can tell it.

A `Sentence` is its English: that is what is compared, joined, measured, stored and printed as JSON. In the
language of whoever reads it it is given by `str()`, by an f-string or `format`, and so by each page. Which
language that is, Django says in its processes; others, as the dump program, have none, and speak English.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from copy import deepcopy
from functools import lru_cache
from typing import Any, NamedTuple

from backups import at_first_use

# What a text names: what is itself told in words is nested, so that it is translated as well.
Param = str | int

_HOLE = re.compile(r"\{\{|\}\}|\{([A-Za-z_]\w*)\}|[{}]")
_LETTER = at_first_use.pattern(r"[^\W\d_]")
# So deep are texts nested that come from a row; ours are four at most.
_DEEPEST = 8
# From here on a number of things has its thousands apart.
_LARGE = 10_000
_APART = at_first_use.pattern(r"(?<=\d),(?=\d{3})")


def _with_commas(number: int) -> str:
    return f"{number:,}"


class _Language:
    """Who translates: Django's gettext and ngettext, where there are any, and how it writes large numbers."""

    one: Callable[[str], str] | None = None
    several: Callable[[str, str, int], str] | None = None
    grouped: Callable[[int], str] = staticmethod(_with_commas)


_language = _Language()


def translate_by(
    one: Callable[[str], str],
    several: Callable[[str, str, int], str],
    grouped: Callable[[int], str] = _with_commas,
) -> None:
    """Say who gives a text in the reader's language: functions as gettext and ngettext are.

    `grouped` writes a large number.
    """
    _language.one, _language.several, _language.grouped = one, several, grouped


_english_only: ContextVar[bool] = ContextVar("_english_only", default=False)


@contextmanager
def in_english() -> Iterator[None]:
    """Within, texts are told in English, whoever reads: for logs, which one reader's language is not for."""
    before = _english_only.set(True)
    try:
        yield
    finally:
        _english_only.reset(before)


class Broken(ValueError):
    """What is said to be a sentence's parts is none."""


class Told(NamedTuple):
    """One text with what it names: `{name}` in `template` stands for `params["name"]`, `{{` for a brace."""

    template: str
    params: Mapping[str, Param]
    # Where the text is about a number `n` of things: its plural.
    plural: str = ""
    # In the middle of another text: "Backup" is "backup" there.
    is_lower: bool = False
    # At the beginning of one: "view" is "View" there.
    is_first: bool = False

    @property
    def english(self) -> str:
        """As it was written."""
        template = self.plural if self.plural and self.params.get("n") != 1 else self.template
        return self._cased(_filled(template, self._values(english, _with_commas)))

    def rendered(self) -> str:
        """In the reader's language; in English where nobody translated it, or not as it has to be."""
        translated = self._translated()
        english = self.plural if self.plural and self.params.get("n") != 1 else self.template
        values = self._values(str, _language.grouped)
        fits = translated and _names_the_same(translated, english, bool(self.plural))
        return self._cased(_filled(translated if fits else english, values))

    def _values(self, told: Callable[[Param], str], grouped: Callable[[int], str]) -> dict[str, str]:
        """What it names, in words; how many things it is about, with the thousands apart."""
        values = {name: told(value) for name, value in self.params.items()}
        number = self.params.get("n")
        if self.plural and isinstance(number, int) and abs(number) >= _LARGE:
            values["n"] = grouped(number)
        return values

    def _cased(self, text: str) -> str:
        cased = text.lower() if self.is_lower else text
        return cased[:1].upper() + cased[1:] if self.is_first else cased

    def _translated(self) -> str:
        if _language.one is None or _language.several is None or not _has_letters(self.template):
            return ""
        if self.plural:
            number = self.params.get("n")
            return _language.several(self.template, self.plural, number if isinstance(number, int) else 2)
        return _language.one(self.template)


class Sentence(str):
    """A text for people, in English; `str()` of it is the text in the reader's language."""

    parts: tuple[str | Told, ...]

    def __new__(cls, *parts: str | Told) -> Sentence:
        self = super().__new__(
            cls, "".join(part.english if isinstance(part, Told) else english(part) for part in parts)
        )
        self.parts = tuple(_merged(parts))
        return self

    @property
    def english(self) -> str:
        """The text in English, as a plain `str`."""
        return super().__str__()

    @property
    def params(self) -> dict[str, Param]:
        """What it names, and what the texts within it name."""
        found: dict[str, Param] = {}
        for part in self.parts:
            if isinstance(part, Told):
                for name, value in part.params.items():
                    found.setdefault(name, value.english if isinstance(value, Sentence) else value)
        return found

    def __str__(self) -> str:
        if _language.one is None or _english_only.get():
            return super().__str__()
        return "".join(part.rendered() if isinstance(part, Told) else part for part in self.parts)

    def __format__(self, how: str) -> str:
        return format(str(self), how)

    def __add__(self, other: str) -> Sentence:
        return Sentence(*self.parts, *_parts(other))

    def __radd__(self, other: str) -> Sentence:
        return Sentence(*_parts(other), *self.parts)

    def lower(self) -> Sentence:
        """The same for the middle of another text."""
        return Sentence(*(_lower(part) for part in self.parts))

    def capitalized(self) -> Sentence:
        """The same for the beginning of a text."""
        return Sentence(*(_first(part) if index == 0 else part for index, part in enumerate(self.parts)))

    def __reduce__(self) -> tuple[Any, ...]:
        return Sentence, self.parts

    def as_json(self) -> list[Any]:
        """What it is made of: plain text as it is, the rest as `[template, params]`.

        About a number of things it is `[template, params, plural]`, in lower case `[template, params, plural,
        true]`, with a capital at its beginning `[template, params, plural, whether in lower case, true]`. A
        text within another is a list of such parts.
        """
        return [_as_json(part) if isinstance(part, Told) else part for part in self.parts]

    @classmethod
    def from_json(cls, parts: object, *, deepest: int = _DEEPEST) -> Sentence:
        """A sentence from what `as_json` gave, now or in another version. Raises Broken."""
        if not isinstance(parts, list) or deepest < 1:
            raise Broken("no parts of a sentence")
        return cls(*(part if isinstance(part, str) else _from_json(part, deepest) for part in parts))


def phrase(template: str, /, **params: object) -> str:
    """A text for people: a sentence or, within another, a piece of one. `{name}` is what is given as `name`.

    Only the text is looked through for braces, not what it names.
    """
    return Sentence(Told(template, {name: _param(value) for name, value in params.items()}))


def plural(one: str, several: str, /, *, n: int, **params: object) -> str:
    """A text about `{n}` things, as in `plural("{n} table", "{n} tables", n=3)`."""
    return Sentence(Told(one, {"n": n, **{name: _param(value) for name, value in params.items()}}, several))


def number(n: int) -> str:
    """A number for another text or a page, its thousands apart as the reader's language has it."""
    return Sentence(Told("{n}", {"n": n}, "{n}"))


def template(text: str) -> str:
    """A text that is to be translated, and is filled in elsewhere by `phrase`."""
    return text


def joined(parts: Iterable[object], by: str = " ") -> str:
    """Texts behind one another, as `by.join(parts)`, each still to be translated."""
    found: list[str | Told] = []
    for part in parts:
        found += [by] if found else []
        told = _param(part)
        found += _parts(told if isinstance(told, str) else str(told))
    return Sentence(*found)


def capitalized(text: str) -> str:
    """A text for the beginning of another: its first letter is a capital, in the reader's language too."""
    return text.capitalized() if isinstance(text, Sentence) else text[:1].upper() + text[1:]


def english(text: object) -> str:
    """What is stored and compared: a text in English, whatever its reader's language."""
    return text.english if isinstance(text, Sentence) else str(text)


def parts_of(text: str) -> dict[str, Any]:
    """What a row or a report keeps beside the English of a text, for `told_again`."""
    return {"parts": text.as_json()} if isinstance(text, Sentence) else {}


def told_again(text: str, stored: object) -> str:
    """A text from a row, so that it can be told in the reader's language: `stored` holds its `parts`.

    The text itself where those say something else, as in a row of another version.
    """
    try:
        again = Sentence.from_json(stored.get("parts") if isinstance(stored, dict) else None)
    except Broken:
        return text
    # Rows of before have the thousands of a number in one.
    return again if text in {again.english, _APART.sub("", again.english)} else text


def parts_within(value: object) -> list[Any]:
    """What a row keeps beside JSON for `told_again_within`: where each text stands, and its parts."""
    return [[list(path), text.as_json()] for path, text in _texts_within(value, ())]


_Path = tuple[str | int, ...]


def _texts_within(value: object, path: _Path) -> Iterator[tuple[_Path, Sentence]]:
    if isinstance(value, Sentence):
        yield path, value
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _texts_within(each, (*path, str(name)))
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield from _texts_within(each, (*path, index))


def told_again_within(value: Any, stored: object) -> Any:
    """JSON from a row, its texts such that they can be told in the reader's language; see `told_again`."""
    again = deepcopy(value)
    for each in stored if isinstance(stored, list) else ():
        try:
            (*way, last), parts = each
            place = again
            for step in way:
                place = place[step]
            if isinstance(place, dict | list) and isinstance(place[last], str):
                place[last] = told_again(place[last], {"parts": parts})
        except (IndexError, KeyError, TypeError, ValueError):
            continue
    return again


def _merged(parts: Iterable[str | Told]) -> list[str | Told]:
    """Plain texts behind one another as one, for a row to hold."""
    found: list[str | Told] = []
    for part in parts:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += english(part)
        elif part:
            found.append(english(part) if isinstance(part, str) else part)
    return found


def _lower(part: str | Told) -> str | Told:
    return part._replace(is_lower=True) if isinstance(part, Told) else english(part).lower()


def _first(part: str | Told) -> str | Told:
    return part._replace(is_first=True) if isinstance(part, Told) else part[:1].upper() + part[1:]


def _parts(text: str) -> tuple[str | Told, ...]:
    return text.parts if isinstance(text, Sentence) else (text,)


def _param(value: object) -> Param:
    if isinstance(value, Sentence) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    # Rows and problems tell themselves in a text that can be translated.
    told = getattr(value, "told", None)
    return told if isinstance(told, Sentence) else str.__str__(str(value))


def _filled(text: str, values: Mapping[str, str]) -> str:
    """A template with its values; what stands for nothing stays: it may be all that tells of a failure."""

    def fill(hole: re.Match[str]) -> str:
        return hole[0][0] if hole[0] in {"{{", "}}"} else values.get(hole[1], hole[0])

    return _HOLE.sub(fill, text)


def _names(text: str) -> set[str]:
    return {hole[1] or hole[0] for hole in _HOLE.finditer(text) if hole[0] not in {"{{", "}}"}}


# Of a few templates a page has thousands of texts.
@lru_cache(maxsize=2000)
def _has_letters(template: str) -> bool:
    """Whether there is anything to translate in a template beside what it names."""
    return bool(_LETTER.search(_HOLE.sub("", template)))


@lru_cache(maxsize=2000)
def _names_the_same(translated: str, english: str, is_plural: bool) -> bool:
    """Whether a translation names what it has to; one thing may be told without its number: "a table"."""
    without = {"n"} if is_plural else set()
    return _names(translated) | without == _names(english) | without


def _as_json(told: Told) -> list[Any]:
    named = told.params.items()
    params = {name: value.as_json() if isinstance(value, Sentence) else value for name, value in named}
    whole = [told.template, params, told.plural, told.is_lower, told.is_first]
    if told.is_first:
        return whole
    return whole[:4] if told.is_lower else whole[:3] if told.plural else whole[:2]


def _from_json(part: object, deepest: int) -> Told:
    match part:
        case [str(text), dict(params), *more]:
            named = {str(name): _param_from_json(value, deepest) for name, value in params.items()}
            return Told(
                text,
                named,
                str(more[0]) if more else "",
                is_lower=more[1:2] == [True],
                is_first=more[2:3] == [True],
            )
    raise Broken("no part of a sentence")


def _param_from_json(value: object, deepest: int) -> Param:
    if isinstance(value, list):
        return Sentence.from_json(value, deepest=deepest - 1)
    if isinstance(value, str | int):
        return value
    raise Broken("nothing that a sentence names")
