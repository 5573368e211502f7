"""The tables. A row of Mailbox or Alias is wanted state and its own queue at once.
`generation` counts what was wanted, `synced_generation` says which of it the server is known to hold,
`failed_generation` which was given up. Times are UTC; sizes are bytes, 0 means no limit.
"""

from provision.storage.models.base import Base, LogStatus, Status, SyncStatus, TaskStatus, UtcDateTime, utc_now
from provision.storage.models.callers import (
    AdminSession,
    ApiToken,
    Operator,
    SignInGuard,
    api_token_domain,
    operator_domain,
)
from provision.storage.models.mail import TABLES, Alias, Domain, Mailbox, Server
from provision.storage.models.policy import PolicyRow
from provision.storage.models.records import (
    AuditCheckpoint,
    AuditLink,
    IdempotencyKey,
    ImportJob,
    ProvisionLog,
    ScheduledTask,
)

__all__ = [
    "TABLES",
    "AdminSession",
    "Alias",
    "ApiToken",
    "AuditCheckpoint",
    "AuditLink",
    "Base",
    "Domain",
    "IdempotencyKey",
    "ImportJob",
    "LogStatus",
    "Mailbox",
    "Operator",
    "PolicyRow",
    "ProvisionLog",
    "ScheduledTask",
    "Server",
    "SignInGuard",
    "Status",
    "SyncStatus",
    "TaskStatus",
    "UtcDateTime",
    "api_token_domain",
    "operator_domain",
    "utc_now",
]
