"""A small database with one backup of it, made once for all tests of a file: each finds it as it was."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.core import serializers

from backups.models import Database, Repository, Run, Server, Snapshot
from tests.backups.worlds import SHOP, Shop


class KeptBackup:
    """The rows and the repository of that backup, and a file that it made beside them."""

    def __init__(self, shop: Shop, folder: Path) -> None:
        """`folder` is for the repository, and not there yet."""
        self.shop = shop
        self._folder = folder
        self._rows = ""

    def make_shop_anew(self) -> None:
        """Whatever a test made of it is gone."""
        self.shop.server.create_database(self.shop.name)
        self.shop.server.load(SHOP, self.shop.name)

    def snapshot(
        self, database: Database, back_up: Callable[[Database], Run], beside: Path | None = None
    ) -> Snapshot:
        """The snapshot of the one backup of `database`, a new row of the shop with an empty repository.

        The rows have the numbers that they had when they were made.
        """
        repository = Path(database.repository.url)
        if not self._rows:
            run = back_up(database)
            assert run.snapshot, run.error
            self._keep(repository, beside)
        else:
            self._put_back(repository, beside)
        LogEntry.objects.all().delete()
        return Snapshot.objects.get()

    def _keep(self, repository: Path, beside: Path | None) -> None:
        shutil.copytree(repository, self._folder)
        if beside is not None:
            shutil.copy2(beside, self._beside)
        models = apps.get_app_config("backups").get_models()
        rows = [row for model in models for row in model._base_manager.all()]
        self._rows = serializers.serialize("json", rows)

    def _put_back(self, repository: Path, beside: Path | None) -> None:
        shutil.copytree(self._folder, repository, dirs_exist_ok=True)
        if beside is not None:
            shutil.copy2(self._beside, beside)
        for model in (Database, Server, Repository):
            model._base_manager.all().delete()
        for each in serializers.deserialize("json", self._rows):
            each.save()
        Repository.objects.update(url=str(repository))

    @property
    def _beside(self) -> Path:
        return self._folder.with_name("beside")
