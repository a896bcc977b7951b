"""A mail server on loopback that keeps what it is handed, and refuses as it is told to."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from socketserver import StreamRequestHandler, ThreadingTCPServer

from tests.servers.serving import serve


@dataclass
class MailServer:
    """What it was handed, and whom it lets in: nobody has to sign in where `password` is empty."""

    password: str = ""
    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)

    def answer(self, handler: StreamRequestHandler) -> None:
        """Speak SMTP with one client, as far as a client that hands in a letter needs it (RFC 5321)."""

        def say(line: str) -> None:
            handler.wfile.write(f"{line}\r\n".encode())

        say("220 mail.test ESMTP")
        for raw in handler.rfile:
            line = raw.decode().rstrip("\r\n")
            verb = line.split(" ")[0].split(":")[0].upper()
            if verb == "EHLO":
                say("250-mail.test")
                say("250 AUTH PLAIN")
            elif verb == "AUTH":
                typed = base64.b64decode(line.split(" ")[2]).split(b"\0")[-1].decode()
                is_right = typed == self.password
                say("235 welcome" if is_right else f"535 5.7.8 {typed} is not\x1b[31m right")
            elif verb == "RCPT":
                self.recipients.append(line.partition(":")[2].split(" ")[0].strip("<>"))
                say("250 ok")
            elif verb == "DATA":
                say("354 go on")
                self.letters.append(self._letter(handler))
                say("250 2.0.0 queued")
            elif verb == "QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")

    def _letter(self, handler: StreamRequestHandler) -> EmailMessage:
        lines = []
        for raw in handler.rfile:
            if raw == b".\r\n":
                break
            lines.append(raw.removeprefix(b"."))
        letter = message_from_bytes(b"".join(lines), policy=policy.default)
        assert isinstance(letter, EmailMessage)
        return letter


@contextmanager
def mail_server(password: str = "") -> Iterator[MailServer]:
    """One that listens, until the end of the block."""
    mail = MailServer(password)

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            mail.answer(self)

    class Server(ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        mail.port = server.server_address[1]
        serve(server)
        yield mail
        server.shutdown()
