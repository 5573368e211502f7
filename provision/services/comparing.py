"""A comparison of both sides for people: what a push would do and what differs, with our value and theirs.

Counts are of everything; entries are limited, because nobody reads 100,000 of them. Never holds a password or a hash.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import NamedTuple

from provision.core.address import as_stored
from provision.core.letters import normal
from provision.core.plan import Difference, Plan
from provision.core.state import (
    AliasState,
    Change,
    CreateMailbox,
    DeleteAlias,
    DeleteMailbox,
    DesiredState,
    Key,
    MailboxState,
    Resource,
    ServerState,
    SetAlias,
    SetEnabled,
    SetPassword,
    SetQuota,
    WantedAlias,
    WantedMailbox,
    key_of,
)
from provision.storage.models import utc_now

LIMIT = 500


class Found(StrEnum):
    """What is the matter with an entry."""

    CLASHES = "clashes"  # ours waits, but somebody else made an entry with this address there
    DIFFERS = "differs"  # changed on the server since it was delivered
    UNKNOWN = "unknown"  # only on the server
    GONE = "gone"  # ours, gone from the server
    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"
    UNSUPPORTED = "unsupported"  # wanted, but this kind of server cannot
    UNMANAGEABLE = "unmanageable"  # on the server, and left alone
    BLOCKED = "blocked"  # wanted, but what is there may not be touched
    BESIDE = "beside"  # what a push writes beside the changes
    WARNING = "warning"  # about what is on the server


class Side(NamedTuple):
    """The values of one side, as far as they are known."""

    quota_bytes: int | None = None
    quota_messages: int | None = None
    enabled: bool | None = None
    destinations: tuple[str, ...] | None = None
    takes: int | None = None  # mailboxes whose mail a catch-all takes


class Finding(NamedTuple):
    """One entry. `fields`: on which the sides differ; `text` and `reason`: of what cannot be compared."""

    key: Key | None
    fields: tuple[str, ...] = ()
    ours: Side | None = None
    theirs: Side | None = None
    text: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`counts` are of everything that was found, `entries` are the first of each."""

    counts: Mapping[Found, int]
    entries: Mapping[Found, list[Finding]]
    read_at: datetime


FIELDS: Mapping[type, str] = {
    SetPassword: "password",
    SetQuota: "quota",
    SetEnabled: "login",
    SetAlias: "destinations",
}


def compare(plan: Plan, wanted: DesiredState, actual: ServerState, search: str = "", limit: int = LIMIT) -> Comparison:
    """Put a plan into words. `search`: part of the address."""
    counts: dict[Found, int] = {}
    entries: dict[Found, list[Finding]] = {}
    for found, findings in _kinds(plan, wanted, actual, normal(search).strip().lower()):
        entries[found] = list(islice(findings, limit))
        counts[found] = len(entries[found]) + sum(1 for _ in findings)
    return Comparison(counts, entries, utc_now())


def _kinds(
    plan: Plan, wanted: DesiredState, actual: ServerState, needle: str
) -> Iterator[tuple[Found, Iterator[Finding]]]:
    stored = as_stored(needle)

    def sides(keys: Mapping[Key, list[str]]) -> Iterator[Finding]:
        for key in sorted((key for key in keys if stored in key.address), key=_order):
            yield Finding(key, tuple(keys[key]), _ours(wanted, key), _theirs(actual, key))

    yield Found.CLASHES, sides(_fields_of(plan.conflicts) | {key: ["account"] for key in plan.address_conflicts})
    yield Found.DIFFERS, sides(_fields_of(plan.differing))
    yield Found.UNKNOWN, sides({key: [] for key in plan.unknown})
    yield Found.GONE, sides({key: [] for key in [*plan.missing, *plan.unrecoverable]})
    changes = _changes(plan.changes, actual)
    for found in (Found.CREATE, Found.CHANGE, Found.DELETE):
        yield found, sides(changes[found])
    yield Found.UNSUPPORTED, (Finding(key, reason=what) for key, what in plan.unsupported if stored in key.address)
    left_alone = (u for u in plan.unmanageable if needle in u.text.lower())
    yield Found.BLOCKED, (Finding(key, reason=why) for key, why in plan.blocked if stored in key.address)
    yield Found.BESIDE, (Finding(None, text=line) for line in plan.beside if needle in line)
    yield Found.WARNING, (Finding(None, reason=text) for text in plan.warnings if needle in text.lower())
    yield Found.UNMANAGEABLE, (Finding(None, text=f"{u.where}: {u.text}", reason=u.reason) for u in left_alone)


def _order(key: Key) -> tuple[str, str]:
    return key.address, key.resource


def _fields_of(differences: Iterable[Difference]) -> dict[Key, list[str]]:
    found: dict[Key, list[str]] = {}
    for difference in differences:
        found.setdefault(difference.key, []).append(difference.field)
    return found


def _changes(changes: Iterable[Change], actual: ServerState) -> dict[Found, dict[Key, list[str]]]:
    """Changes by what they do to an entry; several of one entry are one."""
    found: dict[Found, dict[Key, list[str]]] = {kind: {} for kind in (Found.CREATE, Found.CHANGE, Found.DELETE)}
    for change in changes:
        key = key_of(change)
        field = FIELDS.get(type(change))
        found[_verb(change, actual)].setdefault(key, []).extend([field] if field else [])
    return found


def _verb(change: Change, actual: ServerState) -> Found:
    if isinstance(change, DeleteMailbox | DeleteAlias):
        return Found.DELETE
    if isinstance(change, SetAlias):
        return Found.CHANGE if change.address in actual.aliases else Found.CREATE
    return Found.CREATE if isinstance(change, CreateMailbox) else Found.CHANGE


def _ours(wanted: DesiredState, key: Key) -> Side | None:
    entry = (wanted.aliases if key.resource is Resource.ALIAS else wanted.mailboxes).get(key.address)
    return _side(entry) if entry else None


def _theirs(actual: ServerState, key: Key) -> Side | None:
    entry = (actual.aliases if key.resource is Resource.ALIAS else actual.mailboxes).get(key.address)
    if entry is None or key.resource is Resource.MAILBOX:
        return _side(entry) if entry else None
    return _side(entry)._replace(takes=actual.takes(key.address))


def _side(entry: WantedMailbox | WantedAlias | MailboxState | AliasState) -> Side:
    if isinstance(entry, WantedAlias | AliasState):
        return Side(destinations=entry.destinations)
    return Side(entry.quota_bytes, entry.quota_messages, entry.enabled)
