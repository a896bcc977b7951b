"""restic: its argument lists (`*_args`, pure), its answers (`parse_*`, pure), its errors, and calls.

Exit codes and JSON as in https://restic.readthedocs.io/en/stable/075_scripting.html To the rest of
Vedetta all of it is `restic`; which module holds what is this package's own affair.
"""

from backups.restic.access import Access, Names, folder_of
from backups.restic.addresses import same_address, same_place
from backups.restic.arguments import (
    Selection,
    at_once,
    backup_args,
    cat_config_args,
    cat_lock_args,
    check_args,
    dump_args,
    forget_args,
    forget_dry_run_args,
    init_args,
    list_locks_args,
    prune_args,
    repair_index_args,
    repair_packs_args,
    repair_snapshots_args,
    snapshots_args,
    stats_args,
    unlock_args,
    version_args,
)
from backups.restic.exit_codes import complaint, error_from
from backups.restic.folder import Disk, disk_of, held_in_folder, holds_snapshot, refuse_others_files
from backups.restic.key_hints import learn_key, noted_key
from backups.restic.lately import LATELY_SECONDS, note_opened, was_opened
from backups.restic.missing import gone
from backups.restic.origin import Origin, origin, pinned_version, refuse_unpinned
from backups.restic.output import readable, tells_of_failed_command, tells_of_lock
from backups.restic.parsers import (
    BackupSummary,
    ForgetPlan,
    Kept,
    Lock,
    SnapshotInfo,
    broken_packs,
    parse_backup_summary,
    parse_check_summary,
    parse_forget_plan,
    parse_lock,
    parse_snapshots,
    parse_status,
    parse_time,
    parse_total_size,
    parse_version,
)
from backups.restic.probing import probe, probed_call
from backups.restic.problems import (
    AccessDenied,
    AlreadyInitialised,
    CommandFailed,
    DamagedData,
    IncompleteSource,
    Interrupted,
    Killed,
    MayNotDelete,
    NoBucket,
    NoRepository,
    NotPermitted,
    OtherRepository,
    RepositoryFull,
    RepositoryLocked,
    RepositoryUnreachable,
    ResticError,
    SnapshotGone,
    UnreadableSnapshots,
    WrongPassword,
)
from backups.restic.queries import locks, snapshots, snapshots_of_known
from backups.restic.runner import (
    PROBE_DEADLINE_SECONDS,
    Command,
    call,
    find,
    remove_stale_locks,
    version,
    version_of,
    version_tuple,
)
from backups.restic.streaming import dump, finished, outage_guard, with_outage_limit
from backups.restic.variables import held_back, passed
