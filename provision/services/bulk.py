"""The bulk forms: thousands in one transaction and one push. What cannot be done is reported per item."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from provision.core import address as addresses
from provision.core.access import Actor, Permission
from provision.core.errors import ProvisionError
from provision.core.passwords import PasswordRules, hash_passwords
from provision.core.secret import Secret
from provision.core.texts import N_
from provision.servers.kinds import KINDS
from provision.services.aliases import insert_aliases, refuse_taken_alias
from provision.services.base import check_quota, operation, subject_of
from provision.services.mailboxes import (
    DELETED_FIRST,
    MailboxWrites,
    erase_refusal,
    require_force,
    restore,
    restore_refusal,
    soft_delete,
)
from provision.services.new_mailbox import (
    NewMailbox,
    disable_refusal,
    find_domains,
    insert_mailboxes,
    refusal,
    taken_addresses,
)
from provision.storage.models import Domain, Mailbox, Server, Status

CHUNK = 5_000
PART = 1_000
PROGRESS_EVERY = 100
Progress = Callable[[int, int], None]
RefusalCheck = Callable[[Mailbox], ProvisionError | None]
Foreign = Callable[[NewMailbox], ProvisionError | None]


@dataclass(frozen=True, slots=True)
class ItemError:
    """Why one item of a bulk call was left out. `index` counts from 0."""

    index: int
    name: str
    error: ProvisionError

    def to_dict(self) -> dict[str, Any]:
        """For a repeated call; `from_dict` reads it."""
        error = self.error
        return {
            "index": self.index,
            "name": self.name,
            "code": error.code,
            "message": error.message,
            "details": error.details,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "ItemError":
        return cls(
            stored["index"], stored["name"], ProvisionError(stored["message"], code=stored["code"], **stored["details"])
        )


@dataclass(slots=True)
class BulkResult:
    """What became of each item: `done` and `unchanged` in their order, and all the others in `errors`."""

    done: list[UUID] = field(default_factory=list)
    unchanged: list[UUID] = field(default_factory=list)
    errors: list[ItemError] = field(default_factory=list)


class BulkWrites(MailboxWrites):
    @operation("mailbox.create_many")
    def create_mailboxes(
        self,
        actor: Actor,
        news: Sequence[NewMailbox],
        *,
        dry_run: bool = False,
        idempotency_key: str | None = None,
        progress: Progress | None = None,
        foreign: Foreign = lambda new: None,
        also: Callable[[Session, BulkResult], object] = lambda session, result: None,
    ) -> BulkResult:
        """Make many mailboxes with their aliases. `dry_run`: only report what would be refused.

        A thousand in one transaction (with an idempotency key: all), and one push of all. `progress(done, of)` is
        called while passwords are hashed, which takes nearly all of the time. `foreign`: why an item is none of the
        actor's; it alone is refused then, not the whole call. `also`: the last thing in each transaction.
        """
        actor.require(Permission.MAILBOX_WRITE)
        result = BulkResult()
        request = [new.request() for new in news]
        with self.database.read() as session:
            earlier = self._earlier(session, actor, "mailbox.create_many", idempotency_key, request)
            if earlier:
                refused = [ItemError.from_dict(stored) for stored in earlier.refusals]
                return BulkResult([UUID(uid) for uid in earlier.resource_ids], errors=refused)
            checked = _checked(news, self._policy(session).passwords, foreign, result)
            good, plain = self._acceptable(session, actor, checked, result), _domains_for_plain(session)
        if dry_run:
            return result
        servers: set[int] = set()
        for part in _hashed(good, max(PART, len(good)) if idempotency_key else PART, progress, plain):
            with self._writing() as session:
                rows = self._insert_part(session, actor, part, result)
                refusals = [error.to_dict() for error in result.errors]
                self._remember(session, actor, "mailbox.create_many", idempotency_key, request, result.done, refusals)
                also(session, result)
            servers.update(row.server_id for row in rows)
        self._push(servers)
        return result

    def _insert_part(
        self, session: Session, actor: Actor, part: Sequence[tuple[int, NewMailbox]], result: BulkResult
    ) -> list[Mailbox]:
        good = self._acceptable(session, actor, part, result)  # hashing took a while: look again
        newcomers = [new for _, new in good]
        rows = insert_mailboxes(self, session, actor, newcomers)
        self._intend(session, actor, "mailbox.create", rows, [new.payload() for new in newcomers])
        aliases = insert_aliases(session, rows, newcomers)
        self._intend(session, actor, "alias.create", aliases, [{"destinations": a.destinations} for a in aliases])
        result.done += [row.uid for row in rows]
        return rows

    def _acceptable(
        self, session: Session, actor: Actor, items: Sequence[tuple[int, NewMailbox]], result: BulkResult
    ) -> list[tuple[int, NewMailbox]]:
        """The items that can be made now; the others go to `result.errors`."""
        names = {addresses.domain_of(a) for _, new in items for a in (new.address, *new.aliases)}
        domains = find_domains(session, names)
        taken = taken_addresses(session, [a for _, new in items for a in (new.address, *new.aliases)])
        good = []
        for index, new in items:
            reason = refusal(actor, new, domains, taken) or refuse_taken_alias(actor, new, domains, taken)
            if reason:
                result.errors.append(ItemError(index, new.address, reason))
                continue
            taken.update(dict.fromkeys((new.address, *new.aliases), N_("it comes twice")))
            good.append((index, new))
        return good

    @operation("mailbox.disable_many")
    def disable_mailboxes(self, actor: Actor, uids: Sequence[UUID]) -> BulkResult:
        return self._change_many(
            actor,
            uids,
            "mailbox.disable",
            {"status": "DISABLED"},
            _status(Status.DISABLED),
            refusal=lambda row: disable_refusal(row.domain.server.kind),
        )

    @operation("mailbox.enable_many")
    def enable_mailboxes(self, actor: Actor, uids: Sequence[UUID]) -> BulkResult:
        return self._change_many(actor, uids, "mailbox.enable", {"status": "ACTIVE"}, _status(Status.ACTIVE))

    @operation("mailbox.restore_many")
    def restore_mailboxes(self, actor: Actor, uids: Sequence[UUID]) -> BulkResult:
        """Take soft deletes back, as `restore_mailbox`."""
        return self._change_many(actor, uids, "mailbox.restore", {}, restore, deleted_too=True, refusal=restore_refusal)

    @operation("mailbox.set_quota_many")
    def set_quotas(self, actor: Actor, uids: Sequence[UUID], quota_bytes: int) -> BulkResult:
        check_quota(quota_bytes)

        def set_it(row: Mailbox) -> bool:
            changed = row.quota_bytes != quota_bytes
            row.quota_bytes = quota_bytes
            return changed

        return self._change_many(actor, uids, "mailbox.edit", {"quota_bytes": quota_bytes}, set_it)

    @operation("mailbox.delete_many")
    def delete_mailboxes(
        self, actor: Actor, uids: Sequence[UUID], *, force: bool = False, erase_mail: bool = False
    ) -> BulkResult:
        """Soft or forced, as `delete_mailbox`. Where mail cannot be erased nothing is deleted."""
        require_force(force, erase_mail)
        result = BulkResult()
        servers: set[int] = set()
        with self._writing() as session:
            rows = self._writable_many(session, actor, uids, result, deleted_too=force)
            rows = _accepted(rows, uids, erase_refusal, result) if erase_mail else rows
            self._give_up(session, rows, DELETED_FIRST)
            if force:
                payload = {"force": True, "erase_mail": erase_mail}
                aliases = self.mark_for_deletion(session, rows, erase_mail)
                self._intend(session, actor, "mailbox.delete", rows, [payload] * len(rows))
                self._intend(session, actor, "alias.follow", aliases, [{}] * len(aliases))
                servers = {row.server_id for row in rows}
            else:
                for row in rows:
                    soft_delete(row)
                self._done(session, actor, "mailbox.delete", [subject_of(row) for row in rows], {"force": False})
            result.done = [row.uid for row in rows]
        self._push(servers)
        return result

    def _change_many(
        self,
        actor: Actor,
        uids: Sequence[UUID],
        name: str,
        payload: Mapping[str, Any],
        change: Callable[[Mailbox], bool],
        *,
        deleted_too: bool = False,
        refusal: RefusalCheck = lambda row: None,
    ) -> BulkResult:
        """Apply `change`, which says whether it changed anything, to each row that has no `refusal`."""
        result = BulkResult()
        with self._writing() as session:
            rows = self._writable_many(session, actor, uids, result, deleted_too=deleted_too)
            rows = _accepted(rows, uids, refusal, result)
            changed = [row for row in rows if change(row)]
            for row in changed:
                self._want(row)
            self._intend(session, actor, name, changed, [payload] * len(changed))
            result.done = [row.uid for row in changed]
            touched = set(result.done)
            result.unchanged = [row.uid for row in rows if row.uid not in touched]
        self._push({row.server_id for row in changed})
        return result

    def _writable_many(
        self, session: Session, actor: Actor, uids: Sequence[UUID], result: BulkResult, *, deleted_too: bool = False
    ) -> list[Mailbox]:
        """The rows the actor may change. One that they may not is an AccessDenied for the whole call."""
        actor.require(Permission.MAILBOX_WRITE)
        ranks = self.ranks(session)
        found: dict[UUID, Mailbox] = {}
        for start in range(0, len(uids), CHUNK):
            statement = select(Mailbox).where(Mailbox.uid.in_(uids[start : start + CHUNK])).with_for_update(of=Mailbox)
            found.update((row.uid, row) for row in session.scalars(statement))
        rows = []
        for index, uid in enumerate(dict.fromkeys(uids)):
            row = found.get(uid)
            if row is None or (row.status == Status.DELETED and not deleted_too):
                name = row.address if row else str(uid)
                result.errors.append(ItemError(index, name, ProvisionError("It is deleted.", code="MAILBOX_NOT_FOUND")))
                continue
            actor.require(Permission.MAILBOX_WRITE, row.domain_id, what=row.address)
            actor.require_rank(ranks.get(row.address), row.address)
            rows.append(row)
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


def _hashed(
    items: Sequence[tuple[int, NewMailbox]], at_once: int, progress: Progress | None, kept_plain: Collection[str]
) -> Iterator[list[tuple[int, NewMailbox]]]:
    """Readable passwords turned into hashes, on all cores; while one part is used the next ones are hashed.

    `kept_plain`: domains on servers that take no hash.
    """

    def to_hash(new: NewMailbox) -> bool:
        return new.password is not None and addresses.domain_of(new.address) not in kept_plain

    plain = [new.password for _, new in items if new.password is not None and to_hash(new)]
    hashes = _counted(hash_passwords(plain), len(plain), progress or (lambda done, of: None))
    for start in range(0, len(items), at_once):
        yield [
            (index, replace(new, password=None, password_hash=next(hashes)) if to_hash(new) else new)
            for index, new in items[start : start + at_once]
        ]


def _domains_for_plain(session: Session) -> set[str]:
    """Those on servers that take no hash."""
    kinds = [name for name, kind in KINDS.items() if not kind.traits.takes_hash]
    if not kinds:
        return set()
    return set(session.scalars(select(Domain.name).join(Server).where(Server.kind.in_(kinds))))


def _counted(hashes: Iterator[Secret], of: int, progress: Progress) -> Iterator[Secret]:
    for done, made in enumerate(hashes, 1):
        if done % PROGRESS_EVERY == 0 or done == of:
            progress(done, of)
        yield made


def _status(status: Status) -> Callable[[Mailbox], bool]:
    def set_it(row: Mailbox) -> bool:
        changed = row.status != status
        row.status = status
        return changed

    return set_it
