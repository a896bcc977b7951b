"""What axe-core finds on a page that keeps somebody out.

axe-core (https://github.com/dequelabs/axe-core, MPL-2.0) comes with a package of the tests' tools.
"""

from __future__ import annotations

from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = f"axe.run(document, {{resultTypes: ['violations'], runOnly: {RULES}}})"
GRAVE = {"serious", "critical"}


def graves(page: Page) -> list[str]:
    """What axe calls serious or critical, with where it is.

    In a window as high as the page: else what sticks to its foot hides whatever lies there just now.
    """
    size = page.viewport_size
    assert size is not None
    height = int(page.evaluate("document.documentElement.scrollHeight"))
    page.set_viewport_size({"width": size["width"], "height": max(900, height)})
    page.evaluate(AXE_SCRIPT)
    told: dict[str, Any] = page.evaluate(RUN)
    return [
        f"{each['id']} at {node['target']}: {node['html'][:120]}"
        for each in told["violations"]
        if each["impact"] in GRAVE
        for node in each["nodes"]
    ]
