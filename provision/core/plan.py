"""Compare what is wanted with what is there. Pure: no database, no network, no clock.

Rules: absence never deletes (only a tombstone does); a never-delivered mailbox does not take over
an account that somebody else made; a server that lost much is an alarm, not work.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import islice
from typing import Any

from provision.core.errors import UnsafePlan
from provision.core.forwarding import loop_sentence, loops
from provision.core.lazy import Lazy
from provision.core.passwords import is_hash, verify_password
from provision.core.secret import Secret
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
    Unmanageable,
    WantedAlias,
    WantedMailbox,
    Wish,
)
from provision.core.texts import N_
from provision.core.traits import Feature, Traits

ADDRESS = re.compile(r"[^\s“”:,;()]*@[^\s“”:,;()]*[^\s“”:,;().]")  # as a sentence names one
MOST_CIRCLES = 20  # that are told
UNSAFE_SHARE = 0.3  # deletes plus missing, as a share of what should be there …
UNSAFE_FROM = 10  # … judged only from this many entries on


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of one entry on which the two sides disagree, as people read it."""

    key: Key
    field: str
    ours: str
    theirs: str


@dataclass(slots=True)
class Plan:
    changes: list[Change] = field(default_factory=list)
    in_sync: list[Key] = field(default_factory=list)  # due, and already as wanted
    conflicts: list[Difference] = field(default_factory=list)  # due, but the account there is not ours
    address_conflicts: list[Key] = field(default_factory=list)  # an alias where a mailbox is wanted, or the reverse
    unrecoverable: list[Key] = field(default_factory=list)  # due, gone there, and no password kept to create it again
    missing: list[Key] = field(default_factory=list)  # ours, gone from the server
    differing: list[Difference] = field(default_factory=list)  # delivered once, changed there since
    unknown: list[Key] = field(default_factory=list)  # on the server, unknown here
    unmanageable: Sequence[Unmanageable] = ()  # on the server, and never touched
    unsupported: list[tuple[Key, str]] = field(default_factory=list)  # wanted, but this kind cannot
    blocked: list[tuple[Key, str]] = field(default_factory=list)  # due, but the entry there may not be touched, and why
    warnings: Sequence[str] = field(default=(), compare=False)  # about what is on the server, as sentences
    beside: Sequence[str] = ()  # what the changes write beside themselves
    expected: int = 0  # entries that should be on the server
    recreated: int = 0  # changes that create again what was there before

    @property
    def deletes(self) -> int:
        return sum(isinstance(change, DeleteMailbox | DeleteAlias) for change in self.changes)

    def within(self, belongs: Callable[[str], bool]) -> "Plan":
        """The part that is about addresses which belong; the numbers stay those of the whole."""
        part: dict[str, Any] = {}
        for one in fields(self):
            entries = getattr(self, one.name)
            if one.name in ("warnings", "beside"):
                part[one.name] = [text for text in entries if any(map(belongs, ADDRESS.findall(text)))]
            elif isinstance(entries, Sequence):
                part[one.name] = [entry for entry in entries if belongs(_address_of(entry))]
        return replace(self, **part)

    def require_safe(self) -> None:
        """Raises: UnsafePlan when too much would go, or has gone."""
        gone = len(self.missing) + len(self.unrecoverable) + self.recreated
        if self.expected < UNSAFE_FROM or self.deletes + gone <= UNSAFE_SHARE * self.expected:
            return
        raise UnsafePlan(
            f"Of {self.expected:,} entries that should be on the mail server, {gone:,} are missing there and "
            f"{self.deletes:,} would be deleted.",
            expected=self.expected,
            missing=gone,
            deletes=self.deletes,
        )


def _address_of(entry: Change | Key | Difference | Unmanageable | tuple[Key, str]) -> str:
    match entry:
        case Difference():
            return entry.key.address
        case Unmanageable():
            return entry.text
        case (Key() as key, _):
            return key.address
        case _:
            return entry.address


def make_plan(
    desired: DesiredState,
    actual: ServerState,
    traits: Traits = Traits(),
    *,
    survey: bool = True,
    accepted: Collection[Key] = (),
) -> Plan:
    """The plan for one server of a kind with these traits.

    Without `survey` only what is wanted is looked at, not what else the server holds. `accepted`: whose password the
    server has just taken; that is the proof where it cannot be read back.
    """
    plan = Plan()
    for address, mailbox in desired.mailboxes.items():
        _compare_mailbox(plan, address, mailbox, actual, traits, accepted)
    for address, alias in desired.aliases.items():
        _compare_alias(plan, address, alias, actual, traits)
    if survey:
        plan.unmanageable, plan.warnings = actual.unmanageable, Lazy(lambda: warnings_of(actual))
        _find_unknown(plan, Resource.MAILBOX, desired.mailboxes, actual.mailboxes, actual)
        _find_unknown(plan, Resource.ALIAS, desired.aliases, actual.aliases, actual)
    plan.changes.sort(key=lambda change: change.order)
    if survey and plan.changes:
        plan.beside = actual.beside(plan.changes)
    return plan


