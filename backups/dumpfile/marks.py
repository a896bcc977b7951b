"""The lines and words of dump programs by which the parts of a dump and their names are known."""

from __future__ import annotations

import re

from backups import at_first_use
from backups.dumpfile.sections import Kind

# What mysqldump and mariadb-dump write above each part.
MARKS: tuple[tuple[bytes, str], ...] = (
    (b"-- Table structure for table ", Kind.TABLE),
    (b"-- Dumping data for table ", Kind.ROWS),
    (b"-- Temporary table structure for view ", Kind.PLACEHOLDER),
    (b"-- Temporary view structure for view ", Kind.PLACEHOLDER),
    (b"-- Final view structure for view ", Kind.VIEW),
    (b"-- Sequence structure for ", Kind.SEQUENCE),
    (b"-- Dumping events for database ", Kind.EVENTS),
    (b"-- Dumping routines for database ", Kind.ROUTINES),
    (b"-- Current Database: ", Kind.DATABASE),
)
# Their comments name the database, which differs where the same data lies under another name.
UNNAMED = frozenset({Kind.EVENTS, Kind.ROUTINES, Kind.DATABASE})
FOOTER = b"/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;"
SANDBOX = b"/*M!999999\\- "
SAVED_CLIENT = re.compile(rb"/\*!50003 SET @saved_cs_client\b")
SAVED_SQL_MODE = re.compile(rb"/\*!50003 SET @saved_sql_mode\b")
DROP_ROUTINE = re.compile(
    rb"/\*!\d+ DROP (PROCEDURE|FUNCTION|PACKAGE BODY|PACKAGE|EVENT) IF EXISTS |DROP (LIBRARY) IF EXISTS "
)
# A trigger's text is dumped as its author typed it.
TRIGGER_NAME = at_first_use.pattern(
    rb"\A(?:[^`]|`(?:[^`]|``)*+`)*?\bTRIGGER\s+(?:IF\s+NOT\s+EXISTS\s+)?"
    rb"(?:(?:`(?:[^`]|``)++`|\"(?:[^\"]|\"\")++\"|[^\s`.\"]+)\s*\.\s*)?"
    rb"(`(?:[^`]|``)++`|\"(?:[^\"]|\"\")++\"|[^\s`.\"]++(?!\s*\.))",
    re.I,
)
# The first name of a statement; none while it goes on in the next line.
IDENTIFIER = re.compile(rb"\A[^`]*+(`(?:[^`]|``)*+`)")
