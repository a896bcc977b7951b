"""Apps of others as a command begins with them: their tables, and what these need. See `starting`."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class Admin(AppConfig):
    """Without its checks, its site and what is registered there."""

    name = "django.contrib.admin"
    verbose_name = _("Administration")
    default_auto_field = "django.db.models.AutoField"


class Axes(AppConfig):
    """Nobody signs in to a command."""

    name = "axes"
    default_auto_field = "django.db.models.AutoField"


class Queue(AppConfig):
    """Its tables are known once something imports them: with them come croniter, Prometheus and more."""

    name = "django_q"
    default_auto_field = "django.db.models.AutoField"

    def import_models(self) -> None:
        """Not yet."""
        assert self.apps is not None  # noqa: S101  whoever calls this is it
        self.models = self.apps.all_models[self.label]
