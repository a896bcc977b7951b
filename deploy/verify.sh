#!/bin/sh
# The old script's name: a full test restore of the newest backup.
exec manage verify "$@"
