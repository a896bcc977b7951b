"""Tables for the rows of a copy: those of this version at once, those of an earlier one by its migrations."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

from django.apps import apps as installed
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from backups.errors import Problem
from backups.text.sentences import phrase

APPS = ("contenttypes", "auth", "admin", "backups")

Migration = tuple[str, str]


@functools.cache
def leaves() -> list[Migration]:
    """The newest migrations of what is copied."""
    graph = MigrationLoader(None).graph
    return sorted((app, name) for app, name in graph.leaf_nodes() if app in APPS)


def made_for(scratch: BaseDatabaseWrapper, migrations: Sequence[Migration]) -> Any:
    """Give an empty database the schema of a copy; answers the apps as they were. Raises Problem."""
    if is_of_now(migrations):
        return _made_as_now(scratch)
    executor = MigrationExecutor(scratch)
    targets = [migration for migration in migrations if migration[0] in APPS]
    if any(target not in executor.loader.graph.nodes for target in targets):
        raise of_another_version()
    executor.migrate(targets)
    return executor.loader.project_state(targets).apps


def bring_up_to_date(scratch: BaseDatabaseWrapper, migrations: Sequence[Migration]) -> None:
    """Migrate what was made for these."""
    if not is_of_now(migrations):
        MigrationExecutor(scratch).migrate(leaves())


def is_of_now(migrations: Iterable[Migration]) -> bool:
    """Whether this version has no others."""
    return sorted(migrations) == leaves()


def of_another_version() -> Problem:
    """What a copy is that fits none of ours."""
    return Problem(phrase("It was made by a newer Vedetta than this one."), code="portal_copy.newer")


def _made_as_now(scratch: BaseDatabaseWrapper) -> Any:
    """Without the seconds that all migrations take."""
    with scratch.schema_editor() as editor:
        for label in APPS:
            for model in installed.get_app_config(label).get_models():
                editor.create_model(model)
    return installed
