"""`.env`: each line means the same to manage.py, Docker Compose and systemd, or is refused unseen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from portal.env import env_file as portals_reader
from sentinel import env_file
from tests.run.test_systemd import wrapper

PROJECT = Path(__file__).resolve().parents[2]
vedetta = wrapper()
AGREED = [
    ("X=", ""),
    ("X=plain", "plain"),
    ("X= with  blanks\t", "with  blanks"),
    ("  X=indented", "indented"),
    ("X=a#b", "a#b"),
    ("X=a=b%40'c\"d`e!", "a=b%40'c\"d`e!"),
    ("X=0 3,15 * * *", "0 3,15 * * *"),
    ("X=Käse", "Käse"),
    ("X=line's end\r", "line's end"),
    ("X=''", ""),
    ("X='back\\slash $HOME #\"'", 'back\\slash $HOME #"'),
    ("X=' blanks '", " blanks "),
    ("X=\"abc #def 'x'\"", "abc #def 'x'"),
    ("X=twice\nX=last", "last"),
    ("# a remark, with $ and \\\n \t# another\n\nX=1", "1"),
]
DIFFER = [
    "X=back\\slash",
    "X=abc\\",
    "X=abc #def",
    "X=abc\t#def",
    "X=#def",
    "X=pa$$word",
    "X=a$HOME",
    'X="half',
    "X='half",
    "X='",
    "X='a'b'",
    "X='a' # a remark",
    "X='abc\\'",
    'X="a\\nb"',
    'X="$HOME"',
    "X=\u00a0odd",
]
NO_LINES = [
    ("export X=hunter2", "begins with export"),
    ("export X = hunter2", "begins with export"),
    ("X =hunter2", "has blanks before its ="),
    ("X: hunter2", "is not NAME=value"),
    ("MY X=hunter2", "is not NAME=value"),
    ("hunter2", "is not NAME=value"),
    ("; hunter2=1", "is not NAME=value"),
    ("1X=hunter2", "is not NAME=value"),
    ("X.Y=hunter2", "is not NAME=value"),
    ("X=hunter2\x0bY=1", "holds a control character"),
    ("X=hunter2\x00", "holds a control character"),
]


def dotenv(folder: Path, text: str) -> Path:
    path = folder / ".env"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(("text", "value"), AGREED)
def test_what_all_readers_agree_on_is_read(text: str, value: str, tmp_path: Path) -> None:
    assert env_file.read(dotenv(tmp_path, text)) == {"X": value}
    assert vedetta.read(text.replace("\r", "")) == {"X": value}


@pytest.mark.parametrize("text", DIFFER)
def test_what_they_differ_about_is_refused_unseen(text: str, tmp_path: Path) -> None:
    path = dotenv(tmp_path, f"\n# remark\n{text}hunter2\n" if text[-1] not in "'\\" else f"\n\n{text}\n")

    with pytest.raises(ImproperlyConfigured) as refused:
        portals_reader(path)

    sentence = str(refused.value)
    assert sentence.startswith(f"Line 3 of {path} (X) means one value here and another one to Docker")
    assert "single quotes" in sentence
    assert "X_FILE" in sentence
    assert "hunter2" not in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(("text", "why"), NO_LINES)
def test_what_is_no_line_is_refused_unseen(
    text: str, why: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    path = dotenv(tmp_path, f"A=1\n{text}\n")

    with pytest.raises(ImproperlyConfigured) as refused:
        portals_reader(path)

    assert str(refused.value).startswith(f"Line 2 of {path} {why}")
    assert "hunter2" not in str(refused.value) + caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"\xef\xbb\xbfX=hunter2", "begins with a byte order mark"),
        (b"A=1\nX=hunter2\xe9\n", "Line 2 of"),
        (b"X=hunter2\x00\xff\xfe", "Line 1 of"),
    ],
)
def test_bytes_of_another_encoding_are_named_by_their_line(raw: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(raw)

    with pytest.raises(ImproperlyConfigured, match=re.escape(said)) as refused:
        portals_reader(path)

    assert "UTF-8" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named_with_its_reader(tmp_path: Path) -> None:
    with pytest.raises(
        ImproperlyConfigured, match=rf"^{tmp_path} cannot be read by user \w+ \(Is a directory\)"
    ):
        portals_reader(tmp_path)


def test_no_file_says_nothing(tmp_path: Path) -> None:
    assert env_file.read(tmp_path / "absent") == {}


def test_what_make_run_wrote_is_read_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "run.env"
    path.write_text("RESTIC_REPOSITORY=/home/a $b #c\\d/var\n")

    assert portals_reader(path) == {"RESTIC_REPOSITORY": "/home/a $b #c\\d/var"}


def test_the_example_means_one_thing_to_all() -> None:
    assert "BACKUP_CRON" in env_file.read(PROJECT / ".env.example")


def test_vedetta_says_which_lines_would_mean_something_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = wrapper()
    program.PROJECT = str(PROJECT)
    program.SETTINGS = str(dotenv(tmp_path, "A=1\nRESTIC_PASSWORD=hunter2\\\\x\n"))

    program._warn_of_differences()

    said = capsys.readouterr().err
    assert said.startswith(
        f"vedetta: line 2 of {program.SETTINGS} (RESTIC_PASSWORD) means something else in .env"
    )
    assert "hunter2" not in said


@given(value=st.text(st.characters(blacklist_categories=["Cs"]), max_size=12))
def test_whatever_is_read_is_what_systemd_reads(value: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = dotenv(tmp_path_factory.getbasetemp(), f"X={value}\n")
    try:
        read = env_file.read(path)
    except env_file.EnvFileError:
        return
    assert vedetta.read(path.read_bytes().decode().replace("\r\n", "\n")) == read
