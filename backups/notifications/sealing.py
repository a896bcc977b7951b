"""A channel's settings, sealed for who sends: the worker, and the portal itself where a person says so.

All of them are one box, where a message goes included. So whoever can write rows, and opens no box, cannot
send a token to another server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from backups import keys
from backups.errors import Problem
from backups.models import Channel, PublicKey
from backups.text.sentences import phrase

# What the portal's own key is for. Another text is another key: it never changes.
_PORTAL = b"vedetta: opens channels of the portal"
_PURPOSE = "channel"


def for_worker(kind: str, fields: Mapping[str, str]) -> str:
    """The settings of a channel, such as only who has the installation's key can open. Raises Problem."""
    public = PublicKey.objects.first()
    if public is None:
        raise Problem(
            phrase("What you typed cannot be sealed, because the worker has not shown its key yet."),
            code="channel.no_key",
            safe=phrase("Nothing was stored."),
            do=phrase("Start the worker, wait a minute, and save again."),
        )
    return _sealed(kind, fields, public.sealing)


def for_portal(kind: str, fields: Mapping[str, str]) -> str:
    """The same for the web process, which has SECRET_KEY."""
    return _sealed(kind, fields, _portals(settings.SECRET_KEY).public_sealing)


def _sealed(kind: str, fields: Mapping[str, str], public_sealing: str) -> str:
    return keys.seal(json.dumps(dict(fields)), keys.Use(_PURPOSE, kind), public_sealing)


def opened(channel: Channel, *, in_portal: bool = False) -> dict[str, str]:
    """The settings again, for who has the key. Raises Problem, without a word of them."""
    of = phrase("the channel {channel}", channel=channel)
    if in_portal:
        return _opened(channel.sealed_for_portal, channel.kind, _portals_own(), of)
    return opened_by_worker(channel.kind, channel.sealed, of)


def opened_by_worker(kind: str, sealed: str, of: str) -> dict[str, str]:
    """What `for_worker` sealed. Raises Problem."""
    key = keys.load()
    if key is None:
        raise Problem(
            phrase("The settings of {of} cannot be opened, because VEDETTA_KEY is not here.", of=of),
            code="channel.no_key_here",
            do=phrase("Set the VEDETTA_KEY that was kept. If it is lost, type them again in the portal."),
        )
    return _opened(sealed, kind, [key], of)


def _opened(sealed: str, kind: str, known: Sequence[keys.InstallationKey], of: str) -> dict[str, str]:
    for key in known[:-1]:
        try:
            return _read(keys.unseal(sealed, keys.Use(_PURPOSE, kind), key, of))
        except Problem:
            continue  # one of before may open it
    return _read(keys.unseal(sealed, keys.Use(_PURPOSE, kind), known[-1], of))


def _read(text: str) -> dict[str, str]:
    return {str(name): str(value) for name, value in json.loads(text).items()}


def _portals_own() -> list[keys.InstallationKey]:
    return [_portals(each) for each in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


def _portals(secret: str) -> keys.InstallationKey:
    derived = HKDF(hashes.SHA256(), length=32, salt=None, info=_PORTAL).derive(secret.encode())
    return keys.InstallationKey(derived)
