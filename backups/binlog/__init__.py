"""Binary logs of MySQL and MariaDB as bytes, pure: no I/O, no server, no settings.

`read` gives a log's transactions; `read_events` its events alone. Whatever is not what a server writes
raises `Unreadable`. `judged` says which statements are of one database, and how they are written for another.
"""

from typing import TYPE_CHECKING

from backups import at_first_use

if TYPE_CHECKING:
    from backups.binlog.barriers import Barrier, Code
    from backups.binlog.chain import Facts, Gap, follows
    from backups.binlog.events import MAGIC, Event, Format, Reading, read_events
    from backups.binlog.gtid_sets import GtidSet
    from backups.binlog.gtids import Gtid, parse_gtid
    from backups.binlog.kinds import QUERIES, ROWS, Change, Kind
    from backups.binlog.logged import Logged
    from backups.binlog.looked import ENCODINGS, SHORT_TEXTS, WHOLE_NUMBERS, KeyValue, Look, Looked
    from backups.binlog.names import LogFile, Piece
    from backups.binlog.queries import (
        AUTO_IS_NULL,
        IF_EXISTS,
        NO_CHECK_CONSTRAINTS,
        NO_FOREIGN_KEY_CHECKS,
        NOT_AUTOCOMMIT,
        RELAXED_UNIQUE_CHECKS,
        Query,
        is_frame,
        parse_query,
    )
    from backups.binlog.rows import changes, rows_in, values_of
    from backups.binlog.statements import AnothersForSure, Control, Judged, Ours, judged
    from backups.binlog.table_maps import (
        NO_FOREIGN_KEYS,
        RELAXED_UNIQUE,
        STATEMENT_END,
        TableMap,
        flags_of,
        number_of,
        parse_table_map,
        plain,
        renamed,
        table_of,
        with_flags,
    )
    from backups.binlog.transactions import Ending, Marker, Transaction, Xid, read
    from backups.binlog.unreadable import Unreadable, Why
else:
    __getattr__, __dir__ = at_first_use.names(__name__)
