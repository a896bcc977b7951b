"""The services that a channel may tell by, and what each wants to know, in that service's own words.

By the values of `choices.ChannelKind`, which the program that sends has no need to load.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from backups.text.sentences import phrase

_LONGEST = 1000
_ADDRESS = re.compile(r"[^\s@<>,;\"]+@[^\s@<>,;\"]+")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?")
_SECRET_LEAST = 16
# What Apprise would do on the worker's own machine, where nobody looks, or with its files.
_OF_THIS_MACHINE = frozenset({"dbus", "file", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows"})


@dataclass(frozen=True)
class Asked:
    """One thing that a service wants to know: `example` stands in the empty field.

    What is `secret` is shown to nobody again. `check` says what is wrong with a value, or nothing.
    """

    name: str
    label: str
    example: str = ""
    help: str = ""
    secret: bool = False
    required: bool = True
    initial: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    check: Callable[[str], str] = field(default=lambda _: "")


@dataclass(frozen=True)
class Service:
    """What one service wants to know, and how to get it there."""

    how: str
    asked: tuple[Asked, ...]


# ---------------------------------------------------------------- What is wrong with a value


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one or re.search(r"[\s\x00-\x1f\x7f]", value):
        return phrase("Write an address that begins with https:// or http://.")
    return ""


def _emails(value: str) -> str:
    return "" if all(map(_ADDRESS.fullmatch, emails(value))) and emails(value) else _NO_EMAIL


def _email(value: str) -> str:
    return "" if _ADDRESS.fullmatch(value) else _NO_EMAIL


_NO_EMAIL = phrase("Write e-mail addresses as in ops@example.com, several with commas between them.")


def _host(value: str) -> str:
    return "" if _HOST.fullmatch(value) else phrase("Write a host name, as in smtp.example.com.")


def _port(value: str) -> str:
    is_one = value.isascii() and value.isdigit() and 0 < int(value[:6]) < 65536
    return "" if is_one else phrase("Write a number from 1 to 65535.")


def _telegram_token(value: str) -> str:
    is_one = re.fullmatch(r"[0-9]+:[A-Za-z0-9_-]+", value)
    return "" if is_one else phrase("That is no bot token: it is a number, a colon and letters.")


def _telegram_chat(value: str) -> str:
    is_one = re.fullmatch(r"-?[0-9]+|@[A-Za-z0-9_]+", value)
    return "" if is_one else phrase("Write the number of the chat, or the channel's name with an @.")


def _topic(value: str) -> str:
    is_one = re.fullmatch(r"[A-Za-z0-9_-]{1,64}", value)
    return "" if is_one else phrase("A topic has letters, digits, - and _, at most 64 of them.")


def _room(value: str) -> str:
    is_one = re.fullmatch(r"![^\s/?#]+", value)
    return "" if is_one else phrase("Write the room's internal ID, which begins with an exclamation mark.")


def _long_enough(value: str) -> str:
    return "" if len(value) >= _SECRET_LEAST else phrase("Write {n} characters or more.", n=_SECRET_LEAST)


def _apprise(value: str) -> str:
    scheme, colon, _ = value.partition("://")
    if not colon:
        return phrase("That is no Apprise address: it has no ://.")
    if scheme.lower() in _OF_THIS_MACHINE:
        return phrase("That would tell the worker's machine, where nobody looks.")
    if re.search(r"[\s,;]+[^\s,;:]+://", value):
        return phrase("Write one address. Others are channels of their own.")
    return ""


def emails(value: str) -> list[str]:
    """Addresses that stand with commas between them."""
    return [each for part in value.split(",") if (each := part.strip())]


# ---------------------------------------------------------------- The services

STARTTLS, TLS, PLAIN = "starttls", "tls", "none"
TELEGRAM, NTFY = "https://api.telegram.org", "https://ntfy.sh"

SERVICES: dict[str, Service] = {
    "email": Service(
        phrase("Vedetta hands the message to a mail server, as a mail program does."),
        (
            Asked("host", phrase("SMTP server"), "smtp.example.com", check=_host),
            Asked("port", phrase("Port"), "587", initial="587", check=_port),
            Asked(
                "encryption",
                phrase("Encryption"),
                initial=STARTTLS,
                choices=(
                    (STARTTLS, "STARTTLS (587)"),
                    (TLS, "TLS (465)"),
                    (PLAIN, phrase("None (25): for a server on the same machine")),
                ),
            ),
            Asked("user", phrase("User name"), "vedetta@example.com", required=False),
            Asked("password", phrase("Password"), secret=True, required=False),
            Asked("sender", phrase("From"), "vedetta@example.com", check=_email),
            Asked("to", phrase("To"), "ops@example.com, anna@example.com", check=_emails),
        ),
    ),
    "telegram": Service(
        phrase(
            "Write to @BotFather in Telegram and send /newbot: the answer has the token. Add the bot to "
            "your group, or write to it once, so that it may write there."
        ),
        (
            Asked(
                "token",
                phrase("Bot token"),
                "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw",
                secret=True,
                check=_telegram_token,
            ),
            Asked(
                "chat",
                phrase("Chat ID"),
                "-1001234567890",
                phrase("Of a group it begins with a minus. A public channel may be named: @our_alerts."),
                check=_telegram_chat,
            ),
            Asked(
                "server",
                phrase("Bot API server"),
                TELEGRAM,
                phrase("Another one than Telegram's own only if you run one."),
                initial=TELEGRAM,
                check=_url,
            ),
        ),
    ),
    "ntfy": Service(
        phrase(
            "Subscribe to the topic in the ntfy app. Whoever knows its name can read it: choose a long one."
        ),
        (
            Asked("server", phrase("Server URL"), NTFY, initial=NTFY, check=_url),
            Asked("topic", phrase("Topic"), "vedetta-8c1f0b7d2a", secret=True, check=_topic),
            Asked(
                "token",
                phrase("Access token"),
                "tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2",
                phrase("If the topic is protected."),
                secret=True,
                required=False,
            ),
        ),
    ),
    "slack": Service(
        phrase("In Slack: Apps, Incoming Webhooks, Add New Webhook to Workspace, and choose the channel."),
        (
            Asked(
                "url",
                phrase("Webhook URL"),
                "https://hooks.slack.com/services/T000/B000/XXXX",
                secret=True,
                check=_url,
            ),
        ),
    ),
    "teams": Service(
        phrase(
            "In Teams: the channel's Workflows, “Post to a channel when a webhook request is received”. "
            "The last step shows the URL."
        ),
        (
            Asked(
                "url",
                phrase("Webhook URL"),
                "https://prod-00.westeurope.logic.azure.com/workflows/…",
                secret=True,
                check=_url,
            ),
        ),
    ),
    "matrix": Service(
        phrase(
            "Make an account for Vedetta, invite it to the room and accept. The room must not be encrypted."
        ),
        (
            Asked("homeserver", phrase("Homeserver URL"), "https://matrix.example.com", check=_url),
            Asked(
                "room",
                phrase("Internal room ID"),
                "!qporfwt:example.com",
                phrase("In Element: Room settings, Advanced."),
                check=_room,
            ),
            Asked(
                "token",
                phrase("Access token"),
                "syt_dmVkZXR0YQ_…",
                phrase("In Element: Settings, Help & About, Advanced."),
                secret=True,
            ),
        ),
    ),
    "webhook": Service(
        phrase(
            "Vedetta sends JSON to your own program, and signs it, so that it can tell our messages from "
            "others. The guide says how to check that, in five lines (operations, Webhooks)."
        ),
        (
            Asked("url", "URL", "https://hooks.example.com/vedetta", secret=True, check=_url),
            Asked(
                "secret",
                phrase("Signing secret"),
                help=phrase("Known to your program as well. Make one with: openssl rand -hex 32"),
                secret=True,
                check=_long_enough,
            ),
        ),
    ),
    "apprise": Service(
        phrase("For a service that has no form here: an address as Apprise's documentation describes it."),
        (
            Asked(
                "url",
                phrase("Apprise URL"),
                "discord://webhook_id/webhook_token",
                phrase("They are listed at github.com/caronc/apprise/wiki."),
                secret=True,
                check=_apprise,
            ),
        ),
    ),
}


def shown(kind: str, values: Mapping[str, str]) -> dict[str, str]:
    """What of a channel's settings is no secret; of a secret address, on which host it is."""
    told = {}
    for each in SERVICES[kind].asked:
        value = values.get(each.name, "")
        if not each.secret:
            told[each.name] = value
        elif each.name == "url" and kind != "apprise":
            told["url_host"] = urlsplit(value).hostname or ""
        elif each.name == "url":
            told["url_host"] = value.partition("://")[0][:20]
    return told


def place(kind: str, told: object) -> str:
    """Where a channel leads, of what is no secret: for lists, so that one tells two apart."""
    if not isinstance(told, Mapping):  # a row that somebody else wrote
        return ""
    if kind == "email":
        return told.get("to", "")
    if kind == "telegram":
        return told.get("chat", "")
    if kind == "ntfy":
        return urlsplit(told.get("server", "")).hostname or ""
    return told.get("room") or told.get("url_host", "")
