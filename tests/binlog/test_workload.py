"""A log of most that applications do is read from end to end, whatever way the server writes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from backups import binlog
from backups.binlog import Ending
from tests.binlog import made
from tests.binlog.workload import Workload
from tests.servers import DatabaseServer

# Global settings, and settings of each session.
WAYS = {
    "mariadb": {
        "as it comes": ((), ()),
        "compressed": (("log_bin_compress = ON", "log_bin_compress_min_len = 10"), ()),
        "without checksums": (("binlog_checksum = NONE",), ()),
        "mixed": ((), ("SET SESSION binlog_format = MIXED",)),
        "statements": ((), ("SET SESSION binlog_format = STATEMENT",)),
        "minimal": ((), ("SET SESSION binlog_row_image = MINIMAL",)),
        "without blobs": ((), ("SET SESSION binlog_row_image = NOBLOB",)),
        "with names": (("binlog_row_metadata = FULL",), ()),
        "without texts": ((), ("SET SESSION binlog_annotate_row_events = OFF",)),
    },
    "mysql": {
        "as it comes": ((), ()),
        "compressed": ((), ("SET SESSION binlog_transaction_compression = ON",)),
        "without checksums": (("binlog_checksum = NONE",), ()),
        "mixed": ((), ("SET SESSION binlog_format = MIXED",)),
        "statements": ((), ("SET SESSION binlog_format = STATEMENT",)),
        "minimal": ((), ("SET SESSION binlog_row_image = MINIMAL",)),
        "without blobs": ((), ("SET SESSION binlog_row_image = NOBLOB",)),
        "parts of documents": ((), ("SET SESSION binlog_row_value_options = PARTIAL_JSON",)),
        "minimal parts of documents": (
            (),
            (
                "SET SESSION binlog_row_image = MINIMAL",
                "SET SESSION binlog_row_value_options = PARTIAL_JSON",
                "SET SESSION binlog_transaction_compression = ON",
            ),
        ),
        "with names": (("binlog_row_metadata = FULL",), ()),
        "with texts": ((), ("SET SESSION binlog_rows_query_log_events = ON",)),
    },
}
# Two at once in `make test`: what is compressed, and all else.
WAY = [
    pytest.param(way, marks=[] if way == "compressed" else pytest.mark.soak)
    for way in dict.fromkeys([*WAYS["mariadb"], *WAYS["mysql"]])
]


@pytest.mark.one_flavour("mariadb")
@pytest.mark.parametrize("way", WAY)
def test_the_log_of_a_workload_is_read_from_end_to_end(logging_server: DatabaseServer, way: str) -> None:
    if way not in WAYS[logging_server.flavour]:
        pytest.skip("is the other flavour's")
    as_server, as_session = WAYS[logging_server.flavour][way]
    # Neither a sequence nor, in a transaction on MySQL, a temporary table is logged as a statement.
    without = ("sequence", "temporary") if way in ("statements", "mixed") else ()
    work = Workload(logging_server, session=as_session, without=without)
    with made.logged(logging_server, as_server) as files:
        work.set_up()
        work.each()
        work.run(40, writers=2)
        work.define(1)
        work.each()

    assert set(work.done) == set(work.acts()), work.failed
    datas = [file.read_bytes() for file in files]
    read = [each for data in datas for each in binlog.read([data], binlog.Reading())]
    assert all(each.is_known for each in read)
    transactions = [each for each in read if isinstance(each, binlog.Transaction)]
    assert made.rows_of(transactions) == made.told_by_client(logging_server, files)
    _look_whole(work, transactions, way)


def _look_whole(work: Workload, transactions: list[binlog.Transaction], way: str) -> None:
    kinds = Counter(each.kind for each in transactions)
    assert kinds[Ending.ROWS] > sum(work.done.values()) / 2
    assert kinds[Ending.XA_PREPARED] == kinds[Ending.XA_COMMITTED] + kinds[Ending.XA_ROLLED_BACK]
    queries = list(_queries(transactions))
    assert {query.unknown for query in queries} == {None}
    assert any(query.text.startswith(b"/* gh-ost */ ALTER TABLE kinds\n MODIFY") for query in queries)
    if way == "compressed":
        flavour_compresses = {165, 166, 167, 168} if work.is_mariadb else set()
        found = {event.kind for each in transactions for event in each.events}
        assert flavour_compresses <= found


def _queries(transactions: list[binlog.Transaction]) -> Iterator[binlog.Query]:
    for transaction in transactions:
        for event in transaction.events:
            if event.kind in binlog.QUERIES:
                yield binlog.parse_query(event)
