"""`python -m tools.error_codes`: docs/error-codes.md anew, from what the code raises.

The table keeps the sentences in one place: a change of words or of a code is seen there, and a test fails
where the page says something else than the code.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "error-codes.md"
_PACKAGES = ("backups", "portal", "sentinel")
_HEAD = """# Error codes

Each failure has a sentence and a code. The code is in `error_code` of each command's JSON, and on the row of
a run. The sentence may change, or be in another language. The code keeps its meaning. If a code is not
listed, for example after an upgrade, use `status` and the exit status.

`{…}` stands for a name in the sentence. After the sentence, the message says what is safe and what to do.
`python -m tools.error_codes` writes this page.

| `error_code` | what failed |
|---|---|
"""
# Whose sentence is made of others, or given by the runner and by commands rather than raised.
_MADE_OF_OTHERS = {
    "rows.undo_not_proved": "On the copy, {n} rows of {tables} are otherwise after it than before.",
    "cancelled": "Somebody stopped it.",
    "unexpected": "Something unexpected happened. The run's log has a traceback.",
    "log.another": "A file of the server's binary log is not the one that was read before.",
    "log.file": "Files of the server's binary log are missing.",
    "log.gtids": "A file of the binary log says that other transactions were logged before it.",
    "log.head": "A file of the binary log does not tell what was logged before it.",
    "log.kept_too_short": "The server keeps its binary log for less than a day.",
    "log.piece_gone": "The piece of the log is not in the repository any more.",
    "log.piece_missing": "A piece of a stored binary log is missing.",
    "log.position": "A file of the binary log goes on elsewhere than where it was read to.",
    "log.purged": "The server purged its binary log, or began it anew, before all of it was stored.",
    "log.remade": "A file of the binary log is another one than that of its name before.",
    "log.server": "The binary log was written by another server.",
    "log.shorter": "A file of the server's binary log is shorter than it was.",
    "log.switched_off": "Somebody had switched off that the binary log of a database is stored.",
    "definition.not_made": "The server does not take a view, trigger, routine or event.",
    "env.doubt": "A line of `.env` means one thing to Vedetta and another to Docker Compose or systemd.",
    "forget.not_planned": "For a database nobody could say what is to be forgotten. All others were done.",
    "gate.drill_failed": "A drill found that the application behind nginx did not close, or did not reopen.",
    "mysql.no_client": "No dump and load programs were found that fit the database server.",
    "preflight.rights_not_read": "The rights of the database's users could not be read.",
    "notify.not_delivered": "A test message did not reach an address of NOTIFY_URLS.",
    "portal.database": "The portal's own database cannot be used.",
    "portal.database_charset": "The portal's own database cannot hold all characters.",
    "stand_down.not_standing": "A command would end a pause, a mute or a retirement that there is not.",
    "people.bad_name": "The name of an account has characters that names may not have, or is too long.",
    "report.no_answer": "The worker did not sign a report, as the sentence says why.",
    "restore.broken_off": "A restore in place was broken off before it changed anything.",
    "restore.partly_overwritten": "A restore in place was broken off in the middle.",
    "rows.does_not_run": "A script that gives rows back does not run on a copy of the tables.",
    "rows.triggers": "What triggers or unseen keys do beside a script is not proved, and nobody said yes.",
    "rows_back.no_script": "No script can give rows of a table back, as the sentence says why.",
    "rows_back.other_columns": "Rows cannot be given back as they were: the table has other columns now.",
    "run.asker_may_not": "The person who asked for it may not start such a run any more, or is gone.",
    "run.never_begun": "The process of the run ended before the run began.",
    "run.portal_came_back": "The portal came back from a copy in which this run was not over.",
    "run.worker_died": "The worker died in the middle.",
    "snapshot.known_bad": "The newest verification of the snapshot found it bad.",
    "status.not_well": "`manage.py status` found something bad. `reason` says what.",
    "swap.not_whole": "The tables are swapped in, but something else could not be made.",
    "verify.different": "The snapshot restores, but not to what was backed up.",
    "verify.differs_by_server": "The snapshot restores differently because this server is another one.",
}

# A sentence that does not stand where it is raised.
_NAMED_ELSEWHERE = "{…}"


def page() -> str:
    """The whole page."""
    sentences: dict[str, list[str]] = defaultdict(list)
    for code, sentence in [*_found(), *_MADE_OF_OTHERS.items()]:
        if sentence not in sentences[code] and sentence != _NAMED_ELSEWHERE:
            sentences[code].append(sentence)
    rows = [f"| `{code}` | {'<br>'.join(sorted(told))} |" for code, told in sorted(sentences.items())]
    return _HEAD + "\n".join(rows) + "\n"


def _found() -> Iterator[tuple[str, str]]:
    for package in _PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    yield from _of_class(node)
                elif isinstance(node, ast.Call):
                    yield from _of_call(node)


def _of_class(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """A kind of failure: what its docstring says."""
    for line in node.body:
        # A row's field may be called so too.
        if not isinstance(line, ast.Assign) or not isinstance(line.value, ast.Constant):
            continue
        if ast.unparse(line.targets[0]) == "code":
            yield str(line.value.value), _one_line((ast.get_docstring(node) or "").split("\n\n")[0])


def _of_call(node: ast.Call) -> Iterator[tuple[str, str]]:
    """One that is raised: its sentence, as far as it stands there."""
    code = next((each.value for each in node.keywords if each.arg == "code"), None)
    if isinstance(code, ast.Constant) and node.args:
        yield str(code.value), _one_line(_template(node.args[0]))


def _template(node: ast.expr) -> str:
    """The text of a `phrase`, as it is written there."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "phrase" and node.args:
        node = node.args[0]
    return str(node.value) if isinstance(node, ast.Constant) else _NAMED_ELSEWHERE


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
