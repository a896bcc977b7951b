"""Which snapshots this installation made: those whose manifest it signed.

A repository is a stranger's, in which others may store what looks like a backup. The signature is of
the manifest and the database that the snapshot's tag names, not of restic's id, which a copy changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from backups import keys
from backups.catalog import records
from backups.choices import Trigger
from backups.errors import Problem
from backups.keys import InstallationKey
from backups.models import PublicKey, Snapshot, SnapshotQuerySet
from backups.snapshots import naming
from backups.text.sentences import phrase


def key_in_use() -> InstallationKey:
    """The installation's key, made where there never was one; what it signs, and has to, is signed.

    That is what the portal made before it had a key, and what it signed with the key of before.
    Raises Problem.
    """
    known = PublicKey.objects.first()
    key = keys.load_or_make() if known is None else keys.load()
    if key is None:
        raise Problem(
            phrase("The key by which this installation knows its own backups is gone."),
            code="key.gone",
            safe=phrase("Backups go on, and are not signed; all snapshots are there."),
            do=phrase(
                "Write the line VEDETTA_KEY=… that was kept into .env, or have another key made: "
                "`manage.py bootstrap --new-key`."
            ),
        )
    if known is None or known.signing != key.public_signing:
        _take(key, known)
    elif known.sealing != key.public_sealing:
        # Whoever put another one there could read what people type.
        PublicKey.objects.filter(pk=known.pk).update(sealing=key.public_sealing)
    return key


def new_key() -> InstallationKey:
    """Another key in the place of one that is gone, with which all is signed anew. Raises Problem.

    What was made while there was none is signed as well.
    """
    key = keys.load_or_make()
    _take(key, PublicKey.objects.first())
    return key


def key_to_sign_with() -> InstallationKey:
    """The key by which the portal knows its own, of a process that may have it: nothing is made or changed.

    Raises Problem where this process has none, or has another one.
    """
    key, known = keys.load(), PublicKey.objects.first()
    if key is None:
        raise Problem(
            phrase("This process has no VEDETTA_KEY."),
            code="key.not_here",
            do=phrase("Do it where the worker runs."),
        )
    if known is not None and known.signing != key.public_signing:
        raise Problem(
            phrase("VEDETTA_KEY is not the key by which this portal knows its own backups."),
            code="key.another",
            do=phrase("Start the worker, which takes the new key over, or correct VEDETTA_KEY."),
        )
    return key


def not_copied() -> str:
    """What a person is to do so that the key outlives this machine; empty once that is done.

    A first key that the environment gives is kept by whoever wrote it there. Of another one in its place
    nobody knows, and the one that was kept knows nothing that is made from now on.
    """
    return not_copied_of(PublicKey.objects.first())


def not_copied_of(public: PublicKey | None) -> str:
    """The same by the row of the key that was read."""
    if public is None or public.copied_at is not None:
        return ""
    # One sentence for both, as the portal's own processes are not given the key and cannot tell them apart.
    return phrase(
        "This installation knows its own backups by the key of {noted_at}. Nobody has said that this "
        "key is kept elsewhere. A new machine cannot know the backups without it, or with an older "
        "key. Copy the line that `manage.py bootstrap --show-key` prints into the .env that you keep "
        "elsewhere, in the place of an older one. Then say so with `manage.py bootstrap --key-kept`.",
        noted_at=f"{timezone.localtime(public.noted_at):%Y-%m-%d %H:%M}",
    )


def note_copied() -> None:
    """A person says that the key is kept elsewhere."""
    PublicKey.objects.filter(copied_at=None).update(copied_at=timezone.now())


def signature(key: InstallationKey, tags: Iterable[str], manifest: Mapping[str, Any]) -> str:
    """What proves that a snapshot with these tags and this manifest was made here."""
    return key.sign(keys.of_snapshot(naming.database_in(tags), manifest))


def is_made_here(snapshot: Snapshot, public: PublicKey) -> bool:
    """Whether a snapshot's signature is good by the key of now."""
    if not snapshot.signature or snapshot.manifest is None:
        return False
    message = keys.of_snapshot(naming.database_in(snapshot.tags), snapshot.manifest)
    return keys.is_signed(public.signing, message, snapshot.signature)


def is_of_another(snapshot: Snapshot, manifest: Mapping[str, Any] | None) -> bool:
    """Whether a dump, by its own manifest, is not the one that the snapshot's row tells of.

    The row's manifest is what was signed; which snapshot of the repository it is of, the row alone says.
    """
    if snapshot.manifest is None:
        return False
    return manifest is None or keys.manifest_digest(manifest) != keys.manifest_digest(snapshot.manifest)


def learn(snapshot: Snapshot, manifest: Mapping[str, Any]) -> None:
    """Store the manifest by which a snapshot was just proved; a copy of one of ours is made here, too."""
    records.snapshot_learned(snapshot, manifest)
    _recognise(Snapshot.objects.get(pk=snapshot.pk))


def look_again() -> None:
    """Judge all signatures by the key of now, as where rows came from elsewhere."""
    public = PublicKey.objects.first()
    for snapshot in Snapshot.objects.exclude(signature="", made_here=False).iterator():
        is_ours = public is not None and is_made_here(snapshot, public)
        if snapshot.made_here != is_ours:
            Snapshot.objects.filter(pk=snapshot.pk).update(made_here=is_ours)


def _recognise(snapshot: Snapshot) -> None:
    """A copy has the signature of what it is a copy of.

    restic keeps the time of what it copies. Another time is an old state that passes itself off as newer.
    """
    public = PublicKey.objects.first()
    if public is None or snapshot.made_here or snapshot.manifest is None:
        return
    for twin in Snapshot.objects.made_here().filter(dump_sha256=snapshot.dump_sha256, time=snapshot.time):
        snapshot.signature = twin.signature
        if is_made_here(snapshot, public):
            Snapshot.objects.filter(pk=snapshot.pk).update(signature=twin.signature, made_here=True)
            snapshot.made_here = True
            return


def _take(key: InstallationKey, known: PublicKey | None) -> None:
    """Sign with a key what counts as made here, and note its public halves."""
    with transaction.atomic():
        ours = _made_before() if known is None else Snapshot.objects.made_here()
        for snapshot in ours.exclude(manifest=None).iterator():
            snapshot.signature = signature(key, snapshot.tags, snapshot.manifest or {})
            snapshot.made_here = True
            snapshot.save(update_fields=["signature", "made_here"])
        PublicKey.objects.all().delete()
        PublicKey.objects.create(
            signing=key.public_signing,
            sealing=key.public_sealing,
            copied_at=timezone.now() if settings.VEDETTA_KEY and known is None else None,
        )


def _made_before() -> SnapshotQuerySet:
    """What the portal's rows say that it made when it had no key; not what `recover` found."""
    return Snapshot.objects.exclude(made_by=None).exclude(made_by__trigger=Trigger.RECOVERED)
