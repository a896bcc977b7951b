"""Whether a dump's manifest has the form of one: what a repository or a row holds may be anybody's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Fits = Callable[[object], bool]


def _text(value: object) -> bool:
    return isinstance(value, str)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _or_none(fits: Fits) -> Fits:
    return lambda value: value is None or fits(value)


def _list_of(fits: Fits) -> Fits:
    return lambda value: isinstance(value, list) and all(map(fits, value))


def _mapped_to(fits: Fits) -> Fits:
    return lambda value: isinstance(value, Mapping) and all(map(fits, value.values()))


def _having(**fields: Fits) -> Fits:
    return lambda value: (
        isinstance(value, Mapping)
        and all(name in value and fits(value[name]) for name, fits in fields.items())
    )


_SERVER = _having(flavour=_text, version=_text)
_PARTS: Mapping[str, Fits] = {
    "version": _number,
    "sha256": _text,
    "bytes": _number,
    "database": _text,
    "charset": _text,
    "collation": _text,
    "collations": _mapped_to(_text),
    "definers": _list_of(_text),
    "views_of_others": _list_of(_text),
    "routines_of_others": _list_of(_text),
    "not_in_backup": _list_of(_having(table=_text, why=_text)),
    "space_used": _or_none(_number),
    "server": _SERVER,
    "client": _SERVER,
    "inventory": _mapped_to(_list_of(_text)),
    "sections": _list_of(_having(kind=_text, name=_text, bytes=_number, sha256=_text)),
}
_IN_EACH_DUMP = ("sha256", "bytes", "server", "inventory", "sections")


def has_form(manifest: object) -> bool:
    """Whether what there is of a manifest is of the kinds that it is made of; other parts are left alone."""
    return isinstance(manifest, Mapping) and all(
        fits(manifest[name]) for name, fits in _PARTS.items() if name in manifest
    )


def is_whole(manifest: Mapping[str, Any]) -> bool:
    """Whether it has the form, and all that every manifest of a dump has had from the first version on."""
    return has_form(manifest) and all(name in manifest for name in _IN_EACH_DUMP)
