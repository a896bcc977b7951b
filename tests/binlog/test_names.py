"""Files and pieces of a log are found by their names, years later and in the order of the log."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backups.binlog import LogFile, Piece

DATABASES = st.text(min_size=1, max_size=64).filter(lambda name: "\0" not in name)
FILES = st.builds(
    "{}.{:06d}".format,
    st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=60),
    st.integers(0, 2**31 - 1),
)


def test_files_are_in_order_past_the_last_one_of_six_digits() -> None:
    names = ["binlog.999998", "binlog.999999", "binlog.1000000", "binlog.1000001"]
    files = [LogFile.parse(name) for name in names]

    assert None not in files
    assert sorted(files, key=lambda file: file or LogFile("", 0)) == files
    assert [file.next for file in files if file][:-1] == files[1:]


@pytest.mark.parametrize(
    "name",
    ["", "binlog", "binlog.", ".000001", "a/b.000001", "binlog.00x", "binlog.²", "b.99999999999", "b.-1"],
)
def test_what_is_no_file_of_a_log_has_no_place_in_it(name: str) -> None:
    assert LogFile.parse(name) is None


@settings(max_examples=50, deadline=None)
@given(DATABASES, FILES, st.integers(0, 2**32), st.integers(0, 2**40), st.integers(1, 2**40))
def test_a_piece_is_read_back_from_its_path(
    database: str, file: str, made: int, start: int, more: int
) -> None:
    piece = Piece(database, file, made, start, start + more)

    assert Piece.parse(piece.path) == piece
    folders = piece.path.split("/")
    assert len(folders) == 4
    assert not {"", ".", ".."} & set(folders[1:])


@pytest.mark.parametrize("database", ["a/b", "a%2Fb", "a%252Fb", ".", "..", "%2E", "%2E%2E", "año", "a\nb"])
def test_two_databases_never_have_one_path(database: str) -> None:
    path = Piece(database, "binlog.000001", 1, 4, 5).path

    parsed = Piece.parse(path)
    assert parsed is not None
    assert parsed.database == database


@pytest.mark.parametrize(
    "path",
    [
        "/mysql/shop.sql",
        "/binlog/shop/binlog.000001.1.4-5/more",
        "/binlog/shop/binlog.000001.1.5-5",
        "/binlog/shop/binlog.000001.1.05-6",
        "/binlog/shop/binlog.000001.4-5",
        "/binlog/shop/binlog.1.4-5",
        "/binlog/../binlog.000001.1.4-5",
        "/binlog/%2f/binlog.000001.1.4-5",
        "/binlog//binlog.000001.1.4-5",
        "binlog/shop/binlog.000001.1.4-5",
        "/binlog/shop/binlog.000001.1.4-5\n",
        "/binlog/shop/binlog.000001.1.4-" + "9" * 30,
        "/binlog/shop/binlog.000001.1.4-\u0665",
    ],
)
def test_what_is_no_piece_is_not_taken_for_one(path: str) -> None:
    assert Piece.parse(path) is None


@given(st.text())
def test_no_path_is_anything_but_a_piece_or_nothing(path: str) -> None:
    for each in (path, f"/binlog/{path}", f"/binlog/shop/{path}", f"/binlog/{path}/binlog.000001.1.4-5"):
        piece = Piece.parse(each)
        assert piece is None or piece.path == each
