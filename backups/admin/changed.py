"""What a form changed, in words for the audit: each value before and after, but no secret's."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from backups.errors import shortened
from backups.text.sentences import joined, phrase

# References say where a secret is found, and somebody may have typed the secret there.
_SECRET = re.compile(r"password|secret|token|_typed$|_ref$")
_LONGEST = 200


def in_words(form: forms.ModelForm[Any]) -> str:
    """As in "Backup schedule from 0 3 * * * to 30 1 * * *."; empty where nothing changed."""
    return joined(_changed(form, name) for name in form.changed_data if name in form.fields)


def _changed(form: forms.ModelForm[Any], name: str) -> str:
    field = form.fields[name]
    label = field.label or name
    if isinstance(field.widget, forms.PasswordInput) or _SECRET.search(name):
        return phrase("{field} changed.", field=label)
    before = _told(field, form.get_initial_for_field(field, name))
    after = _told(field, form.cleaned_data.get(name))
    return phrase("{field} from {before} to {after}.", field=label, before=before, after=after)


def _told(field: forms.Field, value: Any) -> str:
    if isinstance(field, forms.BooleanField):
        return phrase("yes") if value else phrase("no")
    if value in (None, "", [], {}):
        return phrase("nothing")
    if isinstance(field, forms.ModelChoiceField):
        return _row(field, value)
    if isinstance(field, forms.ChoiceField):
        return str(dict(field.choices).get(value, value))  # type: ignore[arg-type]
    return shortened(str(value), _LONGEST)


def _row(field: forms.ModelChoiceField[Any], value: Any) -> str:
    try:
        return str(field.to_python(value))
    except ValidationError:  # it is gone
        return str(value)
