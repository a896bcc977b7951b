"""`.env`: each line means the same to manage.py, Compose and systemd, or is told and read as before."""

from __future__ import annotations

import io
import logging
import re
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from environ import Env
from hypothesis import example, given
from hypothesis import strategies as st

from portal.env import env_file as portals_reader
from sentinel import env_file
from tests.deploy.test_systemd import wrapper

PROJECT = Path(__file__).resolve().parents[2]
vedetta = wrapper()
AGREED = [
    ("X=", ""),
    ("X=plain", "plain"),
    ("X= with  blanks\t", "with  blanks"),
    ("X=a#b", "a#b"),
    ("X=a=b%40'c\"d`e!", "a=b%40'c\"d`e!"),
    ("X=0 3,15 * * *", "0 3,15 * * *"),
    ("X=Käse", "Käse"),
    ("X=line's end\r", "line's end"),
    ("X=''", ""),
    ("X='back\\slash $HOME #\"'", 'back\\slash $HOME #"'),
    ("X=' blanks '", " blanks "),
    ("X=\"abc #def 'x'\"", "abc #def 'x'"),
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
    "  X=indented",
    "X='blank behind' ",
    'X= "blank before"',
    "X='\"quotes within quotes\"'",
    "X=two\u2028lines",
    'X="over\n\ntwo lines" ',
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
    ("X=a\x00hunter2", "holds a control character"),
]


def dotenv(folder: Path, text: str) -> Path:
    path = folder / ".env"
    path.write_bytes(text.encode())
    return path


def before(text: str) -> dict[str, str]:
    """What versions read that left it to django-environ, which logs what it does not take."""

    class Copy(Env):
        ENVIRON: dict[str, str] = {}

    logging.disable()
    try:
        Copy.read_env(io.StringIO(text, newline=None))
    finally:
        logging.disable(logging.NOTSET)
    return Copy.ENVIRON


@pytest.mark.parametrize(("text", "value"), AGREED)
def test_what_all_readers_agree_on_is_read(text: str, value: str, tmp_path: Path) -> None:
    assert env_file.read(dotenv(tmp_path, text)) == ({"X": value}, ())
    assert vedetta.read(text.replace("\r", "")) == {"X": value}


@pytest.mark.parametrize("text", DIFFER)
def test_what_they_differ_about_is_told_unseen_and_read_as_before(text: str, tmp_path: Path) -> None:
    path = dotenv(tmp_path, f"\n# remark\n{text}hunter2\n" if text[-1] not in "'\" \\" else f"\n\n{text}\n")

    found = portals_reader(path)

    assert found.values == before(path.read_text())
    (doubt,) = found.doubts
    assert doubt.what.startswith(f"Line 3 of {path} (X) means one value here and another one to Docker")
    assert doubt.place == "line 3 (X)"
    assert "single quotes" in doubt.do
    assert "X_FILE" in doubt.do
    assert "as earlier versions read it" in doubt.sentence
    assert "hunter2" not in doubt.sentence
    assert "\n" not in doubt.sentence


@pytest.mark.parametrize(
    ("text", "is_told"),
    [
        ("# in C:\\backups\\\nX=hunter2", True),
        ("  # three \\\\\\\nX=hunter2", True),
        ("# one\n# in C:\\backups\\\nX=hunter2", True),
        ("# escaped itself \\\\\nX=hunter2", False),
        ("# a blank behind \\ \nX=hunter2", False),
        ("# before a remark \\\n# another\nX=hunter2", False),
        ("# before nothing \\\n\nX=hunter2", False),
        ("X=hunter2\n# at the end \\", False),
    ],
)
def test_a_remark_with_which_an_older_systemd_swallows_the_next_line(
    text: str, is_told: bool, tmp_path: Path
) -> None:
    path = dotenv(tmp_path, text)

    found = portals_reader(path)

    assert found.values == before(path.read_text()) == {"X": "hunter2"}
    assert len(found.doubts) == is_told
    for doubt in found.doubts:
        number = text.count("\n")
        assert doubt.sentence.startswith(f"Line {number} of {path} is a remark that ends in a \\, and ")
        assert "systemd before 254 takes the next line (X) for more of it. Until" in doubt.sentence
        assert "hunter2" not in doubt.sentence
        assert "backups" not in doubt.sentence


