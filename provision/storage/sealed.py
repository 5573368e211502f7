"""What is sealed in the database, and the key file that opens it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from provision.core.errors import ProvisionError, Unreachable
from provision.core.secret import Secret
from provision.storage.database import Database
from provision.storage.encryption import Sealer
from provision.storage.models import IdempotencyKey, ImportJob, Mailbox, Server

SEALED: tuple[tuple[Any, Any, str], ...] = (
    (Mailbox, Mailbox.id, "sealed_password"),
    (Server, Server.id, "sealed_settings"),
    (IdempotencyKey, IdempotencyKey.key, "sealed_body"),
    (ImportJob, ImportJob.id, "sealed_upload"),
    (ImportJob, ImportJob.id, "sealed_rejected"),
    (ImportJob, ImportJob.id, "sealed_passwords"),
)
CHUNK = 500


def open_sealer(path: Path, database: Database) -> Sealer:
    """With the keys of that file, made at the first start. Raises: ProvisionError where it is gone, and needed."""
    if not path.exists() and is_needed(database):
        raise ProvisionError(
            f"The key file {path} is gone, and what waits in the database was sealed with it. Put it back. "
            "If it is lost for good: python -m provision key new; what waits must be set again then.",
            code="KEY_UNUSABLE",
        )
    return Sealer.from_file(path)


def seal_settings(sealer: Sealer, secrets: Mapping[str, Secret]) -> str | None:
    """The secret settings of a mail server, for its row."""
    if not secrets:
        return None
    return sealer.seal(Secret(json.dumps({name: secret.reveal() for name, secret in secrets.items()})))


def secret_settings(server: Server, sealer: Sealer) -> dict[str, Secret]:
    """Raises: ProvisionError where they were sealed with a key that is gone."""
    if not server.sealed_settings:
        return {}
    opened = json.loads(sealer.unseal(server.sealed_settings).reveal())
    return {name: Secret(value) for name, value in opened.items()}


def open_settings(server: Server, sealer: Sealer) -> dict[str, Any]:
    """All settings, for its driver. Raises: Unreachable, because without them it cannot be."""
    try:
        return {**server.settings, **secret_settings(server, sealer)}
    except ProvisionError:
        raise Unreachable(
            f"The secret settings of {server.name} were sealed with a key that is gone. Put the old key back into the "
            "key file, or type them anew.",
        ) from None


def is_needed(database: Database) -> bool:
    """Whether something waits that was sealed."""
    return any(found for _, found in _sealed(database))


def reseal(database: Database, sealer: Sealer) -> int:
    """Everything under the first key. What changes meanwhile stays as it was written, what no key opens stays, too."""
    count = 0
    for (table, key, column), found in _sealed(database):
        sealed = getattr(table, column)
        for start in range(0, len(found), CHUNK):
            with database.write() as session:
                for name, old in found[start : start + CHUNK]:
                    if sealer.opens(old):
                        same = (key == name, sealed == old)
                        session.execute(update(table).where(*same).values({column: sealer.reseal(old)}))
                        count += 1
    return count


def unreadable(database: Database, sealer: Sealer) -> int:
    """How many waiting secrets no key of the file opens."""
    return sum(not sealer.opens(text) for _, found in _sealed(database) for _name, text in found)


def _sealed(database: Database) -> Iterator[tuple[tuple[Any, Any, str], Sequence[Any]]]:
    """Each place of SEALED with the keys of its rows and what is sealed in them."""
    for place in SEALED:
        table, key, column = place
        sealed = getattr(table, column)
        with database.read() as session:
            found = session.execute(select(key, sealed).where(sealed.is_not(None))).all()
        yield place, found
