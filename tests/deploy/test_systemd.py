"""What an installation with the units of deploy/systemd runs by hand acts on what the units run."""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from portal import servers_secrets
from tests.backups.conftest import MakePortal
from tests.backups.worlds import Shop

PROJECT = Path(__file__).resolve().parents[2]
UNITS = PROJECT / "deploy" / "systemd"
WRAPPER = UNITS / "vedetta.py"
SECRET = 'it\'s a "secret" of \\ $HOME `id` # 100 %; '


def wrapper() -> ModuleType:
    """The program as a module."""
    spec = importlib.util.spec_from_file_location("vedetta_wrapper", WRAPPER)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def quoted(value: str) -> str:
    """A value as systemd reads it back, whatever it holds."""
    return '"' + re.sub(r'(["\\`$])', r"\\\1", value) + '"'


def installed(folder: Path, settings: dict[str, str], *, project: Path, user: str) -> Path:
    """The program as somebody installs it, where the settings, the project and the user are these."""
    file = folder / "etc" / "env"
    file.parent.mkdir()
    file.write_text("".join(f"{name}={quoted(value)}\n" for name, value in settings.items()))
    text = WRAPPER.read_text()
    for name, value in {"PROJECT": project, "SETTINGS": file, "USER": user}.items():
        text, changed = re.subn(rf'^{name} = ".*"$', f"{name} = {str(value)!r}", text, flags=re.MULTILINE)
        assert changed == 1
    program = folder / "vedetta"
    program.write_text(text)
    program.chmod(0o755)
    return program


def ran(program: Path, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *args],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env=os.environ | environment,
    )


