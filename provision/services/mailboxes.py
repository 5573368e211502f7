"""Mailboxes, one at a time: create, edit, password, quota, disable, delete, restore."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from provision.core.access import Actor, Permission
from provision.core.errors import Conflict, InvalidInput
from provision.core.passwords import check_password, generate_password
from provision.core.secret import Secret
from provision.core.texts import N_
from provision.core.traits import Feature
from provision.servers.kinds import traits_of
from provision.services.aliases import insert_aliases, refuse_taken_aliases
from provision.services.base import HIDDEN, Service, check_display_name, check_quota, operation, subject_of, touch
from provision.services.new_mailbox import NewMailbox, disable_refusal, insert_mailboxes, seal_password
from provision.storage.models import Alias, Mailbox, Status
from provision.storage.search import leads_to

FEW = 20
CHUNK = 5_000
DELETED_FIRST = N_("Given up: the mailbox was deleted before this reached the mail server.")


class MailboxWrites(Service):
    @operation("mailbox.create")
    def create_mailbox(self, actor: Actor, new: NewMailbox, *, idempotency_key: str | None = None) -> Mailbox:
        """Make a mailbox. Raises: InvalidEmail, WeakPassword, NotFound (domain), Conflict DUPLICATE_MAILBOX."""
        actor.require(Permission.MAILBOX_WRITE)
        request = new.request()
        with self._writing() as session:
            made = self._replayed(session, actor, "mailbox.create", idempotency_key, request)
            if made:
                return self._mailbox(session, UUID(made[0]))
            new = new.checked(self._policy(session).passwords)
            refuse_taken_aliases(session, actor, new)
            (row,) = insert_mailboxes(self, session, actor, [new])
            self._intend(session, actor, "mailbox.create", [row], [new.payload()])
            aliases = insert_aliases(session, [row], [new])
            self._intend(session, actor, "alias.create", aliases, [{"destinations": a.destinations} for a in aliases])
            self._remember(session, actor, "mailbox.create", idempotency_key, request, [row.uid])
        return self._pushed(row)

    @operation("mailbox.edit")
    def edit_mailbox(
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
        return self._edit(actor, uid, display_name, quota_bytes, quota_messages, expected_version)

    def _edit(
        self,
        actor: Actor,
        uid: UUID,
        display_name: str | None,
        quota_bytes: int | None,
        quota_messages: int | None,
        expected_version: int | None = None,
    ) -> Mailbox:
        with self._writing() as session:
            row = self._writable(session, actor, uid)
            shown = {
                "display_name": row.display_name,
                "quota_bytes": row.quota_bytes,
                "quota_messages": row.quota_messages,
            }
            self._check_version(row, expected_version, **shown)
            payload: dict[str, Any] = {}
            if display_name is not None and display_name != row.display_name:
                row.display_name = payload["display_name"] = check_display_name(display_name)
            if quota_bytes is not None and quota_bytes != row.quota_bytes:
                row.quota_bytes = payload["quota_bytes"] = check_quota(quota_bytes)
            if quota_messages is not None and (quota_messages or None) != row.quota_messages:
                row.quota_messages = check_quota(quota_messages) or None
                payload["quota_messages"] = quota_messages
            if not payload:
                return row
            if payload.keys() == {"display_name"}:  # known here only, so nothing has to reach the server
                touch(row)
                (row.log_uid,) = self._done(session, actor, "mailbox.edit", [subject_of(row)], payload)
            else:
                self._want(row)
                self._intend(session, actor, "mailbox.edit", [row], [payload])
        return self._pushed(row)

    @operation("mailbox.set_quota")
    def set_quota(
        self,
        actor: Actor,
        uid: UUID,
        quota_bytes: int,
        quota_messages: int | None = None,
        *,
        expected_version: int | None = None,
    ) -> Mailbox:
        """Set the quota, in bytes; 0 clears it."""
        return self._edit(actor, uid, None, quota_bytes, quota_messages, expected_version)

    @operation("mailbox.clear_quota")
    def clear_quota(self, actor: Actor, uid: UUID) -> Mailbox:
        return self._edit(actor, uid, None, 0, 0)

    @operation("mailbox.reset_password")
    def reset_password(
        self, actor: Actor, uid: UUID, password: Secret | None = None, *, expected_version: int | None = None
    ) -> tuple[Mailbox, Secret | None]:
        """Set a new password; without one a password is made and returned, this once only."""
        with self._writing() as session:
            row = self._writable(session, actor, uid)
            self._check_version(row, expected_version, status=row.status)
            rules = self._policy(session).passwords
            new = password or generate_password(rules)
            check_password(new, rules, address=row.address)
            row.sealed_password = seal_password(self.sealer, row.domain.server.kind, new)
            self._want(row)
            self._intend(
                session, actor, "mailbox.reset_password", [row], [{"password": HIDDEN, "generated": password is None}]
            )
        return self._pushed(row), None if password else new

    @operation("mailbox.disable")
    def disable_mailbox(self, actor: Actor, uid: UUID, *, expected_version: int | None = None) -> Mailbox:
        """No login by IMAP, POP3 or submission; password, mail and delivery stay."""
        return self._set_status(actor, uid, "mailbox.disable", Status.DISABLED, expected_version)

    @operation("mailbox.enable")
    def enable_mailbox(self, actor: Actor, uid: UUID, *, expected_version: int | None = None) -> Mailbox:
        return self._set_status(actor, uid, "mailbox.enable", Status.ACTIVE, expected_version)

    def _set_status(self, actor: Actor, uid: UUID, name: str, status: Status, expected_version: int | None) -> Mailbox:
        with self._writing() as session:
            row = self._writable(session, actor, uid)
            self._check_version(row, expected_version, status=row.status)
            if row.status == status:
                return row
            if status == Status.DISABLED and (reason := disable_refusal(row.domain.server.kind)):
                raise reason
            row.status = status
            self._want(row)
            self._intend(session, actor, name, [row], [{"status": status}])
        return self._pushed(row)

    @operation("mailbox.delete")
    def delete_mailbox(
        self,
        actor: Actor,
        uid: UUID,
        *,
        force: bool = False,
        erase_mail: bool = False,
        expected_version: int | None = None,
    ) -> Mailbox:
        """Soft: marked here, kept on the server. `force`: removed there; its mail only with `erase_mail`."""
        require_force(force, erase_mail)
        with self._writing() as session:
            row = self._writable(session, actor, uid, deleted_too=force)
            self._check_version(row, expected_version, status=row.status)
            self._give_up(session, [row], DELETED_FIRST)
            if not force:
                soft_delete(row)
                (row.log_uid,) = self._done(session, actor, "mailbox.delete", [subject_of(row)], {"force": False})
                session.refresh(row)
                return row
            if erase_mail and (reason := erase_refusal(row)):
                raise reason
            aliases = self.mark_for_deletion(session, [row], erase_mail)
            payload = {"force": True, "erase_mail": erase_mail}
            self._intend(session, actor, "mailbox.delete", [row], [payload])
            self._intend(session, actor, "alias.follow", aliases, [{"mailbox": row.address}] * len(aliases))
            session.refresh(row)  # it may be gone from the database when it is returned
        return self._pushed(row)

    def mark_for_deletion(self, session: Session, rows: Sequence[Mailbox], erase_mail: bool) -> list[Alias]:
        """Make the rows tombstones; aliases that point to them lose them, or go too. Returns those aliases."""
        for row in rows:
            row.status, row.removing, row.erase_mail = Status.DELETED, True, erase_mail
            if row.owned:
                row.sealed_password = None  # otherwise it tells our account from one that somebody else made there
            self._want(row)
        gone = {row.address for row in rows}
        aliases = _aliases_to(session, gone, {row.server_id for row in rows})
        for alias in aliases:
            others = [d for d in alias.destinations if d not in gone]
            alias.destinations, alias.removing = others or alias.destinations, not others
            self._want(alias)
        return aliases

    @operation("mailbox.restore")
    def restore_mailbox(self, actor: Actor, uid: UUID, *, expected_version: int | None = None) -> Mailbox:
        """Take a soft delete back; a mailbox that was disabled is disabled again."""
        with self._writing() as session:
            row = self._writable(session, actor, uid, deleted_too=True)
            self._check_version(row, expected_version, status=row.status)
            if reason := restore_refusal(row):
                raise reason
            if restore(row):
                self._want(row)
                self._intend(session, actor, "mailbox.restore", [row], [{}])
        return self._pushed(row)

    # ---- helpers ---------------------------------------------------------------------------

    def _mailbox(self, session: Session, uid: UUID) -> Mailbox:
        row: Mailbox = self._find(session, Mailbox, uid, "mailbox")
        return row

    def _writable(self, session: Session, actor: Actor, uid: UUID, *, deleted_too: bool = False) -> Mailbox:
        """The row, if the actor may change it. Raises: AccessDenied, NotFound."""
        actor.require(Permission.MAILBOX_WRITE)
        row = self._mailbox(session, uid)
        actor.require(Permission.MAILBOX_WRITE, row.domain_id, what=row.address)
        actor.require_rank(self.ranks(session).get(row.address), row.address)
        if row.status == Status.DELETED and not deleted_too:
            raise Conflict(f"{row.address} is deleted; restore it first.", code="MAILBOX_DELETED")
        return row


def require_force(force: bool, erase_mail: bool) -> None:
    """Raises: InvalidInput where mail should go and the account stay."""
    if erase_mail and not force:
        raise InvalidInput("Mail is erased only together with the account, that is with force.", code="FORCE_NEEDED")


def erase_refusal(row: Mailbox) -> InvalidInput | None:
    """Why its mail cannot be erased, or None."""
    if traits_of(row.domain.server.kind).can(Feature.ERASE_MAIL):
        return None
    return InvalidInput("The mail on this kind of mail server cannot be erased from here.")


def soft_delete(row: Mailbox) -> None:
    """Soft delete: nothing is wanted from the server any longer, so nothing is waiting."""
    row.status_before, row.status = row.status, Status.DELETED
    row.generation += 1
    row.synced_generation, row.error, row.error_code, row.next_attempt_at = row.generation, None, None, None
    row.confirming = False
    if row.owned:
        row.sealed_password = None
    touch(row)


def restore(row: Mailbox) -> bool:
    """Undo a soft delete: back to what the mailbox was before; whether there was one."""
    was_deleted = row.status == Status.DELETED
    if was_deleted:
        row.status = row.status_before or Status.ACTIVE
    return was_deleted


def restore_refusal(row: Mailbox) -> Conflict | None:
    """Why it cannot be restored, or None."""
    if not row.removing:
        return None
    return Conflict(f"{row.address} is being removed from the mail server; it cannot be restored.")


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
