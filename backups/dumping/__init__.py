"""The way out: from a database's rows to the bytes of a dump."""
