"""The private servers that `make run` starts: the sample's, and the one for test restores."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping

from backups import mysql
from portal.env import env_file
from tools.ports import HOST
from tools.private_server import PrivateServer
from tools.running.common import LOGS, RUN_ENV, VAR, RunError, say
from tools.running.left_open import Given, free_port, secret
from tools.verify_server import Like, verify_server


def start_private(
    server: PrivateServer, started: contextlib.ExitStack, lock_fd: int, purpose: str = ""
) -> None:
    """Start a private server, which is stopped with the rest."""
    name = server.folder.name
    say(f"Starting a private {server.flavour}{purpose} on {HOST}:{server.port} (var/{name}) …")
    child = server.start(LOGS / f"{name}.log", pass_fds=[lock_fd])
    started.callback(child.stop, 60)


def refuse_another_place(given: Given) -> None:
    """Raise RunError where test restores go elsewhere already: nothing would use what we start."""
    if given.has("VERIFY_MYSQL_HOST"):
        raise RunError(
            "VERIFY_MYSQL_HOST is set, so test restores would go there and not to the server of "
            "--verify-server: leave out one of the two."
        )


def start_verify_server(
    given: Given, settings: Mapping[str, str], started: contextlib.ExitStack, lock_fd: int
) -> dict[str, str]:
    """Start it; answers what commands and worker have to know of it. Raises RunError and others."""
    kept = env_file(RUN_ENV).values
    backed_up = _to_be_backed_up(given, settings)
    like = Like.asked(backed_up)
    named = "VERIFY_MYSQL_PASSWORD"
    told = {} if given.has(named) else {named: kept.get(named) or secrets.token_urlsafe(36)}
    server = verify_server(
        like,
        VAR,
        port=free_port(given.get("VERIFY_MYSQL_PORT"), kept.get("VERIFY_MYSQL_PORT", "")),
        user=given.get("VERIFY_MYSQL_USER") or backed_up.user,
        password=told.get(named) or secret(given, named),
    )
    if given.get("VERIFY_MYSQL_PORT") not in ("", str(server.port)):
        # Commands in another terminal would read it.
        raise RunError(
            f"VERIFY_MYSQL_PORT is {given.get('VERIFY_MYSQL_PORT')}, which cannot be used. Leave it empty: "
            "--verify-server then takes a free port."
        )
    start_private(server, started, lock_fd, " for test restores")
    _tell_of_another_release(like, server)
    return told | {
        "VERIFY_MYSQL_HOST": HOST,
        "VERIFY_MYSQL_PORT": str(server.port),
        "VERIFY_MYSQL_USER": server.user,
        # It goes over no network, whatever is asked for of the way to the first.
        "VERIFY_MYSQL_SSL_MODE": given.get("VERIFY_MYSQL_SSL_MODE") or "PREFERRED",
    }


def _tell_of_another_release(like: Like, server: PrivateServer) -> None:
    info = Like.asked(mysql.Server(HOST, server.port, server.user, server.password)).info
    if info.number[:2] != like.info.number[:2]:
        say(
            f"! It is {info}, and what is backed up is on {like.info}. Another release may write or refuse "
            "some things differently, and these are not proved."
        )


def _to_be_backed_up(given: Given, settings: Mapping[str, str]) -> mysql.Server:
    def said(name: str) -> str:
        return settings.get(name) or given.get(name)

    port = said("MYSQL_PORT") or "3306"
    if not port.isdecimal():
        raise RunError(f"MYSQL_PORT is {port!r}, but must be a number.")
    return mysql.Server(
        host=said("MYSQL_HOST"),
        port=int(port),
        user=said("MYSQL_USER"),
        password=settings.get("MYSQL_PASSWORD") or secret(given, "MYSQL_PASSWORD"),
        ssl_mode=said("MYSQL_SSL_MODE") or "PREFERRED",
        ssl_ca=said("MYSQL_SSL_CA"),
    )
