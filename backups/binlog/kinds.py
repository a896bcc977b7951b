"""The kinds of events in a binary log, by number.

MySQL's are in libs/mysql/binlog/event/binlog_event.h (`Log_event_type`), MariaDB's in sql/log_event.h.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Kind(IntEnum):
    """What an event is. The numbers from 160 on are MariaDB's, those from 33 to 42 MySQL's."""

    QUERY = 2
    STOP = 3
    ROTATE = 4
    INTVAR = 5
    APPEND_BLOCK = 9
    DELETE_FILE = 11
    RAND = 13
    USER_VAR = 14
    FORMAT = 15
    XID = 16
    BEGIN_LOAD = 17
    EXECUTE_LOAD = 18
    TABLE_MAP = 19
    WRITE_ROWS_V1 = 23
    UPDATE_ROWS_V1 = 24
    DELETE_ROWS_V1 = 25
    INCIDENT = 26
    HEARTBEAT = 27
    IGNORABLE = 28
    ROWS_QUERY = 29
    WRITE_ROWS = 30
    UPDATE_ROWS = 31
    DELETE_ROWS = 32
    GTID = 33
    ANONYMOUS_GTID = 34
    PREVIOUS_GTIDS = 35
    TRANSACTION_CONTEXT = 36
    VIEW_CHANGE = 37
    XA_PREPARE = 38
    PARTIAL_UPDATE_ROWS = 39
    TRANSACTION_PAYLOAD = 40
    HEARTBEAT_V2 = 41
    GTID_TAGGED = 42
    ANNOTATE_ROWS = 160
    CHECKPOINT = 161
    MARIADB_GTID = 162
    GTID_LIST = 163
    START_ENCRYPTION = 164
    QUERY_COMPRESSED = 165
    WRITE_ROWS_COMPRESSED_V1 = 166
    UPDATE_ROWS_COMPRESSED_V1 = 167
    DELETE_ROWS_COMPRESSED_V1 = 168
    WRITE_ROWS_COMPRESSED = 169
    UPDATE_ROWS_COMPRESSED = 170
    DELETE_ROWS_COMPRESSED = 171


class Change(StrEnum):
    """What is done to a row."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


KNOWN = frozenset(map(int, Kind))
QUERIES = frozenset({Kind.QUERY, Kind.QUERY_COMPRESSED})
# What a transaction begins with, and nothing else does.
GTIDS = frozenset({Kind.GTID, Kind.ANONYMOUS_GTID, Kind.GTID_TAGGED, Kind.MARIADB_GTID})
# MariaDB's compressed rows, and what they are when they are inflated.
PLAIN_ROWS = {
    Kind.WRITE_ROWS_COMPRESSED_V1: Kind.WRITE_ROWS_V1,
    Kind.UPDATE_ROWS_COMPRESSED_V1: Kind.UPDATE_ROWS_V1,
    Kind.DELETE_ROWS_COMPRESSED_V1: Kind.DELETE_ROWS_V1,
    Kind.WRITE_ROWS_COMPRESSED: Kind.WRITE_ROWS,
    Kind.UPDATE_ROWS_COMPRESSED: Kind.UPDATE_ROWS,
    Kind.DELETE_ROWS_COMPRESSED: Kind.DELETE_ROWS,
}
# With a header of variable length before the columns.
SECOND_VERSION = frozenset(
    {
        Kind.WRITE_ROWS,
        Kind.UPDATE_ROWS,
        Kind.DELETE_ROWS,
        Kind.PARTIAL_UPDATE_ROWS,
        Kind.WRITE_ROWS_COMPRESSED,
        Kind.UPDATE_ROWS_COMPRESSED,
        Kind.DELETE_ROWS_COMPRESSED,
    }
)
_VERBS = {"WRITE": Change.INSERT, "UPDATE": Change.UPDATE, "DELETE": Change.DELETE, "PARTIAL": Change.UPDATE}
ROWS: dict[int, Change] = {
    int(kind): _VERBS[kind.name.partition("_")[0]]
    for kind in Kind
    if "_ROWS" in kind.name and kind.name != "ANNOTATE_ROWS"
}
# What stands between transactions and tells of the log itself.
BESIDE = frozenset(
    {
        Kind.FORMAT,
        Kind.ROTATE,
        Kind.STOP,
        Kind.PREVIOUS_GTIDS,
        Kind.GTID_LIST,
        Kind.CHECKPOINT,
        # MariaDB sends what follows in clear, and in the file itself nothing behind it can be read.
        Kind.START_ENCRYPTION,
        Kind.HEARTBEAT,
        Kind.HEARTBEAT_V2,
        Kind.INCIDENT,
    }
)
# What a transaction may begin with where none is open; what may be passed over is none of them.
OF_TRANSACTIONS = KNOWN - BESIDE - {Kind.IGNORABLE}
