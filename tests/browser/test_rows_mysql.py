"""As the last story of tests/browser/test_portal.py, on MySQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser.accidents import play_accident
from tests.browser.conftest import Person, Site, _worker, opened
from tests.servers import DatabaseServer

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.soak]


@pytest.fixture(scope="module")
def site(
    mysql_server: DatabaseServer, restic_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A portal whose database is on MySQL."""
    with opened(mysql_server, restic_path, tmp_path_factory) as site, _worker(site.portal):
        yield site


def test_what_was_deleted_changed_and_replaced_comes_back_on_mysql_too(
    site: Site, sign_in: Callable[..., Person]
) -> None:
    # MySQL 9.7.4 itself leaves rows of the fourth table without a parent where one has two of the third.
    play_accident(site, sign_in, each=1)
