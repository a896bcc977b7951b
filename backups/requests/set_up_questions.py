"""Tests before saving: what a form holds is asked of the worker, with what was typed in it sealed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from backups.requests.question import Question
from backups.text.sentences import phrase


@dataclass(frozen=True)
class Place:
    """A server as a form has it: where it listens, and as whom the worker is to log in."""

    host: str
    port: int
    user: str
    password_ref: str
    ssl_mode: str
    ssl_ca: str


@dataclass(frozen=True)
class ServerQuestion(Question):
    """Whether a server answers, what is on it, and what its user lacks to back up `database`, or all."""

    kind = "server_test"
    rights = tuple(
        f"backups.{verb}_{model}" for verb in ("add", "change") for model in ("server", "database")
    )
    safe = phrase("Nothing was stored.")
    holds_secret = True

    place: Place
    database: str = ""

    def asked(self) -> dict[str, Any]:
        """All of it: the form is not saved."""
        return asdict(self)

    @classmethod
    def from_row(cls, asked: Mapping[str, Any]) -> Self:
        """The question again."""
        place = asked["place"]
        texts = {name: str(place[name]) for name in ("host", "user", "password_ref", "ssl_mode", "ssl_ca")}
        return cls(Place(port=int(place["port"]), **texts), str(asked["database"]))


@dataclass(frozen=True)
class RepositoryQuestion(Question):
    """What lies at a location, and whether the password opens it. `row` is that of one that is known."""

    kind = "repository_test"
    rights = ("backups.add_repository", "backups.change_repository")
    safe = phrase("Nothing was stored.")
    holds_secret = True

    url: str
    password_ref: str
    access_key_ref: str
    secret_key_ref: str
    row: int | None = None

    def asked(self) -> dict[str, Any]:
        """All of it: the form is not saved."""
        return asdict(self)

    @classmethod
    def from_row(cls, asked: Mapping[str, Any]) -> Self:
        """The question again."""
        texts = {
            name: str(asked[name]) for name in ("url", "password_ref", "access_key_ref", "secret_key_ref")
        }
        return cls(row=None if asked["row"] is None else int(asked["row"]), **texts)
