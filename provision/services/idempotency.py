"""Calls that happen once: the same key again gives what the first call made, and in the API the same answer.

What a call makes and its key are written in one transaction, so a call that was killed may be made again. The API
claims a key before the work and keeps the answer after it: sealed, for it may hold a new password; its requests are
compared by an HMAC under the caller's own token, which is not kept, so that no password can be guessed from it.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from provision.core.access import Actor
from provision.core.errors import Conflict, ProvisionError
from provision.core.secret import Secret
from provision.storage.database import Database
from provision.storage.encryption import Sealer
from provision.storage.models import IdempotencyKey, utc_now

KEPT = timedelta(days=1)  # answers
TAKEN_FOR_DEAD = timedelta(minutes=5)  # a claim without an answer: its process has died

# ---- what was made -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ItemError:
    """Why one item of a bulk call was left out. `index` counts from 0."""

    index: int
    name: str
    error: ProvisionError

    def to_dict(self) -> dict[str, Any]:
        """For a repeated call; `from_dict` reads it."""
        error = {"code": self.error.code, "message": self.error.message, "details": self.error.details}
        return {"index": self.index, "name": self.name, **error}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "ItemError":
        error = ProvisionError(stored["message"], code=stored["code"], **stored["details"])
        return cls(stored["index"], stored["name"], error)


def earlier(session: Session, actor: Actor, operation: str, key: str | None, request: Any) -> IdempotencyKey | None:
    """What was made under this key, if anything. Raises: Conflict for another request."""
    found = session.get(IdempotencyKey, _name(actor, key)) if key is not None else None
    if found is None or not found.operation:
        return None
    if (found.operation, found.request_digest) != (operation, _digest(request)):
        raise _other_request()
    return found


def made_earlier(session: Session, actor: Actor, operation: str, key: str | None, request: Any) -> UUID | None:
    """The one thing that was made under this key. Raises: Conflict for another request."""
    found = earlier(session, actor, operation, key, request)
    return UUID(found.resource_ids[0]) if found else None


def remember(
    session: Session,
    actor: Actor,
    operation: str,
    key: str | None,
    request: Any,
    ids: Iterable[UUID],
    refusals: Sequence[dict[str, Any]] = (),
) -> None:
    """In the transaction that makes it."""
    if key is None:
        return
    row = session.get(IdempotencyKey, _name(actor, key))
    if row is None:
        row = IdempotencyKey(key=_name(actor, key))
        session.add(row)
    row.operation, row.request_digest = operation, _digest(request)
    row.resource_ids, row.refusals = [str(uid) for uid in ids], list(refusals)


def _name(actor: Actor, key: str) -> str:
    return f"{actor.name}:{key}"


def _digest(request: Any) -> str:
    """Without secrets: they are salted or random, and a repeated call may carry a new one."""
    return hashlib.sha256(json.dumps(request, sort_keys=True, default=str).encode()).hexdigest()


def _other_request() -> Conflict:
    return Conflict("This idempotency key was used for another request.", code="IDEMPOTENCY_CONFLICT")


# ---- what was answered ---------------------------------------------------------------------


class IdempotencyStore:
    """Answers of the API by the caller's key. `token` is theirs."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self.database = database
        self.sealer = sealer

    def claim(self, actor: Actor, token: Secret, key: str, request: bytes) -> tuple[int, bytes] | None:
        """Begin a call under this key: None, or status and body that were answered to it before.

        Raises: Conflict IDEMPOTENCY_CONFLICT for another request, IDEMPOTENCY_IN_PROGRESS while it is worked on.
        """
        mac, now = hmac.new(token.reveal().encode(errors="replace"), request, hashlib.sha256).hexdigest(), utc_now()
        try:
            with self.database.write() as session:
                row = session.get(IdempotencyKey, _name(actor, key), with_for_update=True)
                if row is None:
                    row = IdempotencyKey(key=_name(actor, key))
                    session.add(row)
                elif row.request_mac and row.created_at > now - KEPT:
                    if row.request_mac != mac:
                        raise _other_request()
                    if row.status is not None:
                        return row.status, self.sealer.unseal(row.sealed_body or "").reveal().encode()
                    if row.created_at > now - TAKEN_FOR_DEAD:
                        raise _in_progress()
                row.request_mac, row.status, row.sealed_body, row.created_at = mac, None, None, now
                session.flush()
        except IntegrityError:
            raise _in_progress() from None
        return None

    def keep(self, actor: Actor, key: str, status: int, body: bytes) -> None:
        """The call's answer, for the next time."""
        self._set(actor, key, status=status, sealed_body=self.sealer.seal(Secret(body.decode())))

    def release(self, actor: Actor, key: str) -> None:
        """The call failed: it may be made again. What it made before that is given back then."""
        self._set(actor, key, request_mac=None)

    def _set(self, actor: Actor, key: str, **values: Any) -> None:
        with self.database.write() as session:
            session.execute(update(IdempotencyKey).where(IdempotencyKey.key == _name(actor, key)).values(**values))


def _in_progress() -> Conflict:
    return Conflict("A call with this Idempotency-Key is being worked on.", code="IDEMPOTENCY_IN_PROGRESS")