def warnings_of(actual: ServerState) -> list[str]:
    """What is wrong with what is there: what the kind says, and aliases that lead in a circle."""
    targets = {address: state.destinations for address, state in actual.aliases.items()}
    circles = loops(targets, actual.mailboxes.__contains__)
    return [*actual.warnings, *(loop_sentence(path) for path in islice(circles, MOST_CIRCLES))]


def _find_unknown(
    plan: Plan,
    resource: Resource,
    wanted: Collection[str],
    there: Mapping[str, MailboxState] | Mapping[str, AliasState],
    actual: ServerState,
) -> None:
    """Only unknown addresses are looked into: of 100,000 entries nearly all are known."""
    unknown = (address for address in actual.addresses(resource) if address not in wanted)
    plan.unknown += [Key(resource, address) for address in unknown if _is_known(there.get(address))]


def _is_known(have: MailboxState | AliasState | None) -> bool:
    """Whether all of it can be read; otherwise it would be imported as something that it is not."""
    return have is not None and not (isinstance(have, MailboxState) and have.quota_bytes is None)


def _compare_mailbox(
    plan: Plan, address: str, want: WantedMailbox, actual: ServerState, traits: Traits, accepted: Collection[Key]
) -> None:
    key = Key(Resource.MAILBOX, address)
    have = actual.mailboxes.get(address)
    if want.wish is Wish.IGNORED:
        return
    if want.wish is Wish.ABSENT:
        _compare_absent(plan, key, want, actual, DeleteMailbox(address, want.erase_mail), traits)
        return
    if want.wish is Wish.CLOSED and not want.owned and not _made_by_us(want, actual, address, traits):
        plan.in_sync += [key] if want.due else []
        return
    plan.expected += want.owned
    want = _as_the_kind_can(plan, key, want, have, traits)
    if have is None and _is_blocked(plan, key, want.due or not want.owned, actual):
        return
    if have is None and not want.owned and _has_alias(actual, address):
        plan.address_conflicts.append(key)
    elif have is None:
        _plan_absent_mailbox(plan, key, want, address in actual.addresses(Resource.MAILBOX))
    elif want.due:
        _plan_due_mailbox(plan, key, want, have, traits, accepted)
    elif not want.owned and not _is_marked(want, have):
        plan.conflicts.append(_foreign(key))
    else:
        plan.differing += mailbox_differences(key, want, have, traits)


def _as_the_kind_can(
    plan: Plan, key: Key, want: WantedMailbox, have: MailboxState | None, traits: Traits
) -> WantedMailbox:
    """What is wanted, as far as it can be kept; the rest is named."""
    if want.quota_messages and not traits.can(Feature.MESSAGE_QUOTA):
        plan.unsupported.append((key, N_("a limit on the number of messages")))
        want = want._replace(quota_messages=None)
    if Feature.QUOTA not in traits.features:
        if want.quota_bytes:
            plan.unsupported.append((key, N_("a quota")))
        want = want._replace(quota_bytes=(have.quota_bytes or 0) if have else 0)
    if not want.enabled and not traits.can(Feature.DISABLE):
        plan.unsupported.append((key, N_("a mailbox without login")))
    return want if traits.quota_step_bytes == 1 else want._replace(quota_bytes=traits.quota(want.quota_bytes))


def _compare_absent(
    plan: Plan,
    key: Key,
    want: WantedMailbox | WantedAlias,
    actual: ServerState,
    delete: DeleteMailbox | DeleteAlias,
    traits: Traits,
) -> None:
    """A tombstone deletes only what is ours: an entry that somebody else made there in the meantime stays."""
    is_there = key.address in actual.addresses(key.resource)
    ours = is_there and (want.owned or _made_by_us(want, actual, key.address, traits))
    plan.expected += ours
    managed = actual.aliases if key.resource is Resource.ALIAS else actual.mailboxes
    if ours and key.address not in managed and _is_blocked(plan, key, want.due, actual):
        return
    if want.due and ours:
        plan.changes.append(delete)
    elif want.due:
        plan.in_sync.append(key)


def _is_blocked(plan: Plan, key: Key, due: bool, actual: ServerState) -> bool:
    """Whether there is something at this address that may not be touched; it is neither missing nor to be made."""
    reason = actual.obstacle(key)
    if reason and due:
        plan.blocked.append((key, reason))
    return reason is not None


def _made_by_us(want: WantedMailbox | WantedAlias, actual: ServerState, address: str, traits: Traits) -> bool:
    """Written just before a crash and not recorded: the entry there is the very one that was wanted here."""
    if isinstance(want, WantedAlias):
        alias = actual.aliases.get(address)
        return alias is not None and set(alias.destinations) == set(want.destinations)
    have = actual.mailboxes.get(address)
    if have is None:
        return False
    return _is_marked(want, have) or bool(_has_password(want, have, traits))


def _is_marked(want: WantedMailbox, have: MailboxState) -> bool:
    """Whether it carries the mark of this very row."""
    return have.owner_uid is not None and have.owner_uid == want.uid


