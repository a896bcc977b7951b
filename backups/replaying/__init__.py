"""Plays the transactions of a binary log into another database than the one that they were made in."""
