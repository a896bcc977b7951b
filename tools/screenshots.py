"""Pictures of the portal for the README: `make screenshots`.

Makes a portal with a made-up history in a temporary folder, serves it on loopback, and lets a
headless Chromium look at it. Stored as WebP, which Chromium itself encodes.
"""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from portal import servers_secrets
from portal.env import env_file
from tools.shell import ROOT
from tools.system import find_browser

FOLDER = ROOT / "docs" / "screenshots"
PORT = 8790
QUALITY = 0.82
PASSWORD = secrets.token_urlsafe()
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage")
DESKTOP, PHONE = {"width": 1440, "height": 1000}, {"width": 390, "height": 844}
LOOKS = (("", DESKTOP, False), ("-dark", DESKTOP, True), ("-phone", PHONE, False))

# Name, address, whole page or only what fits.
PAGES: tuple[tuple[str, str, bool], ...] = (
    ("dashboard", "/admin/", True),
    ("run", "/admin/backups/run/{running}/change/", False),
    ("snapshots", "/admin/backups/snapshot/", False),
    ("snapshot", "/admin/backups/snapshot/{snapshot}/change/", False),
    ("restore", "/admin/backups/snapshot/{snapshot}/restore/", True),
    ("database", "/admin/backups/database/{database}/change/", True),
    ("gate", "/admin/gate/", False),
)
# What a page looks like at night and on a phone is shown of these.
ALSO_OTHERWISE = ("dashboard", "run")
PREPARE = """
from datetime import timedelta
from django.utils import timezone
from backups.configuration import bootstrap, roles
from backups.gate import heartbeat_files
from tools import history
roles.make()
bootstrap.admin_user(print)
made = history.make()
bootstrap.apply()
for database in made.databases:
    newest = database.snapshots.first()
    heartbeat_files.write_last_ok(database, newest.time)
    heartbeat_files.write_last_verified(database, newest.time)
first = made.databases[0]
print(made.running.pk, first.snapshots.first().pk, first.pk)
"""
# The worker that the history speaks of is not there: keep its run and its pulse fresh.
KEEP_ALIVE = """
from datetime import timedelta
from django.utils import timezone
from backups.models import Run, WorkerPulse
now = timezone.now()
began = now - timedelta(seconds=19)
phases = [{"name": "preflight", "at": began.isoformat()},
          {"name": "dump", "at": (began + timedelta(seconds=2)).isoformat()}]
Run.objects.filter(status="running").update(started_at=began, queued_at=began, beat_at=now, phases=phases)
WorkerPulse.objects.update(seen_at=now)
"""
# https://developer.mozilla.org/docs/Web/API/HTMLCanvasElement/toDataURL
TO_WEBP = """async ([png, quality]) => {
    const image = new Image();
    image.src = `data:image/png;base64,${png}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = image.width;
    canvas.height = image.height;
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas.toDataURL("image/webp", quality).split(",")[1];
}"""


def main(argv: Sequence[str]) -> None:
    """Take all pictures, into the folder named or docs/screenshots."""
    to = Path(argv[0]).resolve() if argv else FOLDER
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="vedetta-screenshots-") as place:
        environment = _environment(Path(place))
        _manage(environment, "migrate", "-v0")
        running, snapshot, database = _shell(environment, PREPARE).split()[-3:]
        names = {"running": running, "snapshot": snapshot, "database": database}
        with _served(environment) as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=find_browser(), args=list(FLAGS))
            for look, size, dark in LOOKS:
                page = _signed_in(browser, url, size, dark)
                for name, path, whole in PAGES:
                    if look and name not in ALSO_OTHERWISE:
                        continue
                    _shell(environment, KEEP_ALIVE)
                    page.goto(url + path.format(**names))
                    page.wait_for_timeout(700)  # charts are drawn, hints are there
                    _save(page, to / f"{name}{look}.webp", whole=whole and size is DESKTOP)
            browser.close()


def _environment(place: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(place),
        "SECRET_KEY": secrets.token_urlsafe(48),
        "PORTAL_ADMIN_USER": "anna",
        "PORTAL_ADMIN_PASSWORD": PASSWORD,
        "DATABASE_URL": f"sqlite:///{place / 'portal.sqlite3'}",
        "SENTINEL_HEARTBEAT_PATH": str(place / "status" / "last_ok"),
        "RESTIC_REPOSITORY": "s3:https://s3.eu-central-1.example.com/shop-backups",
        "RESTIC_PASSWORD": secrets.token_urlsafe(),
        "MYSQL_PASSWORD": secrets.token_urlsafe(),
        "MYSQL_HOST": "db",
        "MYSQL_DATABASE": "orders_tracker",
        "MYSQL_USER": "backup",
    }


def _manage(environment: dict[str, str], *args: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *args], cwd=ROOT, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout


def _shell(environment: dict[str, str], code: str) -> str:
    return _manage(environment, "shell", "--no-imports", "-c", code)


@contextmanager
def _served(environment: dict[str, str]) -> Iterator[str]:
    url = f"http://127.0.0.1:{PORT}"
    argv = [sys.executable, "-m", "gunicorn", "--bind", url.removeprefix("http://"), "portal.wsgi"]
    portal = subprocess.Popen(
        argv,
        cwd=ROOT,
        env=servers_secrets.without(environment, env_file(ROOT / ".env").values),
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(f"{url}/sentinel/ok")
        yield url
    finally:
        portal.terminate()
        portal.wait()


def _wait_for(url: str) -> None:
    for _ in range(200):
        try:
            urllib.request.urlopen(url, timeout=1).close()  # noqa: S310  our own address
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    sys.exit(f"The portal does not answer at {url}.")


def _signed_in(browser: Browser, url: str, size: dict[str, int], dark: bool) -> Page:
    context = browser.new_context(
        viewport={"width": size["width"], "height": size["height"]},
        color_scheme="dark" if dark else "light",
    )
    page = context.new_page()
    page.goto(f"{url}/admin/")
    page.get_by_label("Username").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{url}/admin/")
    return page


def _save(page: Page, file: Path, *, whole: bool) -> None:
    """A picture of all of a page is taken in a window as high as the page: what sticks to its foot
    would otherwise lie in the middle.
    """
    size = page.viewport_size
    if whole and size:
        height = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({"width": size["width"], "height": height})
        page.wait_for_timeout(300)
    png = base64.b64encode(page.screenshot()).decode()
    if whole and size:
        page.set_viewport_size(size)
    file.write_bytes(base64.b64decode(page.evaluate(TO_WEBP, [png, QUALITY])))
    print(
        f"{file.relative_to(ROOT) if file.is_relative_to(ROOT) else file}: {file.stat().st_size // 1000} kB"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
