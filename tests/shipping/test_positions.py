"""A dump of which the server could not be asked where in its log it is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from backups import mysql
from backups.dumping import log_position
from backups.dumping.log_position import LogPosition
from backups.errors import Problem


def test_what_kept_it_from_being_asked_is_there_to_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> Any:
        raise Problem("No answer came within 15 seconds.", code="mysql.no_answer")

    monkeypatch.setattr(log_position, "replace", lambda server, **_: server)
    monkeypatch.setattr(mysql, "connect", away)
    source: Any = SimpleNamespace(server=SimpleNamespace(question_seconds=30))
    position = LogPosition(source, ["orders"], [], may_lock=True)

    position.begin()

    told = position.told(["orders"], [])
    assert (told["exact"], told["why_not"]) == (False, "not_asked")
    assert position.failed == "No answer came within 15 seconds."
