"""Who may import whom, read from the source: the arrows of the design, and no others."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from backups.at_first_use import exported
from tests import sources

PROJECT = Path(__file__).resolve().parent.parent
PACKAGES = ("backups", "portal", "sentinel")
STANDARD_SUBPROCESS = re.compile(r"subprocess|pty|popen2|multiprocessing")

# The rooms of the house, from the ground up, and what each may import: a module or a package of `backups`, or
# one of the two beside it. What is not named here may not be imported, and a module without a room fails.
HOUSE = {
    "at_first_use": "",
    "text": "at_first_use",
    "process": "at_first_use text",
    "choices": "text",
    "errors": "text",
    "sentinel": "",
    "installation": "text",
    "verdict": "text",
    "dumpfile": "at_first_use errors text",
    "binlog": "at_first_use dumpfile errors text",
    "keys": "errors text",
    "restic": "errors process text",
    "mysql": "at_first_use dumpfile errors process text",
    "secret_references": "errors keys restic text",
    "dumping": "at_first_use dumpfile errors mysql process text",
    "loading": "dumpfile errors mysql process text",
    "replaying": "binlog dumpfile errors mysql text",
    "differences": "dumpfile errors loading text",
    "rows_back": "differences dumpfile errors text",
    "validators": "secret_references text",
    "checks": "process reports text validators",
    "migrations": "choices validators",
    "models": "choices dumpfile text validators",
    "touched": "",
    "marks": "choices models touched",
    "downloads": "choices errors installation models text",
    "endpoints": "choices errors models mysql restic secret_references text",
    "notifications": "choices errors keys models process text",
    "scheduling": "choices marks models text",
    "snapshots": "choices dumpfile errors models moments text",
    "templatetags": "choices installation models text",
    "moments": "binlog dumpfile errors models text",
    "aim": "choices errors models snapshots text validators",
    "gate": "choices errors installation marks models sentinel snapshots text verdict",
    "runs": "choices errors models mysql restic text",
    "catalog": "choices errors keeping keys models restic runs snapshots text",
    "keeping": "choices dumpfile errors gate models snapshots text",
    "repositories": "catalog endpoints models process restic text",
    "restoring": (
        "choices dumpfile dumping endpoints errors keeping loading models mysql process runs snapshots text"
    ),
    "requests": (
        "aim catalog choices dumpfile errors keeping keys models moments restoring runs scheduling snapshots "
        "text"
    ),
    "configuration": (
        "catalog endpoints errors gate models mysql repositories restic scheduling secret_references "
        "sentinel text"
    ),
    "people": "configuration errors models text",
    "portal_copy": "choices configuration errors models mysql restic runs secret_references text",
    "reports": (
        "catalog choices configuration endpoints errors gate installation keys marks models moments "
        "notifications runs scheduling sentinel snapshots text verdict"
    ),
    "alerting": (
        "choices endpoints errors gate installation keeping keys marks models notifications process reports "
        "requests scheduling sentinel snapshots text verdict"
    ),
    "shipping": (
        "alerting binlog catalog choices dumpfile endpoints errors gate keeping models moments mysql process "
        "replaying requests restic runs scheduling snapshots text"
    ),
    "actions": (
        "aim alerting binlog catalog choices configuration differences dumpfile dumping endpoints errors "
        "gate keeping keys loading models moments mysql portal_copy process replaying reports repositories "
        "requests restic restoring rows_back runs scheduling secret_references shipping snapshots text "
        "validators verdict"
    ),
    "admin": (
        "actions choices configuration differences downloads errors gate keeping marks models moments "
        "notifications people reports repositories requests restoring runs scheduling sentinel snapshots "
        "templatetags text validators verdict"
    ),
    "worker": (
        "actions alerting at_first_use choices downloads endpoints errors marks models mysql process "
        "requests restic restoring runs scheduling text"
    ),
    "portal": "admin alerting people portal_copy reports sentinel text",
    "management": (
        "actions catalog choices configuration differences endpoints errors gate installation keeping keys "
        "models moments portal_copy process reports repositories requests restic restoring runs scheduling "
        "shipping snapshots text validators verdict worker"
    ),
    "tasks": "alerting choices errors models requests runs scheduling text worker",
    "apps": "checks marks runs tasks text worker",
}

# A module tells of one subject and a function of one thing: what is longer nobody reads from end to end.
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 400, 50
# What is given together has a name of its own, and a class; those that dataclasses write for it do not count.
MOST_ARGUMENTS = 5
MEASURED = (*PACKAGES, "tools", "bench")
# Functions that may be longer, and why.
LONG_FOR_A_REASON = {
    "backups.actions.backup._dump_into_restic": (
        "What two programs tell is heard by closures over one state, beside the one call that they serve."
    ),
    "backups.dumping.program.dump": "The order of its steps is what makes a dump one of a single moment.",
    "backups.loading.loader.load": "What is to be cleared up, and in which order, depends on how far it is.",
    "backups.mysql.load_errors._load_problem_from": "A table of error numbers, each with its own sentence.",
    "backups.mysql.dump_errors._dump_problem_from": "A table of complaints, each with its own sentence.",
}

# Functions that may take more arguments, and why.
MANY_FOR_A_REASON: dict[str, str] = {}

# What knows neither rows nor settings: values arrive as arguments.
TOOLS = (
    r"backups.(errors|at_first_use|(process|restic|mysql|binlog|dumpfile|dumping|loading|replaying)(\..*)?"
    r"|text.(addresses|checked|kinds|sentences|terminal))"
)
# What plays an action.
ACTIONS = r"backups.actions(\..*)?"
# What people and the queue call.
FRONT = r"backups.(tasks|management(\..*)?|admin(\..*)?)"

# Which of the gate's modules each room uses. Its files are for all who write them; what it would answer is
# asked for by who shows it to people and monitors.
OF_THE_GATE = {
    "admin": "environment gate heartbeat observe",
    "alerting": "gate heartbeat",
    "configuration": "heartbeat",
    "gate": "heartbeat",
    "reports": "environment gate heartbeat kept observe",
}

# What the web process shows and asks with, and what it never opens: the worker does (`requests.questions`).
ASKING = r"portal(\..*)?|backups\.(admin|requests)(\..*)?"
OPENED = (
    r"backups\.(mysql|restic|endpoints|secret_references|dumping|loading|process|replaying|shipping)(\..*)?"
)
# What these pages import of `actions`, which opens all: it changes rows and a status file, and opens nothing.
PLAYED = r"backups\.actions\.accept"

# The standard library.
STANDARD = rf"({'|'.join(sorted(sys.stdlib_module_names))})(\..*)?$"


# Parsed by the first test that asks: whatever is collected would wait for it, in each process.
MODULES = sources.modules(*PACKAGES)


@cache
def imports(module: str) -> tuple[str, ...]:
    """The modules that a module imports, also inside functions; names from packages as modules."""
    return tuple(_imports_of(sources.nodes(MODULES[module]), module))


def _imports_of(nodes: Iterable[ast.AST], module: str) -> Iterator[str]:
    for node in nodes:
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
    "the portal's settings know no backups but what texts are fit": (
        r"portal\.(env|settings)",
        r"backups(\..*)?",
        r"backups\.text\.checked",
    ),
    "backups know no portal": (r"backups(\..*)?", r"portal(\..*)?", "$^"),
    "tools know neither rows nor settings": (
        TOOLS,
        r"backups\..*|django(\..*)?|django_q(\..*)?",
        TOOLS,
    ),
    "the reader of dumps knows nothing but dumps": (
        r"backups\.dumpfile(\..*)?",
        rf"(?!{STANDARD}).*",
        r"backups\.(dumpfile(\..*)?|at_first_use|errors|text\.(kinds|sentences))",
    ),
    "the reader of binary logs knows nothing but binary logs": (
        r"backups\.binlog(\..*)?",
        rf"(?!{STANDARD}|zstandard$).*",
        r"backups\.((binlog|dumpfile)(\..*)?|at_first_use|errors|text\.sentences)",
    ),
    "the verdict knows nothing but what it is told": (
        r"backups\.verdict(\..*)?",
        rf"(?!{STANDARD}).*",
        r"backups\.(verdict(\..*)?|text\.(formatting|sentences))",
    ),
    "pages ask, the worker opens servers and reads secrets": (ASKING, OPENED, "$^"),
    "pages play no action": (ASKING, ACTIONS, PLAYED),
    "actions do not know who called them": (ACTIONS, rf"{FRONT}|backups.worker.executor", "$^"),
    "the runner does not know who called it": ("backups.worker.executor", FRONT, "$^"),
}


def room(module: str) -> str:
    """Where a module lives: in a folder or file of `backups`, or in one of the packages beside it."""
    package, _, rest = module.partition(".")
    return rest.partition(".")[0] if package == "backups" else package


def test_every_module_has_a_room_and_every_room_a_module() -> None:
    assert {room(module) for module in MODULES} - {""} == set(HOUSE)


@pytest.mark.parametrize("name", HOUSE)
def test_a_room_imports_what_it_may_and_nothing_else(name: str) -> None:
    imported = {
        room(imported)
        for module in MODULES
        if room(module) == name
        for imported in imports(module)
        if imported.partition(".")[0] in PACKAGES
    }

    assert imported - {name, ""} == set(HOUSE[name].split())


def test_each_room_uses_of_the_gate_what_it_may_and_nothing_else() -> None:
    used: dict[str, set[str]] = {}
    for module in MODULES:
        for name in imports(module):
            package, _, rest = name.partition(".")
            if package == "sentinel" and module.startswith("backups."):
                used.setdefault(room(module), set()).add(rest.partition(".")[0])

    assert used == {name: set(allowed.split()) for name, allowed in OF_THE_GATE.items()}


def test_an_exception_is_one() -> None:
    assert {line.split()[-1] for line in offences(ASKING, ACTIONS)} == {"backups.actions.accept"}


def test_no_room_stands_on_one_that_stands_on_it() -> None:
    TopologicalSorter({name: allowed.split() for name, allowed in HOUSE.items()}).prepare()


def test_no_module_needs_one_that_needs_it() -> None:
    """At import, where a circle works or fails by who comes first. What functions import comes later."""
    needs = {
        # Whoever uses a name at import has its module loaded, so those count that are loaded at first use.
        module: {*_imports_of(sources.tree(path).body, module), *exported(sources.tree(path)).values()}
        & MODULES.keys() - {module}
        for module, path in MODULES.items()
    }

    assert {"backups.mysql.connection", "backups.at_first_use"} <= needs["backups.mysql"]
    TopologicalSorter(needs).prepare()


def test_tests_are_in_folders_of_packages_or_of_subjects_that_the_guide_names() -> None:
    # Not by the folders themselves: git leaves those behind in which something was compiled.
    folders = {path.parent.name for path in (PROJECT / "tests").glob("*/*.py")}
    packages = {path.parent.name for path in (PROJECT / "backups").glob("*/__init__.py")}
    guide = (PROJECT / "docs" / "architecture.md").read_text()
    subjects = set(re.findall(r"^\| `tests/(\w+)/` \|", guide, re.MULTILINE))

    assert folders - packages - {*PACKAGES, "tools", "deploy"} == subjects


def test_few_files_lie_at_the_root() -> None:
    assert len(list((PROJECT / "backups").glob("*.py"))) <= 14


@pytest.mark.parametrize("arrow", ARROWS)
def test_imports_follow_the_arrows(arrow: str) -> None:
    importers, imported, but = ARROWS[arrow]

    assert offences(importers, imported, but=but) == []


def test_one_module_starts_programs() -> None:
    starting = {
        module for module in MODULES for name in imports(module) if STANDARD_SUBPROCESS.fullmatch(name)
    }

    assert starting == {"backups.process.children"}


def test_no_module_starts_programs_by_another_door() -> None:
    doors = re.compile(r"system|popen|fork|forkpty|spawn\w*|exec[lv]\w*|posix_spawnp?")
    found = [
        f"{module} calls os.{node.attr}"
        for module, path in MODULES.items()
        for node in sources.nodes(path)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        and doors.fullmatch(node.attr)
    ]

    assert found == []


def test_services_alone_write_a_runs_status() -> None:
    """Everywhere else a status is read."""
    writers = set()
    for module, path in MODULES.items():
        for node in sources.nodes(path):
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

    # The latter tells of runs that were over before this portal had them.
    assert writers <= {"backups.runs.lifecycle", "backups.runs.recovered"}


def measured() -> Iterator[tuple[str, Path]]:
    """What is measured: each module's name and file, but for migrations, which Django writes."""
    for name, path in sources.modules(*MEASURED).items():
        if path.parent.name != "migrations":
            yield name, path


