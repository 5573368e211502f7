"""Answers of the API that were given under an Idempotency-Key: the same call again gets the same answer.

A key is claimed before the work and gets its answer after it. Bodies are sealed, for one may hold a new password;
requests are compared by an HMAC under the caller's own token, which is not kept, so that no password can be guessed.
"""

import hashlib
import hmac
from datetime import timedelta

from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError

from provision.core.errors import Conflict
from provision.core.secret import Secret
from provision.storage.database import Database
from provision.storage.encryption import Sealer
from provision.storage.models import ApiAnswer, utc_now

KEPT = timedelta(days=1)
TAKEN_FOR_DEAD = timedelta(minutes=5)  # a claim without an answer: its process has died


class IdempotencyStore:
    def __init__(self, database: Database, sealer: Sealer) -> None:
        self.database = database
        self.sealer = sealer

    def claim(self, token: Secret, key: str, request: bytes) -> tuple[int, bytes] | None:
        """Begin a call under this key: None, or the answer that was given to it before.

        Raises: Conflict IDEMPOTENCY_CONFLICT for another request, IDEMPOTENCY_IN_PROGRESS while it is worked on.
        """
        name, digest, now = _mac(token, key.encode()), _mac(token, request), utc_now()
        try:
            with self.database.write() as session:
                session.execute(delete(ApiAnswer).where(ApiAnswer.created_at < now - KEPT))
                found = session.get(ApiAnswer, name, with_for_update=True)
                if found and found.request_digest != digest:
                    raise Conflict("This Idempotency-Key was used for another request.", code="IDEMPOTENCY_CONFLICT")
                if found and found.status is not None:
                    return found.status, self.sealer.unseal(found.sealed_body or "").reveal().encode()
                if found and found.created_at > now - TAKEN_FOR_DEAD:
                    raise _in_progress()
                if found:
                    found.created_at = now
                else:
                    session.add(ApiAnswer(key=name, request_digest=digest, created_at=now))
                session.flush()
        except IntegrityError:
            raise _in_progress() from None
        return None

    def keep(self, token: Secret, key: str, status: int, body: bytes) -> None:
        """The call's answer, for the next time."""
        values = {"status": status, "sealed_body": self.sealer.seal(Secret(body.decode()))}
        with self.database.write() as session:
            session.execute(update(ApiAnswer).where(ApiAnswer.key == _mac(token, key.encode())).values(**values))

    def release(self, token: Secret, key: str) -> None:
        """The call failed: it may be made again. What it made before that, the Provisioner's own key gives back."""
        with self.database.write() as session:
            session.execute(delete(ApiAnswer).where(ApiAnswer.key == _mac(token, key.encode())))


def _in_progress() -> Conflict:
    return Conflict("A call with this Idempotency-Key is being worked on.", code="IDEMPOTENCY_IN_PROGRESS")


def _mac(token: Secret, text: bytes) -> str:
    return hmac.new(token.reveal().encode(errors="replace"), text, hashlib.sha256).hexdigest()
