"""The reader of dumps, without any server."""