def test_no_module_is_longer_than_one_reads_at_a_time() -> None:
    too_long = {name for name, path in measured() if len(path.read_text().splitlines()) > MOST_LINES}

    assert too_long == set(), "split them by subject"


def test_no_function_is_longer_than_a_page_without_a_reason() -> None:
    too_long = {
        f"{name}.{node.name}"
        for name, path in measured()
        for node in sources.nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno >= MOST_LINES_OF_A_FUNCTION
    }

    assert too_long - LONG_FOR_A_REASON.keys() == set(), "shorten them, or say why not"
    assert LONG_FOR_A_REASON.keys() - too_long == set(), "they were shortened: take them from the table"


def _arguments(nodes: Sequence[ast.AST]) -> Iterator[tuple[str, int]]:
    """How many arguments each function takes, by position or name, itself or its class left aside."""
    methods = {
        method
        for found in nodes
        if isinstance(found, ast.ClassDef)
        for method in found.body
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef)
        and not any(getattr(each, "id", "") == "staticmethod" for each in method.decorator_list)
    }
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            yield node.name, len(given) - (node in methods)


def test_no_function_takes_more_than_a_handful_of_arguments_without_a_reason() -> None:
    too_many = {
        f"{name}.{function}"
        for name, path in measured()
        for function, count in _arguments(sources.nodes(path))
        if count > MOST_ARGUMENTS
    }

    assert too_many - MANY_FOR_A_REASON.keys() == set(), "group what belongs together, or say why not"
    assert MANY_FOR_A_REASON.keys() - too_many == set(), "they take fewer: take them from the table"


