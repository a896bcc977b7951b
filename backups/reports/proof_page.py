"""What a page of a proof report shows of each database.

The rows of its two long tables are written here: of hundreds of databases a page has tens of thousands, and
a template takes several times as long for them. Each of their texts is told once for the whole page, in the
language of whoever reads while they are written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from functools import cache
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils import timezone
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from backups.choices import Verdict
from backups.text import formatting
from backups.text.sentences import phrase

# Of each database: so many snapshots and their digests, or verifications, fit on a few sheets.
_SNAPSHOTS, _VERIFICATIONS = 200, 60
# Of each verification.
_MOST_TEXTS = 5
# All that is put into these is escaped, or was written here.
_VERIFICATION = (
    "<tr><td>{done}</td>"
    '<td><span class="v-mono">{snapshot}</span><br>{data_of}</td>'
    "<td>{verdict}</td>"
    '<td class="v-number">{took}</td>'
    '<td class="v-number">{rows}</td>'
    "<td>{not_compared}</td></tr>\n"
)
_SNAPSHOT = (
    '<tr><td>{data_of}</td><td class="v-mono">{snapshot}<br>{digest}</td>'
    '<td class="v-number">{size}</td><td>{state}</td></tr>\n'
)
Told = Mapping[str, Any]


def to_show(documents: Iterable[Told]) -> list[Told]:
    """Databases as pages have them: `each`, the rows of its tables, and how many snapshots `more` there are.

    Listed are the backups that are there or were verified.
    """
    lines, shown = _Lines(), list[Told]()
    for each in documents:
        backups = each["backups"]
        listed = [one for one in backups["listed"] if one["is_there"] or one["manifest_sha256"]][-_SNAPSHOTS:]
        shown.append({
            "each": each,
            "verifications": lines.of_verifications(each["verifications"]["listed"][-_VERIFICATIONS:]),
            "snapshots": lines.of_snapshots(listed),
            "more": len(backups["listed"]) + backups["not_listed"] - len(listed),
        })  # fmt: skip
    return shown


class _Lines:
    """Writes the rows of one page."""

    def __init__(self) -> None:
        self._zone = timezone.get_current_timezone()
        # Many rows are of the same days.
        self._day: Callable[[date], str] = cache(_day)
        self._verdicts = {
            Verdict.IDENTICAL.value: formatting.label(phrase("Identical"), "success"),
            Verdict.DIFFERENT.value: formatting.label(phrase("Different"), "danger"),
        }
        self._unreadable = formatting.label(phrase("Unreadable"), "danger")
        self._all_was, self._no_manifest = escape(phrase("All was.")), escape(phrase("no manifest"))
        self._not_counted = escape(phrase("not counted"))
        self._verified, self._good = escape(phrase("verified")), escape(phrase("good"))

    def of_verifications(self, listed: Iterable[Told]) -> SafeString:
        """What each found, and what of its backup was not compared word for word."""
        return mark_safe("".join(map(self._verification, listed)))  # noqa: S308  see _VERIFICATION

    def of_snapshots(self, listed: Iterable[Told]) -> SafeString:
        """Each with its digest, and whether it counts."""
        return mark_safe("".join(map(self._snapshot, listed)))  # noqa: S308  see _SNAPSHOT

    def _verification(self, proof: Told) -> str:
        verdict = self._verdicts.get(proof["verdict"], self._unreadable)
        differences = map(escape, proof["differences"][:_MOST_TEXTS])
        return _VERIFICATION.format(
            done=self._exact(proof["finished_at"]),
            snapshot=escape(proof["snapshot_id"][:8]),
            data_of=self._exact(proof["snapshot_time"]),
            verdict="<br>".join([verdict, *differences]),
            took=escape(formatting.duration(proof["restore_seconds"])),
            rows=formatting.EMPTY if proof["rows"] is None else intcomma(proof["rows"]),
            not_compared="<br>".join(map(escape, proof["not_compared"][:_MOST_TEXTS])) or self._all_was,
        )

    def _snapshot(self, made: Told) -> str:
        state = self._verified if made["verdict"] == Verdict.IDENTICAL else self._good
        return _SNAPSHOT.format(
            data_of=self._exact(made["time"]),
            snapshot=escape(made["snapshot_id"]),
            digest=escape(made["manifest_sha256"] or "") or self._no_manifest,
            size=escape(formatting.size(made["bytes"])),
            state=state if made["is_good"] else self._not_counted,
        )

    def _exact(self, time: datetime) -> str:
        """As `formatting.exact` has it."""
        local = time.astimezone(self._zone)
        return f"{self._day(local.date())}, {local:%H:%M:%S %Z}"


def _day(of: date) -> str:
    return escape(f"{formatting.day(of)} {of.year}")
