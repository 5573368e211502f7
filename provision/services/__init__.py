"""All writes: one class per noun, one method per thing that a person or program can ask for.

Every method takes the Actor first, asks for a permission, and records what was wanted in the same transaction as the
wanted state. Then the mail server is pushed, within the page's budget; a server that is down leaves the row PENDING
and is no error.
"""

from dataclasses import dataclass

from provision.services.aliases import Aliases
from provision.services.bulk import BulkMailboxes
from provision.services.domains import Domains
from provision.services.idempotency import IdempotencyStore
from provision.services.mailboxes import Mailboxes
from provision.services.operators import Operators
from provision.services.policy import Policies
from provision.services.servers import Servers
from provision.services.syncing import Syncing
from provision.services.tokens import Tokens
from provision.services.writing import Delivery
from provision.settings.config import Settings
from provision.storage.database import Database
from provision.storage.encryption import Sealer
from provision.sync.engine import Sync


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that may be changed, by noun."""

    mailboxes: Mailboxes
    bulk: BulkMailboxes
    aliases: Aliases
    domains: Domains
    servers: Servers
    sync: Syncing
    operators: Operators
    tokens: Tokens
    policy: Policies
    idempotency: IdempotencyStore
    delivery: Delivery


def open_services(
    database: Database, sealer: Sealer, settings: Settings, sync: Sync, *, deliver: bool = True
) -> Services:
    """`deliver` False: what is changed is pushed by the jobs, not within the call."""
    delivery = Delivery(database, sync, settings.page_budget_seconds, enabled=deliver)
    return Services(
        Mailboxes(database, sealer, settings, delivery),
        BulkMailboxes(database, sealer, settings, delivery),
        Aliases(database, delivery),
        Domains(database, settings, sync),
        Servers(database, sealer, sync),
        Syncing(database, settings, sync, delivery),
        Operators(database, settings),
        Tokens(database),
        Policies(database, settings),
        IdempotencyStore(database, sealer),
        delivery,
    )
