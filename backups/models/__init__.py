"""What the portal remembers. No I/O here: actions do the work, services write the changes.

To the rest of Vedetta all of them are `models`; which module holds which is this package's own affair.
"""

from backups.models.account import Account
from backups.models.alert import Alert
from backups.models.channel import Channel, Delivery
from backups.models.database import Database, DatabaseQuerySet
from backups.models.download_ticket import DownloadTicket
from backups.models.kinds import Leased, RefersToSecrets
from backups.models.label import Label
from backups.models.log_archive import LogArchive, LogGap, LogMark, LogPiece, LogTransaction, ReplayProof
from backups.models.mark import Mark
from backups.models.naming import name_in_words
from backups.models.pin import Pin, PinQuerySet
from backups.models.portal_start import PortalStart
from backups.models.public_key import PublicKey
from backups.models.question import Question
from backups.models.repository import Repository
from backups.models.restore import Restore
from backups.models.run import Run, RunLine
from backups.models.server import Server
from backups.models.sign_in import SignIn
from backups.models.snapshot import Snapshot, SnapshotQuerySet
from backups.models.stand_down import StandDown, StandDownQuerySet
from backups.models.suspicion import Suspicion
from backups.models.verification import Verification
from backups.models.worker_pulse import WorkerPulse

name_in_words(
    [
        Account,
        Alert,
        Channel,
        Database,
        Delivery,
        DownloadTicket,
        Label,
        LogArchive,
        LogGap,
        LogMark,
        LogPiece,
        LogTransaction,
        Mark,
        Pin,
        PortalStart,
        PublicKey,
        Question,
        ReplayProof,
        Repository,
        Restore,
        Run,
        RunLine,
        Server,
        SignIn,
        Snapshot,
        StandDown,
        Suspicion,
        Verification,
        WorkerPulse,
    ]
)
