"""Whom this process could tell: NOTIFY_URLS, PING_URL, the portal's channels, and which of them tell nobody.

Addresses hold secrets, so they are named by their place and scheme.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from django.conf import settings
from django.db.models import F, Q, QuerySet

from backups import process
from backups.choices import AlertState, DeliveryState
from backups.models import Alert, Channel, Delivery
from backups.notifications import sender
from backups.text.sentences import phrase

PING = "PING_URL"
_ASK_SECONDS = 20.0
# What Apprise and the libraries under it need to find their way out.
_WAY_OUT = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE")


def named(address: str) -> str:
    """An address of NOTIFY_URLS by its place, as in "number 2 of NOTIFY_URLS (json)"."""
    return phrase(
        "number {index} of NOTIFY_URLS ({scheme})",
        index=settings.NOTIFY_URLS.index(address) + 1,
        scheme=_scheme(address),
    )


def unknown() -> list[str]:
    """Which addresses are none that Apprise knows, so that nobody is ever told by them; by their names."""
    addresses = settings.NOTIFY_URLS
    return [named(address) for address in _unknown_of(tuple(addresses))] if addresses else []


def failing() -> int:
    """Alerts that did not reach everyone, a ping that did not get through, addresses that are none."""
    wrong = ~Q(error="")
    if settings.PING_URL:
        wrong |= Q(subject=PING, state=AlertState.FAILED)
    alerts = Alert.objects.filter(wrong).order_by().values_list("pk")
    # Asked for by every page, in one query.
    found = alerts.union(failing_channels().order_by().values_list("pk"), all=True)
    return found.count() + len(unknown())


def failing_of(alerts: Iterable[Alert], enabled: Iterable[Channel]) -> int:
    """The same by rows that were read: alerts that failed or did not reach everyone, channels in use."""
    wrong = [
        each
        for each in alerts
        if each.error or (settings.PING_URL and (each.subject, each.state) == (PING, AlertState.FAILED))
    ]
    return len(wrong) + sum(each.is_failing for each in enabled) + len(unknown())


def told_nobody(untold: Sequence[Alert]) -> int:
    """Of how many of these alerts no address of NOTIFY_URLS heard, and no channel of the portal either."""
    silent = {alert.pk for alert in untold if not alert.reached}
    if not silent:
        return 0
    sent = Delivery.objects.filter(alert__in=silent, state=DeliveryState.SENT, made_at__gte=F("alert__since"))
    return len(silent - set(sent.values_list("alert_id", flat=True)))


def watching() -> list[Channel]:
    """The portal's channels that tell of what goes wrong."""
    return [each for each in Channel.objects.filter(is_enabled=True) if each.is_watching]


def failing_channels() -> QuerySet[Channel]:
    """Those whose last message did not get through."""
    return Channel.objects.filter(is_enabled=True, last_ok=False)


def ask_messenger(order: bytes, hear: Callable[[str], None], seconds: float, program: str = "sender") -> None:
    """Have the program that sends messages do `order`. Raises DeadlineExceeded."""
    fd = process.secret_fd(order)
    try:
        messenger = [sys.executable, "-m", f"backups.notifications.{program}", str(fd)]
        process.run(
            process.Program(messenger, _messenger_environment(), pass_fds=[fd]),
            on_stdout=hear,
            deadline=seconds,
        )
    finally:
        os.close(fd)


# Of this process: to ask takes a program's start, and addresses change with a new one only.
@functools.lru_cache(maxsize=4)
def _unknown_of(addresses: Sequence[str]) -> tuple[str, ...]:
    """Those that Apprise does not know. Where it cannot be asked none: sending says what is wrong."""
    found: list[str] = []

    def hear(line: str) -> None:
        with suppress(ValueError, TypeError):
            found.append(addresses[json.loads(line)])

    with suppress(process.DeadlineExceeded):
        ask_messenger(sender.question(addresses), hear, _ASK_SECONDS)
    return tuple(found)


def _messenger_environment() -> dict[str, str]:
    names = [variant for name in _WAY_OUT for variant in (name, name.lower())]
    return {
        **process.base_environment(),
        **{name: os.environ[name] for name in names if name in os.environ},
        "PYTHONPATH": str(settings.SOURCE_DIR),
    }


def _scheme(address: str) -> str:
    """Only what has a place for it before ://, as the rest may be a secret."""
    scheme, colon, _ = address.partition("://")
    return scheme[:20] if colon else phrase("without a scheme")
