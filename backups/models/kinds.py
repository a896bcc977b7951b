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


# As wide as a sealed password is, which a form takes up to 500 bytes of.
REFERENCE_WIDTH = 2000


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

    def use_of(self, name: str) -> tuple[str, str]:
        """What the secret of a field is for, and whose: what was typed for this is given to no other.

        Whoever changes an address beside a password types that again. These texts are sealed in with what
        was typed, so they never change.
        """
        raise NotImplementedError

    def takes(self, name: str) -> bool:
        """Whether the secret of a field is used, with the row as it is."""
        return True

    def references(self) -> list[str]:
        """All that it refers to."""
        return [reference for name in self._REFERENCES if (reference := getattr(self, name))]
