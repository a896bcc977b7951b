"""MySQL and MariaDB: what a server is, which client programs fit it, and what it holds.

Connections are short and bounded; dumps and loads are the work of the servers' own clients. To the
rest of Vedetta all of it is `mysql`; which module holds what is this package's own affair.
"""

from typing import TYPE_CHECKING

from backups import at_first_use

if TYPE_CHECKING:
    from backups.mysql.answers import StrangeAnswer, execute
    from backups.mysql.binary_log import InLog, IntoBinaryLog, try_to_leave_out
    from backups.mysql.compared_tables import (
        ComparedColumn,
        RowCounts,
        TwoTables,
        may_be_compared,
        rows_compared,
    )
    from backups.mysql.computed import (
        SET_AS_WRITTEN,
        Computed,
        ComputedAnew,
        ComputedReading,
        computed_anew,
        computed_beside,
        computed_in,
    )
    from backups.mysql.connection import (
        MOMENT_SECONDS,
        TRIES_AT_A_LIMIT,
        connect,
        is_encrypted,
        kill,
        refuse_what_cuts_dumps,
    )
    from backups.mysql.connection_limits import ChosenConnections, connections_to_take
    from backups.mysql.constraints import (
        ForeignKey,
        crossing_foreign_keys,
        foreign_key_names,
        foreign_keys,
        foreign_keys_into,
        foreign_keys_into_by_engine,
        foreign_keys_out_of,
        foreign_keys_that_cascade_in,
        keys_without_parent,
        referenced_tables,
    )
    from backups.mysql.conversation import SaidTooMuch, TookTooLong, hang_up_on
    from backups.mysql.damage import (
        check_table,
        checked_tables,
        damaged_tables,
        refuse_broken_views,
        refuse_short,
        refuse_unreadable,
    )
    from backups.mysql.damage_errors import is_immovable
    from backups.mysql.ddl import (
        create_database,
        drop_all_but,
        drop_database,
        drop_definitions,
        drop_everything,
        drop_table,
        drop_triggers,
        drop_views,
        end_renames,
        rename_tables,
        requalify_sequences,
        set_database_defaults,
        set_next_numbers,
    )
    from backups.mysql.descriptions import Described, described, refuse_unlinked_routines, unlinked_routines
    from backups.mysql.dump_errors import dump_problem, means_nothing
    from backups.mysql.error_numbers import SEE_ENGINES, translated
    from backups.mysql.events import events_of_the_past, events_that_end, refuse_what_hangs
    from backups.mysql.first_columns import KeyColumn, key_columns
    from backups.mysql.greeting import corrected, refuse_uncorrectable
    from backups.mysql.introspection import (
        Inventory,
        count_rows,
        database_defaults,
        database_exists,
        databases,
        default_collations,
        folds_names,
        inventory,
        is_read_only,
        made_under,
        tables,
        trigger_digests,
        trigger_events,
        triggers,
    )
    from backups.mysql.left_out import (
        LeftOut,
        engines,
        is_dumped,
        not_in_backup,
        rows_are_dumped,
        tables_without_rows,
        versioned_by_transactions,
        without_history,
        without_rows,
    )
    from backups.mysql.load_errors import EVENT_IS_PAST, refuse_too_long
    from backups.mysql.loading import (
        CHECK_IS_VIOLATED,
        LoadingConnection,
        break_off,
        enforce_checks,
        loading_connections,
        refuse_made_otherwise,
        session_mode,
    )
    from backups.mysql.locks import (
        MOST_LOCKED,
        LacksLock,
        NotLocked,
        ReadLock,
        TablesInUse,
        lacks_lock,
        locked_for_reading,
    )
    from backups.mysql.log_states import (
        LogState,
        NotExact,
        gtid_before,
        has_log,
        log_end,
        log_server,
        log_state,
        refuse_unfit,
        sequence_states,
    )
    from backups.mysql.lossy import LossyView, lossy_views, routines_with_lossy_definer
    from backups.mysql.methods import as_wished, folder_of_methods, must_be_held_to_tls
    from backups.mysql.names import (
        derived_name,
        is_derived,
        loosely,
        name_pattern,
        named,
        prefix_pattern,
        quote,
    )
    from backups.mysql.neighbours import Neighbours, neighbours_naming
    from backups.mysql.privileges import (
        account,
        binary_log_grant,
        current_role,
        definer_grant,
        definers,
        definers_of,
        has_partial_revokes,
        missing_users,
        other_definers,
        refuse_unless_may_define,
        refuses_functions,
        routines_without_body,
        show_grants,
        undeclared_functions,
        view_that_calls_denied,
    )
    from backups.mysql.problems import (
        TRUST_FUNCTION_CREATORS,
        AccessDenied,
        DamagedTable,
        DiskFull,
        MissingPrivilege,
        MySQLProblem,
        NoDefiner,
        NoMoreConnections,
        OfTheServer,
        ReferredTo,
        RefusesFunctions,
        ServerGone,
        ServerUnreachable,
        TlsProblem,
        UnknownDatabase,
        is_denied,
        waited_in_vain,
    )
    from backups.mysql.programs import (
        Clients,
        DumpSource,
        ProbedServer,
        client_environment,
        client_warnings,
        clients,
        connection_args,
        dump_args,
        keeps_history,
        option_file,
    )
    from backups.mysql.references import Reader, triggers_about, views_reading
    from backups.mysql.room import DataFolder, data_folder, free_by_plugin
    from backups.mysql.row_counts import rows_within, space_by_table
    from backups.mysql.schemas import name_cases, spelling, spelling_for
    from backups.mysql.scripts import ScriptConnection, StatementFailed, script_connection
    from backups.mysql.server import (
        MARIADB,
        MYSQL,
        Server,
        ServerInfo,
        server_warnings,
        version_number,
    )
    from backups.mysql.server_status import Replica, binary_log_position, lock_wait, probe, replica
    from backups.mysql.table_status import (
        Made,
        MadeAs,
        TableSize,
        data_length,
        definition,
        definitions_changed_at,
        listed_tables,
        made_as,
        set_dump_session_format,
        space_used,
        tables_with_directory,
        tables_with_json,
        tables_without_primary_key,
        tables_without_snapshot,
    )
    from backups.mysql.views import BrokenView, broken_views
    from backups.mysql.watching import Altered, TableWatch, watched_tables
    from backups.text.addresses import place, same_address, tcp_host
else:
    __getattr__, __dir__ = at_first_use.names(__name__)
