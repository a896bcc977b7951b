"""What is loaded or compiled when it is first used, and not while a program begins.

restic waits for the dump program to begin, once for each backup, and a person for each command. Of what
they import they use a part.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, AnyStr, Generic, cast

if TYPE_CHECKING:
    import ast

_PACKAGES: list[ModuleType] = []


def names(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package that imports its names under `if TYPE_CHECKING`.

    Editors, mypy and the rules of the house see imports as of any other package, and no second table has
    to be kept: reading the file takes half a millisecond. No name may be a submodule's as well: to import
    that would put the module in the name's place.
    """
    module = sys.modules[package]
    _PACKAGES.append(module)

    @cache
    def modules() -> Mapping[str, str]:
        import ast

        return exported(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")))

    def loaded(name: str) -> Any:
        # Python asks for names of its own, such as __path__, at each import; none of ours is like them.
        if name.startswith("__") or name not in modules():
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=module)
        # What a test has put there meanwhile stays.
        return module.__dict__.setdefault(name, getattr(importlib.import_module(modules()[name]), name))

    return loaded, lambda: sorted({*module.__dict__, *modules()})


def load_all() -> None:
    """All names at once: for a process that lives on while newer files take the place of its own."""
    for package in _PACKAGES:
        for name in dir(package):
            getattr(package, name)


def exported(package: ast.Module) -> dict[str, str]:
    """Where each name comes from that a package imports `if TYPE_CHECKING`, and `else` gives by `names`."""
    import ast

    return {
        alias.name: str(line.module)
        for block in package.body
        if isinstance(block, ast.If) and getattr(block.test, "id", "") == "TYPE_CHECKING" and block.orelse
        for line in block.body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    }


def pattern(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """As `re.compile`, for what many runs never look for. One that each uses is better compiled at once."""
    return cast("re.Pattern[AnyStr]", _Pattern(text, flags))


class _Pattern(Generic[AnyStr]):
    """Becomes a pattern when it is asked for something that patterns have."""

    def __init__(self, text: AnyStr, flags: int) -> None:
        self._text: AnyStr = text
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        # From the second time on it is found without us.
        value = self.__dict__[name] = getattr(re.compile(self._text, self._flags), name)
        return value
