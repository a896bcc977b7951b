#!/bin/sh
# The old script's name: one backup with its follow-ups. `manage backup --help` tells of options.
exec manage backup "$@"
