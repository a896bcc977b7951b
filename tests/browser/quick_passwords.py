"""The portal's settings, but for what a password costs who guesses it: half a second of each sign-in."""

from portal.settings import *  # noqa: F403

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.MD5PasswordHasher",
    # Of who was made with the portal's own settings.
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
