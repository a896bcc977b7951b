"""The gate for servers that speak ASGI."""

from __future__ import annotations

from a2wsgi import WSGIMiddleware

from sentinel.wsgi import application as _gate

application = WSGIMiddleware(_gate)
