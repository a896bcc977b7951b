"""Which lines of an nginx configuration pass the gate by, or take the place of its page. Pure.

For who has found with a drill that an address stays open: the text is that of `nginx -T`, which has
each file after the other, and lines are told by their file and number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from urllib.parse import unquote, urlsplit

MOST_CHARACTERS = 8_000_000
_LONGEST_LINE = 120
_DEEPEST = 8
_FILE = re.compile(r"# configuration file (.+):$")
_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*) | (?P<space>\s+) | (?P<mark>[{};])
    | (?P<word>(?:"(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | \$\{[^}]*\} | \\. | [^\s{};"'\\])+)
    | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_GATE = "vedetta-gate.conf"
_OURS = "@vedetta_closed"


@dataclass(frozen=True)
class Line:
    """A line to look at."""

    file: str
    number: int
    text: str

    def __str__(self) -> str:
        return f"`{self.text}` ({self.file}, line {self.number})"


@dataclass
class _Statement:
    """A directive; one with a block has its statements."""

    file: str
    number: int
    words: list[str] = field(default_factory=list)
    body: list[_Statement] | None = None

    @property
    def name(self) -> str:
        return self.words[0] if self.words else ""

    def line(self) -> Line:
        return Line(self.file, self.number, f"{' '.join(self.words)};"[:_LONGEST_LINE])


def suspects(text: str, url: str) -> list[Line]:
    """The lines that may open `url`, or take the place of the gate's page, in the order of the text.

    Of the servers that have the address's name, or of all where none has it.
    """
    parts = urlsplit(url)
    statements = _parsed(text[:MOST_CHARACTERS])
    found = [_with_includes(server, statements) for server in _servers(statements)]
    named = [server for server in found if _is_named(server, parts.hostname or "")]
    path = unquote(parts.path) or "/"
    return [line for server in named or found for line in _of_server(server, path)]


def _of_server(server: _Statement, path: str) -> Iterator[Line]:
    """Its lines; a server without the gate is one itself."""
    body = server.body or []
    place = next((n for n, one in enumerate(body) if _is_gate(one)), None)
    if place is None:
        yield Line(server.file, server.number, "server { without the include of vedetta-gate.conf")
        return
    for number, statement in enumerate(body):
        if statement.name in {"rewrite", "error_page"}:
            before = number < place and (statement.name == "rewrite" or _is_page_for_500(statement))
            if before or _leads_elsewhere(statement):
                yield statement.line()
        elif statement.name == "if":
            yield from (one.line() for one in statement.body or [] if _passes_by(one))
        elif statement.name == "location":
            yield from _of_location(statement, path)
        elif _passes_by(statement):
            yield statement.line()


def _of_location(location: _Statement, path: str) -> Iterator[Line]:
    if not _may_match(location.words[1:], path):
        return
    statements = list(_within(location, path))
    pages = [one for one in statements if one.name == "error_page"]
    for statement in statements:
        if _passes_by(statement) or (statement in pages and not any(_OURS in page.words for page in pages)):
            yield statement.line()


def _within(block: _Statement, path: str) -> Iterator[_Statement]:
    for statement in block.body or []:
        if statement.name == "location" and not _may_match(statement.words[1:], path):
            continue
        yield statement
        yield from _within(statement, path)


def _passes_by(statement: _Statement) -> bool:
    """Whether the gate is not asked, or what it says does not count."""
    match statement.words:
        case ["auth_request", address]:
            return address != "/_vedetta_gate"
        case ["satisfy", "any"] | ["return", *_]:
            return True
    return _leads_elsewhere(statement)


def _leads_elsewhere(statement: _Statement) -> bool:
    return statement.name == "rewrite" and statement.words[-1] in {"redirect", "permanent"}


def _is_page_for_500(statement: _Statement) -> bool:
    return "500" in statement.words and _OURS not in statement.words


def _is_gate(statement: _Statement) -> bool:
    return statement.name == "include" and any(_GATE in word for word in statement.words)


def _may_match(words: Sequence[str], path: str) -> bool:
    """Whether a location may be the one of `path`; a named one is where others lead to."""
    match [word.strip("\"'") for word in words]:
        case ["=", address]:
            return address == path
        case ["~" | "~*" as kind, pattern]:
            try:
                return re.search(pattern, path, re.I if kind == "~*" else 0) is not None
            except re.error:
                return True
        case ["^~", prefix] | [prefix]:
            return path.startswith(prefix)
    return True


def _is_named(server: _Statement, host: str) -> bool:
    names = [word.lower() for one in server.body or [] if one.name == "server_name" for word in one.words[1:]]
    return host.lower() in names or any(
        name.startswith("*.") and host.lower().endswith(name[1:]) for name in names
    )


def _servers(statements: Sequence[_Statement]) -> Iterator[_Statement]:
    """Those that visitors reach; the relay of vedetta-http.conf is none."""
    for statement in statements:
        if statement.name == "server" and statement.body is not None:
            if not statement.file.endswith("vedetta-http.conf"):
                yield statement
        elif statement.name in {"http", ""}:
            yield from _servers(statement.body or [])


def _with_includes(block: _Statement, files: Sequence[_Statement], depth: int = 0) -> _Statement:
    """The block with what stands in the files that it includes; the gate's own stays a line."""
    body = list[_Statement]()
    for statement in block.body or []:
        if statement.name == "include" and not _is_gate(statement) and depth < _DEEPEST:
            pattern = statement.words[-1].strip("\"'")
            there = [one for one in files if fnmatch(one.file, pattern) or fnmatch(one.file, f"*/{pattern}")]
            body += _with_includes(replace(block, body=there), files, depth + 1).body or []
        else:
            body.append(statement if statement.body is None else _with_includes(statement, files, depth))
    return replace(block, body=body)


def _parsed(text: str) -> list[_Statement]:
    """The statements of all files, whatever is left open at the end of one."""
    top: list[_Statement] = []
    stack = [top]
    file, number, words, began = "", 1, list[str](), 1
    for token in _TOKEN.finditer(text):
        said = token[0]
        if token.lastgroup == "comment" and (named := _FILE.match(said)):
            file, number, words, stack = named[1], 0, [], [top]
        elif token.lastgroup == "word":
            began = began if words else number
            words.append(said)
        elif token.lastgroup == "mark":
            if said == "}":
                stack = stack[:-1] if len(stack) > 1 else stack
            elif words or said == "{":
                body: list[_Statement] | None = [] if said == "{" else None
                stack[-1].append(_Statement(file, began, words, body))
                if body is not None:
                    stack = [*stack, body]
            words = []
        number += said.count("\n")
    return top
