#!/usr/bin/env python
"""Vedetta's command line."""

import sys

if __name__ == "__main__":
    try:
        from portal.command_line import main
    except KeyboardInterrupt:
        sys.exit(130)
    main()
