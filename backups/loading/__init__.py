"""The way in: from a dump's bytes into a database."""
