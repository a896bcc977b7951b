"""The portal for gunicorn: `gunicorn portal.wsgi`."""

import logging
import os

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

from portal import env
from portal.hardening import keep_private
from portal.servers_secrets import WEB

keep_private()
WEB.begin(os.environ)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

# With any other status gunicorn would start the worker again and again.
_GUNICORN_WORKER_BOOT_ERROR = 3

try:
    application = get_wsgi_application()
except ImproperlyConfigured as error:
    env.stop(error, _GUNICORN_WORKER_BOOT_ERROR)


def _tell_of_env_file() -> None:
    from django.conf import settings

    if doubt := settings.ENV_FILE_DOUBT:
        logging.getLogger("portal").warning(doubt.sentence)


def _tell_of_secrets() -> None:
    """Say once, and note for who looks elsewhere, which secrets this process was given and does not need."""
    from backups.reports import portal_start

    portal_start.noted(WEB.found)
    if WEB.found:
        logging.getLogger("portal").warning(" ".join(portal_start.told(WEB.found)))


def _tell_of_database() -> None:
    """Say once what is wrong with the portal's database; the gate beside it is served all the same.

    Where nothing is, no row of an earlier version holds the key of a session from here on.
    """
    from django.db import connection

    from backups.portal_copy.portal_database import database_problem
    from portal import sessions

    if problem := database_problem(thoroughly=True):
        logging.getLogger("portal").error(problem)
    else:
        sessions.hash_those_of_before()
        _tell_of_secrets()
    # Processes that are forked from this one must not share it.
    connection.close()


_tell_of_env_file()
_tell_of_database()