def test_a_file_is_proposed_only_where_one_is_read(tmp_path: Path) -> None:
    path = dotenv(tmp_path, 'MYSQL_DATABASE="a" b\nMYSQL_PASSWORD="a" b\n')

    of_gate, of_portal = portals_reader(path).doubts

    assert "_FILE" not in of_gate.sentence
    assert "in a file that MYSQL_PASSWORD_FILE names" in of_portal.sentence


@pytest.mark.parametrize(("text", "why"), NO_LINES)
def test_what_is_no_line_is_told_unseen_and_read_as_before(
    text: str, why: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    path = dotenv(tmp_path, f"A=1\n{text}\n")

    try:
        found = portals_reader(path)
    except ImproperlyConfigured as refused:
        assert "\x00" in text, "with which no version started"
        said = str(refused)
    else:
        assert found.values == before(path.read_text())
        said = found.doubts[0].sentence

    assert said.startswith(f"Line 2 of {path} {why}")
    assert "hunter2" not in said + caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize("name", ["RESTIC_PASSWORD", "SMTP_PASS"])
def test_a_blank_beside_a_password_is_a_part_of_it_as_before(name: str, tmp_path: Path) -> None:
    found = env_file.read(dotenv(tmp_path, f"{name}=hunter2 \nBACKUP_CRON=0 3 * * * \n"))

    assert found.values == {name: "hunter2 ", "BACKUP_CRON": "0 3 * * *"}
    assert [each.place for each in found.doubts] == [f"line 1 ({name})"]


def test_a_value_over_several_lines_is_named_by_its_first(tmp_path: Path) -> None:
    path = dotenv(tmp_path, "A=1\nRESTIC_PASSWORD='hunter\n# remark\nhunter2'\nB: 1\n")

    first, second = env_file.read(path).doubts

    assert first.what.startswith(f"Line 2 of {path} (RESTIC_PASSWORD) means one value here")
    assert "its quotes end on line 4 only, and a value is one line" in first.what
    assert second.place == "line 5"


def test_many_doubts_are_summed_up_by_the_first(tmp_path: Path) -> None:
    path = dotenv(tmp_path, "".join(f"export X{number}=a\n" for number in range(8)))

    found = env_file.summed_up(env_file.read(path).doubts)

    assert found is not None
    assert found.what == f"Line 1 of {path} begins with export, which systemd does not take."
    assert found.do == (
        "Write NAME=value. See to these as well: line 2 (X1), line 3 (X2), line 4 (X3), line 5 (X4), "
        "line 6 (X5), 2 more."
    )


def test_a_name_that_stands_several_times_is_told_with_the_line_that_counts(tmp_path: Path) -> None:
    """All readers take the last one, so nothing waits for it, and others are told first."""
    text = "X=hunter2\nY=1\nX=last\n"
    path = dotenv(tmp_path, text)

    found = portals_reader(path)

    assert found.values == before(text) == vedetta.read(text) == {"X": "last", "Y": "1"}
    (doubt,) = found.doubts
    assert doubt.sentence == (
        f"X stands 2 times in {path}: line 3 counts, and line 1 does not. Docker Compose and systemd take "
        "the last one as well. Leave the one that is meant, and take out the rest."
    )
    assert not doubt.stops
    more = env_file.summed_up(env_file.read(dotenv(tmp_path, f"{text}X=third\nexport Z=1\n")).doubts)
    assert more is not None
    assert more.stops
    assert more.do.endswith("See to these as well: line 4 (X, which stands 3 times).")
    assert env_file.read(path, concerns=env_file.is_of_gate).doubts == ()


@pytest.mark.parametrize(
    ("raw", "said"), [(b"A=1\nX=hunter2\xe9\n", "Line 2 of"), (b"X=hunter2\x00\xff\xfe", "Line 1 of")]
)
def test_bytes_of_another_encoding_are_named_by_their_line(raw: bytes, said: str, tmp_path: Path) -> None:
    """No version started with such a file."""
    path = tmp_path / ".env"
    path.write_bytes(raw)

    with pytest.raises(ImproperlyConfigured, match=re.escape(said)) as refused:
        portals_reader(path)

    assert "UTF-8" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_byte_order_mark_is_told_and_spoils_the_first_line_as_before(tmp_path: Path) -> None:
    found = env_file.read(dotenv(tmp_path, "\ufeffX=hunter2\nY=1\n"))

    assert found.values == {"Y": "1"}
    (doubt,) = found.doubts
    assert "begins with a byte order mark" in doubt.what
    assert "UTF-8" in doubt.do


def test_a_file_that_cannot_be_read_is_named_with_its_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "told otherwise")
    passed_over = portals_reader(tmp_path)
    assert passed_over.values == {}
    assert "the environment alone counts" in passed_over.doubts[0].sentence

    monkeypatch.setenv("SECRET_KEY", "")
    with pytest.raises(
        ImproperlyConfigured, match=rf"^{tmp_path} cannot be read by user \w+ \(Is a directory\)"
    ):
        portals_reader(tmp_path)


