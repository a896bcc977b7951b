"""A dump over several connections: which of its statements go where, and when.

A pool of connections takes the rows of tables whose definition is understood, in chunks of whole
statements, and their keys are made after them. All else goes over one connection in the dump's
order, as it is written. What sees or moves rows (triggers, routines, events, views) comes when all
rows are there, so that no trigger fires while rows are loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

from backups import mysql
from backups.dumpfile.ready import Does, LoadOptions, Ready, Unmade
from backups.loading.chunks import TableInChunks
from backups.loading.connection_pool import Hand, Job, LoadPool
from backups.loading.table_plan import Plan, plan_for, referenced_by
from backups.text.sentences import phrase

_INSERT = b"INSERT INTO "
# What stands alone: no table or row depends on it.
MAY_BE_LEFT = frozenset(
    {"view", "trigger", "event", "procedure", "function", "package", "package body", "library"}
)
# It is all kept, in the portal's database too, to be tried again.
_MOST_LEFT_BYTES = 16 << 20
# What is no fault of a statement of the dump: another try may well succeed.
NOT_ITS_FAULT = (
    mysql.ServerGone, mysql.ServerUnreachable, mysql.AccessDenied, mysql.MissingPrivilege, mysql.DiskFull,
    mysql.OfTheServer,
)  # fmt: skip
_AMONG_TABLES = frozenset({Does.TABLE, Does.ROWS, Does.KEYS})


@dataclass(frozen=True)
class HeldBefore:
    """What a database held before the load: no table where it `is_fresh`.

    `referenced` are the tables to which foreign keys refer that are there already.
    """

    is_fresh: bool
    referenced: Collection[str]


class StatementDispatcher:
    """Deals the statements of one dump out.

    `assert_complete` is asked, once all rows are there, to raise where they are not the whole dump. What
    is `unmade` in the end stopped nothing that came behind it; `views` are those that were tried. By the
    `options` that may hold for what we may not reach as well, and tables that are taken apart may get neither
    secondary nor foreign keys: `bare` has their definitions.
    """

    def __init__(
        self,
        main: Hand,
        pool: LoadPool,
        before: HeldBefore,
        *,
        assert_complete: Callable[[], None],
        options: LoadOptions,
    ) -> None:
        self._main = main
        self._pool = pool
        # The server does not make a table without the key to which a foreign key refers.
        self._referenced = {name.lower() for name in before.referenced}
        self._assert_complete = assert_complete
        self._leaves_denied = options.without_what_is_denied
        self._makes_keys = not options.to_be_read_once
        self.bare: dict[str, bytes] = {}
        # What makes these keys all the same, should one be needed, and the table then; by lower-case names.
        self._withheld: dict[str, tuple[Ready, bytes]] = {}
        self._collation: Ready | None = None
        self.unmade: list[Unmade] = []
        self._left_bytes = 0
        self.views: dict[str, Ready] = {}
        self._is_fresh = before.is_fresh
        self._table: TableInChunks | None = None
        self._drops: list[Ready] = []
        self._foreign_keys: list[Ready] = []
        self._is_after_rows = False

    def send(self, statements: Iterator[Ready]) -> None:
        """Run all of them, and return when all have run. Raises what the driver raises, Ended."""
        for ready in statements:
            if self._is_after_rows or not self._pool.is_there:
                self._after_rows(ready)
            elif ready.does == Does.DROP:
                self._drops.append(ready)
            elif ready.does in _AMONG_TABLES:
                self._among_tables(ready)
            else:
                self._beside_tables(ready)
        self._assert_complete()
        self._rows_end()

    def _after_rows(self, ready: Ready) -> None:
        """With nobody to share the work, too: all comes in the order in which it is given."""
        if ready.does in (Does.LATER, Does.DEFINITION) and not self._is_after_rows:
            self._rows_end()
        self._run_last(ready)

    def _run_last(self, ready: Ready) -> None:
        """A definition that the server does not take is left, and what is behind it is made."""
        if ready.does != Does.DEFINITION or ready.kind not in MAY_BE_LEFT:
            if ready.does == Does.DEFINITION and not ready.kind:
                self._collation = ready
            self._main.run(ready)
            return
        if ready.kind == "view":
            self.views[ready.name] = ready
        try:
            self._main.run(ready)
        except NOT_ITS_FAULT as problem:
            if not (self._leaves_denied and mysql.is_denied(problem.number)):
                raise
            self._leave(ready, problem)
        except mysql.MySQLProblem as problem:
            self._leave(ready, problem)

    def _leave(self, ready: Ready, problem: mysql.MySQLProblem) -> None:
        self._left_bytes += len(ready.text)
        if mysql.waited_in_vain(problem) or self._left_bytes > _MOST_LEFT_BYTES:
            raise problem
        is_sound = isinstance(problem, mysql.RefusesFunctions | mysql.NoDefiner)
        self.unmade.append(Unmade(ready, problem.what, self._collation, problem.do, is_sound, problem.number))

    def _beside_tables(self, ready: Ready) -> None:
        if ready.does in (Does.LATER, Does.DEFINITION):
            self._rows_end()
        elif ready.does == Does.SEQUENCE:
            self._send_drops()
        self._run_last(ready)

    def _among_tables(self, ready: Ready) -> None:
        if self._table is not None and ready.table != self._table.made_by.table:
            self._finish_table(self._table)
        if ready.does == Does.TABLE:
            self._begin(ready)
        elif self._table is None:
            self._main.run(ready)
        elif ready.does == Does.ROWS:
            self._rows(self._table, ready)
        # Keys of a table that is taken apart are made at its end anyway.

    def _begin(self, ready: Ready) -> None:
        """Take the definition apart, or make the table as it is written."""
        plan = plan_for(ready.text) if ready.settings.reads_plainly else None
        if plan is not None:
            if ready.table.lower() in self._referenced:
                plan = replace(plan, bare=plan.whole, keys=b"")
            elif not self._makes_keys:
                plan = self._without_keys(ready, plan)
            self._table = TableInChunks(ready, plan, self._drops)
            self._drops = []
            return
        if b"FOREIGN KEY" in ready.text:
            # It looks at others while it is made, which then must not be in the middle of it.
            self._pool.drain()
            referenced = referenced_by(ready.text)
            self._referenced |= referenced
            for name in referenced & self._withheld.keys():
                keys, self.bare[keys.table] = self._withheld.pop(name)
                self._main.run(keys)
        self._send_drops()
        self._before_definition()
        self._main.run(ready)

    def _without_keys(self, ready: Ready, plan: Plan) -> Plan:
        """Of a table that nothing refers to so far."""
        if plan.keys or plan.foreign_keys:
            self.bare[ready.table] = plan.bare
        if plan.keys:
            self._withheld[ready.table.lower()] = ready._replace(text=plan.keys), plan.whole
        return replace(plan, whole=plan.bare, keys=b"", foreign_keys=b"")

    def _send_drops(self) -> None:
        if self._drops:
            self._before_definition()
        for drop in self._drops:
            self._main.run(drop)
        self._drops = []

    def _rows(self, table: TableInChunks, ready: Ready) -> None:
        if not ready.text.startswith(_INSERT):
            # Which may depend on the keys, or on what is there already.
            self._make_whole(table)
            self._main.run(ready)
            return
        if table.gather(ready):
            self._make(table)
            self._send(table)

    def _make(self, table: TableInChunks) -> None:
        """The table without its keys: it is not a small one."""
        if not table.is_made:
            self._before_definition()
            doing = phrase("table {table}", table=table.made_by.table)
            self._pool.run_now(Job([*table.drops, table.step(table.plan.bare)], doing=doing))
            table.is_made = True

    def _make_whole(self, table: TableInChunks) -> None:
        """The table with the rows that came for it; what follows goes over one connection."""
        self._finish_table(table)
        self._pool.drain()

    def _before_definition(self) -> None:
        """Tables of before may refer to each other, and their locks in a circle."""
        if not self._is_fresh:
            self._pool.drain()

    def _send(self, table: TableInChunks) -> None:
        if not table.plan.has_primary_key:
            # Its rows lie in the order in which they come.
            self._pool.wait_for(table.chunks)
        self._pool.submit(table.chunk())

    def _finish_table(self, table: TableInChunks) -> None:
        """A table has passed by: send what is left of it, and its keys."""
        self._table = None
        if table.plan.foreign_keys:
            self._foreign_keys.append(table.step(table.plan.foreign_keys))
        if table.is_made:
            if table.rows:
                self._send(table)
            following = []
            if table.plan.keys:
                doing = phrase("indexes of {table}", table=table.made_by.table)
                following.append(Job([table.step(table.plan.keys)], doing=doing))
            if table.is_worth_a_look:
                following += self._pool.look_at(table.made_by.table)
            self._pool.submit_after(table.chunks, *following)
        else:
            self._before_definition()
            self._pool.submit(Job([*table.drops, table.step(table.plan.whole), *table.rows]))

    def _rows_end(self) -> None:
        """From here on one connection is alone: it adds what had to wait for all tables."""
        if self._is_after_rows:
            return
        self._assert_complete()
        if self._table is not None:
            self._finish_table(self._table)
        self._send_drops()
        self._is_after_rows = True
        self._pool.drain()
        # Before the foreign keys: a dump program ends at a table that is altered once it has begun.
        self._pool.look_to_the_end()
        self._pool.close()
        for ready in self._foreign_keys:
            self._main.run(ready)
