# ruff: noqa: N999
"""gunicorn for the portal: `gunicorn -c portal/gunicorn.conf.py portal.wsgi`.

PORTAL_BIND says where it listens: an address and port, or unix:/path; or several, with commas.
WEB_CONCURRENCY is the number of processes.
"""

import os
from pathlib import Path
from typing import Any

bind = [place.strip() for place in (os.environ.get("PORTAL_BIND") or "127.0.0.1:8000").split(",")]

# A wrong environment then stops the master with its one sentence, and the processes share memory.
preload_app = True

# Threads, because a page that follows a run and a download stay open for long. They are made when they
# are needed, slow clients cost one each, and a few work at the same time (sentinel/worker.py).
workers = int(os.environ.get("WEB_CONCURRENCY") or 2)
worker_class = "sentinel.worker.PatientWorker"
threads = 300
worker_connections = 4000
timeout = 60
graceful_timeout = 5
keepalive = 5

# gunicorn's own liveness file, in memory where possible: a full disk must not kill the portal.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108

control_socket_disable = True

# Who may say below which path the portal is served, TRUSTED_PROXIES tells: see pre_request.
forwarded_allow_ips = "*"
forwarder_headers = "SCRIPT_NAME"


def post_worker_init(_worker: object) -> None:
    """Watch the queue's worker, which cannot tell itself that it is dead: in each process, after its fork."""
    from backups.alerting import watching

    watching.start()


def pre_request(_worker: object, request: Any) -> None:
    """Take the path below which the portal is served from a proxy of ours alone, before it is made use of."""
    from portal import proxies

    request.headers = proxies.paths_kept(request.headers, request.peer_addr, request.path)
