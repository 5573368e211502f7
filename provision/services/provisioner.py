"""The front door for writing: one method per thing a person can ask for.

Every method takes the Actor first, asks for one permission, and records what was wanted in the same transaction as
the wanted state. Then the mail server is pushed, within the page's budget; a server that is down leaves the row
PENDING and is no error.
"""

from provision.services.aliases import AliasWrites
from provision.services.bulk import BulkWrites
from provision.services.domains import DomainWrites
from provision.services.operators import OperatorWrites
from provision.services.syncing import SyncWrites


class Provisioner(BulkWrites, AliasWrites, DomainWrites, OperatorWrites, SyncWrites):
    """Everything a person or program may change."""
