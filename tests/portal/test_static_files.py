"""Pages ask for their styles below the path at which a proxy serves the portal."""

from __future__ import annotations

from io import BytesIO

from django.core.handlers.wsgi import WSGIHandler
from django.test import RequestFactory


def test_static_files_follow_the_path_of_each_request(db: None) -> None:
    handler = WSGIHandler()

    def page(under: str) -> str:
        # The handler itself, because the test client does not take the path from SCRIPT_NAME.
        environ = RequestFactory().get("/admin/login/").environ | {"SCRIPT_NAME": under}
        return b"".join(handler(environ, lambda *_: BytesIO().write)).decode()

    assert 'href="/static/unfold/' in page("")
    assert 'href="/vedetta/static/unfold/' in page("/vedetta")
    assert '"/static/' not in page("/vedetta")
    assert 'href="/static/unfold/' in page("")
