"""Once a minute, for each channel: what lasts is told again, the week is summed up, and what is old goes."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Max, Q
from django.utils import timezone

from backups.alerting import channel_delivery, outbox, weekly
from backups.choices import AlertEvent, AlertState, DeliveryState
from backups.models import Alert, Channel, Delivery, PublicKey, StandDown
from backups.reports import standing
from backups.text import sealed_text
from backups.text.sentences import joined, phrase

# Of a channel's messages.
MOST_KEPT = 200
_MONDAY, _HOUR = 0, 8
# Of several workers that tend at once, one does.
_APART = timedelta(seconds=30)
_LEFT = (DeliveryState.WAITING, DeliveryState.HELD)


def tend(now: datetime) -> None:
    """See to all channels."""
    for channel in Channel.objects.prefetch_related("databases").order_by("pk"):
        last = channel.tended_at
        if last is not None and timedelta() <= now - last < _APART:
            continue
        if not Channel.objects.filter(pk=channel.pk, tended_at=last).update(tended_at=now):
            continue
        if channel.is_enabled:
            _note_key(channel, now)
            _remind(channel, now)
            _sum_up(channel, now)
        else:
            Delivery.objects.filter(channel=channel, state__in=_LEFT).update(
                state=DeliveryState.FAILED, answer=phrase("The channel was switched off.")
            )
        _forget_old(channel)


def _note_key(channel: Channel, now: datetime) -> None:
    """That nobody opens its settings any more, before there is anything to tell."""
    public, sealed = PublicKey.objects.first(), sealed_text.read(channel.sealed)
    is_ours = public and sealed and sealed.key_id == sealed_text.key_id(public.sealing)
    if not is_ours and channel.last_ok is not False:
        answer = phrase("Its settings were sealed for another VEDETTA_KEY. Type them again in the portal.")
        channel_delivery.note_last(channel, channel_delivery.Outcome(False, None, answer), now)


def _remind(channel: Channel, now: datetime) -> None:
    """Tell again what lasts and was told so long ago. That a restore failed does not last."""
    if not channel.remind_hours:
        return
    wanted = set(channel.wanted) - {AlertEvent.RESTORE}
    bad = Alert.objects.exclude(state=AlertState.GOOD).filter(event__in=wanted)
    bad = bad.exclude(subject=standing.ORDERS).exclude(database__in=StandDown.objects.muted(now))
    told = Delivery.objects.filter(channel=channel, alert__in=bad).order_by().values("alert")
    newest = dict(told.annotate(newest=Max("made_at")).values_list("alert", "newest"))
    left = set(told.filter(state__in=_LEFT).values_list("alert", flat=True))
    before = now - timedelta(hours=channel.remind_hours)
    for alert in bad.select_related("database").order_by("pk"):
        is_due = max(newest.get(alert.pk, alert.since), alert.since) <= before
        if is_due and alert.pk not in left and outbox.is_of_its_databases(alert, channel):
            title = phrase("Still: {title}", title=alert.in_words("title"))
            since = phrase("It has lasted since {when}.", when=_when(alert.since))
            text = joined([alert.in_words("text"), since], "\n\n")
            outbox.delivery(channel, AlertEvent(alert.event), (title, text), alert, now).save()


def _sum_up(channel: Channel, now: datetime) -> None:
    """The summary of a week, on Monday or as soon after it as somebody can send it."""
    if AlertEvent.WEEKLY not in channel.wanted:
        # Asked for again, it begins anew.
        if channel.summed_up_at is not None:
            Channel.objects.filter(pk=channel.pk).update(summed_up_at=None)
        return
    if channel.summed_up_at is None:
        Channel.objects.filter(pk=channel.pk).update(summed_up_at=now)
    elif channel.summed_up_at < (monday := _last_monday(now)):
        Channel.objects.filter(pk=channel.pk).update(summed_up_at=now)
        texts = weekly.summary(list(channel.databases.all()), monday)
        outbox.delivery(channel, AlertEvent.WEEKLY, texts, None, now).save()


def _last_monday(now: datetime) -> datetime:
    """The last Monday at eight in TIME_ZONE."""
    local = timezone.localtime(now)
    day = local.date() - timedelta(days=(local.weekday() - _MONDAY) % 7)
    zone = timezone.get_current_timezone()
    begin = datetime(day.year, day.month, day.day, _HOUR, tzinfo=zone)
    if begin > local:
        day -= timedelta(days=7)
        begin = datetime(day.year, day.month, day.day, _HOUR, tzinfo=zone)
    return begin


def _forget_old(channel: Channel) -> None:
    kept = Delivery.objects.filter(channel=channel).order_by("-pk").values_list("pk", flat=True)
    for oldest in kept[MOST_KEPT : MOST_KEPT + 1]:
        # What is still to be sent goes after a day by itself.
        over = Delivery.objects.filter(~Q(state__in=_LEFT), channel=channel, pk__lte=oldest)
        over.delete()


def _when(time: datetime) -> str:
    return f"{timezone.localtime(time):%Y-%m-%d %H:%M}"
