"""What goes over the wire: JSON in camelCase. Quotas are MB (1024 × 1024 bytes), 0 means no limit; times are UTC."""

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, WithJsonSchema
from pydantic.alias_generators import to_camel

from provision.storage.models import LogStatus, Status, SyncStatus

T = TypeVar("T")
MB = 1 << 20
MAX_MB = 1 << 30
MAX_BULK = 1_000
ID = "01a0b1c2-0000-7000-8000-000000000001"
TIME = "2026-11-21T09:00:00Z"
PLAIN = r"^[^\x00-\x1f\x7f]*$"  # one line, and no NUL, which PostgreSQL refuses


class Model(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", use_attribute_docstrings=True
    )


def _no_yes_or_no(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")
    return value


IsNumber = BeforeValidator(_no_yes_or_no)  # pydantic would make a 0 or 1 of them
Email = Annotated[str, Field(min_length=3, max_length=320, pattern=PLAIN, examples=["anna@example.com"])]
Name = Annotated[str, Field(max_length=200, pattern=PLAIN, examples=["Anna Example"])]
Text = Annotated[str, Field(max_length=500, pattern=PLAIN)]
DomainName = Annotated[str, Field(min_length=1, max_length=255, pattern=PLAIN, examples=["example.com"])]
ServerName = Annotated[str, Field(min_length=1, max_length=80, pattern=PLAIN, examples=["main"])]
StorageQuota = Annotated[int | float, IsNumber, Field(ge=0, le=MAX_MB, examples=[1024])]
MessageQuota = Annotated[int, IsNumber, Field(ge=0, le=1 << 50, examples=[10000])]
Password = Annotated[SecretStr, Field(max_length=200, examples=["Correct-Horse-1"])]
Ids = Annotated[list[UUID], Field(min_length=1, max_length=MAX_BULK, examples=[[ID]])]
Details = Annotated[dict[str, Any], WithJsonSchema({"type": "object"})]


class Error(Model):
    """Every answer from 400 on."""

    error: str = Field(examples=["anna@example.com cannot be made: it exists already."])
    """A sentence for people."""
    code: str = Field(examples=["DUPLICATE_MAILBOX"])
    """Stable, for programs."""
    details: Details = Field(examples=[{"address": "anna@example.com"}])


class Listing(Model, Generic[T]):
    """One page of a list in a stable order."""

    items: list[T]
    total: int = Field(examples=[1])
    """Of all pages."""
    total_is_minimum: bool = Field(examples=[False])
    """A search found more than `total`; they were not counted."""
    page: int = Field(examples=[1])
    page_size: int = Field(examples=[50])
    pages: int = Field(examples=[1])


class Progress(Model):
    """How far a wanted state has come."""

    sync_status: SyncStatus = Field(examples=[SyncStatus.SYNCED])
    sync_error: str | None = Field(examples=[None])
    """Why it is not on the mail server yet, be it PENDING or FAILED; null when it is."""
    sync_error_code: str | None = Field(examples=[None])
    """For programs: e.g. SERVER_UNREACHABLE, UNSAFE_PLAN (the server is halted), GATHERING, REMOVING, WAITING."""
    sync_advice: str | None = Field(examples=[None])
    """What can be done about it."""
    attempts: int = Field(examples=[0])
    next_attempt_at: datetime | None = Field(examples=[None])
    """Of this row and of its mail server the later one. Null: at once, or not by itself."""
    removing: bool = Field(examples=[False])
    """It is on its way out on the mail server."""


class Synced(Progress):
    last_synced_at: datetime | None = Field(examples=[TIME])
    created_at: datetime = Field(examples=[TIME])
    updated_at: datetime = Field(examples=[TIME])


class Mailbox(Synced):
    id: UUID = Field(examples=[ID])
    email: str = Field(examples=["anna@example.com"])
    domain: str = Field(examples=["example.com"])
    display_name: str = Field(examples=["Anna Example"])
    status: Status = Field(examples=[Status.ACTIVE])
    login_open: bool = Field(examples=[False])
    """Of a DELETED one: its account was left as it is on the mail server, so one can still log in."""
    storage_quota: int | float = Field(examples=[1024])
    """MB; 0: no limit."""
    message_quota: int | None = Field(examples=[None])
    used_storage: int | float | None = Field(examples=[12.5])
    """MB, when the mail server was last looked at."""
    used_messages: int | None = Field(examples=[340])


class Changed(Mailbox):
    """A mailbox after a change. A mail server that is down is no error: `syncStatus` says PENDING or FAILED then."""

    log_id: UUID | None = Field(examples=[ID])
    """The record of this change: `GET /logs/{id}` tells what came of it. Null where nothing changed."""
    warnings: list[str] = Field(examples=[[]])
    """What else on the mail server decides over its mail, as sentences."""


class PasswordReset(Changed):
    one_time_password: str | None = Field(examples=["fK7-qd2Xw9vLtPz4"])
    """Where none was given: the one that was made. It is shown this once only."""


class NewMailbox(Model):
    email: Email
    password: Password | None = None
    """`GET /policy` says what it needs; by default 8 to 32 characters,
    three of: capital, small letter, digit, other."""
    password_hash: Annotated[SecretStr, Field(max_length=300)] | None = None
    """In place of the password, in Dovecot's notation: `{SHA512-CRYPT}$6$…`."""
    display_name: Name = ""
    storage_quota: StorageQuota | None = None
    """MB; left out: the domain's default."""
    message_quota: MessageQuota | None = None
    enabled: bool = True
    aliases: Annotated[list[Email], Field(max_length=100, examples=[["info@example.com"]])] = []
    """Further addresses of this mailbox."""


class MailboxEdit(Model):
    """What is left out stays."""

    display_name: Name | None = None
    storage_quota: StorageQuota | None = None
    message_quota: MessageQuota | None = None


class QuotaEdit(Model):
    """What is left out stays; 0: no limit."""

    storage_quota: StorageQuota | None = None
    message_quota: MessageQuota | None = None


class NewPassword(Model):
    password: Password | None = None
    """Left out: a password is made and returned, this once only."""


class Alias(Synced):
    id: UUID = Field(examples=[ID])
    alias_address: str = Field(examples=["info@example.com"])
    """`@example.com` is the catch-all."""
    domain: str = Field(examples=["example.com"])
    destinations: list[str] = Field(examples=[["anna@example.com"]])
    mailbox_id: UUID | None = Field(examples=[ID])
    """The mailbox it belongs to."""
    mailbox: str | None = Field(examples=["anna@example.com"])


class ChangedAlias(Alias):
    log_id: UUID | None = Field(examples=[ID])
    warnings: list[str] = Field(examples=[["ana@example.com does not exist. Did you mean anna@example.com?"]])
    """What hinders mail from arriving as it is meant, as sentences."""


Destinations = Annotated[list[Email], Field(min_length=1, max_length=100, examples=[["anna@example.com"]])]


class NewAlias(Model):
    alias_address: Email = Field(examples=["info@example.com"])
    destinations: Destinations
    mailbox_id: UUID | None = None
    """Left out: the mailbox of its only destination, if that is one of ours."""


class AliasEdit(Model):
    destinations: Destinations


class Deleted(Progress):
    """`syncStatus` is SYNCED when it is done: gone from the mail server, or closed there; or marked here where that is
    all there is to do."""

    id: UUID = Field(examples=[ID])
    log_id: UUID | None = Field(examples=[ID])
    removed: list[str] = Field(examples=[["info@example.com"]])
    """Aliases that went with it, because nothing was left where they led."""
    login_open: bool = Field(examples=[False])
    """The account was left as it is on the mail server, so one can still log in."""


class Domain(Model):
    id: UUID = Field(examples=[ID])
    name: str = Field(examples=["example.com"])
    description: str = Field(examples=["Headquarters"])
    server: str = Field(examples=["main"])
    user_count: int = Field(examples=[12])
    total_quota: int | float = Field(examples=[12288])
    """MB of all mailboxes with a limit."""
    used_storage: int | float = Field(examples=[740.5])
    default_quota: int | float | None = Field(examples=[1024])
    """MB of a new mailbox; null: the product's default."""


class NewDomain(Model):
    name: DomainName
    server: ServerName
    description: Text = ""
    default_quota: StorageQuota | None = None


class DomainEdit(Model):
    """What is left out stays; `defaultQuota` null: the product's default."""

    description: Text | None = None
    default_quota: StorageQuota | None = None


class Server(Model):
    name: str = Field(examples=["main"])
    kind: str = Field(examples=["dms_files"])
    accounts: int = Field(examples=[12])
    pending: int = Field(examples=[0])
    failed: int = Field(examples=[0])
    error: str | None = Field(examples=[None])
    """Why it cannot be reached."""
    alarm: str | None = Field(examples=[None])
    """Why nothing is sent to it until a person has looked."""
    advice: str | None = Field(examples=[None])
    """What can be done, where nothing goes out to it."""
    last_read_at: datetime | None = Field(examples=[TIME])
    last_write_at: datetime | None = Field(examples=[TIME])
    next_attempt_at: datetime | None = Field(examples=[None])


class LogRecord(Model):
    id: UUID = Field(examples=[ID])
    operator: str = Field(examples=["token:billing"])
    operator_id: int | None = Field(examples=[None])
    ip: str | None = Field(examples=["192.0.2.7"])
    operation: str = Field(examples=["mailbox.create"])
    resource_type: str = Field(examples=["mailbox"])
    resource_id: str | None = Field(examples=[ID])
    resource_name: str | None = Field(examples=["anna@example.com"])
    domain: str | None = Field(examples=["example.com"])
    payload: Details = Field(examples=[{"address": "anna@example.com", "password": "***"}])
    # Not checked: one that somebody has written into the database is shown, and named by the proof of the log.
    status: str = Field(examples=[LogStatus.SUCCESS], json_schema_extra={"enum": list(LogStatus)})
    command: str | None = Field(examples=["postfix-accounts.cf: anna@example.com|***"])
    exit_code: int | None = Field(examples=[0])
    stdout: str | None = Field(examples=[None])
    stderr: str | None = Field(examples=[None])
    error: str | None = Field(examples=[None])
    started_at: datetime = Field(examples=[TIME])
    completed_at: datetime | None = Field(examples=[TIME])
    duration_ms: int | None = Field(examples=[12])


# ---- several at once -----------------------------------------------------------------------


class Several(Model):
    ids: Ids


class SeveralDeleted(Several):
    force: bool = False
    """Remove them from the mail server, too."""
    erase_mail: bool = False
    keep_login: bool = False
    """Without `force`: leave the accounts as they are on the mail server; otherwise nobody can log in any more."""


class SeveralQuotas(Several):
    storage_quota: StorageQuota


class SeveralNew(Model):
    mailboxes: Annotated[list[NewMailbox], Field(min_length=1, max_length=MAX_BULK)]
    dry_run: bool = False
    """Only report what would be refused."""


class Item(Model):
    """What became of one item; `index` counts from 0."""

    index: int = Field(examples=[0])
    name: str = Field(examples=["anna@example.com"])
    result: Literal["created", "done", "unchanged", "acceptable", "refused"] = Field(examples=["done"])
    id: UUID | None = Field(examples=[ID])
    error: str | None = Field(examples=[None])
    code: str | None = Field(examples=[None])


class BulkAnswer(Model):
    done: int = Field(examples=[1])
    unchanged: int = Field(examples=[0])
    refused: int = Field(examples=[0])
    left_open: list[str] = Field(examples=[[]])
    """Of a delete: the mailboxes to which one can still log in on the mail server."""
    items: list[Item]


class RefusedRow(Model):
    row: int = Field(examples=[3])
    """Line of the file; the header is 1."""
    column: str = Field(examples=["password"])
    code: str = Field(examples=["WEAK_PASSWORD"])
    error: str = Field(examples=["The password needs 8 to 32 characters; this one has 4."])


class MadePassword(Model):
    email: str = Field(examples=["anna@example.com"])
    password: str = Field(examples=["hRv3u-Kw8pZ-mT5q"])


class ChangedValue(Model):
    address: str = Field(examples=["anna@example.com"])
    what: str = Field(examples=["quota_bytes"])
    before: str | int | bool = Field(examples=[1 << 30])
    after: str | int | bool = Field(examples=[2 << 30])


class AliasImportAnswer(Model):
    created: int = Field(examples=[2])
    acceptable: int = Field(examples=[2])
    """Rows that were, or in a dry run would be, created."""
    ids: list[UUID] = Field(examples=[[ID]])
    refused: list[RefusedRow]


class ImportAnswer(AliasImportAnswer):
    warnings: list[str] = Field(examples=[[]])
    """What else on the mail server decides over the mail of these, as sentences; the first ones."""
    passwords: list[MadePassword] = Field(examples=[[]])
    """Those that were made, with `newPasswords=true`; this once only."""
    left_out: list[str] = Field(examples=[[]])
    """Headings of columns that are not used."""
    updated: list[ChangedValue] = Field(examples=[[]])
    """What was, or in a dry run would be, changed of mailboxes that exist, with `update=true`."""
    unchanged: int = Field(examples=[0])
