"""What people type in secret, on its way into a row: the web process seals it and could not open it again."""

from __future__ import annotations

from backups import keys
from backups.errors import Problem
from backups.models import PublicKey
from backups.text import sealed_text
from backups.text.sentences import phrase


def seal(secret: str, purpose: str, whose: str) -> str:
    """A secret for a row, that only the worker opens, and only for this: see `backups.keys.sealed`.

    Raises Problem where the worker never said for which key.
    """
    public = PublicKey.objects.first()
    if public is None:
        raise Problem(
            phrase("Nothing can be typed in secret yet: the worker has not made a key for it."),
            code="key.not_made",
            safe=phrase("Nothing was stored."),
            do=phrase("Start the worker, then type it again."),
        )
    return keys.seal(secret, keys.Use(purpose, whose), public.sealing)


def needs_typing_again(reference: str) -> bool:
    """Whether this was sealed for another key than that of now, so that nobody opens it."""
    sealed, public = sealed_text.read(reference), PublicKey.objects.first()
    return bool(sealed and public and sealed.key_id != sealed_text.key_id(public.sealing))
