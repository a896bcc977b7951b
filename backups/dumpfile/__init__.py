"""A dump's format, pure: no I/O, no server, no settings."""