def _has_password(want: WantedMailbox, have: MailboxState, traits: Traits) -> bool | None:
    """Whether the server has the waiting password; None where that cannot be read."""
    if want.password is None or have.password_hash is None or not traits.reads_password:
        return None
    return same_password(want.password, have.password_hash)


def _has_alias(actual: ServerState, address: str) -> bool:
    """Whether an alias takes the mail of this address; one to itself leaves it to the mailbox."""
    if address not in actual.addresses(Resource.ALIAS):
        return False
    alias = actual.aliases.get(address)
    return alias is None or alias.destinations != (address,)


def _plan_absent_mailbox(plan: Plan, key: Key, want: WantedMailbox, is_there: bool) -> None:
    """Not among the mailboxes; `is_there`: an entry that cannot be managed has its address, so it is not gone."""
    if want.due and want.password is not None:
        plan.recreated += want.owned
        plan.changes.append(
            CreateMailbox(key.address, want.password, want.quota_bytes, want.enabled, want.quota_messages, want.uid)
        )
    elif want.due:
        plan.unrecoverable.append(key)
    elif want.owned and not is_there:
        plan.missing.append(key)


def _plan_due_mailbox(
    plan: Plan, key: Key, want: WantedMailbox, have: MailboxState, traits: Traits, accepted: Collection[Key]
) -> None:
    same = _has_password(want, have, traits)
    changes = list(_mailbox_changes(key.address, want, have, traits))
    if want.password is not None and not same and not (same is None and key in accepted):
        changes.insert(0, SetPassword(key.address, want.password))
    if not changes:
        plan.in_sync.append(key)
    elif want.password is not None and not (want.owned or same or key in accepted or _is_marked(want, have)):
        plan.conflicts.append(_foreign(key))
    else:
        plan.changes += changes


def _foreign(key: Key) -> Difference:
    return Difference(key, "account", N_("to be created"), N_("made on the server by somebody else"))


def _mailbox_changes(address: str, want: WantedMailbox, have: MailboxState, traits: Traits) -> Iterator[Change]:
    """Beside the password."""
    if not _same_quota(want, have, traits) or want.quota_messages != have.quota_messages:
        yield SetQuota(address, want.quota_bytes, want.quota_messages)
    if want.enabled != have.enabled:
        yield SetEnabled(address, want.enabled)


def _same_quota(want: WantedMailbox, have: MailboxState, traits: Traits) -> bool:
    if have.quota_bytes is None:
        return False
    return want.quota_bytes == have.quota_bytes or want.quota_bytes == traits.quota(have.quota_bytes)


def mailbox_differences(key: Key, want: WantedMailbox, have: MailboxState, traits: Traits) -> list[Difference]:
    found = []
    if not _same_quota(want, have, traits):
        theirs = N_("unknown") if have.quota_bytes is None else str(have.quota_bytes)
        found.append(Difference(key, "quota", str(want.quota_bytes), theirs))
    if want.quota_messages != have.quota_messages:
        found.append(Difference(key, "message quota", str(want.quota_messages), str(have.quota_messages)))
    if want.enabled != have.enabled:
        found.append(Difference(key, "login", _login(want.enabled), _login(have.enabled)))
    return found


def _login(enabled: bool) -> str:
    return "enabled" if enabled else "disabled"


def _compare_alias(plan: Plan, address: str, want: WantedAlias, actual: ServerState, traits: Traits) -> None:
    key = Key(Resource.ALIAS, address)
    have = actual.aliases.get(address)
    if want.wish is Wish.IGNORED:
        return
    if want.wish is Wish.ABSENT:
        _compare_absent(plan, key, want, actual, DeleteAlias(address), traits)
        return
    plan.expected += want.owned
    if have is None and _is_blocked(plan, key, want.due or not want.owned, actual):
        return
    is_same = have is not None and set(have.destinations) == set(want.destinations)
    takes = actual.takes(address) if is_same else 0
    if have is not None and is_same and not takes:
        if want.due:
            plan.in_sync.append(key)
    elif have is not None and not is_same and not want.owned:
        plan.conflicts.append(alias_difference(key, want, have))
    elif have is None and (want.due or not want.owned) and address in actual.addresses(Resource.MAILBOX):
        plan.address_conflicts.append(key)
    elif want.due:
        plan.recreated += want.owned and have is None
        plan.changes.append(SetAlias(address, want.destinations))
    elif have is None and want.owned:
        plan.missing.append(key)
    elif have is not None:
        plan.differing.append(alias_difference(key, want, have, takes))


def alias_difference(key: Key, want: WantedAlias, have: AliasState, takes: int = 0) -> Difference:
    if takes:
        return Difference(key, "mail of mailboxes", N_("left to them"), N_(f"taken from {takes:,}"))
    return Difference(key, "destinations", ", ".join(want.destinations), ", ".join(have.destinations))


def same_password(wanted: Secret, on_server: Secret) -> bool:
    """Whether the server holds this password; `wanted` may be a hash or plain text."""
    return wanted == on_server if is_hash(wanted) else verify_password(wanted, on_server)
