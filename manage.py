#!/usr/bin/env python
"""Vedetta's command line."""

from portal.command_line import main

if __name__ == "__main__":
    main()
