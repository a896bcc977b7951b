"""Nothing that is loaded reaches out of its place: seen through the server's general log and its state."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import MySQLdb
import pytest

from backups import mysql, process
from backups.actions.steps import whole
from backups.dumpfile.ready import LoadOptions
from backups.errors import Problem
from backups.loading.loader import Destination, DumpStream, load
from backups.loading.progress import Loading
from tests.loading import hostile
from tests.loading.judging import reaches_out
from tests.servers import FLAVOURS, DatabaseServer

SCRATCH = "shop__verify_1"
# A load of a few rows; whoever gives a dump the means to wait has failed.
LONGEST_SECONDS = 20
LIVE = """
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v VARCHAR(40), KEY v (v));
INSERT INTO t VALUES (1,'live'),(2,'newer');
CREATE TABLE goods (id INT NOT NULL PRIMARY KEY, name TEXT);
INSERT INTO goods VALUES (1,'bread');
CREATE VIEW v AS SELECT id FROM t;
CREATE PROCEDURE p() DELETE FROM t;
CREATE EVENT e ON SCHEDULE EVERY 1 YEAR DISABLE DO DELETE FROM t;
"""
OTHER = """
CREATE TABLE o (id INT NOT NULL PRIMARY KEY); INSERT INTO o VALUES (1),(2);
CREATE TABLE log (n INT);
CREATE TABLE m (id INT) ENGINE=MyISAM; INSERT INTO m VALUES (1);
CREATE PROCEDURE p() DELETE FROM o;
DELIMITER ;;
CREATE FUNCTION f() RETURNS INT DETERMINISTIC MODIFIES SQL DATA
BEGIN INSERT INTO other.log VALUES (1); RETURN 1; END;;
DELIMITER ;
"""
# Files that a dump may ask for.
OURS = {"ours.txt": "of this machine alone\n", "script.sql": "DELETE FROM other.o;\n"}
SEQUENCES = "CREATE SEQUENCE shop.s; CREATE SEQUENCE other.s;"
# What moves by itself.
VOLATILE = (
    "gtid",
    "timestamp",
    "innodb_buffer_pool",
    "server_uuid",
    "last_insert",
    "rand_",
    "pseudo_",
    "insert_id",
)
# The one who may do all loads whole dumps, the other a chosen table.
CHOSEN = {"least": frozenset({"goods"}), "every": frozenset()}
# So many dumps are played before the server is asked what they did.
AT_ONCE = 40
# So many of each promise are played in `make test`.
OF_EACH = 2


def _some(flavour: str, but: Collection[str] = ()) -> list[str]:
    """Of what would break each promise some, spread over all that is written down for it."""
    of_promise: dict[str, list[str]] = {}
    for one in hostile.hostile(flavour).values():
        if one.name not in but:
            of_promise.setdefault(one.never, []).append(one.name)
    return [name for names in of_promise.values() for name in names[:: -(-len(names) // OF_EACH)]]


def _groups() -> Iterator[Any]:
    """In `make test` some on MariaDB, on MySQL some of what is for it alone; in `make soak` all on both."""
    soak = [pytest.mark.soak]
    for flavour, kind, names, marks in (
        ("mariadb", "some", _some("mariadb"), []),
        ("mysql", "own", _some("mysql", but=set(hostile.names("mariadb"))), []),
        ("mariadb", "all", hostile.names("mariadb"), soak),
        ("mysql", "all", hostile.names("mysql"), soak),
    ):
        for at in range(0, len(names), AT_ONCE):
            yield pytest.param(flavour, names[at : at + AT_ONCE], marks=marks, id=f"{flavour}-{kind}-{at}")


GROUPS = list(_groups())


ENABLED = (
    "SELECT EVENT_NAME FROM information_schema.EVENTS"
    f" WHERE EVENT_SCHEMA = '{SCRATCH}' AND STATUS = 'ENABLED'"
)
IN_THEM = "IN ('shop', 'other')"
STATE = {
    "databases": "SELECT * FROM information_schema.SCHEMATA WHERE SCHEMA_NAME <> 'shop__verify_1'",
    "rows": "CHECKSUM TABLE shop.t, shop.goods, other.o, other.log, other.m",
    "tables": "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE, CREATE_OPTIONS"
    f" FROM information_schema.TABLES WHERE TABLE_SCHEMA {IN_THEM} ORDER BY 1, 2",
    "columns": "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS"
    f" WHERE TABLE_SCHEMA {IN_THEM} ORDER BY 1, 2, 3",
    "keys": "SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, COMMENT FROM information_schema.STATISTICS"
    f" WHERE TABLE_SCHEMA {IN_THEM} ORDER BY 1, 2, 3",
    "views": "SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS"
    f" WHERE TABLE_SCHEMA {IN_THEM} ORDER BY 1, 2",
    "routines": "SELECT ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_DEFINITION, ROUTINE_COMMENT"
    f" FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA {IN_THEM} ORDER BY 1, 2",
    "triggers": "SELECT TRIGGER_SCHEMA, TRIGGER_NAME, EVENT_OBJECT_SCHEMA FROM information_schema.TRIGGERS"
    f" WHERE TRIGGER_SCHEMA {IN_THEM} OR EVENT_OBJECT_SCHEMA {IN_THEM} ORDER BY 1, 2",
    "events": "SELECT EVENT_SCHEMA, EVENT_NAME, STATUS FROM information_schema.EVENTS"
    f" WHERE EVENT_SCHEMA {IN_THEM} ORDER BY 1, 2",
    "references": "SELECT CONSTRAINT_SCHEMA, CONSTRAINT_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS"
    f" WHERE UNIQUE_CONSTRAINT_SCHEMA {IN_THEM}",
    # The tests' own root gets a new salt whenever the server starts.
    "users": "SELECT * FROM mysql.user WHERE User <> 'root' ORDER BY User, Host",
    "roots": "SELECT User, Host FROM mysql.user WHERE User = 'root' ORDER BY Host",
    "rights": "SELECT * FROM mysql.db ORDER BY Host, Db, User",
    "servers": "SELECT * FROM mysql.servers",
    "loadable functions": "SELECT * FROM mysql.func",
    "plugins": "SELECT PLUGIN_NAME, PLUGIN_STATUS FROM information_schema.PLUGINS ORDER BY 1",
    "settings": "SHOW GLOBAL VARIABLES",
}  # fmt: skip
STATE_OF = {
    "mariadb": {
        "replication": "SHOW ALL SLAVES STATUS",
        "the live sequence": "SELECT * FROM shop.s",
        "the other sequence": "SELECT * FROM other.s",
    },
    "mysql": {
        "replication": "SELECT CHANNEL_NAME, HOST, PORT"
        " FROM performance_schema.replication_connection_configuration",
        "kept settings": "SELECT VARIABLE_NAME, VARIABLE_VALUE FROM performance_schema.persisted_variables",
        "tablespaces": "SELECT NAME FROM information_schema.INNODB_TABLESPACES WHERE NAME LIKE 'thief%'",
        "components": "SELECT component_urn FROM mysql.component",
        "reference systems": "SELECT SRS_ID FROM information_schema.ST_SPATIAL_REFERENCE_SYSTEMS"
        " WHERE SRS_ID = 990001",
        "resource groups": "SELECT RESOURCE_GROUP_NAME FROM information_schema.RESOURCE_GROUPS",
    },
}


class Stage:
    """A server with two live databases, and users that may load."""

    def __init__(self, flavour: str, folder: Path) -> None:
        options = ["--event-scheduler=ON", "--local-infile=1", "--secure-file-priv=", "--log-output=TABLE"]
        options += ["--skip-log-bin", "--performance-schema=ON"] if flavour == "mysql" else []
        self.server = DatabaseServer("mysql" if flavour == "mysql" else "mariadb", options=options)
        self.folder = folder
        self.dumps: dict[str, hostile.Hostile] = {}
        self.was: dict[str, Any] = {}

    def set_up(self) -> None:
        """Start the server as it is before anything is loaded; the second time from a copy."""
        data, copy = self.server.folder / "data", self.server.folder / "copy"
        if copy.exists():
            self.server.kill()
            shutil.rmtree(data)
            shutil.copytree(copy, data)
            self.server.start()
            return
        self.server.start()
        self._fill()
        self.server.stop()
        shutil.copytree(data, copy)
        self.server.start()
        self.was = self.state()

    def _fill(self) -> None:
        server = self.server
        for database, script in (("shop", LIVE), ("other", OTHER)):
            server.create_database(database)
            server.load(script, database)
        if server.flavour == "mariadb":
            server.execute(SEQUENCES)
        else:
            server.execute("CREATE TABLESPACE theirs ADD DATAFILE 'theirs.ibd'")
        # What deploy/mysql grants to whoever verifies.
        server.create_user("least", "x", ["ALL ON `shop\\_\\_verify\\_%%`.*"])
        server.create_user("every", "x")
        server.execute("GRANT ALL ON *.* TO 'every'@'%' WITH GRANT OPTION")
        server.create_user("bystander", "x", ["SELECT ON shop.*"])

    def state(self) -> dict[str, Any]:
        """All that a load may not change."""
        flavour, told = self.server.flavour, {}
        with (
            closing(self.connection("root", self.server.password)) as connection,
            connection.cursor() as cursor,
        ):
            for what, sql in (STATE | STATE_OF[flavour]).items():
                cursor.execute(sql)
                told[what] = [row for row in cursor.fetchall() if not str(row[0]).startswith(VOLATILE)]
        told["files"] = sorted(path.name for path in self.folder.iterdir())
        return told

    def connection(self, user: str, password: str) -> Any:
        """A connection of its own to the server."""
        return MySQLdb.connect(host=self.server.host, port=self.server.port, user=user, password=password)

    def sent(self, user: str) -> list[tuple[str, str]]:
        """What this user's connections said to the server, each with the kind of command."""
        return [
            (_text(kind), _text(argument))
            for kind, argument in self.server.query(
                "SELECT command_type, argument FROM mysql.general_log WHERE user_host LIKE %s",
                None,
                [f"{user}[%"],
            )
        ]


