"""How a database is reached, and how its dump lies in the repository."""

from __future__ import annotations

from backups.choices.base import OpenChoices
from backups.text.sentences import phrase


class DumpFormat(OpenChoices):
    """How the dump lies in the repository; the value is also the file's ending."""

    SQL = "sql", phrase("Plain SQL (deduplicates best)")
    SQL_GZ = "sql.gz", phrase("gzip --rsyncable")


class SslMode(OpenChoices):
    """MySQL's own names for the ways to use TLS (mysql --ssl-mode)."""

    DISABLED = "DISABLED", phrase("Disabled")
    PREFERRED = "PREFERRED", phrase("Preferred")
    REQUIRED = "REQUIRED", phrase("Required")
    VERIFY_CA = "VERIFY_CA", phrase("Required, certificate authority checked")
    VERIFY_IDENTITY = "VERIFY_IDENTITY", phrase("Required, authority and host name checked")