def test_a_backup_by_hand_is_one_of_the_portal_that_the_units_run(
    mariadb_shop: Shop, make_portal: MakePortal
) -> None:
    portal = make_portal(mariadb_shop)
    own = pwd.getpwuid(os.getuid()).pw_name
    settings = portal.environment | {"SECRET_KEY": os.environ["SECRET_KEY"]}
    program = installed(portal.folder, settings, project=PROJECT, user=own)

    # What root's shell holds must not lead elsewhere.
    told = ran(program, "backup", "--json", DATABASE_URL="sqlite:////nowhere/at/all", MYSQL_DATABASE="other")

    assert told.returncode == 0, told.stderr
    assert portal.heartbeat() is not None
    assert portal.run()["status"] == "succeeded"
    assert ran(program, "backup", "--database", "nosuch").returncode == 1
    assert ran(program, "backup", "--sideways").returncode == 2


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="vedetta-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def stand_in(folder: Path) -> Path:
    """A project whose Python tells who runs it, where and with what."""
    python = folder / "project" / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nid -un; id -Gn; pwd; umask; echo "$@"; tr "\\0" "\\n" < /proc/$$/environ\n')
    python.chmod(0o755)
    return folder / "project"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_root_becomes_the_units_user_and_secrets_stay_off_the_command_line(open_folder: Path) -> None:
    program = installed(
        open_folder, {"RESTIC_PASSWORD": SECRET}, project=stand_in(open_folder), user="nobody"
    )
    (open_folder / "etc").chmod(0o700)

    told = ran(program, "restore", "--into", "a b", TERM="xterm", MYSQL_PWD="root's own")

    who, groups, where, mask, args, *environment = told.stdout.splitlines()
    group = pwd.getpwnam("nobody").pw_gid
    assert (who, where, mask) == ("nobody", str(open_folder / "project"), "0022")
    assert "root" not in groups.split(), group
    assert args == "manage.py restore --into a b"
    assert f"RESTIC_PASSWORD={SECRET}" in environment
    assert {line.partition("=")[0] for line in environment} - {"PWD", "COLUMNS", "LINES", "NO_COLOR"} <= {
        "RESTIC_PASSWORD", "VEDETTA_KEY_MADE", "TERM", "LANG", "LC_ALL", "PATH", "HOME", "USER", "LOGNAME",
        "SHELL",
    }  # fmt: skip


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_others_are_told_whose_program_it_is(open_folder: Path) -> None:
    program = installed(open_folder, {}, project=stand_in(open_folder), user="root")

    told = subprocess.run(
        ["setpriv", "--reuid=nobody", "--clear-groups", program, "backup"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr == "vedetta: this is for root and for root: try it with sudo. Nothing was done.\n"


def test_the_command_of_a_wheel_is_run_the_same_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the units' settings, in their folder, by the Python that has the wheel."""
    units = wrapper()
    (tmp_path / "env").write_text(f"RESTIC_PASSWORD={quoted(SECRET)}\n")
    monkeypatch.setattr(units, "PROJECT", str(tmp_path))
    monkeypatch.setattr(units, "SETTINGS", str(tmp_path / "env"))
    monkeypatch.setattr(units, "USER", pwd.getpwuid(os.getuid()).pw_name)
    calls: list[tuple[str, list[str], dict[str, str]]] = []
    monkeypatch.setattr(units.os, "execve", lambda *called: calls.append(called))
    monkeypatch.setattr(units.os, "umask", lambda _mask: 0)
    monkeypatch.setattr(units.sys, "argv", ["vedetta", "restore", "--into", "a b"])
    monkeypatch.chdir(tmp_path.parent)

    units.main(["/srv/python", "-P", "-m", "portal"])

    ((program, argv, environment),) = calls
    assert Path.cwd() == tmp_path
    assert program == "/srv/python"
    assert argv == ["/srv/python", "-P", "-m", "portal", "restore", "--into", "a b"]
    assert (environment["RESTIC_PASSWORD"], environment["VEDETTA_KEY_MADE"]) == (SECRET, units.KEY)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    own = pwd.getpwuid(os.getuid()).pw_name
    program = installed(tmp_path, {}, project=tmp_path, user=own)
    assert "Run `make setup` in" in ran(program, "backup").stderr
    (tmp_path / "etc" / "env").unlink()
    assert "docs/install.md says how to make them." in ran(program, "backup").stderr
    program.write_text(program.read_text().replace(f"USER = {own!r}", "USER = 'nosuch'"))
    assert "there is no user nosuch." in ran(program, "backup").stderr


# Somebody has these units, in the form in which they were first shipped.
STARTED_SINCE_THE_FIRST = {
    "vedetta-gate": ["gunicorn -c sentinel/gunicorn.conf.py sentinel.wsgi"],
    "vedetta-portal": ["gunicorn -c portal/gunicorn.conf.py portal.wsgi"],
    "vedetta-setup": ["python manage.py migrate --no-input", "python manage.py bootstrap"],
    "vedetta-worker": ["python manage.py worker"],
}


def test_units_of_before_still_start_what_is_there() -> None:
    verbs = {"migrate", *(path.stem for path in (PROJECT / "backups/management/commands").glob("[a-z]*.py"))}
    for unit, commands in STARTED_SINCE_THE_FIRST.items():
        text = (UNITS / f"{unit}.service").read_text()
        assert re.findall(r"^ExecStart=-?/opt/vedetta/\.venv/bin/(.*)$", text, re.MULTILINE) == commands
        for program, *args in map(str.split, commands):
            if program == "python":
                assert args[1] in verbs
            else:
                config, module = args[1], args[2].replace(".", "/") + ".py"
                assert (PROJECT / config).is_file()
                assert "application =" in (PROJECT / module).read_text()


# Each was given to the parser of systemd 252 itself, and read so.
READ = {
    "A=b c \n": {"A": "b c"},
    "\n # not this\n;A=nor this\n A = b": {"A": "b"},
    "A=$B `id` 'x' # all of it": {"A": "$B `id` 'x' # all of it"},
    'A=\'$B \\n\' \nB="a\\"b\\$c\\d"': {"A": "$B \\n", "B": 'a"b$c\\d'},
    "A='one\ntwo'": {"A": "one\ntwo"},
    'A=a\\\nb\nB="a\\\nb"': {"A": "ab", "B": "ab"},
    "A='a' \"b\" c": {"A": "abc"},
    "A=a\\b\\ \n": {"A": "ab "},
    "A=\nB=1\nB=2": {"A": "", "B": "2"},
    "export A=1\n1A=1\nnothing\nB=1": {"B": "1"},
    "A='open\nB=1": {"A": "open\nB=1"},
}


@pytest.mark.parametrize("text", READ)
def test_settings_are_read_as_systemd_reads_them(text: str) -> None:
    assert wrapper().read(text) == READ[text]


def test_any_value_can_be_written_down() -> None:
    assert wrapper().read(f"A={quoted(SECRET)}\n") == {"A": SECRET}


def test_program_units_and_guide_name_the_same_places() -> None:
    program = wrapper()
    for unit in UNITS.glob("*.service"):
        said = dict(re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE))
        assert (said["User"], said["WorkingDirectory"]) == (program.USER, program.PROJECT)
        if unit.stem == "vedetta-portal":
            assert said["EnvironmentFile"] == f"-{program.PORTAL_SETTINGS}"
        elif unit.stem != "vedetta-gate":
            assert said["EnvironmentFile"] == program.SETTINGS
    guide = (PROJECT / "docs" / "install.md").read_text()
    assert f".env {program.SETTINGS}" in guide
    assert "deploy/systemd/vedetta.py /usr/local/bin/vedetta" in guide


# ---------------------------------------------------------------- The portal's settings


def test_the_portal_gets_all_settings_but_the_secrets_of_servers(tmp_path: Path) -> None:
    """As its unit has them written before each start, by the machine's own Python."""
    settings = {
        "RESTIC_PASSWORD": SECRET,
        "MYSQL_PASSWORD_FILE": "/run/secrets/mysql",
        "VEDETTA_KEY": "k",
        "AWS_SECRET_ACCESS_KEY": "s3",
        "MYSQL_PASSWORD_SHOP": SECRET,
        "SHOP_PW": "declared",
        "SECRET_REFERENCES": "SHOP_PW",
        "NAS_PW": "declared in .env, which the worker reads too",
        "SECRET_KEY": SECRET,
        "DATABASE_URL": "sqlite:////x",
        "TIME_ZONE": "Europe/Rome",
        "EMPTY": "",
    }
    program = installed(tmp_path, settings, project=tmp_path, user="nobody")
    (tmp_path / ".env").write_text("SECRET_REFERENCES='NAS_*'\n")
    written = tmp_path / "portal.env"
    there = tmp_path / "deploy" / "systemd" / "vedetta.py"
    there.parent.mkdir(parents=True)
    there.write_text(program.read_text().replace(wrapper().PORTAL_SETTINGS, str(written)))
    for needed in ("portal/servers_secrets.py", "backups/text/secret_names.py"):
        (tmp_path / needed).parent.mkdir(parents=True)
        shutil.copy(PROJECT / needed, tmp_path / needed)
        for package in (*Path(needed).parents,)[:-1]:
            shutil.copy(PROJECT / package / "__init__.py", tmp_path / package)
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable

    for _ in range(2):  # each start writes it anew
        ran = subprocess.run([python, "-I", there, "portal-env"], capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stderr) == (0, "")

    assert wrapper().read(written.read_text()) == {
        name: settings[name]
        for name in ("SECRET_REFERENCES", "SECRET_KEY", "DATABASE_URL", "TIME_ZONE", "EMPTY")
    }
    assert written.stat().st_mode & 0o777 == 0o600
    (tmp_path / "etc" / "env").unlink()
    ran = subprocess.run([python, "-I", there, "portal-env"], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "so the portal is not started" in ran.stderr
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == [".env"]


def test_the_portals_unit_has_root_write_its_settings_and_sees_no_others() -> None:
    unit = (UNITS / "vedetta-portal.service").read_text()
    unset = set(" ".join(re.findall(r"^UnsetEnvironment=(.*)$", unit, re.MULTILINE)).split())
    closed = set(" ".join(re.findall(r"^InaccessiblePaths=(.*)$", unit, re.MULTILINE)).split())
    program = wrapper()

    assert f"ExecStartPre=+/usr/bin/python3 -I {program.PROJECT}/deploy/systemd/vedetta.py portal-env" in unit
    assert all(map(servers_secrets.is_one, unset))
    names = re.findall(r"^(\w+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE)
    of_other_services = {"MYSQL_ROOT_PASSWORD", "POSTGRES_PASSWORD"}
    assert {n for n in names if servers_secrets.is_one(n)} - of_other_services <= unset
    assert {
        f"-{place}" for place in (program.SETTINGS, f"{program.PROJECT}/.env", Path(program.KEY).parent)
    } <= closed
    # Of the same user, the worker's environment lies open in /proc but for this.
    assert "PrivateUsers=yes" in unit
