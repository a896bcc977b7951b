"""nginx with the fragments of the version before goes on closing, and a drill says that they are older."""

from __future__ import annotations

from pathlib import Path

from backups.gate import asking, drill
from backups.verdict import GateFacts
from tests.nginx.conftest import CONFIGURATION, nginx
from tests.nginx.surrounding import read, visit
from tools.ports import HOST

BEFORE = Path(__file__).with_name("before") / "nginx"
PLAIN = read(Path(__file__).parents[1] / "nginx" / "surroundings" / "plain.conf")


def test_the_gate_goes_on_and_the_drill_tells_that_the_fragments_are_older(tmp_path: Path) -> None:
    with nginx(tmp_path / "nginx", _one(CONFIGURATION), fragments=BEFORE) as world:
        for state, expected in (
            ("closed", "503 closed"),
            ("dead", "503 closed"),
            ("open", "200 application"),
        ):
            world.gate_becomes(state)
            assert visit(world.http, PLAIN, "GET /").words() == expected

        world.gate.drill = word = "0123456789abcdef" * 2
        url = f"http://{HOST}:{world.http}/"
        found = drill.judge(url, asking.ask(url), [asking.ask(url, word)], asking.ask(url), GateFacts())
    assert found.found == "open"
    assert "or that of an older Vedetta" in found.detail


def _one(configuration: str) -> str:
    """One surrounding alone: the others ask for more than that version held against."""
    return configuration.replace("surroundings/*.conf", "surroundings/plain.conf")
