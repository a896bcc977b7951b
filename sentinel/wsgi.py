"""The gate as a process of its own: `gunicorn sentinel.wsgi`."""

import os
import sys
from datetime import UTC, datetime

from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application

GUNICORN_DO_NOT_RESPAWN = 3  # gunicorn.arbiter.Arbiter.WORKER_BOOT_ERROR


def start() -> WSGIHandler:
    """Make the application and note the first boot.

    Raises SystemExit, after one sentence on standard error, when the environment is wrong. Its
    status makes gunicorn give up also where it does not preload, instead of trying for ever.
    """
    os.environ["DJANGO_SETTINGS_MODULE"] = "sentinel.settings"  # never the portal's
    try:
        handler = get_wsgi_application()
        note_first_boot()
    except ImproperlyConfigured as error:
        print(error, file=sys.stderr)
        raise SystemExit(GUNICORN_DO_NOT_RESPAWN) from None
    return handler


def note_first_boot() -> None:
    """The boot grace counts from the process's start, not from the first question."""
    from sentinel.observe import note_start
    from sentinel.views import gate_settings

    note_start(gate_settings().heartbeat_path, datetime.now(UTC))


application = start()
