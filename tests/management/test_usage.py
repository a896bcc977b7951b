"""Options as they are typed: an empty value is wrong usage and no other wish, in every command."""

from __future__ import annotations

import functools
from argparse import Action, ArgumentParser
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import CommandParser, get_commands, load_command_class

from backups.choices import RestoreMode
from backups.management.base import WrongUsage
from backups.management.commands.restore import _where
from backups.models import Database
from tests.backups.conftest import MakePortal
from tests.backups.worlds import Shop
from tests.restoring.stories import untouched

# But for Django's own, which those run who write Vedetta.
# Django's own, for those who translate.
TRANSLATORS = {"makemessages", "compilemessages"}
COMMANDS = sorted(
    name for name, app in get_commands().items() if app == "backups" and name not in TRANSLATORS
)


@functools.cache
def parser_of(command: str) -> CommandParser:
    made = load_command_class("backups", command)
    made._called_from_command_line = True  # type: ignore[attr-defined]
    return made.create_parser("manage.py", command)


def options_of(parser: ArgumentParser, *before: str) -> Iterator[tuple[list[str], Action]]:
    """Every option that takes a value, with the words that lead to it."""
    for action in parser._actions:
        if isinstance(action.choices, dict):
            for verb, of_verb in action.choices.items():
                yield from options_of(of_verb, *before, verb)
        elif action.option_strings and action.nargs != 0:
            yield [*before, action.option_strings[-1]], action


OPTIONS = [
    (command, words, action)
    for command in COMMANDS
    for words, action in options_of(parser_of(command))
    # Django's own, which tell it where its settings are.
    if words[-1] not in ("--settings", "--pythonpath")
]
EVERY = [
    pytest.param(command, words, action, id=" ".join([command, *words])) for command, words, action in OPTIONS
]


def test_every_command_was_looked_at() -> None:
    found = {(command, words[-1]) for command, words, _ in OPTIONS}
    assert {"backup", "verify", "snapshots", "restore", "undo_restore", "repository", "bootstrap"} <= {
        command for command, _ in found
    }
    ours = {"--snapshot", "--time", "--output", "--into", "--table", "--database", "--across", "--reason"}
    assert ours <= {option for command, option in found if command == "restore"}
    assert ("repository", "--read-data-subset") in found


@pytest.mark.parametrize(("command", "words", "action"), EVERY)
def test_an_empty_value_is_wrong_usage(
    command: str, words: list[str], action: Action, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = parser_of(command)
    times = action.nargs if isinstance(action.nargs, int) else 1
    wrong = [words]
    for value in ("", "  ", "\t"):
        wrong += [[*words, *[value] * times], [*words[:-1], f"{words[-1]}={value}"]]
    for typed in wrong:
        with pytest.raises(SystemExit) as ended:
            parser.parse_args(typed)
        assert ended.value.code == 2
        assert f"argument {'/'.join(action.option_strings)}" in capsys.readouterr().err


@pytest.mark.parametrize("short", ["--rep", "--in-p", "--in-plac", "--y"])
def test_no_option_is_taken_by_its_beginning(short: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser_of("restore").parse_args(["--snapshot", "latest", "--output", "x", short])
    assert ended.value.code == 2
    assert f"unrecognized arguments: {short}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("x" * 65, "It has 65 characters, and a database's name may have 64."),
        ("shop ", "It ends in a blank"),
        ("shop \N{WASTEBASKET}\N{GRINNING FACE}", "no emoji"),
        ("information_schema", "is the server's own"),
        ("MySQL", "is the server's own"),
        ("sys", "is the server's own"),
        ("#mysql50#shop", "would be made as another one"),
        ("shop__before_99", "__before_99 are for databases that Vedetta makes"),
        ("Shop__RESTORE_9", "for databases that Vedetta makes"),
        ("shop__verify_5", "for databases that Vedetta makes"),
    ],
)
def test_what_cannot_be_a_new_database_is_told_beforehand(
    name: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parser_of("restore").parse_args(["--snapshot", "latest", "--into", name])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["x" * 64, "a/b", r"a\b", "a%_b", "日本", "quote`s", "--x", "shop__restore_it"]
)
def test_other_names_are_taken(name: str) -> None:
    assert parser_of("restore").parse_args(["--snapshot", "latest", f"--into={name}"]).into == name


@pytest.mark.parametrize(
    ("said", "mode", "target"),
    [
        ({"output": "x"}, RestoreMode.FILE, "x"),
        ({"into": "x"}, RestoreMode.NEW, "x"),
        ({"into": ""}, RestoreMode.NEW, ""),
        ({"output": ""}, RestoreMode.FILE, ""),
        ({"replace": True}, RestoreMode.REPLACE, "shop"),
        ({"in_place": True}, RestoreMode.IN_PLACE, "shop"),
    ],
)
def test_each_mode_by_its_own_word(said: dict[str, object], mode: RestoreMode, target: str) -> None:
    """Also for who calls the command from Python, past the parser; an empty target the service refuses."""
    nothing = {"output": None, "into": None, "replace": False, "in_place": False}
    assert _where(Database(database="shop"), nothing | said) == (mode, target)
    with pytest.raises(WrongUsage, match="No target was given"):
        _where(Database(database="shop"), nothing)


def test_an_unset_variable_of_a_script_overwrites_nothing(
    mariadb_shop: Shop, make_portal: MakePortal, tmp_path: Path
) -> None:
    portal = make_portal(mariadb_shop)
    assert portal.backup().code == 0
    with untouched(mariadb_shop):
        for words in (["--into", ""], ["--output", ""]):
            ran = portal.manage("restore", "--snapshot", "latest", *words, "--yes", "--json")
            assert ran.code == 2, words
            assert ran.json["status"] == "failed"
            assert ran.json["error"].startswith(f"argument {words[0]}: an empty value")
        itself = portal.manage(
            "restore", "--snapshot", "latest", "--into", mariadb_shop.name, "--yes", "--json"
        )
    assert itself.code == 1
    assert "holds tables already. It was not touched." in itself.json["error"]
    assert portal.manage("backup", "--database", "", "--json").code == 2
    assert len(portal.snapshots()) == 1
