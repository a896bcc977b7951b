"""The manifest at a dump's end, and whether one has the form: what a repository holds may be anybody's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from backups.dumpfile.sections import ROUTINES, Kind

MANIFEST_VERSION = 1
# Of what a manifest tells so that a replayed log can be proved by it: `Section.told`. Older ones tell none.
FOR_REPLAY = 1
_MANIFEST_BEGIN = b"-- Vedetta manifest %d\n" % MANIFEST_VERSION
_MANIFEST_END = b"-- Vedetta manifest end "
_LONGEST_MANIFEST = 256 << 20

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


def _perhaps(**fields: Fits) -> Fits:
    return lambda value: (
        isinstance(value, Mapping)
        and all(fits(value[name]) for name, fits in fields.items() if name in value)
    )


def _both(one: Fits, other: Fits) -> Fits:
    return lambda value: one(value) and other(value)


def _yes_or_no(value: object) -> bool:
    return isinstance(value, bool)


_SERVER = _having(flavour=_text, version=_text)
_LOG = _having(
    file=_or_none(_text),
    position=_or_none(_number),
    gtid=_or_none(_text),
    server=_or_none(_having(id=_number, uuid=_or_none(_text))),
    exact=_yes_or_no,
    how=_or_none(_text),
    why_not=_or_none(_text),
)
_DIGESTED = _having(bytes=_number, sha256=_text)
_SECTION = _both(
    _having(kind=_text, name=_text, bytes=_number, sha256=_text),
    _perhaps(auto_increment=_number, rows=_having(count=_number, sum=_text), elsewhere=_DIGESTED),
)
_PARTS: Mapping[str, Fits] = {
    "version": _number,
    "for_replay": _number,
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
    "log": _LOG,
    "sections": _list_of(_SECTION),
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


class ManifestDamaged(Exception):
    """The manifest in a dump is not what was written."""


class ManifestReader:
    """Gathers the manifest from the comment lines of a dump."""

    def __init__(self) -> None:
        self._lines: list[bytes] | None = None
        self._length = 0
        self._end = ""

    def line(self, line: bytes) -> None:
        """Look at the next comment line."""
        if line == _MANIFEST_BEGIN:
            self._lines = []
        elif self._lines is not None and not self._end:
            if line.startswith(_MANIFEST_END):
                self._end = line[len(_MANIFEST_END) :].strip().decode(errors="replace")
            elif (length := self._length + len(line)) <= _LONGEST_MANIFEST:
                # One that goes on longer is not what its end's digest is of.
                self._lines.append(line)
                self._length = length

    def result(self) -> dict[str, Any] | None:
        """The manifest, None where there was none. Raises ManifestDamaged."""
        if self._lines is None:
            return None
        body = b"".join(self._lines)
        if hashlib.sha256(body).hexdigest() != self._end:
            raise ManifestDamaged
        try:
            head, *sections = (json.loads(line.removeprefix(b"-- ")) for line in self._lines)
            manifest = {**head, "sections": sections}
        except (ValueError, TypeError, RecursionError) as error:
            raise ManifestDamaged from error
        if not is_whole(manifest):
            raise ManifestDamaged
        return manifest


def overall_digest(sections: Iterable[dict[str, Any]]) -> str:
    """One digest for a whole dump: SHA-256 over a line of kind, name, bytes and digest a section."""
    whole = hashlib.sha256()
    for section in sections:
        fields = [section["kind"], section["name"], section["bytes"], section["sha256"]]
        whole.update(json.dumps(fields).encode() + b"\n")
    return whole.hexdigest()


def manifest_of(sections: list[dict[str, Any]], **facts: Any) -> dict[str, Any]:
    """The manifest of a dump: `facts` about its server, the overall digest, the sections."""
    return {
        "version": MANIFEST_VERSION,
        "sha256": overall_digest(sections),
        "bytes": sum(section["bytes"] for section in sections),
        **facts,
        "sections": sections,
    }


def manifest_text(manifest: dict[str, Any]) -> bytes:
    """The manifest as SQL comment lines, closed by a digest of its own."""
    head = {name: value for name, value in manifest.items() if name != "sections"}
    lines = [b"-- %s\n" % json.dumps(item).encode() for item in (head, *manifest["sections"])]
    body = b"".join(lines)
    digest = hashlib.sha256(body).hexdigest().encode()
    return b"\n" + _MANIFEST_BEGIN + body + _MANIFEST_END + digest + b"\n"


def objects_in(sections: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
    """The objects that a dump holds, by kind, sorted, as `mysql.inventory` lists a database's.

    Triggers by their table: the text of a trigger is dumped as its author typed it.
    """
    found: dict[str, list[str]] = {}
    for section in sections:
        kind = section["kind"]
        if kind in _INVENTORIED:
            name = section["table"] if kind == Kind.TRIGGER else section["name"]
            found.setdefault(kind, []).append(name)
    return {kind: sorted(names) for kind, names in found.items()}


_INVENTORIED = frozenset(
    {Kind.TABLE, Kind.VIEW, Kind.SEQUENCE, Kind.TRIGGER, Kind.EVENT, Kind.LIBRARY, *ROUTINES}
)