def test_no_file_says_nothing(tmp_path: Path) -> None:
    assert env_file.read(tmp_path / "absent") == ({}, ())


def test_what_make_run_wrote_is_read_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "run.env"
    path.write_text("RESTIC_REPOSITORY=/home/a $b #c\\d/var\n")

    assert portals_reader(path) == ({"RESTIC_REPOSITORY": "/home/a $b #c\\d/var"}, ())


def test_the_example_means_one_thing_to_all() -> None:
    found = env_file.read(PROJECT / ".env.example")
    assert "BACKUP_CRON" in found.values
    assert not found.doubts


def test_vedetta_says_which_lines_would_mean_something_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = wrapper()
    monkeypatch.setattr(program, "PROJECT", str(PROJECT))
    settings = dotenv(tmp_path, "A=1\nRESTIC_PASSWORD=hunter2\\\\x\nexport B=1\n")
    monkeypatch.setattr(program, "SETTINGS", str(settings))

    program._warn_of_differences()

    said = capsys.readouterr().err
    assert said.startswith(
        f"vedetta: line 2 of {program.SETTINGS} (RESTIC_PASSWORD) means something else in .env"
    )
    assert f"line 3 of {program.SETTINGS} begins with export, which systemd does not take." in said
    assert "hunter2" not in said


@given(value=st.text(st.characters(blacklist_categories=["Cs"]), max_size=12))
def test_whatever_is_read_without_doubt_is_what_systemd_reads(
    value: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = dotenv(tmp_path_factory.getbasetemp(), f"X={value}\n")
    try:
        read = env_file.read(path)
    except env_file.EnvFileError:
        return
    if not read.doubts:
        assert vedetta.read(path.read_bytes().decode().replace("\r\n", "\n")) == read.values


_TELLING = "X=\"'\\\\ \t\n\r\u2028#$ae:"


@example(text='X=\'a\' \nX="b\\nc\\""\nexport Y=1\n Z=2\n')
@given(text=st.text(st.sampled_from(_TELLING) | st.characters(blacklist_categories=["Cs"]), max_size=30))
def test_whatever_is_read_is_what_earlier_versions_read(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """But for blanks around what is no password, which did not count then either."""
    lines = f"X={text}\nMYSQL_PASSWORD={text}"
    path = dotenv(tmp_path_factory.getbasetemp(), lines)
    try:
        read = env_file.read(path).values
    except env_file.EnvFileError:
        assert "\0" in text
        return
    known = before(lines)
    assert {name: value.strip() for name, value in read.items()} == {n: v.strip() for n, v in known.items()}
    assert read["MYSQL_PASSWORD"] == known["MYSQL_PASSWORD"]
