"""Our own source, parsed once in a process for all the tests there that judge it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


@cache
def modules(*packages: str) -> dict[str, Path]:
    """The modules of these packages by their names, and their files."""
    found = {}
    for package in packages:
        for path in sorted((PROJECT / package).rglob("*.py")):
            name = ".".join(path.relative_to(PROJECT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    """What a file says."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All of its tree, as ast.walk gives it."""
    return tuple(ast.walk(tree(path)))
