"""What the closed sets have in common."""

from __future__ import annotations

from django.db import models


class OpenChoices(models.TextChoices):
    """A set of values that may grow: models name `every` as their choices, so a new value is no migration."""

    @classmethod
    def every(cls) -> list[tuple[str, str]]:
        """Value and label of each."""
        return cls.choices
