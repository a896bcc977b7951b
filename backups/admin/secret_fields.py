"""Fields for secrets: typed and sealed at once, or referred to; what was typed is never shown again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminPasswordWidget

from backups.errors import Problem
from backups.models import RefersToSecrets
from backups.requests import sealing
from backups.text import formatting, sealed_text
from backups.text.sentences import phrase

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as StrPromise

# As bytes, so that what is sealed fits its column.
_LONGEST = 500
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Of what the form itself asks to be typed again; a test before saving passes over it.
AGAIN = "again"


class Typed(forms.CharField):
    """A secret that is typed: no answer of the portal holds what was typed."""

    def __init__(self, label: StrPromise, help_text: StrPromise | str = "") -> None:
        # What a browser has stored is of the portal, or of another server.
        widget = UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password", "spellcheck": "false"})
        super().__init__(label=label, help_text=help_text, required=False, strip=False, widget=widget)

    def clean(self, value: Any) -> Any:
        """One line that fits. Raises ValidationError."""
        typed = super().clean(value)
        if len(typed.encode(errors="replace")) > _LONGEST:
            raise ValidationError(phrase("It is longer than {most} bytes.", most=_LONGEST))
        if _CONTROL.search(typed):
            raise ValidationError(phrase("Type one line, without control characters."))
        return typed


def typed_name(reference: str) -> str:
    """The field in which the secret of another one is typed."""
    return f"{reference.removesuffix('_ref')}_typed"


class SecretsForm(forms.ModelForm):
    """A form of a row that refers to secrets; for each there is a field `Typed` under its `typed_name`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kept = {name: str(getattr(self.instance, name)) for name in self._secrets()}
        for name, kept in self._kept.items():
            field, typed = self.fields[name], self.fields[typed_name(name)]
            field.label = phrase("or where it is found")
            if self.instance.pk is None and field.required:
                # A second server has another password than the first, whose place would look as if found.
                self.initial[name] = ""
            field.required = False
            sealed = sealed_text.read(kept)
            if sealed is not None:
                self.initial[name] = ""
            typed.help_text = _words(kept, str(typed.help_text))

    def _secrets(self) -> list[str]:
        return [name for name in self.instance._REFERENCES if name in self.fields]

    def clean(self) -> dict[str, Any] | None:
        """Seal what was typed, keep what is not typed again, refuse what would be neither."""
        cleaned = super().clean()
        row = self._meta.model(**{name: self.cleaned_data[name] for name in self._plain_fields()})
        for name in self._secrets():
            if name in self.cleaned_data and typed_name(name) in self.cleaned_data:
                try:
                    self.cleaned_data[name] = self._settled(name, row)
                except ValidationError as error:
                    self.add_error(typed_name(name), error)
        return cleaned

    def _plain_fields(self) -> list[str]:
        fields = self._meta.model._meta.concrete_fields
        return [field.name for field in fields if not field.is_relation and field.name in self.cleaned_data]

    def _settled(self, name: str, row: RefersToSecrets) -> str:
        typed, reference = self.cleaned_data[typed_name(name)], self.cleaned_data[name]
        if reference.startswith(f"{sealed_text.KIND}:"):
            raise ValidationError(phrase("Write env:NAME or file:/path, never the secret itself."))
        if typed:
            if reference and name in self.changed_data:
                raise ValidationError(phrase("Type it, or say where it is found, but not both."))
            try:
                return sealing.seal(typed, *row.use_of(name))
            except Problem as problem:
                raise ValidationError(problem.sentence()) from None
        return str(reference) or self._as_before(name, row)

    def _as_before(self, name: str, row: RefersToSecrets) -> str:
        """What was typed earlier stays for the address for which it was typed."""
        kept = self._kept[name]
        if sealed_text.read(kept) is None or not row.takes(name):
            if self._meta.model._meta.get_field(name).blank:
                return ""
            raise ValidationError(phrase("Type it, or say where it is found."))
        if row.use_of(name) != self._use_before(name):
            raise ValidationError(
                phrase(
                    "Type it again: it was typed for another address or other TLS, and is given to no other."
                )
            )
        return kept

    def _use_before(self, name: str) -> tuple[str, str]:
        before = type(self.instance)._default_manager.get(pk=self.instance.pk)
        return before.use_of(name)

    def full_clean(self) -> None:
        """What was typed into a form that is shown again has to be typed again."""
        super().full_clean()
        if self.is_bound and self.errors:
            for name in map(typed_name, self._secrets()):
                if self.cleaned_data.get(name) and name not in self.errors:
                    words = phrase("Type it again: no page gives back what was typed here.")
                    self.add_error(name, ValidationError(words, code=AGAIN))


def _words(kept: str, before: str) -> SafeString:
    sealed = sealed_text.read(kept)
    words = [before] if before else []
    if sealed is None:
        words.append(phrase("It is sealed for the worker at once, and no page shows it again."))
    elif sealing.needs_typing_again(kept):
        words.append(phrase("Typed on {date}, for another VEDETTA_KEY: type it again.", date=sealed.typed_on))
    else:
        words.append(phrase("Typed on {date}. Leave it empty to keep it.", date=sealed.typed_on))
    return format_html(" ".join(["{}"] * len(words)), *map(formatting.with_commands, words))


def with_typed(fieldsets: Iterable[tuple[Any, dict[str, Any]]], references: Sequence[str]) -> list[Any]:
    """Fieldsets in which each secret has a line: where it is typed, and beside it where it is referred to."""
    return [
        (name, {**options, "fields": tuple(_lines(options["fields"], references))})
        for name, options in fieldsets
    ]


def described(options: dict[str, Any], words: str) -> dict[str, Any]:
    """A fieldset with a further sentence above its fields."""
    before = options.get("description", "")
    told = format_html("{} {}", words, before) if before else words
    return {**options, "description": told}


def _lines(fields: Iterable[Any], references: Sequence[str]) -> Iterable[Any]:
    for line in fields:
        names = [line] if isinstance(line, str) else list(line)
        if others := [name for name in names if name not in references]:
            yield tuple(others) if len(others) > 1 else others[0]
        for name in names:
            if name in references:
                yield (typed_name(name), name)


def hide_sealed(row: RefersToSecrets) -> None:
    """For a page that only shows a row: when a secret was typed, in the place of what it is sealed as."""
    for name in row._REFERENCES:
        if sealed := sealed_text.read(getattr(row, name)):
            setattr(row, name, phrase("Typed on {date}", date=sealed.typed_on))