def test_arguments_are_counted_by_position_and_by_name_but_not_the_object_itself() -> None:
    text = (
        "class A:\n def f(self, a, /, b, *c, d=1, **e): ...\n @staticmethod\n def g(a): ...\ndef h(self): ..."
    )

    assert dict(_arguments([*ast.walk(ast.parse(text))])) == {"f": 3, "g": 1, "h": 1}


def test_rules_would_see_an_offence() -> None:
    assert "backups.worker.answering imports backups.actions.answers" in offences(
        "backups.worker.answering", ACTIONS
    )
    assert offences(FRONT, r"backups.(runs.lifecycle|worker.executor)")


CODE = re.compile(r"[a-z_]+\.[a-z_]+")
# The only ones without a subject, as scripts have known their exit statuses for long.
PLAIN_CODES = {"problem", "refused", "usage"}


def _codes() -> Iterator[tuple[str, str]]:
    """Where a code of a failure is written, and which."""
    for module, path in MODULES.items():
        for node in sources.nodes(path):
            if isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant):
                assert isinstance(node.value.value, str)
                yield f"{module}:{node.value.lineno}", node.value.value
            if isinstance(node, ast.ClassDef):
                for line in node.body:
                    # A row's field may be called so too.
                    if not isinstance(line, ast.Assign) or not isinstance(line.value, ast.Constant):
                        continue
                    if getattr(line.targets[0], "id", "") == "code":
                        assert isinstance(line.value.value, str)
                        yield f"{module}:{line.lineno}", line.value.value


def test_a_code_says_of_what_and_which_failure_it_is() -> None:
    wrong = [place for place, code in _codes() if not CODE.fullmatch(code) and code not in PLAIN_CODES]

    assert wrong == []
    assert len({code for _, code in _codes()}) > 150


def test_no_failure_is_raised_without_a_code() -> None:
    """Scripts and other languages go by it: of its own, or that of its kind."""
    bare = [
        f"{module}:{node.lineno}"
        for module, path in MODULES.items()
        for node in sources.nodes(path)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") in {"Problem", "Refused", "CallsForMore"}
        and "code" not in {each.arg for each in node.keywords}
    ]

    assert bare == []
