"""Names that are loaded when they are first asked for, and patterns that are compiled then."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from backups import at_first_use, binlog, mysql
from backups.mysql import lossy

PACKAGES = (binlog, mysql)
PACKAGE = Path(str(mysql.__file__))


@pytest.mark.parametrize("package", PACKAGES)
def test_each_name_is_what_its_module_has_under_it(package: ModuleType) -> None:
    names = at_first_use.exported(ast.parse(Path(str(package.__file__)).read_text()))
    assert len(names) > 30
    for name, module in names.items():
        assert getattr(package, name) is getattr(importlib.import_module(module), name)
    assert set(dir(package)) >= names.keys()


@pytest.mark.parametrize("package", PACKAGES)
def test_no_name_is_a_modules_as_well(package: ModuleType) -> None:
    """To import the module would put it in the name's place."""
    path = Path(str(package.__file__))
    names = at_first_use.exported(ast.parse(path.read_text()))
    assert names.keys() & {path.stem for path in path.parent.glob("*.py")} == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_names_are_imported_where_types_are_looked_at_and_nowhere_else(package: ModuleType) -> None:
    others = [
        ast.unparse(node)
        for node in ast.parse(Path(str(package.__file__)).read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]

    assert others == ["from typing import TYPE_CHECKING", "from backups import at_first_use"]


def test_what_is_no_name_is_missed_as_in_any_module() -> None:
    assert not hasattr(mysql, "conect")
    with pytest.raises(AttributeError, match=r"module 'backups.mysql' has no attribute 'conect'"):
        mysql.conect  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match=r"cannot import name 'conect' from 'backups.mysql'"):
        exec("from backups.mysql import conect")  # noqa: S102


def test_a_name_is_loaded_at_its_first_use_and_a_module_is_one_as_before() -> None:
    code = (
        "import sys; from backups import mysql; before = 'backups.mysql.server' in sys.modules;"
        "from backups.mysql import grants; from backups.mysql import MARIADB;"
        "print(before, grants.__name__, MARIADB, 'MARIADB' in vars(mysql))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=PACKAGE.parents[2], capture_output=True, text=True, check=True
    )

    assert ran.stdout.split() == ["False", "backups.mysql.grants", "MariaDB", "True"]


def test_whoever_replaces_a_name_replaces_it_for_all_and_can_put_it_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    was = mysql.lossy_views
    with monkeypatch.context() as patch:
        patch.setattr("backups.mysql.lossy_views", "another")
        assert importlib.import_module("backups.mysql").lossy_views == "another"
    assert mysql.lossy_views is was is lossy.lossy_views


def test_a_pattern_is_one_as_soon_as_it_is_used() -> None:
    broken = at_first_use.pattern("(")
    found = at_first_use.pattern(rb"a(B)", re.I)

    assert found.pattern == rb"a(B)"
    assert [each[1] for each in found.finditer(b"ab AB")] == [b"b", b"B"]
    assert found.sub(b"x", b"ab") == b"x"
    with pytest.raises(re.error):
        broken.search("")
