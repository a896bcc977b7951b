"""A person's hands: they press and type into what is in sight, and count what it takes.

They know no addresses. So who has them begins at the first page, and comes on by what pages show.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, Page, expect

# What looks as if it could be pressed. Anything else is no way that a stranger would find.
PRESSED = (
    "a[href], button, summary, [role=button], label:has(> input), input:is([type=radio], [type=checkbox])"
)
# No page asks for more, or its next step is as good as out of reach.
MOST_TABS = 60
SKIPS_TO = "#main-content"

IN_SIGHT = """(it) => {
  const box = it.getBoundingClientRect();
  const over = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  const within = box.top >= 0 && box.bottom <= innerHeight && box.left >= 0 && box.right <= innerWidth;
  return within && box.height > 0 && (it.contains(over) || over?.contains(it) === true);
}"""
HAS_FOCUS = "(it) => it === document.activeElement"
# Where the focus cannot be seen, nobody knows what Enter would press.
SHOWS_FOCUS = """(it) => {
  const box = it.getBoundingClientRect();
  return it.matches(":focus-visible") && box.bottom > 0 && box.top < innerHeight;
}"""
COMES_BEFORE_FOCUS = """(it) => {
  const here = document.activeElement;
  return here !== document.body
    && Boolean(here.compareDocumentPosition(it) & Node.DOCUMENT_POSITION_PRECEDING)
    && !it.contains(here);
}"""
OF_THE_GROUP = "(it) => document.activeElement.type === 'radio' && document.activeElement.name === it.name"
IS_CHECKED_LATER = """(it) => {
  const group = [...document.querySelectorAll(`input[type=radio][name="${it.name}"]`)];
  return group.indexOf(document.activeElement) < group.indexOf(it);
}"""
# What Enter in a field presses is the form's first button that sends it.
SENT_BY_ENTER = """(it) => {
  const field = document.activeElement;
  const sends = field.form?.querySelector("button:not([type=button]), input[type=submit]");
  return field.matches("input:not([type=radio], [type=checkbox])") && sends === it;
}"""


def is_in_sight(what: Locator) -> bool:
    """Whether all of it is in the window, as far as that is scrolled, and nothing lies over it."""
    return bool(what.evaluate(IN_SIGHT))


@dataclass
class Hands:
    """What both kinds of hands count; typed characters are key presses."""

    page: Page
    clicks: int = 0
    keys: int = 0

    def __str__(self) -> str:
        return f"{self.keys} key presses" if self.keys else f"{self.clicks} clicks"

    def press(self, what: Locator) -> None:
        """A link, a button, or what opens and closes."""
        raise NotImplementedError

    def choose(self, what: Locator) -> None:
        """One of several, or one more."""
        raise NotImplementedError

    def select(self, field: Locator, words: str) -> None:
        """One out of a list that opens."""
        raise NotImplementedError

    def write(self, field: Locator, words: str) -> None:
        """Into a field, in the place of what it holds."""
        raise NotImplementedError

    def send(self, button: Locator) -> None:
        """Press the button of the form that was just written into."""
        self.press(button)


def pressable(what: Locator) -> Locator:
    """What is in the page to be pressed; a test that presses anything else is no person."""
    expect(what).to_be_visible()
    assert what.evaluate("(it, wanted) => it.matches(wanted)", PRESSED), f"{what} is nothing to press"
    return what


class Mouse(Hands):
    """One click each; where the pointer is put to type is no click."""

    def press(self, what: Locator) -> None:
        pressable(what).click()
        self.clicks += 1

    choose = press

    def select(self, field: Locator, words: str) -> None:
        field.select_option(words)
        self.clicks += 2  # it opens, and closes over what was chosen

    def write(self, field: Locator, words: str) -> None:
        field.fill(words)


class Keys(Hands):
    """The keyboard alone."""

    def press(self, what: Locator) -> None:
        self._reach(pressable(what))
        self._key("Enter")

    def choose(self, what: Locator) -> None:
        pressable(what)
        if what.get_attribute("type") != "radio":
            self._reach(what)
            self._key("Space")
            return
        self._reach(what, enough=OF_THE_GROUP)
        while not what.is_checked():
            self._key("ArrowDown" if what.evaluate(IS_CHECKED_LATER) else "ArrowUp")

    def select(self, field: Locator, words: str) -> None:
        self._reach(field)
        self._type(words)

    def write(self, field: Locator, words: str) -> None:
        self._reach(field)
        if field.input_value() and not field.evaluate("(it) => it.selectionEnd - it.selectionStart"):
            self._key("Control+a")
        self._type(words)

    def send(self, button: Locator) -> None:
        if pressable(button).evaluate(SENT_BY_ENTER):
            self._key("Enter")
        else:
            self.press(button)

    def _reach(self, what: Locator, enough: str = HAS_FOCUS) -> None:
        """Tab to it, over the menu by the link that is there for that, backwards where it lies behind."""
        expect(what).to_be_visible()
        for _ in range(MOST_TABS):
            if what.evaluate(enough):
                break
            self._key("Shift+Tab" if what.evaluate(COMES_BEFORE_FOCUS) else "Tab")
            if self.page.evaluate("document.activeElement.matches('.v-skip')") and what.evaluate(
                f"(it) => it.closest('{SKIPS_TO}') !== null"
            ):
                self._key("Enter")
        else:
            pytest.fail(f"{what} is not reached by Tab on {self.page.url}")
        if enough == HAS_FOCUS:
            assert what.evaluate(SHOWS_FOCUS), f"{what} has the focus, and nobody sees it"

    def _key(self, key: str) -> None:
        self.page.keyboard.press(key)
        self.keys += 1

    def _type(self, words: str) -> None:
        self.page.keyboard.type(words)
        self.keys += len(words)
