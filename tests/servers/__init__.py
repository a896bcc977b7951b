"""Real servers for the tests, on loopback and free ports, none of which outlives its test run."""

from tests.servers.database import FLAVOURS, DatabaseServer, Flavour
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.processes import Server, ServerError
from tests.servers.s3 import S3Server
from tools.ports import free_port

__all__ = [
    "FLAVOURS",
    "DatabaseServer",
    "Flavour",
    "PostgreSQLServer",
    "S3Server",
    "Server",
    "ServerError",
    "free_port",
]
