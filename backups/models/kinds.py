"""What several models are: leased to one run at a time, and referring to secrets."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models

from backups import validators


class Leased(models.Model):
    """A thing that one run at a time may hold, until the lease runs out or is given back."""

    lease_run = models.ForeignKey(
        "backups.Run",
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True


class RefersToSecrets(models.Model):
    """A row that says where its secrets are."""

    _REFERENCES: tuple[str, ...] = ("password_ref",)

    class Meta:
        abstract = True

    def clean(self) -> None:
        """What it newly refers to has to be declared; what it referred to before goes on."""
        super().clean()
        rows = type(self)._default_manager.filter(pk=self.pk)
        known = rows.values(*self._REFERENCES).first() or {}
        wrong = {}
        for name in self._REFERENCES:
            if getattr(self, name) != known.get(name):
                try:
                    validators.declared_reference(getattr(self, name))
                except ValidationError as error:
                    wrong[name] = error
        if wrong:
            raise ValidationError(wrong)

    def references(self) -> list[str]:
        """All that it refers to."""
        return [reference for name in self._REFERENCES if (reference := getattr(self, name))]
