"""What a command does not load before its own work begins: a backup does not wait for the admin."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from portal import starting
from tests.servers.made_once import migrated_database

PROJECT = Path(__file__).resolve().parents[2]
# What pages are made with, and what looks after schedules and messages, draws bars or serves figures.
PAGES = (
    "unfold django.contrib.admin.sites django.contrib.admin.options backups.admin portal.urls portal.unfold "
    "axes.checks"
)
QUEUE = "django_q.conf django_q.models croniter multiprocessing.queues"
REST = "rich prometheus_client humanize apprise cron_descriptor"
PLAYED = "backups.actions.restore backups.actions.verify backups.worker.executor backups.loading MySQLdb"
# A command begins where Django's own preparations end.
SHOW = """
import json, sys
from django.core.management.base import BaseCommand

def shown(*_, **__):
    print(json.dumps(sorted(sys.modules)))

BaseCommand.execute = shown
from portal.command_line import main
main()
"""
SHOW_COMMAND = ("-c", SHOW)
BEGIN = """
import json, os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
from portal import starting
starting.begin(sys.argv[1])
import django
django.setup()
def tell(what): print(json.dumps(what, default=str))
"""
EACH_IN_TURN = (
    BEGIN
    + """
from django.core.management import load_command_class
for name in sys.argv[1:]:
    load_command_class("backups", name).create_parser("manage.py", name)
tell(sorted(sys.modules))
"""
)
TABLES = """
from django.apps import apps
from django.db.migrations.loader import MigrationLoader
from backups.portal_copy.archive import models_copied
tell(sorted(MigrationLoader(None).graph.leaf_nodes()))
tell([model._meta.label for model in models_copied()])
tell([model._meta.label for model in apps.get_models(include_auto_created=True)])
"""
ADMIN = """
from django.contrib import admin
tell("django.contrib.admin.options" in sys.modules)
tell(admin.ModelAdmin.__name__)
import django.contrib.admin
tell(django.contrib.admin is admin and "django.contrib.admin.options" in sys.modules)
"""
ORDER = """
from backups.runs import queue
tell("django_q.models" in sys.modules)
queue.wake_for_question(7)
from django_q.tasks import async_task
async_task("backups.tasks.run_execute", 8, hook="os.system")
async_task("os.system", "true")
from django_q.models import OrmQ
tell([queue.queue_read(row.payload) for row in OrmQ.objects.order_by("pk")])
"""
DUMP_PROGRAM = """
import json, sys
import backups.dumping.program
print(json.dumps(sorted(sys.modules)))
"""
NOTHING = "import json, sys; print(json.dumps(sorted(sys.modules)))"
NOT_LOADED_BY_DUMPS = {
    *("asyncio", "ssl", "http.client", "email", "urllib.request", "multiprocessing"),
    *("logging", "traceback", "tempfile", "random"),
    # What reads statements, loads them, and is for restores.
    *(
        f"backups.dumpfile.{name}"
        for name in ("statements", "lexer", "rows", "settings", "mixed_heads", "dialect")
    ),
    *(
        f"backups.mysql.{name}"
        for name in ("loading", "load_errors", "constraints", "ddl", "grants", "locks")
    ),
}
# Of ours, by folder or file.
LOADED_BY_DUMPS = {"", "at_first_use", "dumpfile", "dumping", "errors", "mysql", "process", "text"}
# Of each kind: what plays a run, what only reads rows, what makes tables, what asks a server.
KINDS = {
    "backup": f"{PAGES} {QUEUE} {REST} {PLAYED}",
    "status": f"{PAGES} {QUEUE} {REST}",
    "version": f"{PAGES} {QUEUE} {REST}",
    "bootstrap": PAGES,
}


def loaded_by(*words: str) -> set[str]:
    """The modules that are there at the end of what a process tells of them."""
    ran = subprocess.run(
        [sys.executable, *words],
        cwd=PROJECT,
        env={**os.environ, "DATABASE_URL": f"sqlite:///{migrated_database()}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return set(json.loads(ran.stdout))


@pytest.mark.parametrize("command", KINDS)
def test_a_command_begins_without_what_it_does_not_use(command: str) -> None:
    loaded = loaded_by(*SHOW_COMMAND, command)

    assert loaded & set(KINDS[command].split()) == set()
    # What its tables are known by is there all the same.
    assert {"backups.models", "django.contrib.admin.models", "django.contrib.sessions.models"} <= loaded


def test_the_others_begin_so_too() -> None:
    loaded = loaded_by("-c", EACH_IN_TURN, *sorted(starting.WITHOUT_PAGES - starting.MAKE_TABLES))

    assert loaded & set(f"{PAGES} {QUEUE} {REST}".split()) == set()


def test_each_command_of_ours_is_looked_at() -> None:
    ours = {path.stem for path in (PROJECT / "backups" / "management" / "commands").glob("[a-z]*.py")}

    # The worker's own checks are those of the admin as well, a report is a page, and translators have time.
    assert ours - starting.WITHOUT_PAGES == {"worker", "report", "makemessages", "compilemessages"}
    assert ours > starting.WITHOUT_PAGES


@pytest.mark.parametrize("command", ["check", "migrate", "qcluster", "shell", "worker", "help", ""])
def test_all_others_begin_with_all(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "_command", "")
    starting.begin(command)

    assert starting.apps(["unfold", "django.contrib.admin", "backups"]) == [
        "unfold", "django.contrib.admin", "backups"
    ]  # fmt: skip


def told(code: str, command: str, database: Path | None = None) -> list[Any]:
    """What code prints in a process that begins as one of a command does."""
    ran = subprocess.run(
        [sys.executable, "-c", f"{BEGIN}\n{code}", command],
        cwd=PROJECT,
        env={**os.environ, "DATABASE_URL": f"sqlite:///{database or migrated_database()}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_tables_migrations_and_the_portals_copy_are_the_same_however_little_is_loaded() -> None:
    whole, part, makes_tables = (told(TABLES, command) for command in ("shell", "backup", "bootstrap"))

    assert part[:2] == whole[:2]
    assert [label for label in part[1] if label.startswith("admin.")] == ["admin.LogEntry"]
    # What makes tables and the rights to them knows them all.
    assert makes_tables == whole


def test_the_admin_comes_when_it_is_asked_for() -> None:
    assert told(ADMIN, "backup") == [False, "ModelAdmin", True]


def test_an_order_to_the_queue_is_looked_at_in_a_process_that_began_without_it(tmp_path: Path) -> None:
    database = Path(shutil.copy(migrated_database(), tmp_path / "portal.sqlite3"))

    before, orders = told(ORDER, "backup", database)
    assert not before
    assert [order["func"] for order in orders] == ["backups.tasks.run_execute"] * 2
    assert not any("hook" in order for order in orders)


def test_the_dump_program_loads_nothing_that_it_does_not_use() -> None:
    loaded = loaded_by("-c", DUMP_PROGRAM)

    assert not loaded & NOT_LOADED_BY_DUMPS
    assert {f"{name}.".split(".")[1] for name in loaded if name.startswith("backups")} == LOADED_BY_DUMPS
    of_others = {name.partition(".")[0] for name in loaded - loaded_by("-c", NOTHING)}
    assert of_others - {"backups"} - sys.stdlib_module_names == {"MySQLdb"}
