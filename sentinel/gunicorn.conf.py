# ruff: noqa: N999
"""gunicorn for the gate: `gunicorn -c sentinel/gunicorn.conf.py sentinel.wsgi`.

SENTINEL_BIND says where it listens: an address and port, or unix:/path; or several, with commas.
"""

import os
from pathlib import Path

bind = [place.strip() for place in (os.environ.get("SENTINEL_BIND") or "127.0.0.1:8001").split(",")]

# A wrong environment then stops the master with its one sentence.
preload_app = True

# One small process; threads are made when they are needed, and slow clients cost one each.
workers = 1
worker_class = "sentinel.worker.PatientWorker"
threads = 500
worker_connections = 4000
timeout = 30
graceful_timeout = 5
keepalive = 5

# gunicorn's own liveness file, in memory where possible: a full disk must not kill the gate.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108

control_socket_disable = True
