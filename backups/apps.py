"""The app that backs up, verifies and restores."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig


class BackupsConfig(AppConfig):
    """Connects a new worker process with the reaper."""

    name = "backups"
    verbose_name = "Backups"

    def ready(self) -> None:
        """A worker that took the place of a dead one gives up the dead one's run at once."""
        from django_q.signals import post_spawn

        from backups import checks  # noqa: F401  registers itself

        post_spawn.connect(_reap_on_spawn, dispatch_uid="backups.reap")


def _reap_on_spawn(**_: Any) -> None:
    import logging

    from backups.actions import tend

    try:
        tend.run()
    except Exception:
        logging.getLogger(__name__).exception("reaping failed")
