"""Other programs: started, seen to their end, and ended with all that they started.

It knows neither Django nor rows. To the rest of Vedetta all of it is `process`; which module holds
what is this package's own affair.
"""

from backups.process.children import (
    GRACE_SECONDS,
    OUR_STDERR,
    OUR_STDOUT,
    PIPE,
    Child,
    NewLines,
    Program,
    child,
)
from backups.process.cores import available_cores, cores_within
from backups.process.endings import MOST_KEPT, Completed, DeadlineExceeded, NotInstalled, SaidTooMuch
from backups.process.identities import identity, is_elsewhere, is_gone, runs_in_group
from backups.process.orphans import become_subreaper, reap_orphans
from backups.process.remembered import keep_said, said_before
from backups.process.running import BackgroundProcess, run, start_in_background
from backups.process.surroundings import base_environment, find_program, program_folders, secret_fd, user_name
from backups.process.waiting import TICK_SECONDS, InThread, Tick, run_in_thread, sleep_tick
