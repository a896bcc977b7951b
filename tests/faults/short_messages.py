"""The portal's settings, by which a message that was taken is sent once more after a second."""

from portal.settings import *  # noqa: F403

MESSAGE_SECONDS = 1
