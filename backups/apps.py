"""The app that backs up, verifies and restores."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig


class BackupsConfig(AppConfig):
    """Connects a new worker process with the reaper."""

    name = "backups"
    verbose_name = "Backups"

    def ready(self) -> None:
        """A new worker shows at once that it lives, gives up a dead one's run, and begins what is due."""
        from django_q.signals import post_spawn

        from backups import (
            checks,  # noqa: F401  registers itself
            queue,
        )

        queue.connect()
        post_spawn.connect(_worker_began, dispatch_uid="backups.worker_began")


def _worker_began(**_: Any) -> None:
    import logging

    from django_q.scheduler import scheduler

    from backups import queue, tasks

    try:
        tasks.tend_runs()
        queue.strange_schedules_remove()
        # What fell due while no worker ran would wait for the queue's own look, half a minute away.
        scheduler()
    except Exception:
        logging.getLogger(__name__).exception("a new worker could not tend the runs")
