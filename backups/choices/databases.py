"""How a database is reached, and how its dump lies in the repository."""

from __future__ import annotations

from django.db import models


class DumpFormat(models.TextChoices):
    """How the dump lies in the repository; the value is also the file's ending."""

    SQL = "sql", "Plain SQL (deduplicates best)"
    SQL_GZ = "sql.gz", "gzip --rsyncable"


class SslMode(models.TextChoices):
    """MySQL's own names for the ways to use TLS (mysql --ssl-mode)."""

    DISABLED = "DISABLED", "Disabled"
    PREFERRED = "PREFERRED", "Preferred"
    REQUIRED = "REQUIRED", "Required"
    VERIFY_CA = "VERIFY_CA", "Required, certificate authority checked"
    VERIFY_IDENTITY = "VERIFY_IDENTITY", "Required, authority and host name checked"
