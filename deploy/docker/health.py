"""Health checks of the containers: `health.py portal|sentinel|worker`; exit status 0 is healthy."""

import os
import sys
import urllib.request
from datetime import timedelta


def portal() -> None:
    """The portal answers, and its database does."""
    host = os.environ.get("ALLOWED_HOSTS", "").replace(",", " ").split() or ["localhost"]
    _ask(8000, "/healthz", "localhost" if host[0] == "*" else host[0].lstrip("."))


def sentinel() -> None:
    """The gate answers; open or closed is another question."""
    _ask(8001, "/sentinel/status", "localhost")


def worker() -> None:
    """Both clusters were heard of lately; they say so once a minute, and while they work."""
    sys.path.insert(0, "/app")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    import django

    from portal import starting

    starting.begin("status")  # it needs no more, and is asked often
    django.setup()
    from django.utils import timezone

    from backups.models import WorkerPulse

    seen = WorkerPulse.objects.filter(seen_at__gte=timezone.now() - timedelta(minutes=4))
    if seen.count() < 2:
        sys.exit("A cluster of the queue was not heard of for four minutes.")


def _ask(port: int, path: str, host: str) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Host": host})
    urllib.request.urlopen(request, timeout=5).close()  # noqa: S310  our own server


if __name__ == "__main__":
    {"portal": portal, "sentinel": sentinel, "worker": worker}[sys.argv[1]]()
