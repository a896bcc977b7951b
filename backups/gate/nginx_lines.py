"""Which lines of an nginx configuration pass the gate by, or take the place of its page. Pure.

For who has found with a drill that an address stays open, or that it closes for whom the drill asked as,
and wants to know of others: the text is that of `nginx -T`, which has
each file after the other, and lines are told by their file and number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from urllib.parse import unquote, urlsplit

from backups.text.sentences import phrase

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
        return phrase("`{text}` ({file}, line {number})", text=self.text, file=self.file, number=self.number)


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
    statements = _parsed(text[:MOST_CHARACTERS])
    return [line for server in _servers_of(statements, url) for line in _of_server(server, _path(url))]


def ways_round(text: str, url: str) -> list[Line]:
    """The lines that may let others in than whom a drill of `url` asked as, where it found that it closes.

    By their address, cookie or browser, or out of a cache before the gate.
    """
    statements = _parsed(text[:MOST_CHARACTERS])
    of_all = [
        one for http in statements if http.name == "http" for one in http.body or [] if _is_satisfied(one)
    ]
    found = [
        each
        for server in _servers_of(statements, url)
        for each in (_past_the_gate(server, _path(url)) if _has_gate(server) else _kept(server, _path(url)))
    ]
    return [each.line() for each in (*of_all, *found)]


def _path(url: str) -> str:
    return unquote(urlsplit(url).path) or "/"


def _servers_of(statements: Sequence[_Statement], url: str) -> list[_Statement]:
    """Those that have the address's name, or all where none has it."""
    found = [_with_includes(server, statements) for server in _servers(statements)]
    return [server for server in found if _is_named(server, urlsplit(url).hostname or "")] or found


def _past_the_gate(block: _Statement, path: str, *, is_condition: bool = False) -> Iterator[_Statement]:
    for statement in _in_force(block, path):
        if statement.body is not None:
            yield from _past_the_gate(statement, path, is_condition=statement.name == "if")
        elif _is_another_question(statement) or (is_condition and _answers_or_leads_on(statement)):
            yield statement


def _kept(block: _Statement, path: str) -> Iterator[_Statement]:
    """Caches of a server that leads on to one with the gate."""
    for statement in _in_force(block, path):
        if statement.body is not None:
            yield from _kept(statement, path)
        elif statement.name in _CACHES and statement.words[1:] != ["off"]:
            yield statement


_CACHES = frozenset({"proxy_cache", "fastcgi_cache", "uwsgi_cache", "scgi_cache"})


def _in_force(block: _Statement, path: str) -> Iterator[_Statement]:
    """All of a block but for locations of other addresses; of plain ones nginx takes the longest."""
    body = block.body or []
    prefixes = [one.words[1] for one in body if _is_plain(one) and _may_match(one.words[1:], path)]
    longest = max(prefixes, key=len, default="")
    for statement in body:
        if _is_plain(statement):
            concerns = statement.words[1] == longest
        else:
            concerns = statement.name != "location" or _may_match(statement.words[1:], path)
        if concerns or _is_named_location(statement):
            yield statement


def _is_plain(statement: _Statement) -> bool:
    """Whether it is a location by the beginning of its addresses."""
    is_location = statement.name == "location" and len(statement.words) == 2
    return is_location and not _is_named_location(statement)


def _is_named_location(statement: _Statement) -> bool:
    """Others lead to it, whatever the address."""
    return statement.name == "location" and statement.words[-1].startswith("@")


def _is_satisfied(statement: _Statement) -> bool:
    return statement.words == ["satisfy", "any"]


def _is_another_question(statement: _Statement) -> bool:
    other = statement.name == "auth_request" and statement.words[1:] != ["/_vedetta_gate"]
    return other or _is_satisfied(statement)


def _answers_or_leads_on(statement: _Statement) -> bool:
    """Whether it is a `rewrite`, or a `return` that does not turn visitors away."""
    turns_away = re.fullmatch("[45][0-9]{2}", "".join(statement.words[1:2]))
    return statement.name == "rewrite" or (statement.name == "return" and not turns_away)


def _has_gate(server: _Statement) -> bool:
    return any(_is_gate(one) for one in server.body or [])


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
