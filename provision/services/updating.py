"""Mailboxes that exist made as a list has them: what would change, and the change. See `BulkMailboxes.update`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from provision.audit.events import Operation
from provision.core.access import Actor, Permission
from provision.core.errors import InvalidInput, ProvisionError
from provision.core.passwords import PasswordRules, check_password
from provision.core.secret import Secret
from provision.servers.kinds import traits_of
from provision.services.checks import disable_refusal
from provision.services.new_mailbox import seal_password
from provision.services.writing import HIDDEN, done, intend, require_rank, subject_of, touch, want
from provision.storage.encryption import Sealer
from provision.storage.models import Mailbox, Status

CHUNK = 5_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a mailbox that exists shall have; what is None stays as it is."""

    address: str
    display_name: str | None = None
    quota_bytes: int | None = None
    enabled: bool | None = None
    password: Secret | None = None
    password_hash: Secret | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """What is other than wanted: each with its value before and after. Of a password neither is shown."""

    index: int
    uid: UUID
    address: str
    values: Mapping[str, tuple[object, object]]


def existing(session: Session, actor: Actor, addresses: Sequence[str]) -> dict[str, Mailbox]:
    """Those of these mailboxes that are there and not deleted, locked. Raises: AccessDenied."""
    found: list[Mailbox] = []
    for start in range(0, len(addresses), CHUNK):
        part = addresses[start : start + CHUNK]
        kept = (Mailbox.address.in_(part), Mailbox.status != Status.DELETED, Mailbox.removing.is_(False))
        found += session.scalars(select(Mailbox).where(*kept).order_by(Mailbox.id).with_for_update(of=Mailbox))
    for row in found:
        actor.require(Permission.MAILBOX_WRITE, row)
    require_rank(session, actor, [row.address for row in found])
    return {row.address: row for row in found}


def difference(row: Mailbox, wanted: Wanted, index: int) -> Difference:
    before = {"display_name": row.display_name, "quota_bytes": row.quota_bytes, "enabled": row.status == Status.ACTIVE}
    after = {name: getattr(wanted, name) for name in before}
    values = {name: (before[name], value) for name, value in after.items() if value not in (None, before[name])}
    secret = {"password": (HIDDEN, HIDDEN)} if wanted.password or wanted.password_hash else {}
    return Difference(index, row.uid, row.address, values | secret)


def refusal(row: Mailbox, wanted: Wanted, rules: PasswordRules) -> ProvisionError | None:
    """Why it cannot be so, or None."""
    if wanted.password_hash is not None and not traits_of(row.domain.server.kind).takes_hash:
        return InvalidInput("This kind of mail server takes no password hashes; give the password itself.")
    if wanted.password is not None:
        try:
            check_password(wanted.password, rules, address=row.address)
        except InvalidInput as error:
            return error
    return disable_refusal(row.domain.server.kind) if wanted.enabled is False else None


def apply(session: Session, sealer: Sealer, actor: Actor, pairs: Sequence[tuple[Mailbox, Wanted, Difference]]) -> None:
    """Make the rows so, each kind of change with a record of its own."""
    for row, wanted, change in pairs:
        _take(sealer, row, wanted, change)
        if change.values.keys() == {"display_name"}:  # known here only, so nothing has to reach the server
            touch(row)
        else:
            want(row)
    changes = {row.uid: change for row, _, change in pairs}
    here = [row for row, _, change in pairs if change.values.keys() == {"display_name"}]
    for row in here:
        done(session, actor, Operation.MAILBOX_EDIT, [subject_of(row)], _edited(changes[row.uid]))
    rows = [row for row, _, change in pairs if change.values.keys() != {"display_name"}]
    edited = [row for row in rows if _edited(changes[row.uid])]
    intend(session, actor, Operation.MAILBOX_EDIT, edited, lambda row: _edited(changes[row.uid]))
    for name, status in ((Operation.MAILBOX_ENABLE, Status.ACTIVE), (Operation.MAILBOX_DISABLE, Status.DISABLED)):
        switched = [row for row in rows if "enabled" in changes[row.uid].values and row.status == status]
        intend(session, actor, name, switched, {"status": status})
    reset = [row for row in rows if "password" in changes[row.uid].values]
    intend(session, actor, Operation.MAILBOX_RESET_PASSWORD, reset, {"password": HIDDEN, "generated": False})


def _take(sealer: Sealer, row: Mailbox, wanted: Wanted, change: Difference) -> None:
    for name, value in _edited(change).items():
        setattr(row, name, value)
    if "enabled" in change.values:
        row.status = Status.ACTIVE if wanted.enabled else Status.DISABLED
    if wanted.password is not None:
        row.sealed_password = seal_password(sealer, row.domain.server.kind, wanted.password)
    elif wanted.password_hash is not None:
        row.sealed_password = sealer.seal(wanted.password_hash)


def _edited(change: Difference) -> dict[str, Any]:
    return {name: after for name, (_, after) in change.values.items() if name in ("display_name", "quota_bytes")}
