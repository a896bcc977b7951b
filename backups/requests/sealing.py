"""What people type in secret, on its way into a row: the web process seals it and could not open it again."""

from __future__ import annotations

from backups import keys
from backups.errors import Problem
from backups.models import Database, PublicKey, RefersToSecrets, Repository, Server
from backups.text import sealed_text
from backups.text.kinds import kind_word
from backups.text.sentences import joined, phrase


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


def lost_with_this_machine() -> str:
    """What a person who types a secret loses with this machine, as things are; empty where nothing."""
    if not PublicKey.objects.filter(copied_at=None).exists():
        return ""
    return phrase(
        "Nobody has said yet that VEDETTA_KEY is kept elsewhere. Without it, what you type here is lost "
        "with this machine: a copy of the portal holds it only sealed. `manage.py bootstrap --show-key` "
        "prints the key, and `manage.py bootstrap --key-kept` notes that you keep it."
    )


def needs_typing_again(reference: str) -> bool:
    """Whether this was sealed for another key than that of now, so that nobody opens it."""
    sealed, public = sealed_text.read(reference), PublicKey.objects.first()
    return bool(sealed and public and sealed.key_id != sealed_text.key_id(public.sealing))


def to_type_again() -> str:
    """Which rows hold what was typed for another VEDETTA_KEY, and what to do; empty where none does."""
    rows: list[RefersToSecrets] = [
        *Server.objects.order_by("pk"), *Repository.objects.order_by("pk"), *Database.objects.order_by("pk"),
    ]  # fmt: skip
    found = [row for row in rows if any(map(needs_typing_again, row.references()))]
    if not found:
        return ""
    named = (phrase("{kind} {row}", kind=kind_word(str(row._meta.model_name)), row=row) for row in found)
    return phrase(
        "Passwords and keys were typed for another VEDETTA_KEY, so nobody can read them: {rows}. Type them "
        "again in the portal, or set the VEDETTA_KEY of then.",
        rows=joined(named, ", "),
    )
