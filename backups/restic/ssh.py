"""What ssh, which restic starts for SFTP, says of a connection that it did not bring about."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Iterable, Sequence

from backups.errors import shortened
from backups.text.sentences import phrase, template

_SAID = re.compile(r"subprocess ssh: (.*)")
_ELSE = template("Try it by hand as {user}: ssh HOST.")
# What is the matter by its words, and what can be done.
_SAYS: tuple[tuple[str, str, str], ...] = (
    (
        r"host key verification failed|identification has changed|no .*host key is known",
        phrase("the server shows a host key that is not known here, or that differs from the known one"),
        (
            template(
                "Compare its key by another way; if it is the server's own, put it into "
                "{home}/.ssh/known_hosts (ssh-keyscan HOST), as {user}. A changed key may be another "
                "server."
            )
        ),
    ),
    (
        r"permission denied|too many authentication failures|no supported authentication|bad permissions",
        phrase("the server does not let us in"),
        (
            template(
                "Put the private key into {home}/.ssh, readable by {user} alone, and its public half into "
                "authorized_keys on the server; or give SSH_AUTH_SOCK."
            )
        ),
    ),
    (
        r"could not resolve hostname|name or service not known",
        phrase("there is no such host"),
        template("Correct the host in {url_set_by}, or see to the name server."),
    ),
    (
        r"connection (?:refused|timed out|reset|closed)|no route to host|network is unreachable",
        phrase("the server gives no answer"),
        template("See whether its sshd runs and the network lets us through, and check {url_set_by}."),
    ),
    (
        r"subsystem request failed",
        phrase("the server offers no SFTP"),
        template("Turn sftp on in its sshd_config."),
    ),
)


def said_in(lines: Iterable[str]) -> list[str]:
    """What ssh said among the lines of restic, without its frames."""
    found = [match[1] for line in lines if (match := _SAID.search(line))]
    return [line for line in found if line.strip(" @\t")]


def is_without_word(lines: Iterable[str]) -> bool:
    """Whether restic says that ssh brought no connection about, and nothing of why."""
    text = "\n".join(lines)
    return "start the sftp session" in text and not any(
        re.search(words, line.lower()) for line in said_in(text.splitlines()) for words, *_ in _SAYS
    )


def meaning(said: Sequence[str], user: str, url_set_by: str) -> tuple[str, str]:
    """Why there is no connection, with ssh's own word for it, and what to do about it."""
    known = ((why, do, line) for words, why, do in _SAYS for line in said if re.search(words, line.lower()))
    why, do, line = next(known, (phrase("ssh ended"), _ELSE, said[-1]))
    shown = shortened(line.strip(" @\t\r").removeprefix("ssh: ").rstrip("."), 300)
    do = phrase(do, user=user, home=_home(), url_set_by=url_set_by)
    return phrase("{why} (ssh: {shown})", why=why, shown=shown), do


def _home() -> str:
    """Where ssh looks, which does not go by HOME."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return "~"