def _text(told: Any) -> str:
    return told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)


def _tick_until(deadline: float) -> process.Tick:
    def tick() -> None:
        if time.monotonic() > deadline:
            raise Problem("The load waited for something.")

    return tick


def load_hostile(
    stage: Stage, user: str, dump: bytes, connections: int = 1, tables: frozenset[str] = frozenset()
) -> Problem | None:
    """Load a dump of `shop` into the scratch database as the product does; what it said when it did not.

    The only place that knows how the product loads.
    """
    # Without TLS, whose handshakes take longer than all else here.
    server = mysql.Server(stage.server.host, stage.server.port, user, "x", ssl_mode="DISABLED")
    with mysql.connect(server) as connection:
        info = mysql.probe(connection)
    file = stage.folder.parent / "dump.sql"
    file.write_bytes(dump)
    try:
        with process.child(process.Program(["/bin/cat", str(file)], {}), stdout=process.PIPE) as source:
            options = (
                replace(whole.whole_load_options(SCRATCH, "shop"), tables=tables)
                if user == "least"
                else LoadOptions(SCRATCH, source="shop", tables=tables)
            )
            load(
                DumpStream(source, gzip=False),
                Destination(server, info, options, connections),
                Loading(),
                tick=_tick_until(time.monotonic() + LONGEST_SECONDS),
            )
    except Problem as problem:
        return problem
    return None


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Stage]]:
    """One server per flavour for all dumps, each started when it is first asked for."""
    found: dict[str, Stage] = {}
    for flavour in FLAVOURS:
        folder = tmp_path_factory.mktemp(flavour) / "theirs"
        folder.mkdir()
        folder.chmod(0o777)
        for file, text in OURS.items():
            (folder / file).write_text(text)
        found[flavour] = Stage(flavour, folder)
    yield found
    for stage in found.values():
        stage.server.remove()


