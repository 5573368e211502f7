"""What is wanted, what a mail server holds, and the changes that lead from one to the other.

Frozen values: the database builds the wanted side, a mail-server kind the other,
`provision.core.plan` compares them. Quotas are bytes, 0 means no limit.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, NamedTuple

from provision.core.rules import Rule
from provision.core.secret import Secret


class Resource(StrEnum):
    MAILBOX = "mailbox"
    ALIAS = "alias"


class Key(NamedTuple):
    """Which thing: the same address may not be both."""

    resource: Resource
    address: str


# ---- what a server holds -------------------------------------------------------------------


class MailboxState(NamedTuple):
    """`password_hash`: None where the server tells none. `quota_bytes`: None where it is no size that can be read.
    `owner_uid`: the mark that was left when it was created.
    """

    password_hash: Secret | None = None
    quota_bytes: int | None = 0
    enabled: bool = True
    quota_messages: int | None = None
    owner_uid: str | None = None


class AliasState(NamedTuple):
    destinations: tuple[str, ...]


class Unmanageable(NamedTuple):
    """An entry on the server that is left alone, and why; `text` never holds a hash."""

    where: str
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class ServerState:
    """`present`: every address with an entry, also one that cannot be managed; as said by the two maps if left out.

    `obstacle`: why the entry with this key may not be touched. `takes`: from how many mailboxes an alias takes the mail
    that it should leave to them (a catch-all). `rules`: what else decides over mail. `warnings`: what is wrong with
    what is there, as sentences. `beside`: what changes would write beside them, as a record says it.
    """

    mailboxes: Mapping[str, MailboxState]
    aliases: Mapping[str, AliasState]
    unmanageable: Sequence[Unmanageable] = ()
    present: Mapping["Resource", Collection[str]] = field(default_factory=dict)
    obstacle: Callable[[Key], str | None] = lambda key: None
    takes: Callable[[str], int] = lambda alias: 0
    rules: Sequence[Rule] = ()
    warnings: Sequence[str] = ()
    beside: Callable[[Sequence["Change"]], Sequence[str]] = lambda changes: ()

    def addresses(self, resource: "Resource") -> Collection[str]:
        return self.present.get(resource, self.mailboxes if resource is Resource.MAILBOX else self.aliases)


class Usage(NamedTuple):
    """Of one mailbox; `limit_bytes` is what the server enforces, None without limit."""

    used_bytes: int
    messages: int
    limit_bytes: int | None


@dataclass(frozen=True, slots=True)
class LiveReport:
    """What only a running server can tell. `in_effect_since` (ISO 8601): None while a delivery is not in effect yet."""

    version: str
    in_effect_since: str | None
    queue_length: int
    disk_free_bytes: int
    problems: tuple[str, ...] = ()
    usage: Mapping[str, Usage] = field(default_factory=dict)


# ---- what is wanted ------------------------------------------------------------------------


class Wish(StrEnum):
    PRESENT = "present"
    ABSENT = "absent"  # a tombstone: the only thing that ever deletes
    CLOSED = "closed"  # soft-deleted: there without login; if it never arrived, it is not made now
    IGNORED = "ignored"  # soft-deleted with the login left open: what is on the server stays as it is


class WantedMailbox(NamedTuple):
    wish: Wish
    quota_bytes: int
    enabled: bool
    quota_messages: int | None = None
    password: Secret | None = None  # not delivered yet: a hash, or plain text for kinds that take it
    owned: bool = True  # the account on the server is known to be ours
    due: bool = False  # to be delivered now; otherwise it is only compared
    erase_mail: bool = False
    generation: int = 0  # of the row that says so, where it matters whether that has moved on since
    uid: str | None = None  # of the row: a mark for kinds that have a place for one


class WantedAlias(NamedTuple):
    wish: Wish
    destinations: tuple[str, ...]
    owned: bool = True
    due: bool = False
    generation: int = 0


@dataclass(frozen=True, slots=True)
class DesiredState:
    mailboxes: Mapping[str, WantedMailbox] = field(default_factory=dict)
    aliases: Mapping[str, WantedAlias] = field(default_factory=dict)

    def generation(self, key: Key) -> int | None:
        """Which generation of the row this speaks of; None where there was no row."""
        entry = (self.aliases if key.resource is Resource.ALIAS else self.mailboxes).get(key.address)
        return entry.generation if entry else None


# ---- changes -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CreateMailbox:
    """`owner_uid`: to be kept with the account where there is a place for it, and told by `read`."""

    order: ClassVar[int] = 2
    address: str
    password: Secret
    quota_bytes: int = 0
    enabled: bool = True
    quota_messages: int | None = None
    owner_uid: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class SetPassword:
    order: ClassVar[int] = 3
    address: str
    password: Secret


@dataclass(frozen=True, slots=True)
class SetQuota:
    order: ClassVar[int] = 4
    address: str
    quota_bytes: int
    quota_messages: int | None = None


@dataclass(frozen=True, slots=True)
class SetEnabled:
    order: ClassVar[int] = 5
    address: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class DeleteMailbox:
    order: ClassVar[int] = 1
    address: str
    erase_mail: bool = False


@dataclass(frozen=True, slots=True)
class SetAlias:
    order: ClassVar[int] = 6
    address: str
    destinations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeleteAlias:
    order: ClassVar[int] = 0
    address: str


Change = CreateMailbox | SetPassword | SetQuota | SetEnabled | DeleteMailbox | SetAlias | DeleteAlias


def key_of(change: Change) -> Key:
    resource = Resource.ALIAS if isinstance(change, SetAlias | DeleteAlias) else Resource.MAILBOX
    return Key(resource, change.address)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one change. `command` is what was really run, secrets as `***`."""

    change: Change
    command: str
    exit_code: int = 0
    stdout: str = ""
    stderr: str = ""
    duration_ms: int = 0
    error: str | None = None
