#!/usr/bin/env python
"""Vedetta's command line."""

import os
import sys

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import ManagementUtility
from django.db import DatabaseError

from portal.hardening import keep_private
from portal.streams import outlive_readers


def main() -> None:
    """Run a command; a wrong setting ends it with one sentence."""
    keep_private()
    outlive_readers()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    from portal import env

    try:
        import portal.settings  # noqa: F401  Django itself would show `help` instead of the error
    except ImproperlyConfigured as error:
        env.stop(error)
    try:
        _execute(sys.argv)
    except DatabaseError:
        from backups.portal_copy.portal_database import database_problem

        if not (problem := database_problem(thoroughly=True)):
            raise
        sys.exit(f"vedetta: {problem}")


def _execute(argv: list[str]) -> None:
    utility = ManagementUtility(argv)
    if argv[1:2] == ["version"]:
        # Django itself would print its own version and ask no command.
        django.setup()
        utility.fetch_command("version").run_from_argv(argv)
    else:
        utility.execute()


if __name__ == "__main__":
    main()
