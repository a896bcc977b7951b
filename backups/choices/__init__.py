"""The closed sets of values that the models store, with the colours of their labels.

To the rest of Vedetta all of them are `choices`; which module holds which is this package's own affair.
"""

from backups.choices.actions import (
    APPLY_ROWS,
    DRILL,
    EXCLUSIVE_ACTIONS,
    FORGET_SNAPSHOT,
    PROMPT_ACTIONS,
    RESTORE_ACTIONS,
    TEST_RESTORES,
    UNDO_TRANSACTIONS,
    Action,
    may_still,
    right_to_start,
)
from backups.choices.alerts import ALERT_COLOURS, AlertState
from backups.choices.channels import (
    DELIVERY_COLOURS,
    EVENTS_AT_FIRST,
    EVENTS_TO_CHOOSE,
    TROUBLES,
    AlertEvent,
    ChannelKind,
    DeliveryState,
)
from backups.choices.databases import DumpFormat, SslMode
from backups.choices.logs import REPLAY_COLOURS, ArchiveState, ReplayVerdict
from backups.choices.repositories import Health
from backups.choices.restores import (
    OVERWRITING_MODES,
    SAFETY_TAG,
    TO_DOWNLOAD,
    UNSETTLED,
    DefinerPolicy,
    RestoreMode,
    Swap,
)
from backups.choices.runs import ACTIVE, STATUS_COLOURS, TERMINAL, Level, Status, Trigger
from backups.choices.stand_downs import StandDownKind
from backups.choices.suspicions import SUSPICION_KEPT, SuspicionState
from backups.choices.verdicts import BAD_VERDICTS, VERDICT_COLOURS, Verdict
