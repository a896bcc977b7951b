"""A copy of the portal lies in a repository, where an endless one takes no room: it is read up to a point."""

from __future__ import annotations

import io

import pytest

from backups.errors import Problem
from backups.portal_copy import archive
from backups.portal_copy.archive import TooLong, lines_in


@pytest.mark.parametrize(
    "endless",
    [b"[" * 1_000_000, b"[1]\n" * 1_000_000],
    ids=["one line without an end", "lines without an end"],
)
def test_a_copy_that_goes_on_is_given_up(endless: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_LONGEST_LINE", 1000)
    monkeypatch.setattr(archive, "_MOST_BYTES", 100_000)
    file = io.BytesIO(b'{"vedetta":"portal"}\n' + endless)

    with pytest.raises(TooLong, match="No portal's copy does"):
        for _ in lines_in(file):
            pass

    assert file.tell() <= 102_000


def test_lines_come_as_they_were_written() -> None:
    written = [b"{}\n", b"[1]\n", b"no end"]

    assert list(lines_in(io.BytesIO(b"".join(written)))) == written


def test_no_copy_is_written_that_nobody_would_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_LONGEST_LINE", 1000)
    writer = archive._Writer(io.BytesIO())
    writer.row(["x" * 900])

    with pytest.raises(Problem, match="A row of the portal's own database is longer than"):
        writer.row(["x" * 1000])
