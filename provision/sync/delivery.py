"""Read → plan → apply → read back, chunk by chunk; what each chunk came to is handed out before the next one is sent.

The database is not touched here, and nothing is recorded: see `provision.sync.recording`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from provision.core.errors import Unreachable
from provision.core.plan import Plan, make_plan
from provision.core.state import (
    Change,
    CreateMailbox,
    DesiredState,
    Key,
    Outcome,
    Resource,
    ServerState,
    SetPassword,
    key_of,
)
from provision.core.traits import Traits
from provision.servers.protocol import MailServer
from provision.sync.recording import PushAttempt, note
from provision.sync.work import Work

Others = Mapping[Resource, list[str]]


def deliver(
    server: MailServer, work: Work, accounts: int, others: Callable[[], Others], *, force: bool
) -> Iterator[tuple[Work, PushAttempt]]:
    """Chunk by chunk, until one is cut off. `accounts`: how many should be there; `others`: which, beside the due ones.

    Raises: Unreachable before anything was written, UnsafePlan.
    """
    server.recover()
    traits = server.traits
    keys = _asked(work.items) if traits.reads_some and 0 < len(work.items) <= traits.chunk else None
    actual = server.read(keys)
    before = work.accepted_before()
    plan = make_plan(work.desired, actual, traits, survey=False, accepted=before)
    if keys is not None and (plan.recreated or plan.unrecoverable):  # gone, and should be there: how much else is?
        keys, actual = None, server.read()
        plan = make_plan(work.desired, actual, traits, survey=False, accepted=before)
    _require_safe(plan, actual, accounts if keys else others(), force)
    first, *rest = chunks(plan.changes, traits.chunk)
    later = {key_of(change) for chunk in rest for change in chunk}
    done = _send(server, work, plan, work.items.keys() - later, first, actual, whole=keys is None)
    yield work, done
    while rest and not done.unreachable:
        changes, part = rest.pop(0), replace(work, unreadable=[])
        done = _send(server, part, Plan(), {key_of(c) for c in changes}, changes, actual, whole=keys is None)
        yield part, done


def _asked(keys: Collection[Key]) -> list[Key]:
    """Each address as mailbox and as alias: one may stand in the way of the other."""
    return [Key(resource, address) for address in {key.address for key in keys} for resource in Resource]


def _require_safe(plan: Plan, actual: ServerState, others: Others | int, force: bool) -> None:
    """Raises: UnsafePlan. Of a server that was not read as a whole only deletes can be too many."""
    if isinstance(others, int):
        plan.expected = max(plan.expected, others)
    else:
        plan.expected += sum(map(len, others.values()))
        plan.missing += _missing(others, actual)
    if not force:
        plan.require_safe()


def _missing(others: Others, actual: ServerState) -> list[Key]:
    return [
        Key(resource, address)
        for resource, addresses in others.items()
        for address in addresses
        if address not in actual.addresses(resource)
    ]


def chunks(changes: Sequence[Change], size: int) -> Iterator[Sequence[Change]]:
    """The changes in batches, in the order of the plan; those of one entry stay together. One batch where none are."""
    if len(changes) <= size:
        yield changes
        return
    by_key: dict[Key, list[Change]] = {}
    for change in changes:
        by_key.setdefault(key_of(change), []).append(change)
    batch: list[Change] = []
    for several in by_key.values():
        if batch and len(batch) + len(several) > size:
            yield batch
            batch = []
        batch += several
    yield batch


def _send(
    server: MailServer,
    work: Work,
    plan: Plan,
    keys: Collection[Key],
    changes: Sequence[Change],
    actual: ServerState,
    *,
    whole: bool,
) -> PushAttempt:
    """One chunk. `keys`: what it is about, also where nothing has to be sent."""
    sent, unreachable = _apply(server, changes)
    outcomes, accepted = _by_key(sent)
    done = PushAttempt(plan, outcomes, set(), set(), server.traits, unreachable=unreachable)
    done.accounts = len(actual.addresses(Resource.MAILBOX)) if whole else None
    if changes:
        try:
            actual = server.read(None if whole else _asked(keys))
        except Unreachable as error:
            done.verified, done.unreachable = set(plan.in_sync), error
            done.owned = set() if server.traits.reads_password else accepted
            return done
    done.accounts, done.actual = len(actual.addresses(Resource.MAILBOX)) if whole else None, actual
    known = accepted | work.accepted_before()
    left = make_plan(_part(work.desired, keys), actual, server.traits, survey=False, accepted=known)
    wanting = {key_of(change) for change in left.changes} | {d.key for d in left.conflicts}
    wanting |= {*left.address_conflicts, *left.unrecoverable, *(key for key, _ in left.blocked)}
    done.verified = (work.items.keys() & keys) - wanting - set(work.unreadable)
    finished = outcomes.keys() - _cut_off(changes, sent)
    done.vanished = {key for key in finished & wanting if not outcomes[key].error}
    made = accepted | (_created(changes, sent) if unreachable else set())
    done.owned = {key for key in made if not _tells_password(actual, key, server.traits)}
    return done


def _apply(server: MailServer, changes: Sequence[Change]) -> tuple[list[Outcome], Unreachable | None]:
    """What came back, and what broke it off."""
    outcomes: list[Outcome] = []
    try:
        if changes:
            for outcome in server.apply(changes):
                outcomes.append(outcome)
    except Unreachable as error:
        return outcomes, error
    return outcomes, None


def _by_key(sent: Sequence[Outcome]) -> tuple[dict[Key, Outcome], set[Key]]:
    """One for each entry; and those of which a password was taken."""
    outcomes: dict[Key, Outcome] = {}
    accepted = set()
    for outcome in sent:
        key = note(outcomes, outcome)
        if type(outcome.change) in (CreateMailbox, SetPassword) and not outcome.error:
            accepted.add(key)
    return outcomes, accepted


def _cut_off(changes: Sequence[Change], sent: Sequence[Outcome]) -> set[Key]:
    """Those with a change of which nothing came back."""
    return {key_of(change) for change in changes[len(sent) :]}


def _created(changes: Sequence[Change], sent: Sequence[Outcome]) -> set[Key]:
    """Those that were not there, were to be created, and of which nothing came back: if they are there now, by us."""
    return {key_of(change) for change in changes[len(sent) :] if isinstance(change, CreateMailbox)}


def _tells_password(actual: ServerState, key: Key, traits: Traits) -> bool:
    """Whether what is there tells by its password whose it is; also where nothing is there."""
    have = actual.mailboxes.get(key.address)
    return have is None or (traits.reads_password and have.password_hash is not None)


def _part(desired: DesiredState, keys: Collection[Key]) -> DesiredState:
    """What is wanted of these."""
    if len(keys) >= len(desired.mailboxes) + len(desired.aliases):
        return desired
    wanted = set(keys)
    return DesiredState(
        {a: entry for a, entry in desired.mailboxes.items() if Key(Resource.MAILBOX, a) in wanted},
        {a: entry for a, entry in desired.aliases.items() if Key(Resource.ALIAS, a) in wanted},
    )
