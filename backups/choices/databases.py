"""How a database is reached, and how its dump lies in the repository."""

from __future__ import annotations

from backups.choices.base import OpenChoices


class DumpFormat(OpenChoices):
    """How the dump lies in the repository; the value is also the file's ending."""

    SQL = "sql", "Plain SQL (deduplicates best)"
    SQL_GZ = "sql.gz", "gzip --rsyncable"


class SslMode(OpenChoices):
    """MySQL's own names for the ways to use TLS (mysql --ssl-mode)."""

    DISABLED = "DISABLED", "Disabled"
    PREFERRED = "PREFERRED", "Preferred"
    REQUIRED = "REQUIRED", "Required"
    VERIFY_CA = "VERIFY_CA", "Required, certificate authority checked"
    VERIFY_IDENTITY = "VERIFY_IDENTITY", "Required, authority and host name checked"
