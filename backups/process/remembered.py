"""What a program said of itself, for as long as its file is the same: in this process, and in later ones.

Of programs in machine code alone. A script may start another program tomorrow, and be the same file still.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_FILE = "vedetta-programs.json"
_MACHINE_CODE = b"\x7fELF"
_LARGEST = 1 << 20
# Of the newest questions, so that programs that were exchanged are not kept for ever.
_MOST = 50
_HEARD: dict[tuple[str, str], Any] = {}


def said_before(folder: str, question: str, *programs: str) -> Any:
    """The answer that was kept, where none of the programs' files was exchanged since; else None.

    What lies in `folder` is ours, but may be cut short or of another version: look at it before using it.
    """
    if (state := _state(programs)) is None:
        return None
    if (question, state) in _HEARD:
        return _HEARD[question, state]
    kept = _kept(folder).get(question)
    return kept.get("said") if isinstance(kept, dict) and kept.get("files") == state else None


def keep_said(folder: str, question: str, said: Any, *programs: str) -> None:
    """Keep an answer, as JSON takes it; without a `folder` for this process alone."""
    if (state := _state(programs)) is None:
        return
    _HEARD[question, state] = said
    if not folder:
        return
    kept = {name: of for name, of in _kept(folder).items() if name != question}
    newest = dict([*kept.items()][1 - _MOST :]) | {question: {"files": state, "said": said}}
    half = Path(folder) / f"{_FILE}.{os.getpid()}"
    with suppress(OSError):
        half.parent.mkdir(parents=True, exist_ok=True)
        half.write_text(json.dumps(newest))
        half.replace(half.with_name(_FILE))


def _kept(folder: str) -> dict[str, Any]:
    if not folder:
        return {}
    try:
        with (Path(folder) / _FILE).open() as file:
            found = json.loads(file.read(_LARGEST))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _state(programs: Sequence[str]) -> str | None:
    """What tells that no file was exchanged; None where one cannot be looked at, or starts others."""
    states = []
    for program in programs:
        try:
            with Path(program).open("rb") as file:
                if file.read(len(_MACHINE_CODE)) != _MACHINE_CODE:
                    return None
                found = os.fstat(file.fileno())
        except OSError:
            return None
        states.append(f"{program} {found.st_dev} {found.st_ino} {found.st_size} {found.st_mtime_ns}")
    return "\n".join(states)
