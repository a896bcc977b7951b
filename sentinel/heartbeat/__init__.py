"""The files that backups leave and the gate reads. `backups.gate.heartbeat_files` decides when.

Everything lies beside the main heartbeat file (SENTINEL_HEARTBEAT_PATH), world-readable and
without secrets:

    last_ok                  the first database's heartbeat: the time of its newest good backup,
                             which is when restic began it
    last_verified            when that database's newest snapshot was proved by a restore
    last_logged              up to when its binary log is stored, where somebody wants that; until something
                             of it is stored, since when
    <folder>/last_ok         the same for each further database; see `folder_name`
    <folder>/last_verified, <folder>/last_logged
    first_boot               when the gate first ran; the boot grace counts from it
    override                 JSON {until, by, reason}: an operator keeps the application open
    gates.json               JSON [{name, path, threshold_seconds, logged}]: the databases that gate
    .gates.lock              empty; locked by who makes that list, and by no reader
    drill                    JSON {word, until}: who asks with this word is told that the gate is
                             closed, and nobody else; it ends within a minute

Only files, no Django: the gate must answer when everything else is down.
"""

from sentinel.heartbeat.drills import (
    DRILL_HEADER,
    DRILL_LASTS,
    DRILL_LASTS_AT_MOST,
    Drill,
    DrillUnderWayError,
    drill_begin,
    drill_end,
    drill_path,
    drill_read,
    is_drilled,
)
from sentinel.heartbeat.files import JSON_LIMIT_BYTES, UnreadableError
from sentinel.heartbeat.gates import (
    FOLDER_NAME_LIMIT,
    OWN_FILES,
    Gate,
    GatesError,
    folder_name,
    gate_for,
    gates_held,
    gates_path,
    gates_read,
    gates_write,
    last_logged_path,
    last_ok_path,
    last_verified_path,
    logged_beside,
    verified_beside,
)
from sentinel.heartbeat.override import Override, override_clear, override_path, override_read, override_write
from sentinel.heartbeat.stamps import (
    MISSING,
    STAMP_LIMIT_BYTES,
    Reading,
    ReadingState,
    first_boot_ensure,
    first_boot_path,
    first_boot_read,
    stamp_parse,
    stamp_read,
    stamp_text,
    stamp_write,
)
