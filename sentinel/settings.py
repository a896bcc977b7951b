"""Settings of the gate as a process of its own: no database, no apps, no middleware, no secret."""

import sys

from sentinel.environment import env_with_files, gate_settings

SENTINEL = gate_settings(env_with_files(tell=lambda sentence: print(sentence, file=sys.stderr)))

DEBUG = False
ALLOWED_HOSTS = ["*"]  # it answers everybody the same word and builds no links
ROOT_URLCONF = "sentinel.urls"
MIDDLEWARE: list[str] = []
INSTALLED_APPS: list[str] = []
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"  # of its log; Django would take Chicago's
