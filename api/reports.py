"""What goes over the wire about sync, the audit chain, tokens and health."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, SecretStr, create_model
from pydantic.fields import FieldInfo

from api.models import ID, MAX_BULK, TIME, Email, IsNumber, Listing, Model, Progress, ServerName
from provision.core.policy import FIELDS
from provision.core.state import Resource
from provision.services.policy import Source

LOOSELY: dict[Any, Any] = {
    int: Annotated[int, IsNumber, Field(ge=0, le=1 << 31)],
    float: Annotated[float, IsNumber, Field(allow_inf_nan=False)],
    bool: bool,
}

# ---- sync ----------------------------------------------------------------------------------


class PullRequest(Model):
    force: bool = False
    """The server's values win over differing ones here."""
    server: ServerName | None = None
    """Left out: every mail server."""


class PullAnswer(Model):
    success: bool = Field(examples=[True])
    imported: int = Field(examples=[3])
    updated: int = Field(examples=[0])
    errors: list[str] = Field(examples=[[]])
    missing: list[str] = Field(examples=[[]])
    """Ours, gone from the server."""


class PushAnswer(Model):
    retried: int = Field(examples=[1])
    pending: int = Field(examples=[0])
    """What still waits, of all that the caller may see."""
    failed: int = Field(examples=[0])


class Pushed(Progress):
    """One thing that was sent again. `id` and status; SYNCED and gone when it was a removal."""

    id: UUID = Field(examples=[ID])
    resource_type: Resource = Field(examples=[Resource.MAILBOX])


class Waiting(Progress):
    id: UUID = Field(examples=[ID])
    resource_type: Resource = Field(examples=[Resource.MAILBOX])
    address: str = Field(examples=["anna@example.com"])
    server: str = Field(examples=["main"])
    server_error: str | None = Field(examples=[None])
    alarm: str | None = Field(examples=[None])


class SyncCounts(Model):
    synced: int = Field(examples=[12])
    pending: int = Field(examples=[0])
    failed: int = Field(examples=[1])


class SyncOverview(Listing[Waiting]):
    """What is PENDING or FAILED, FAILED first; and how many of all."""

    mailboxes: SyncCounts
    aliases: SyncCounts


class Side(Model):
    storage_quota: int | float | None = Field(examples=[1024])
    message_quota: int | None = Field(examples=[None])
    enabled: bool | None = Field(examples=[True])
    destinations: list[str] | None = Field(examples=[None])


class Finding(Model):
    resource_type: Resource | None = Field(examples=[Resource.MAILBOX])
    address: str | None = Field(examples=["anna@example.com"])
    fields: list[str] = Field(examples=[["quota"]])
    ours: Side | None
    theirs: Side | None
    text: str = Field(examples=[""])
    reason: str = Field(examples=[""])


class Preview(Model):
    """What a push would do and where the sides differ. `counts` are of everything, `entries` are the first of each."""

    server: str = Field(examples=["main"])
    read_at: datetime = Field(examples=[TIME])
    counts: dict[str, int] = Field(examples=[{"differs": 1, "unknown": 0}])
    entries: dict[str, list[Finding]]


class ResolveItem(Model):
    resource_type: Resource
    address: Email


class ResolveRequest(Model):
    """`items`, or left out: every difference of values."""

    winner: Literal["dashboard", "server"]
    server: ServerName | None = None
    items: Annotated[list[ResolveItem], Field(min_length=1, max_length=MAX_BULK)] | None = None


class ResolveAnswer(Model):
    resolved: int = Field(examples=[1])


# ---- the rest ------------------------------------------------------------------------------


class AuditHead(Model):
    """The end of the chain, to be kept elsewhere."""

    links: int = Field(ge=0, le=1 << 53, examples=[42])
    head: str = Field(pattern="^[0-9a-f]{64}$", examples=["0" * 64])
    exported_at: datetime | None = Field(None, examples=[TIME])


class AuditReport(Model):
    intact: bool = Field(examples=[True])
    links: int = Field(examples=[42])
    head: str = Field(examples=["0" * 64])
    broken_at: int | None = Field(examples=[None])
    reason: str | None = Field(examples=[None])


class Credentials(Model):
    email: Email
    password: Annotated[SecretStr, Field(min_length=1, max_length=500, examples=["Correct-Horse-1"])]


class Verdict(Model):
    valid: bool = Field(examples=[True])


class TokenInfo(Model):
    """Who I am."""

    name: str = Field(examples=["billing"])
    scopes: list[str] = Field(examples=[["mailbox:write"]])
    domains: list[str] | None = Field(examples=[["example.com"]])
    """null: all."""
    networks: list[str] = Field(examples=[[]])
    expires_at: datetime | None = Field(examples=[TIME])


class Health(Model):
    status: Literal["healthy", "unhealthy"] = Field(examples=["healthy"])
    service: str = Field(examples=["postroom"])
    version: str = Field(examples=["0.1.0"])
    database: str = Field(examples=["connected"])
    jobs: str = Field(examples=["running"])
    mail_servers: dict[str, int] = Field(examples=[{"reachable": 1, "unreachable": 0, "alarmed": 0}])
    error: str | None = Field(None, examples=[None])


class AutoImport(Model):
    """`imported`: the mail servers whose turn it was."""

    servers: list[str] = Field(examples=[["main"]])
    enabled: bool = Field(examples=[True])
    """Whether the product also does it by itself."""


# ---- policy --------------------------------------------------------------------------------


def _from_table(field_of: Callable[[FieldInfo], Any]) -> Any:
    """A model with a field for each rule."""
    return create_model("FromTable", __base__=Model, **{name: field_of(field) for name, field in FIELDS.items()})


def _told(field: FieldInfo) -> Any:
    return field.annotation, Field(description=field.description, examples=[field.default])


def _given(field: FieldInfo) -> Any:
    """Looser than the rule itself, which is checked where it is set."""
    return LOOSELY[field.annotation] | None, None


class Rules(_from_table(_told)):  # type: ignore[misc]
    """Quotas in MB, pauses in seconds."""


class Policy(Rules):
    sources: dict[str, Source] = Field(examples=[{"passwordMinLength": "default"}])
    """Where each rule comes from."""
    defaults: Rules
    """What holds where nothing is set here."""


class PolicyEdit(_from_table(_given)):  # type: ignore[misc]
    """What is left out stays; null: the default."""
