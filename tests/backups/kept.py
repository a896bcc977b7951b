"""A portal that many tests begin with: it backs up once, and each test finds it as it was then."""

from __future__ import annotations

import copy
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.backups.worlds import Portal, Shop, copy_repository


class Kept:
    """A portal with one backup, of a shop that its tests leave as it is. All of it lies in `folder`."""

    def __init__(
        self, folder: Path, shop: Shop, restic_path: Path, templates: tuple[Path, Path], **environment: str
    ) -> None:
        """`templates` are an empty repository and a migrated database."""
        empty_repository, migrated = templates
        self._aside = folder.with_name(f"{folder.name}-as-it-was")
        repository = copy_repository(empty_repository, folder / "repository")
        self._portal = Portal(folder, shop, restic_path, repository, environment)
        shutil.copy(migrated, self._portal.database_file)
        for command in ("bootstrap", "backup"):
            ran = self._portal.manage(command)
            assert ran.code == 0, ran.err
        shutil.copytree(folder, self._aside)

    @contextmanager
    def as_it_was(self) -> Iterator[Portal]:
        """The portal, for the length of a block; whatever is changed of it is put back for the next one."""
        portal = copy.copy(self._portal)
        portal.environment = dict(self._portal.environment)
        shutil.rmtree(portal.folder)
        shutil.copytree(self._aside, portal.folder)
        yield portal
        for pid in portal.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
