"""`manage.py report`: writes the proof report, and checks one."""

from __future__ import annotations

import os
import tempfile
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.utils import timezone

from backups import keys
from backups.catalog import made_here
from backups.errors import Failure, Problem
from backups.keys import InstallationKey
from backups.management.base import (
    FAILED,
    RunEnded,
    VedettaCommand,
    WrongUsage,
    add_database,
    database_named,
    failed,
    given,
)
from backups.reports import proof, proof_files
from backups.text.sentences import phrase
from backups.text.terminal import escape_control_characters

_KEY_BYTES = 1000


class Command(VedettaCommand):
    """Write what is proved of the backups of a time, signed, or check such a report."""

    help = phrase(
        "Write the proof report of a range of days, the last quarter without one, signed with VEDETTA_KEY; "
        "or check with --verify that nothing in such a report was changed."
    )

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--from", dest="first", metavar="DAY", type=given, help=phrase("the first day, as in 2026-01-01")
        )
        parser.add_argument("--to", dest="last", metavar="DAY", type=given, help=phrase("the last day"))
        add_database(parser)
        parser.add_argument(
            "--format", type=given, choices=[*proof_files.FORMS],
            help=phrase("what is written; without it, as the file's name ends, else JSON"),
        )  # fmt: skip
        parser.add_argument(
            "--output", "--out", metavar="FILE", type=given, help=phrase("where to; else standard output")
        )
        parser.add_argument("--verify", metavar="FILE", type=given, help=phrase("check this report"))
        parser.add_argument(
            "--public-key", metavar="KEY|FILE", type=given,
            help=phrase("with --verify: check with this public key, in place of this portal's"),
        )  # fmt: skip

    def work(self, **options: Any) -> Mapping[str, Any]:
        if options["verify"]:
            if any(options[name] for name in ("first", "last", "database", "format", "output")):
                raise WrongUsage(phrase("--verify checks a report, and writes none."))
            return self._checked(Path(options["verify"]), options["public_key"])
        if options["public_key"]:
            raise WrongUsage(phrase("--public-key is for --verify."))
        if self.as_json and not options["output"]:
            raise WrongUsage(
                phrase("With --json, standard output is for the outcome."),
                do=phrase("Say --output FILE for the report."),
            )
        return self._written(options)

    # ------------------------------------------------------------ Writing

    def _written(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        path = Path(options["output"]) if options["output"] else None
        self.stdout_is_data = path is None
        form = options["format"] or _form_of(path)
        key, why_not = _key()
        wanted = proof.Wanted(
            proof.days_from(options["first"] or "", options["last"] or ""),
            timezone.now().replace(microsecond=0),
            database_named(options["database"]) if options["database"] else None,
            signed_by=key.public_signing if key else "",
            not_signed_because=why_not,
        )
        document = proof.report(wanted)
        body = proof_files.body(document, form)
        signed = proof_files.sign(key, form, proof_files.digest(body)) if key else None
        content = proof_files.whole(body, form, signed)
        if path is None:
            self.stdout.write(content.decode(), ending="")
        else:
            _write(path, content)
            self.say(phrase("The report was written to {path}.", path=path))
        if signed is None:
            note = phrase("The report is not signed. {why_not}", why_not=why_not)
            self.stderr.write(escape_control_characters(note))
        return {
            "from": str(document["from"]),
            "to": str(document["to"]),
            "file": str(path) if path else None,
            "format": form,
            "signed": signed is not None,
            "public_key": signed.public_key if signed else None,
            "totals": document["totals"],
        }

    # ------------------------------------------------------------ Checking

    def _checked(self, path: Path, public: str | None) -> Mapping[str, Any]:
        key = _public_key(public)
        content = _read(path, proof_files.MOST_BYTES)
        try:
            signed = proof_files.check(content, key)
        except Problem as problem:
            verdict = {"verdict": problem.code.removeprefix("report.")}
            raise RunEnded(FAILED, {**failed(Failure.of(problem)), **verdict}) from None
        self.say(
            phrase(
                "The report is whole and as it was signed, by the owner of the public key {key}.",
                key=signed.public_key,
            )
        )
        return {"verdict": "genuine", "public_key": signed.public_key}


def _form_of(path: Path | None) -> str:
    ending = path.suffix.removeprefix(".").lower() if path else ""
    return ending if ending in proof_files.FORMS else "json"


def _key() -> tuple[InstallationKey | None, str]:
    """The key that signs, or why there is none here."""
    try:
        return made_here.key_to_sign_with(), ""
    except Problem as problem:
        return None, problem.sentence()


def _public_key(given_key: str | None) -> str:
    """The public key as text, of a file that holds it, or of this portal. Raises Problem."""
    if given_key is None:
        known = proof.public_key()
        if not known:
            raise Problem(
                phrase("This portal knows no public key yet."),
                code="report.no_public_key",
                do=phrase("Give the one of the installation that wrote the report with --public-key."),
            )
        return known
    if keys.is_public_key(given_key.strip()):
        return given_key.strip()
    text = _read(Path(given_key), _KEY_BYTES).decode(errors="replace").strip()
    if not keys.is_public_key(text):
        raise Problem(
            phrase("What --public-key names is no public key: it must be 44 characters of base64."),
            code="report.no_public_key",
            do=phrase("Take it from the page of the proof report, or from whoever runs the portal."),
        )
    return text


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except (OSError, ValueError) as error:
        raise Problem(
            phrase("{path} cannot be read ({error}).", path=path, error=getattr(error, "strerror", error)),
            code="report.not_readable",
            do=phrase("Check the path, and who may read it."),
        ) from error
    if len(content) > most:
        raise Problem(
            phrase("{path} is too large to be one.", path=path),
            code="report.not_readable",
            do=phrase("Check the path."),
        )
    return content


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all; a report that is there already is replaced."""
    try:
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".vedetta-report.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(draft).chmod(0o644)
            Path(draft).replace(path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:
        raise Problem(
            phrase(
                "The report could not be written to {path} ({error}).",
                path=path,
                error=getattr(error, "strerror", error),
            ),
            code="report.not_writable",
            do=phrase("Choose a folder in which this account may write."),
        ) from error
