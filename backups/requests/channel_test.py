"""Whether a message by a channel reaches people: the worker sends it, as it alone opens what is sealed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from backups.choices import ChannelKind
from backups.models import Channel
from backups.requests.question import Question


@dataclass(frozen=True)
class ChannelTestQuestion(Question):
    """A test by a channel that is there, or by settings that were typed and are not saved, sealed."""

    kind = "channel_test"
    rights: ClassVar[tuple[str, ...]] = (
        "backups.run_maintenance",
        "backups.add_channel",
        "backups.change_channel",
    )
    holds_secret = True

    channel: Channel | None = None
    service: str = ""
    sealed: str = ""

    def asked(self) -> dict[str, Any]:
        """Which channel, or the box with what was typed."""
        channel = self.channel.pk if self.channel else None
        return {"channel": channel, "service": self.service, "sealed": self.sealed}

    @classmethod
    def from_row(cls, asked: Mapping[str, Any]) -> Self:
        """The question again."""
        if asked["channel"] is not None:
            return cls(Channel.objects.get(pk=asked["channel"]))
        return cls(None, ChannelKind(asked["service"]), str(asked["sealed"]))
