"""Who may import whom, read from the source: the arrows of the design, and no others."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
PACKAGES = ("backups", "portal", "sentinel")
STANDARD_SUBPROCESS = re.compile(r"subprocess|pty|popen2|multiprocessing")

# What the tools are wrapped in. Values arrive as arguments: no rows, no settings.
TOOLS = (
    r"backups.(process|(restic|mysql|dumpfile)(\..*)?|dump|dump_program|dumps_at_once|spool|load|spread|crew"
    "|tables|stream|manifests|moment|chosen|grants|errors|texts|plain)"
)
# What plays an action.
ACTIONS = r"backups.actions(\..*)?"
# What people and the queue call.
FRONT = r"backups.(tasks|console|management(\..*)?|admin(\..*)?)"

# What shows the gate's state to people and monitors.
SHOWING = r"backups\.(admin|metrics|health|standing)\b"

# The standard library.
STANDARD = rf"({'|'.join(sorted(sys.stdlib_module_names))})(\..*)?$"


def modules() -> dict[str, ast.Module]:
    found = {}
    for package in PACKAGES:
        for path in sorted((PROJECT / package).rglob("*.py")):
            name = ".".join(path.relative_to(PROJECT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = ast.parse(path.read_text(), str(path))
    return found


MODULES = modules()


def imports(module: str) -> Iterator[str]:
    """The modules that a module imports, also inside functions; names from packages as modules."""
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            assert node.module is not None
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else node.module


def offences(importers: str, imported: str, *, but: str = "$^") -> list[str]:
    """Imports of what matches `imported` by what matches `importers`."""
    return [
        f"{module} imports {name}"
        for module in MODULES
        if re.fullmatch(importers, module)
        for name in imports(module)
        if re.fullmatch(imported, name) and not re.fullmatch(but, name)
    ]


ARROWS = {
    "the gate stands alone": ("sentinel(.*)", r"(backups|portal)(\..*)?", "$^"),
    "of the gate, backups use its files": (
        r"backups(\..*)?",
        r"sentinel(\..*)?",
        r"sentinel\.(heartbeat|gate|observe|environment)",
    ),
    "only what shows the gate's state asks for it": (
        rf"(?!{SHOWING})backups(\..*)?",
        r"sentinel(\..*)?",
        r"sentinel\.(heartbeat|gate)",
    ),
    "the portal's settings know no backups": (r"portal\.(env|settings)", r"backups(\..*)?", "$^"),
    "backups know no portal": (r"backups(\..*)?", r"portal(\..*)?", "$^"),
    "tools know neither rows nor settings": (
        TOOLS,
        r"backups\..*|django(\..*)?|django_q(\..*)?",
        rf"{TOOLS}|backups.choices",
    ),
    "the reader of dumps knows nothing but dumps": (
        r"backups\.dumpfile(\..*)?",
        rf"(?!{STANDARD}).*",
        r"backups\.dumpfile(\..*)?",
    ),
    "the verdict knows nothing but what it is told": (
        r"backups\.verdict(\..*)?",
        rf"(?!{STANDARD}).*",
        r"backups\.(verdict(\..*)?|humane)",
    ),
    "models know no one": (
        "backups.(models|choices)",
        r"backups\..*",
        "backups.(choices|manifests|validators|models|texts)",
    ),
    "services write rows and do nothing": (
        "backups.services",
        r"backups\..*",
        "backups.(aim|choices|errors|models|restic|services|turns)",
    ),
    "actions do not know who called them": (ACTIONS, rf"{FRONT}|backups.runner", "$^"),
    "the runner does not know who called it": ("backups.runner", FRONT, "$^"),
    "what people call does not call the tools": (
        "backups.tasks",
        r"backups.(process|mysql(\..*)?|dump|load|stream)",
        "$^",
    ),
}


@pytest.mark.parametrize("arrow", ARROWS)
def test_imports_follow_the_arrows(arrow: str) -> None:
    importers, imported, but = ARROWS[arrow]

    assert offences(importers, imported, but=but) == []


def test_one_module_starts_programs() -> None:
    starting = {
        module for module in MODULES for name in imports(module) if STANDARD_SUBPROCESS.fullmatch(name)
    }

    assert starting == {"backups.process"}


def test_no_module_starts_programs_by_another_door() -> None:
    doors = re.compile(r"system|popen|fork|forkpty|spawn\w*|exec[lv]\w*|posix_spawnp?")
    found = [
        f"{module} calls os.{node.attr}"
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        and doors.fullmatch(node.attr)
    ]

    assert found == []


def test_services_alone_write_a_runs_status() -> None:
    """Everywhere else a status is read."""
    writers = set()
    for module, tree in MODULES.items():
        for node in ast.walk(tree):
            assigns = isinstance(node, ast.Assign) and any(
                isinstance(target, ast.Attribute) and target.attr == "status" for target in node.targets
            )
            updates = (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in {"update", "create", "bulk_create", "update_or_create"}
                and any(keyword.arg == "status" for keyword in node.keywords)
            )
            if assigns or updates:
                writers.add(module)

    assert writers <= {"backups.services"}


def test_rules_would_see_an_offence() -> None:
    assert "backups.runner imports backups.actions.backup" in offences("backups.runner", ACTIONS)
    assert offences("backups.admin.*|backups.tasks|backups.console", "backups.(services|runner)")
