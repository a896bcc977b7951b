"""A command that is called in this process."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.management import call_command


class Said(dict[str, Any]):
    """What a command printed as JSON, with its exit status and what it told people."""

    code = 0
    err = ""


def called(capsys: pytest.CaptureFixture[str], *args: str) -> Said:
    """Call a command with `--json`."""
    capsys.readouterr()
    code = 0
    try:
        call_command(*args, "--json")
    except SystemExit as ended:
        code = int(ended.code or 0)
    out, err = capsys.readouterr()
    said = Said(json.loads(out.splitlines()[-1]))
    said.code, said.err = code, err
    return said