def on_stage(stages: dict[str, Stage], flavour: str) -> Stage:
    """The flavour's stage, as it is before anything is loaded."""
    stage = stages[flavour]
    if not stage.dumps:
        stage.set_up()
        stage.dumps = hostile.hostile(
            flavour,
            file=str(stage.folder / "ours.txt"),
            folder=str(stage.folder),
            port=str(stage.server.port),
        )
    return stage


@pytest.mark.parametrize(("flavour", "names"), GROUPS)
def test_hostile_dumps_reach_nothing_but_their_place(
    stages: dict[str, Stage], flavour: str, names: list[str]
) -> None:
    """Many at a time, because looking at all that may not change takes longer than a load.

    Where something is wrong each is played again, alone, over several connections and over one, to name it.
    """
    stage = on_stage(stages, flavour)
    group = [stage.dumps[name] for name in names]
    if not any(what_went_wrong(stage, group, user) for user in ("least", "every")):
        return
    found = {
        f"{one.name} (as {user})": (one.never, wrong)
        for one in group
        for user in ("least", "every")
        if (wrong := what_went_wrong(stage, [one, one], user))
    }
    assert found, "together they change what each alone does not"
    pytest.fail("\n".join(f"{name}: {never}: {wrong}" for name, (never, wrong) in found.items()))


