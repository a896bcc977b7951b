"""The app that backs up, verifies and restores."""

from __future__ import annotations

import os
from typing import Any

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BackupsConfig(AppConfig):
    """Connects what happens to processes and people with what follows from it."""

    name = "backups"
    verbose_name = _("Backups")
    default = True

    def ready(self) -> None:
        """A new worker shows at once that it lives, gives up a dead one's run, and begins what is due."""
        from django_q.signals import post_spawn

        from backups.worker import queue  # noqa: F401  no order of this process's goes beyond our own

        self.ready_without_queue()
        post_spawn.connect(_worker_began, dispatch_uid="backups.worker_began")
        if "Q_CLUSTER_NAME" in os.environ:
            from backups.worker import executor

            # Those that play are forked from this process: each would load it anew.
            executor.load()

    @staticmethod
    def ready_without_queue() -> None:
        """Whoever is deleted leaves nothing that waits. Texts are told in their reader's language."""
        from django.contrib.auth import get_user_model
        from django.db.backends.signals import connection_created
        from django.db.models.signals import post_migrate, pre_delete
        from django.utils.translation import gettext, ngettext

        from backups import checks, marks  # noqa: F401  `checks` registers itself
        from backups.text import sentences

        sentences.translate_by(gettext, ngettext, _grouped)
        connection_created.connect(_stores_english, dispatch_uid="backups.stores_english")
        connection_created.connect(marks.watch, dispatch_uid="backups.marks")
        post_migrate.connect(marks.make_missing, dispatch_uid="backups.make_marks")
        pre_delete.connect(_person_goes, sender=get_user_model(), dispatch_uid="backups.person_goes")


class WithoutQueue(BackupsConfig):
    """For a process that is no worker, and loads the queue when it sends a message at all."""

    default = False

    def ready(self) -> None:
        """The rest."""
        self.ready_without_queue()


def _grouped(number: int) -> str:
    from django.utils.formats import number_format

    return number_format(number, force_grouping=True)


def _stores_english(connection: Any, **_: Any) -> None:
    """MySQL's driver would ask a text for its `str()`, which is for its reader."""
    from backups.text.sentences import Sentence, english

    if connection.vendor == "mysql":
        driver = connection.connection
        driver.encoders[Sentence] = lambda text, _encoders: driver.literal(english(text))


def _person_goes(instance: Any, **_: Any) -> None:
    from backups.runs import lifecycle

    lifecycle.person_goes(instance)


def _worker_began(**_: Any) -> None:
    import logging

    from django_q.scheduler import scheduler

    from backups import tasks
    from backups.worker import executor, queue

    executor.load()
    try:
        tasks.tend_runs()
        queue.strange_schedules_remove()
        # What fell due while no worker ran would wait for the queue's own look, half a minute away.
        scheduler()
    except Exception:
        logging.getLogger(__name__).exception("a new worker could not tend the runs")
