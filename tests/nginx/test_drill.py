"""The drill through nginx: it finds each surrounding as its file says, the open ones above all."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from backups.gate import asking, drill
from backups.gate.nginx_lines import suspects, ways_round
from backups.verdict import GateFacts
from tests.nginx.conftest import SURROUNDINGS, World
from tests.nginx.surrounding import Surrounding, read
from tools.ports import HOST

ALL = [read(path) for path in SURROUNDINGS]
WORD = "0123456789abcdef" * 2
FRESH = GateFacts()


@pytest.fixture
def named_world(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The names of the surroundings lead to the nginx, and its certificate is trusted."""
    look_up = socket.getaddrinfo

    def here(host: str, *arguments: Any, **more: Any) -> object:
        return look_up(HOST if host.endswith(".test") else host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", here)
    monkeypatch.setenv("SSL_CERT_FILE", str(world.folder / "certificate.pem"))
    monkeypatch.setattr(world.gate, "drill", WORD)
    return world


def held(world: World, surrounding: Surrounding, gate: GateFacts = FRESH) -> drill.Drilled:
    """As `drill.hold`, with the word that this gate knows; `gate` is what its files say."""
    scheme, port = ("http", world.http) if surrounding.over == "http" else ("https", world.https)
    url = f"{scheme}://{surrounding.name}.test:{port}{surrounding.asks[0].split()[1]}"
    asking.ask(url)
    return drill.judge(url, asking.ask(url), [asking.ask(url, WORD)], asking.ask(url), gate)


def test_the_drill_finds_each_surrounding_as_its_file_says(named_world: World) -> None:
    named_world.gate_becomes("open")
    # Not more at once than a gate takes drills.
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda one: held(named_world, one), ALL))
    wrong = [
        f"{surrounding.name}: {surrounding.drill} expected, {drilled.detail}"
        for surrounding, drilled in zip(ALL, found, strict=True)
        if drilled.found != surrounding.drill
    ]
    assert not wrong, "\n".join(wrong)
    opens = [one for one in ALL if one.expected["closed"] == one.expected["open"]]
    assert len(opens) >= 5
    assert all(one.drill not in drill.GOOD for one in opens)


def test_while_the_gate_is_closed_the_drill_says_so(named_world: World) -> None:
    plain = ALL[[one.name for one in ALL].index("plain")]
    stale = GateFacts(is_open=False, word="stale")
    for state in ("closed", "dead"):
        named_world.gate_becomes(state)
        assert held(named_world, plain, stale).found == "closed already"


def test_while_a_dead_gate_keeps_visitors_out_the_drill_says_so(named_world: World) -> None:
    plain = ALL[[one.name for one in ALL].index("plain")]
    named_world.gate_becomes("dead")
    found = held(named_world, plain)
    assert (found.found, found.ok) == ("closed though open", False)


@pytest.mark.parametrize("surrounding", [one for one in ALL if one.line], ids=lambda one: one.name)
def test_the_line_that_opens_it_is_named(surrounding: Surrounding) -> None:
    path = next(path for path in SURROUNDINGS if path.stem == surrounding.name)
    address = surrounding.asks[0].split()[1]
    lines = suspects(f"# configuration file {path}:\n{path.read_text()}", f"http://shop.test{address}")
    assert surrounding.line in [line.text for line in lines]
    for line in lines:
        assert line.file == str(path)
        assert line.text.rstrip(";").split()[0] in path.read_text().splitlines()[line.number - 1]


def test_each_surrounding_that_does_not_close_names_its_line() -> None:
    unnamed = [one.name for one in ALL if one.drill in {"open", "redirect", "another page"} and not one.line]
    assert unnamed == ["portal"], "which is not the server's own line but ours"


def test_a_line_in_a_file_that_is_included_is_named_where_it_stands() -> None:
    text = """# configuration file /etc/nginx/nginx.conf:
http {
    include /etc/nginx/vedetta-http.conf;
    include /etc/nginx/conf.d/*.conf;
}
# configuration file /etc/nginx/conf.d/shop.conf:

server {
    server_name shop.test;
    include /etc/nginx/vedetta-gate.conf;
    location /orders {  # { return 204; }
        include snippets/who.conf;
    }
    location /other { auth_request off; }
}
server { server_name other.test; return 204; }

# configuration file /etc/nginx/snippets/who.conf:
# as for oauth2-proxy
auth_request
    /who;
"""
    (line,) = suspects(text, "https://shop.test/orders/1")
    assert str(line) == "`auth_request /who;` (/etc/nginx/snippets/who.conf, line 2)"
    (other,) = suspects(text, "https://other.test/")
    assert str(other).endswith(
        "without the include of vedetta-gate.conf` (/etc/nginx/conf.d/shop.conf, line 10)"
    )


def test_lines_that_let_in_others_than_the_drill_are_named_and_no_more() -> None:
    closing = {one.name: one.warning for one in ALL if one.drill == "closes"}
    for path in SURROUNDINGS:
        if path.stem in closing:
            address = f"http://shop.test{read(path).asks[0].split()[1]}"
            named = [line.text for line in ways_round(f"http {{ {path.read_text()} }}", address)]
            assert named == [closing[path.stem]] * bool(closing[path.stem]), path.stem
    assert sum(map(bool, closing.values())) >= 3


def test_ways_round_are_of_the_server_and_location_that_are_asked() -> None:
    text = """http {
    satisfy any;
    server {
        server_name shop.test;
        include /etc/nginx/vedetta-gate.conf;
        if ($http_user_agent ~ Monitor) { return 200 "up"; }
        if ($maintenance) { return 503; }
        location / { auth_request off; }
        location /orders {
            if ($cookie_staff) { rewrite ^ /staff last; }
            auth_request /who;
            proxy_cache behind_the_gate;
        }
        location ~ [.]pdf$ { satisfy any; }
        location @fallback { auth_request off; }
    }
    server {
        server_name shop.test;
        proxy_cache before_the_gate;
        location /orders { proxy_pass http://127.0.0.1:8081; }
        location /live { proxy_cache off; }
    }
    server { server_name other.test; satisfy any; }
}
"""
    assert [line.text for line in ways_round(text, "http://shop.test/orders/1")] == [
        "satisfy any;", 'return 200 "up";', "rewrite ^ /staff last;", "auth_request /who;",
        "auth_request off;", "proxy_cache before_the_gate;",
    ]  # fmt: skip


def test_lines_of_surroundings_that_close_are_not_named() -> None:
    named = {}
    for path in SURROUNDINGS:
        one = read(path)
        if one.drill == "closes":
            address = one.asks[0].split()[1]
            named[one.name] = [line.text for line in suspects(path.read_text(), f"http://shop.test{address}")]
    # Pages that nginx begins again for, and which the gate then takes: they may be looked at in vain.
    assert {name for name, lines in named.items() if lines} <= {
        "behind_a_front", "default_conf", "errors_recursive", "location_error_page_500", "maintenance_before",
        "maintenance_switch", "sub_filter_and_error_page", "satisfy_any_of_others", "answered_by_browser",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "",
        "}",
        "}}}",
        "server {",
        'server { include "',
        "server { location ~ ( { return 1; } }",
        "{" * 9,
        "\0",
    ],
)
def test_what_is_no_configuration_breaks_nothing(text: str) -> None:
    assert all(line.text for line in suspects(text, "http://shop.test/"))
