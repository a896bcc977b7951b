"""A proof report as a file, and the line at its end by which it can be checked without the portal.

The last line holds the signature, and all bytes before it are signed: a file in which anything was changed,
added or left out is no longer a whole one. It is written so that JSON stays JSON, a table a table, a page a
page.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.utils.translation import override

from backups import keys
from backups.errors import Problem
from backups.keys import InstallationKey
from backups.reports import proof_table
from backups.reports.proof_database import without_keys
from backups.reports.proof_page import to_show
from backups.text.sentences import phrase

# Each form with what a browser is told that it is.
FORMS = {"json": "application/json", "csv": "text/csv; charset=utf-8", "html": "text/html; charset=utf-8"}
MOST_BYTES = 500_000_000
_SIGNATURE_BYTES = 64


@dataclass(frozen=True)
class Signed:
    """Who signed a file, and the signature, in base64."""

    public_key: str
    signature: str


def body(document: Mapping[str, Any], form: str, language: str = "en") -> bytes:
    """All of a file but its last line; a page is in a reader's language."""
    return _BODIES[form](document, language)


def digest(content: bytes) -> str:
    """What is signed of a body."""
    return hashlib.sha256(content).hexdigest()


def sign(key: InstallationKey, form: str, sha256: str) -> Signed:
    """The signature of a body with this digest."""
    return Signed(key.public_signing, key.sign(keys.of_report(form, sha256)))


def whole(content: bytes, form: str, signed: Signed | None) -> bytes:
    """The file: its body and its last line."""
    line = _unsigned(form) if signed is None else _LINES[form].format(*_parts(signed))
    return content + line.encode()


def name(document: Mapping[str, Any], form: str) -> str:
    """What a file is called, in letters that every system takes."""
    return f"vedetta-proof-{document['from']}-{document['to']}.{form}"


# ---------------------------------------------------------------- Checking


def check(content: bytes, public_key: str) -> Signed:
    """Raise Problem unless the owner of this public key signed this file, and nothing changed since."""
    cut = content.rfind(b"\n", 0, -1) + 1
    before, line = content[:cut], content[cut:]
    for form, pattern in _PATTERNS.items():
        if line == _unsigned(form).encode():
            raise Problem(
                phrase("The report is not signed, so nothing proves who wrote it and that it is whole."),
                code="report.not_signed",
                do=phrase("Have it written where VEDETTA_KEY is: by the worker."),
            )
        if found := re.fullmatch(pattern, line):
            signed = Signed(found[1].decode(), found[2].decode())
            if keys.is_public_key(signed.public_key) and keys.is_base64_of(
                signed.signature, _SIGNATURE_BYTES
            ):
                _check(before, form, signed, public_key)
                return signed
    raise Problem(
        phrase("The file does not end as a report does: something is missing or was added at its end."),
        code="report.not_whole",
        do=phrase("Get it once more from whoever wrote it."),
    )


def _check(before: bytes, form: str, signed: Signed, public_key: str) -> None:
    message = keys.of_report(form, digest(before))
    if not keys.is_signed(signed.public_key, message, signed.signature):
        raise Problem(
            phrase("The report was changed after it was signed."),
            code="report.changed",
            do=phrase("Do not go by it. Get it once more from whoever wrote it."),
        )
    if signed.public_key != public_key:
        raise Problem(
            phrase(
                "The report is whole, but signed with another key: {found}, not {wanted}.",
                found=signed.public_key,
                wanted=public_key,
            ),
            code="report.another_key",
            do=phrase(
                "If the installation had another key at that time, give that one's public half with "
                "--public-key."
            ),
        )


# ---------------------------------------------------------------- The forms


def _json_body(document: Mapping[str, Any], _language: str) -> bytes:
    text = json.dumps(without_keys(document), default=_plain, indent=1)
    return f'{{"report": {text},\n'.encode()


def _csv_body(document: Mapping[str, Any], _language: str) -> bytes:
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\n")
    table.writerow(proof_table.COLUMNS)
    for row in proof_table.rows(document):
        table.writerow([proof_table.cell(_plain(value)) for value in row])
    return written.getvalue().encode(errors="replace")


def _html_body(document: Mapping[str, Any], language: str) -> bytes:
    style = finders.find("vedetta/proof.css")
    with override(language):
        context = {
            "report": document,
            "shown": to_show(document["databases"]),
            "style": _read(str(style)) if style else "",
            "language": language,
        }
        text = render_to_string("backups/proof_file.html", context)
    return f"{text.rstrip()}\n".encode(errors="replace")


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:  # noqa: PTH123  as the finder gave it
        return file.read()


def _plain(value: Any) -> Any:
    """A value as files have it: times in UTC, to the second."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


_BODIES: dict[str, Callable[[Mapping[str, Any], str], bytes]] = {
    "json": _json_body,
    "csv": _csv_body,
    "html": _html_body,
}


# ---------------------------------------------------------------- The last line

_BASE64 = rb"([A-Za-z0-9+/]+=*)"
# In a table, beside one another in its last two columns; no program takes such a text for a formula.
_CSV_BEGIN = "signature" + "," * (len(proof_table.COLUMNS) - 2)
_LINES = {
    "json": '"signature": {{"algorithm": "Ed25519", "public_key": "{}", "signature": "{}"}}}}\n',
    "csv": _CSV_BEGIN + "ed25519:{},ed25519:{}\n",
    "html": "<!-- vedetta signature ed25519:{} ed25519:{} -->\n",
}
_NONE = {
    "json": '"signature": null}\n',
    "csv": _CSV_BEGIN + ",\n",
    "html": "<!-- vedetta signature: none -->\n",
}
_PATTERNS = {
    form: re.escape(line.format("KEY", "SIGNATURE")).encode().replace(b"KEY", _BASE64, 1).replace(
        b"SIGNATURE", _BASE64, 1
    )
    for form, line in _LINES.items()
}  # fmt: skip


def _parts(signed: Signed) -> tuple[str, str]:
    return signed.public_key, signed.signature


def _unsigned(form: str) -> str:
    return _NONE[form]
