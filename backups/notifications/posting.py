"""How each service wants a message: as text that nothing in it can turn into markup, or into a mention."""

from __future__ import annotations

import hashlib
import hmac
import json
import smtplib
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any
from urllib.parse import quote

from backups.notifications import bounded, services

Fields = Mapping[str, str]
Message = Mapping[str, Any]

# What each service takes of a text at most, with room for what we put before it.
_TELEGRAM_MOST, _NTFY_MOST, _SLACK_MOST = 4000, 1200, 2900


@dataclass(frozen=True)
class Post:
    """A request to a service."""

    url: str
    payload: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    # Where a signature is of the very bytes.
    body: bytes = b""


def _whole(message: Message, most: int) -> str:
    text = f"{message['title']}\n\n{message['body']}"
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _telegram(fields: Fields, message: Message) -> Post:
    # Without parse_mode it is text.
    return Post(
        f"{fields['server'].rstrip('/')}/bot{fields['token']}/sendMessage",
        {
            "chat_id": fields["chat"],
            "text": _whole(message, _TELEGRAM_MOST),
            "link_preview_options": {"is_disabled": True},
        },
    )


def _ntfy(fields: Fields, message: Message) -> Post:
    text = message["body"]
    return Post(
        f"{fields['server'].rstrip('/')}/",
        {
            "topic": fields["topic"],
            "title": message["title"],
            # Longer ones become a file that has to be opened.
            "message": text if len(text) <= _NTFY_MOST else f"{text[: _NTFY_MOST - 1]}…",
            "priority": 3 if message["is_good"] else 4,
            "tags": ["white_check_mark" if message["is_good"] else "warning"],
        },
        {"Authorization": f"Bearer {fields['token']}"} if fields.get("token") else {},
    )


def _slack(fields: Fields, message: Message) -> Post:
    text = _whole(message, _SLACK_MOST)
    # The first is for what shows no blocks, and would take <…> for a link or a mention.
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    plain = {"type": "plain_text", "text": text, "emoji": False}
    return Post(
        fields["url"], {"text": escaped, "mrkdwn": False, "blocks": [{"type": "section", "text": plain}]}
    )


def _teams(fields: Fields, message: Message) -> Post:
    # A TextBlock would be Markdown; a run of text is none.
    lines = [
        (message["title"], "Bolder"),
        *((line, "Default") for line in message["body"].split("\n") if line),
    ]
    card = {
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.4",
        "body": [
            {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": line, "weight": weight}]}
            for line, weight in lines[:50]
        ],
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return Post(fields["url"], {"type": "message", "attachments": [attachment]})


def _matrix(fields: Fields, message: Message) -> Post:
    room = quote(fields["room"], safe="")
    # The room shows one message of a key, however often it is sent.
    return Post(
        f"{fields['homeserver'].rstrip('/')}/_matrix/client/v3/rooms/{room}/send/m.room.message/{message['key']}",
        {"msgtype": "m.text", "body": _whole(message, _TELEGRAM_MOST)},
        {"Authorization": f"Bearer {fields['token']}"},
        method="PUT",
    )


def _webhook(fields: Fields, message: Message) -> Post:
    payload = {
        "id": message["key"],
        "event": message["event"],
        "state": message["state"],
        "subject": message["subject"],
        "database": message["database"],
        "title": message["title"],
        "text": message["text"],
        "at": message["at"],
        "vedetta": message["vedetta"],
    }
    body = json.dumps(payload, ensure_ascii=False).encode()
    timestamp = str(int(time.time()))
    return Post(
        fields["url"],
        payload,
        {
            "Vedetta-Delivery": message["key"],
            "Vedetta-Timestamp": timestamp,
            "Vedetta-Signature": f"sha256={signature(fields['secret'], timestamp, body)}",
        },
        body=body,
    )


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 of the timestamp, a point and the body, in hex."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


_POSTS: dict[str, Callable[[Fields, Message], Post]] = {
    "telegram": _telegram,
    "ntfy": _ntfy,
    "slack": _slack,
    "teams": _teams,
    "matrix": _matrix,
    "webhook": _webhook,
}


def post(kind: str, fields: Fields, message: Message) -> bounded.Answered:
    """Send a message to a service that is asked by HTTP; answers its answer. Raises as requests does."""
    import requests

    wanted = _POSTS[kind](fields, message)
    response = requests.request(
        wanted.method,
        wanted.url,
        data=wanted.body or json.dumps(wanted.payload).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "Vedetta", **wanted.headers},
        # Without it, a password of ~/.netrc would be added.
        auth=lambda request: request,
        timeout=bounded.SECONDS,
    )
    return bounded.Answered(response.status_code, response.text)


def mail(fields: Fields, message: Message) -> bounded.Answered:
    """Hand a message to a mail server. Raises smtplib's exceptions and OSError."""
    letter = EmailMessage()
    # A title is one line, whatever is named in it.
    letter["Subject"] = " ".join(message["title"].split())
    letter["From"], letter["To"] = fields["sender"], ", ".join(services.emails(fields["to"]))
    letter["Date"] = formatdate(localtime=True)
    letter["Message-ID"] = make_msgid(domain=fields["sender"].rpartition("@")[2])
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(message["body"])
    encryption = fields["encryption"]
    place = (fields["host"], int(fields["port"]))
    trusted = ssl.create_default_context()
    if encryption == services.TLS:
        server: smtplib.SMTP = smtplib.SMTP_SSL(*place, timeout=bounded.SECONDS, context=trusted)
    else:
        server = smtplib.SMTP(*place, timeout=bounded.SECONDS)
    with server:
        if encryption == services.STARTTLS:
            server.starttls(context=trusted)
        if fields.get("user"):
            server.login(fields["user"], fields.get("password", ""))
        refused = server.send_message(letter)
    if refused:
        code, text = next(iter(refused.values()))
        return bounded.Answered(code, text.decode("utf-8", "replace"))
    return bounded.Answered(250, "")
