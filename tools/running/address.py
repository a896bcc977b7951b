"""Where a server listens, and whether it answers there."""

from __future__ import annotations

import shlex
import socket
import urllib.error
import urllib.request
from dataclasses import dataclass

from tools.ports import HOST
from tools.running.common import RunError


@dataclass(frozen=True)
class Address:
    """Where a server listens, as gunicorn is told it: host:port or unix:/path, or several with commas.

    Of several the first is the one that is asked and told.
    """

    bind: str
    variable: str

    @property
    def first(self) -> str:
        """The first of what `bind` names."""
        return self.bind.partition(",")[0].strip()

    @property
    def place(self) -> tuple[str, int] | None:
        """Host and port; None for a socket in the file system."""
        if self.first.startswith("unix:"):
            return None
        host, _, port = self.first.rpartition(":")
        if not port.isdecimal() or int(port) > 65535:
            raise RunError(f"{self.variable} is {self.first!r}, but must be like 127.0.0.1:8000.")
        return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104  as gunicorn reads it

    @property
    def url(self) -> str:
        """What a person on this machine types."""
        if self.place is None:
            return self.first
        host, port = self.place
        if host in ("0.0.0.0", "::"):  # noqa: S104
            host = HOST
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def told(self, path: str) -> str:
        """How a person on this machine asks for a path there."""
        if self.place is None:
            return (
                f"curl --unix-socket {shlex.quote(self.first.removeprefix('unix:'))} http://localhost{path}"
            )
        return self.url + path

    def make_sure_it_is_free(self) -> None:
        """Raise RunError where something listens there."""
        if self.place is None:
            if self._socket_answers():
                raise RunError(f"{self.first} is in use: stop what listens there, or change {self.variable}.")
            return
        family = socket.AF_INET6 if ":" in self.place[0] else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(self.place)
            except OSError as error:
                raise RunError(
                    f"{self.first} cannot be used ({error.strerror}): stop what listens there, or set "
                    f"{self.variable}, as in `{self.variable}={HOST}:{self.place[1] + 80} make run`."
                ) from None

    def answers(self, path: str) -> bool:
        """Whether a server answers there, be it with a refusal."""
        if self.place is None:
            return self._socket_answers()
        try:
            urllib.request.urlopen(self.url + path, timeout=5).close()  # noqa: S310  our own server
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def _socket_answers(self) -> bool:
        """Whether somebody listens on the socket: what was killed leaves its file behind."""
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(self.first.removeprefix("unix:"))
            except OSError:
                return False
        return True
