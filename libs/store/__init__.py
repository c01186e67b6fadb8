"""A service's own database: objects, change log (= outbox), inbox and leases in one transaction."""

from libs.store.change import ADDED, DELETED, MODIFIED, SAID, Change
from libs.store.feed import Feed
from libs.store.leases import Leader, Lease, Term
from libs.store.outbox import Outbox
from libs.store.reader import Reader
from libs.store.statements import brief
from libs.store.store import Store
from libs.store.tables import ChangeRow, Inbox, Key, LeaseRow, Meta, Object
from libs.store.together import FellApart
from libs.store.trim import keep_trimmed, trim
from libs.store.unit import UnitOfWork

__all__ = [
    "ADDED",
    "DELETED",
    "MODIFIED",
    "SAID",
    "Change",
    "ChangeRow",
    "Feed",
    "FellApart",
    "Inbox",
    "Key",
    "Leader",
    "Lease",
    "LeaseRow",
    "Meta",
    "Object",
    "Outbox",
    "Reader",
    "Store",
    "Term",
    "UnitOfWork",
    "brief",
    "keep_trimmed",
    "trim",
]
