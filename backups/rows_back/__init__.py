"""Rows given back: a script that puts chosen rows as they were, and its inverse. Pure, no I/O."""
