"""Mailboxes, one at a time: create, edit, password, quota, disable, delete, restore."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from provision.audit.events import Operation
from provision.core.access import Actor, Permission
from provision.core.errors import Conflict, InvalidInput
from provision.core.letters import normal
from provision.core.passwords import check_password, generate_password
from provision.core.secret import Secret
from provision.core.texts import N_
from provision.servers.login_check import check_login
from provision.services.checks import check_display_name, check_quota, check_version, disable_refusal, erase_refusal
from provision.services.idempotency import made_earlier, remember
from provision.services.new_mailbox import NewMailbox, insert_mailboxes, refusals, seal_password
from provision.services.writing import (
    HIDDEN,
    Delivery,
    done,
    find,
    find_writable,
    give_up,
    intend,
    operation,
    subject_of,
    touch,
    want,
    writing,
)
from provision.settings.config import Settings
from provision.settings.policy import in_force
from provision.storage.database import Database
from provision.storage.encryption import Sealer
from provision.storage.models import Alias, Mailbox, Status
from provision.storage.search import leads_to

FEW = 20
CHUNK = 5_000
DELETED_FIRST = N_("Given up: the mailbox was deleted before this reached the mail server.")


@dataclass(frozen=True, slots=True)
class Mailboxes:
    database: Database
    sealer: Sealer
    settings: Settings
    delivery: Delivery

    @operation(Operation.MAILBOX_CREATE)
    def create(self, actor: Actor, new: NewMailbox, *, idempotency_key: str | None = None) -> Mailbox:
        """Make a mailbox. Raises: InvalidEmail, WeakPassword, NotFound (domain), Conflict DUPLICATE_MAILBOX."""
        actor.require(Permission.MAILBOX_WRITE)
        call = (actor, Operation.MAILBOX_CREATE, idempotency_key, new.request())
        with writing(self.database) as session:
            if uid := made_earlier(session, *call):
                return find(session, Mailbox, uid)
            policy = in_force(session, self.settings)
            new = new.checked(policy.passwords)
            if reason := refusals(session, actor, [new])[0]:
                raise reason
            (row,) = insert_mailboxes(session, self.sealer, policy, actor, [new])
            remember(session, *call, [row.uid])
        return self.delivery.pushed(row)

    @operation(Operation.MAILBOX_EDIT)
    def edit(
        self,
        actor: Actor,
        uid: UUID,
        *,
        display_name: str | None = None,
        quota_bytes: int | None = None,
        quota_messages: int | None = None,
        expected_version: int | None = None,
    ) -> Mailbox:
        """Change name and quotas; what is None stays. 0 clears a quota."""
        with writing(self.database) as session:
            row = find_active(session, actor, uid)
            shown = ("display_name", "quota_bytes", "quota_messages")
            check_version(row, expected_version, **{name: getattr(row, name) for name in shown})
            payload = _take(row, display_name, quota_bytes, quota_messages)
            if not payload:
                return row
            if payload.keys() == {"display_name"}:  # known here only, so nothing has to reach the server
                touch(row)
                (row.log_uid,) = done(session, actor, Operation.MAILBOX_EDIT, [subject_of(row)], payload)
            else:
                want(row)
                intend(session, actor, Operation.MAILBOX_EDIT, [row], payload)
        return self.delivery.pushed(row)

    @operation(Operation.MAILBOX_RESET_PASSWORD)
    def reset_password(
        self, actor: Actor, uid: UUID, password: Secret | None = None, *, expected_version: int | None = None
    ) -> tuple[Mailbox, Secret | None]:
        """Set a new password; without one a password is made and returned, this once only."""
        with writing(self.database) as session:
            row = find_active(session, actor, uid)
            check_version(row, expected_version, status=row.status)
            rules = in_force(session, self.settings).passwords
            new = check_password(password or generate_password(rules), rules, address=row.address)
            row.sealed_password = seal_password(self.sealer, row.domain.server.kind, new)
            want(row)
            payload = {"password": HIDDEN, "generated": password is None}
            intend(session, actor, Operation.MAILBOX_RESET_PASSWORD, [row], payload)
        return self.delivery.pushed(row), None if password else new

    @operation(Operation.MAILBOX_VERIFY)
    def verify_password(self, actor: Actor, uid: UUID, password: Secret) -> bool:
        """Whether the mail server lets this mailbox in with this password. Raises: Unreachable."""
        with self.database.read() as session:
            row = find_writable(session, actor, Permission.MAILBOX_WRITE, Mailbox, uid)
            settings = row.domain.server.settings
        forms = dict.fromkeys((normal(password.reveal()), password.reveal()))  # as it is kept, and as it once was
        seconds = self.settings.page_budget_seconds
        accepted = any(check_login(settings, row.address, Secret(form), seconds) for form in forms)
        payload = {"password": HIDDEN, "accepted": accepted}
        with writing(self.database) as session:
            done(session, actor, Operation.MAILBOX_VERIFY, [subject_of(row)], payload)
        return accepted

    @operation(Operation.MAILBOX_DISABLE)
    def disable(self, actor: Actor, uid: UUID, *, expected_version: int | None = None) -> Mailbox:
        """No login by IMAP, POP3 or submission; password, mail and delivery stay."""
        return self._set_status(actor, uid, Operation.MAILBOX_DISABLE, Status.DISABLED, expected_version)

    @operation(Operation.MAILBOX_ENABLE)
    def enable(self, actor: Actor, uid: UUID, *, expected_version: int | None = None) -> Mailbox:
        return self._set_status(actor, uid, Operation.MAILBOX_ENABLE, Status.ACTIVE, expected_version)

    def _set_status(
        self, actor: Actor, uid: UUID, name: Operation, status: Status, expected_version: int | None
    ) -> Mailbox:
        with writing(self.database) as session:
            row = find_active(session, actor, uid)
            check_version(row, expected_version, status=row.status)
            if row.status == status:
                return row
            if status == Status.DISABLED and (reason := disable_refusal(row.domain.server.kind)):
                raise reason
            row.status = status
            want(row)
            intend(session, actor, name, [row], {"status": status})
        return self.delivery.pushed(row)

    @operation(Operation.MAILBOX_DELETE)
    def delete(
        self,
        actor: Actor,
        uid: UUID,
        *,
        force: bool = False,
        erase_mail: bool = False,
        keep_login: bool = False,
        expected_version: int | None = None,
    ) -> Mailbox:
        """Soft: nobody can log in any more, which `restore` takes back; with `keep_login` it is only marked here.
        `force`: removed on the server; its mail only with `erase_mail`."""
        require_force(force, erase_mail, keep_login)
        with writing(self.database) as session:
            row = find_active(session, actor, uid, deleted_too=force, open_too=not keep_login)
            check_version(row, expected_version, status=row.status)
            if erase_mail and (reason := erase_refusal(row.domain.server.kind)):
                raise reason
            if force:
                row.removed = mark_for_deletion(session, actor, [row], erase_mail)
            else:
                soft_delete(session, actor, [row], keep_login)
            session.refresh(row)  # it may be gone from the database when it is returned
        return row if row.login_open else self.delivery.pushed(row)

    @operation(Operation.MAILBOX_RESTORE)
    def restore(self, actor: Actor, uid: UUID, *, expected_version: int | None = None) -> Mailbox:
        """Take a soft delete back; a mailbox that was disabled is disabled again."""
        with writing(self.database) as session:
            row = find_active(session, actor, uid, deleted_too=True)
            check_version(row, expected_version, status=row.status)
            if reason := restore_refusal(row):
                raise reason
            if restore(row):
                want(row)
                intend(session, actor, Operation.MAILBOX_RESTORE, [row], {})
        return self.delivery.pushed(row)


def find_active(
    session: Session, actor: Actor, uid: UUID, *, deleted_too: bool = False, open_too: bool = False
) -> Mailbox:
    """The row, locked, if the actor may change it. `open_too`: also a deleted one whose login was left open.

    Raises: AccessDenied, NotFound, Conflict MAILBOX_DELETED.
    """
    row = find_writable(session, actor, Permission.MAILBOX_WRITE, Mailbox, uid)
    if row.status == Status.DELETED and not (deleted_too or (open_too and closes(row))):
        raise Conflict(f"{row.address} is deleted; restore it first.", code="MAILBOX_DELETED")
    return row


def _take(
    row: Mailbox, display_name: str | None, quota_bytes: int | None, quota_messages: int | None
) -> dict[str, Any]:
    """Put in what is given and other than before; returns that, for the record."""
    payload: dict[str, Any] = {}
    if display_name is not None and display_name != row.display_name:
        row.display_name = payload["display_name"] = check_display_name(display_name)
    if quota_bytes is not None and quota_bytes != row.quota_bytes:
        row.quota_bytes = payload["quota_bytes"] = check_quota(quota_bytes)
    if quota_messages is not None and (quota_messages or None) != row.quota_messages:
        row.quota_messages = check_quota(quota_messages) or None
        payload["quota_messages"] = quota_messages
    return payload


# ---- deleting and restoring, one or many ---------------------------------------------------


def require_force(force: bool, erase_mail: bool, keep_login: bool) -> None:
    """Raises: InvalidInput where mail should go and the account stay, or the login stay and the account go."""
    if erase_mail and not force:
        raise InvalidInput("Mail is erased only together with the account, that is with force.", code="FORCE_NEEDED")
    if keep_login and force:
        raise InvalidInput("An account that is removed keeps no login; leave out one of the two.")


def closes(row: Mailbox) -> bool:
    """Whether a soft delete would close its login: it is open, and the kind of mail server has closed ones."""
    return row.login_open and disable_refusal(row.domain.server.kind) is None


def soft_delete(session: Session, actor: Actor, rows: Sequence[Mailbox], keep_login: bool) -> None:
    """Nobody can log in any more. With `keep_login`, and where there are no such accounts, all stays as it is there."""
    for row in rows:
        if row.status != Status.DELETED:
            row.status_before, row.status = row.status, Status.DELETED
        row.login_open = keep_login or disable_refusal(row.domain.server.kind) is not None
        want(row)
    closed, left = [row for row in rows if not row.login_open], [row for row in rows if row.login_open]
    give_up(session, [*left, *(row for row in closed if not row.owned)], DELETED_FIRST)
    for row in left:  # nothing is wanted from the server any longer, so nothing is waiting
        row.synced_generation, row.confirming = row.generation, False
        row.sealed_password = None if row.owned else row.sealed_password
    payload = {"force": False, "login_open": True}
    uids = done(session, actor, Operation.MAILBOX_DELETE, [subject_of(row) for row in left], payload)
    for row, uid in zip(left, uids, strict=True):
        row.log_uid = uid
    intend(session, actor, Operation.MAILBOX_DELETE, closed, {**payload, "login_open": False})


def mark_for_deletion(session: Session, actor: Actor, rows: Sequence[Mailbox], erase_mail: bool) -> list[str]:
    """Make the rows tombstones; aliases that point to them lose them, or go too: the addresses of those."""
    give_up(session, rows, DELETED_FIRST)
    for row in rows:
        row.status, row.removing, row.erase_mail, row.login_open = Status.DELETED, True, erase_mail, False
        if row.owned:
            row.sealed_password = None  # otherwise it tells our account from one that somebody else made there
        want(row)
    gone = {row.address for row in rows}
    aliases = _aliases_to(session, gone, {row.server_id for row in rows})
    lost = {alias.id: sorted(gone.intersection(alias.destinations)) for alias in aliases}
    for alias in aliases:
        others = [d for d in alias.destinations if d not in gone]
        alias.destinations, alias.removing = others or alias.destinations, not others
        want(alias)
    removed = sorted(alias.address for alias in aliases if alias.removing)
    payload = {"force": True, "erase_mail": erase_mail, "removed": removed}
    intend(session, actor, Operation.MAILBOX_DELETE, rows, payload)
    intend(session, actor, Operation.ALIAS_FOLLOW, aliases, lambda alias: {"mailbox": ", ".join(lost[alias.id])})
    return removed


def _aliases_to(session: Session, gone: set[str], server_ids: set[int]) -> list[Alias]:
    """Aliases that point to one of these addresses, locked."""
    listed = select(Alias.id, Alias.destinations).where(Alias.server_id.in_(server_ids), Alias.removing.is_(False))
    if len(gone) <= FEW:  # many are compared here: for each of them the database would look through all aliases
        listed = listed.where(leads_to(gone))
    ids = [alias.id for alias in session.execute(listed) if not gone.isdisjoint(alias.destinations)]
    found: list[Alias] = []
    for start in range(0, len(ids), CHUNK):
        chosen = select(Alias).where(Alias.id.in_(ids[start : start + CHUNK])).order_by(Alias.id)
        found += session.scalars(chosen.with_for_update(of=Alias))
    return found


def restore(row: Mailbox) -> bool:
    """Undo a soft delete: back to what the mailbox was before; whether there was one."""
    was_deleted = row.status == Status.DELETED
    if was_deleted:
        row.status, row.login_open = row.status_before or Status.ACTIVE, False
    return was_deleted


def restore_refusal(row: Mailbox) -> Conflict | None:
    """Why it cannot be restored, or None."""
    if not row.removing:
        return None
    return Conflict(f"{row.address} is being removed from the mail server; it cannot be restored.")
