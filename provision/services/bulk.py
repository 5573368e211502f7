"""Many mailboxes at once: thousands in one transaction and one push. What cannot be done is reported per item."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from provision.audit.events import Operation
from provision.core import address as addresses
from provision.core.access import Actor, Permission
from provision.core.errors import ProvisionError
from provision.core.passwords import PasswordRules, hash_passwords
from provision.core.secret import Secret
from provision.servers.kinds import KINDS
from provision.services import updating
from provision.services.checks import check_quota, disable_refusal, erase_refusal
from provision.services.idempotency import ItemError as ItemError
from provision.services.idempotency import earlier, remember
from provision.services.mailboxes import (
    closes,
    mark_for_deletion,
    require_force,
    restore,
    restore_refusal,
    soft_delete,
)
from provision.services.new_mailbox import NewMailbox, insert_mailboxes, refusals
from provision.services.updating import Difference, Wanted
from provision.services.writing import (
    Delivery,
    intend,
    operation,
    require_rank,
    want,
    writing,
)
from provision.settings.config import Settings
from provision.settings.policy import in_force
from provision.storage.database import Database
from provision.storage.encryption import Sealer
from provision.storage.models import Domain, Mailbox, Server, Status

CHUNK = 5_000
PART = 1_000
PROGRESS_EVERY = 100
Progress = Callable[[int, int], None]
RefusalCheck = Callable[[Mailbox], ProvisionError | None]
Foreign = Callable[[NewMailbox], ProvisionError | None]
Numbered = Sequence[tuple[int, NewMailbox]]


@dataclass(slots=True)
class BulkResult:
    """What became of each item: `done` and `unchanged` in their order, and all the others in `errors`."""

    done: list[UUID] = field(default_factory=list)
    unchanged: list[UUID] = field(default_factory=list)
    errors: list[ItemError] = field(default_factory=list)
    again: bool = False  # told from an earlier call with the same key
    removed: list[str] = field(default_factory=list)  # aliases that went with deleted mailboxes
    left_open: list[str] = field(default_factory=list)  # deleted mailboxes to which one can still log in


@dataclass(slots=True)
class UpdateResult:
    """What became of those that exist: what differs, what is so already, and what cannot be so."""

    changed: list[Difference] = field(default_factory=list)
    unchanged: list[Difference] = field(default_factory=list)
    errors: list[ItemError] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class BulkMailboxes:
    database: Database
    sealer: Sealer
    settings: Settings
    delivery: Delivery

    @operation(Operation.MAILBOX_CREATE_MANY)
    def create(
        self,
        actor: Actor,
        news: Sequence[NewMailbox],
        *,
        dry_run: bool = False,
        push: bool = True,
        idempotency_key: str | None = None,
        progress: Progress = lambda done, of: None,
        foreign: Foreign = lambda new: None,
        also: Callable[[Session, BulkResult], object] = lambda session, result: None,
    ) -> BulkResult:
        """Make many mailboxes with their aliases. `dry_run`: only report what would be refused.

        A thousand in one transaction (with an idempotency key: all), and one push of all, unless that is left to the
        caller. `progress(done, of)` is called while passwords are hashed, which takes nearly all of the time.
        `foreign`: why an item is none of the actor's; it alone is refused then, not the whole call. `also`: the last
        thing in each transaction.
        """
        actor.require(Permission.MAILBOX_WRITE)
        call = (actor, Operation.MAILBOX_CREATE_MANY, idempotency_key, [new.request() for new in news])
        result = BulkResult()
        with self.database.read() as session:
            if before := earlier(session, *call):
                refused = [ItemError.from_dict(stored) for stored in before.refusals]
                return BulkResult([UUID(uid) for uid in before.resource_ids], errors=refused, again=True)
            checked = _checked(news, in_force(session, self.settings).passwords, foreign, result)
            good, plain = _acceptable(session, actor, checked, result), _domains_for_plain(session)
        if dry_run:
            return result
        servers: set[int] = set()
        for part in _hashed(good, max(PART, len(good)) if idempotency_key else PART, progress, plain):
            with writing(self.database) as session:
                servers |= self._insert(session, actor, part, result)
                remember(session, *call, result.done, [error.to_dict() for error in result.errors])
                also(session, result)
        self.delivery.push(servers if push else ())
        return result

    def _insert(self, session: Session, actor: Actor, part: Numbered, result: BulkResult) -> set[int]:
        """Make what can still be made, for hashing took a while; returns on which servers."""
        newcomers = [new for _, new in _acceptable(session, actor, part, result)]
        rows = insert_mailboxes(session, self.sealer, in_force(session, self.settings), actor, newcomers)
        result.done += [row.uid for row in rows]
        return {row.server_id for row in rows}

    @operation(Operation.MAILBOX_EDIT)
    def update(
        self, actor: Actor, wanted: Sequence[Wanted], *, dry_run: bool = False, push: bool = True
    ) -> UpdateResult:
        """Make mailboxes that exist so. `dry_run`: only tell the differences. What is not there is in no list."""
        actor.require(Permission.MAILBOX_WRITE)
        result = UpdateResult()
        with writing(self.database) as session:
            rules = in_force(session, self.settings).passwords
            rows = updating.existing(session, actor, [one.address for one in wanted])
            pairs = []
            for index, one in enumerate(wanted):
                row = rows.pop(one.address, None)  # of an address that comes twice the first one counts
                if row is None:
                    continue
                if reason := updating.refusal(row, one, rules):
                    result.errors.append(ItemError(index, row.address, reason))
                    continue
                change = updating.difference(row, one, index)
                (result.changed if change.values else result.unchanged).append(change)
                pairs += [(row, one, change)] if change.values else []
            if not dry_run:
                updating.apply(session, self.sealer, actor, pairs)
        self.delivery.push({row.server_id for row, _, _ in pairs} if push and not dry_run else ())
        return result

    @operation(Operation.MAILBOX_DISABLE_MANY)
    def disable(self, actor: Actor, uids: Sequence[UUID]) -> BulkResult:
        def refusal(row: Mailbox) -> ProvisionError | None:
            return disable_refusal(row.domain.server.kind)

        change, payload = _setting(status=Status.DISABLED)
        return self._change(actor, uids, Operation.MAILBOX_DISABLE, change, payload, refusal=refusal)

    @operation(Operation.MAILBOX_ENABLE_MANY)
    def enable(self, actor: Actor, uids: Sequence[UUID]) -> BulkResult:
        return self._change(actor, uids, Operation.MAILBOX_ENABLE, *_setting(status=Status.ACTIVE))

    @operation(Operation.MAILBOX_SET_QUOTA_MANY)
    def set_quota(self, actor: Actor, uids: Sequence[UUID], quota_bytes: int) -> BulkResult:
        return self._change(actor, uids, Operation.MAILBOX_EDIT, *_setting(quota_bytes=check_quota(quota_bytes)))

    @operation(Operation.MAILBOX_RESTORE_MANY)
    def restore(self, actor: Actor, uids: Sequence[UUID]) -> BulkResult:
        """Take soft deletes back, each as it was."""
        how: dict[str, Any] = {"deleted_too": True, "refusal": restore_refusal}
        return self._change(actor, uids, Operation.MAILBOX_RESTORE, restore, {}, **how)

    @operation(Operation.MAILBOX_DELETE_MANY)
    def delete(
        self,
        actor: Actor,
        uids: Sequence[UUID],
        *,
        force: bool = False,
        erase_mail: bool = False,
        keep_login: bool = False,
    ) -> BulkResult:
        """Soft or forced, as one. What cannot be erased is not deleted."""
        require_force(force, erase_mail, keep_login)
        result = BulkResult()
        with writing(self.database) as session:
            rows = _writable(session, actor, uids, result, deleted_too=force, open_too=not keep_login)
            if erase_mail:
                rows = _accepted(rows, uids, lambda row: erase_refusal(row.domain.server.kind), result)
            if force:
                result.removed = mark_for_deletion(session, actor, rows, erase_mail)
            else:
                soft_delete(session, actor, rows, keep_login)
            result.done = [row.uid for row in rows]
            result.left_open = [row.address for row in rows if row.login_open]
        self.delivery.push({row.server_id for row in rows if not row.login_open})
        return result

    def _change(
        self,
        actor: Actor,
        uids: Sequence[UUID],
        name: Operation,
        change: Callable[[Mailbox], bool],
        payload: Mapping[str, Any],
        *,
        deleted_too: bool = False,
        refusal: RefusalCheck = lambda row: None,
    ) -> BulkResult:
        """Apply `change`, which says whether it changed anything, to each row that has no `refusal`."""
        result = BulkResult()
        with writing(self.database) as session:
            rows = _writable(session, actor, uids, result, deleted_too=deleted_too)
            rows = _accepted(rows, uids, refusal, result)
            changed = [row for row in rows if change(row)]
            for row in changed:
                want(row)
            intend(session, actor, name, changed, payload)
            result.done = [row.uid for row in changed]
            touched = set(result.done)
            result.unchanged = [row.uid for row in rows if row.uid not in touched]
        self.delivery.push({row.server_id for row in changed})
        return result


def _setting(**values: Any) -> tuple[Callable[[Mailbox], bool], dict[str, Any]]:
    """A change of rows to these values, and what the record says of it."""

    def change(row: Mailbox) -> bool:
        changed = any(getattr(row, name) != value for name, value in values.items())
        for name, value in values.items():
            setattr(row, name, value)
        return changed

    return change, values


def _writable(
    session: Session,
    actor: Actor,
    uids: Sequence[UUID],
    result: BulkResult,
    *,
    deleted_too: bool = False,
    open_too: bool = False,
) -> list[Mailbox]:
    """The rows the actor may change. One that they may not is an AccessDenied for the whole call."""
    actor.require(Permission.MAILBOX_WRITE)
    found: dict[UUID, Mailbox] = {}
    for start in range(0, len(uids), CHUNK):
        statement = select(Mailbox).where(Mailbox.uid.in_(uids[start : start + CHUNK])).with_for_update(of=Mailbox)
        found.update((row.uid, row) for row in session.scalars(statement))
    rows = []
    for index, uid in enumerate(dict.fromkeys(uids)):
        row = found.get(uid)
        gone = row is None or row.status == Status.DELETED
        if row is None or (gone and not (deleted_too or (open_too and closes(row)))):
            name = row.address if row else str(uid)
            result.errors.append(ItemError(index, name, ProvisionError("It is deleted.", code="MAILBOX_NOT_FOUND")))
            continue
        actor.require(Permission.MAILBOX_WRITE, row)
        rows.append(row)
    require_rank(session, actor, [row.address for row in rows])
    return rows


def _accepted(
    rows: Sequence[Mailbox], uids: Sequence[UUID], refusal: RefusalCheck, result: BulkResult
) -> list[Mailbox]:
    """Those for which there is no `refusal`; the others go to `result.errors`."""
    index = {uid: number for number, uid in enumerate(dict.fromkeys(uids))}
    good = []
    for row in rows:
        if reason := refusal(row):
            result.errors.append(ItemError(index[row.uid], row.address, reason))
        else:
            good.append(row)
    return good


# ---- newcomers -----------------------------------------------------------------------------


def _checked(
    news: Sequence[NewMailbox], rules: PasswordRules, foreign: Foreign, result: BulkResult
) -> list[tuple[int, NewMailbox]]:
    good = []
    for index, new in enumerate(news):
        try:
            checked = new.checked(rules)
            if reason := foreign(checked):
                raise reason
            good.append((index, checked))
        except ProvisionError as error:
            result.errors.append(ItemError(index, new.address, error))
    return good


def _acceptable(session: Session, actor: Actor, items: Numbered, result: BulkResult) -> list[tuple[int, NewMailbox]]:
    """The items that can be made now; the others go to `result.errors`."""
    reasons = refusals(session, actor, [new for _, new in items])
    for (index, new), reason in zip(items, reasons, strict=True):
        if reason:
            result.errors.append(ItemError(index, new.address, reason))
    return [item for item, reason in zip(items, reasons, strict=True) if not reason]


def _hashed(items: Numbered, at_once: int, progress: Progress, kept_plain: Collection[str]) -> Iterator[Numbered]:
    """Readable passwords turned into hashes, on all cores; while one part is used the next ones are hashed.

    `kept_plain`: domains on servers that take no hash.
    """

    def to_hash(new: NewMailbox) -> bool:
        return new.password is not None and addresses.domain_of(new.address) not in kept_plain

    plain = [new.password for _, new in items if new.password is not None and to_hash(new)]
    hashes = _counted(hash_passwords(plain), len(plain), progress)
    for start in range(0, len(items), at_once):
        yield [
            (index, replace(new, password=None, password_hash=next(hashes)) if to_hash(new) else new)
            for index, new in items[start : start + at_once]
        ]


def _counted(hashes: Iterator[Secret], of: int, progress: Progress) -> Iterator[Secret]:
    for count, made in enumerate(hashes, 1):
        if count % PROGRESS_EVERY == 0 or count == of:
            progress(count, of)
        yield made


def _domains_for_plain(session: Session) -> set[str]:
    """Those on servers that take no hash."""
    kinds = [name for name, kind in KINDS.items() if not kind.traits.takes_hash]
    if not kinds:
        return set()
    return set(session.scalars(select(Domain.name).join(Server).where(Server.kind.in_(kinds))))