@pytest.mark.parametrize("user", ["least", "every"])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_honest_dump_is_loaded_whole(stages: dict[str, Stage], flavour: str, user: str) -> None:
    """The judge and the state find nothing wrong with what is right."""
    stage = on_stage(stages, flavour)
    one = hostile.Hostile("honest", hostile.honest(flavour), "it is loaded")

    # Twice, because one is loaded over one connection and the next over several.
    assert what_went_wrong(stage, [one, one], user) == []
    assert len(stage.server.query("SELECT * FROM goods", SCRATCH)) == 2
    if user == "every":
        rows = stage.server.query("SELECT id, v FROM t ORDER BY id", SCRATCH)
        assert rows == [(1, "old"), (3, "gone since")]


@pytest.mark.one_flavour("mariadb")
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_no_event_of_what_was_loaded_runs(stages: dict[str, Stage], flavour: str) -> None:
    """Seen over two of its seconds, on a server whose scheduler is on."""
    stage = on_stage(stages, flavour)
    dump = stage.dumps["event that writes each second, as dumps write it"].dump
    stage.server.create_database(SCRATCH)

    load_hostile(stage, "every", dump)
    time.sleep(2.2)

    stage.server.create_database(SCRATCH)
    ran = stage.server.query("SELECT n FROM other.log")
    if ran:
        _mend(stage)
    assert ran == []


def what_went_wrong(stage: Stage, dumps: list[hostile.Hostile], user: str) -> list[str]:
    """Load each into the scratch database; what they reached beyond it. The stage is as it was after it."""
    wrong = []
    stage.server.execute("SET GLOBAL general_log=0; TRUNCATE mysql.general_log; SET GLOBAL general_log=1")
    try:
        with closing(stage.connection("bystander", "x")) as bystander:
            for number, one in enumerate(dumps):
                if number % 4 < 2:  # the others meet tables of before, as a restore in place does
                    stage.server.create_database(SCRATCH)
                dump = one.dump.replace(b"{thread}", str(bystander.thread_id()).encode())
                load_hostile(stage, user, dump, 1 if number % 2 else 4, CHOSEN[user])
                wrong += [f"{one.name}: event {event} is enabled" for (event,) in stage.server.query(ENABLED)]
            wrong += _told_by_the_server(stage, user)
            bystander.query("DO 0")
    except MySQLdb.Error as error:
        wrong.append(f"the server or a bystander is gone: {error}")
    if wrong and not _stands(stage):
        _mend(stage)
    return wrong


def _stands(stage: Stage) -> bool:
    """Whether all is as it was before, so that the next dump meets the same."""
    try:
        return stage.state() == stage.was
    except MySQLdb.Error:
        return False


def _told_by_the_server(stage: Stage, user: str) -> list[str]:
    server = stage.server
    wrong = [
        f"the general log is {told}"
        for _, told in server.query("SHOW GLOBAL VARIABLES LIKE 'general_log'")
        if told != "ON"
    ]
    server.execute("SET GLOBAL general_log=0")
    for kind, text in stage.sent(user):
        if kind == "Init DB" and text != SCRATCH:
            wrong.append(f"chose {text}")
        if kind in ("Query", "Execute", "Prepare") and (why := reaches_out(text, SCRATCH)):
            wrong.append(f"sent ({why}): {text[:200]}")
    now = stage.state()
    return wrong + [f"{what} changed" for what in stage.was if now[what] != stage.was[what]]


def _mend(stage: Stage) -> None:
    for path in stage.folder.iterdir():
        if path.name not in OURS:
            path.unlink()
    stage.set_up()
