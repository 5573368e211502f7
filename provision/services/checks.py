"""What is asked before something is written: texts and numbers, what the kind of mail server can, what is in use."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from provision.core.errors import Conflict, InvalidEmail, InvalidInput
from provision.core.letters import invisible, is_blank
from provision.core.state import Resource
from provision.core.texts import N_
from provision.core.traits import Feature
from provision.servers.kinds import traits_of
from provision.storage.models import Alias, Domain, Mailbox, Status
from provision.sync.rules import taken_on_servers

MAX_QUOTA_BYTES = 1 << 50  # 1 PiB: above it is a slip of the keyboard
CHUNK = 5_000


def check_version(row: Any, expected: int | None, **theirs: Any) -> None:
    """Optimistic lock: what the person looked at must still be true. Raises: Conflict with the values now and their
    version."""
    if expected is not None and row.version != expected:
        now = ", ".join(f"{name}: {value}" for name, value in theirs.items())
        raise Conflict(
            f"Somebody else has changed this meanwhile (now {now}). Nothing was saved.",
            code="EDIT_CONFLICT",
            current=theirs,
            version=row.version,
        )


def check_quota(value: int) -> int:
    if not 0 <= value <= MAX_QUOTA_BYTES:
        raise InvalidInput("A quota is 0 (none) or a size up to 1 PiB.", code="INVALID_QUOTA")
    return value


def check_display_name(name: str) -> str:
    if len(name) > 200:
        raise InvalidInput("A display name has up to 200 visible characters.", code="INVALID_NAME")
    return _visible(name, "INVALID_NAME")


def check_description(text: str) -> str:
    if len(text) > 500:
        raise InvalidInput("A description has up to 500 visible characters.")
    return _visible(text, "INVALID_INPUT")


def check_name(name: str, most: int) -> str:
    """Of a thing that has a name only here."""
    name = _visible(name, "INVALID_NAME")
    if not 0 < len(name) <= most:
        raise InvalidInput(f"A name has 1 to {most} visible characters.", code="INVALID_NAME")
    return name


def _visible(text: str, code: str) -> str:
    """Without the blanks around it. Raises: InvalidInput, which names what nobody can see."""
    text = text.strip()
    if hidden := invisible(text):
        raise InvalidInput(f"The character {hidden} cannot be seen; leave it out.", code=code)
    if text and is_blank(text):
        raise InvalidInput("There is nothing to be seen in this text.", code=code)
    return text


# ---- what a kind of mail server can --------------------------------------------------------


def disable_refusal(kind: str) -> InvalidInput | None:
    """Why no mailbox there can be without login, or None."""
    if traits_of(kind).can(Feature.DISABLE):
        return None
    return InvalidInput("This kind of mail server has no mailboxes that cannot log in.")


def erase_refusal(kind: str) -> InvalidInput | None:
    """Why no mail there can be erased, or None."""
    if traits_of(kind).can(Feature.ERASE_MAIL):
        return None
    return InvalidInput("The mail on this kind of mail server cannot be erased from here.")


def alias_refusal(kind: str, alias: str) -> InvalidInput | None:
    """Why there can be no such alias there, or None."""
    traits = traits_of(kind)
    if alias.startswith("@"):
        if traits.can(Feature.CATCH_ALL):
            return None
        return InvalidInput(f"{alias} cannot be made: this kind of mail server has no aliases for whole domains.")
    reason = traits.address_rule(Resource.ALIAS, alias)
    return InvalidEmail(f"{alias} cannot be an alias: {reason}.", value=alias) if reason else None


# ---- what is there -------------------------------------------------------------------------


def find_domains(session: Session, names: Iterable[str]) -> dict[str, Domain]:
    return {d.name: d for d in session.scalars(select(Domain).where(Domain.name.in_(list(names))))}


def taken_addresses(session: Session, wanted: Sequence[str]) -> dict[str, str]:
    """Which of these addresses are in use, and by what."""
    taken = taken_on_servers(session, wanted)
    for start in range(0, len(wanted), CHUNK):
        part = wanted[start : start + CHUNK]
        in_use = select(Mailbox.address, Mailbox.status, Mailbox.removing).where(Mailbox.address.in_(part))
        taken.update((row.address, _in_use(row)) for row in session.execute(in_use))
        for address in session.scalars(select(Alias.address).where(Alias.address.in_(part))):
            taken[address] = N_("an alias has this address")
    return taken


def _in_use(row: Any) -> str:
    if row.removing:
        return N_("the old mailbox is still being removed from the mail server")
    if row.status == Status.DELETED:
        return N_("a soft-deleted mailbox has this address; restore it, or delete it for good")
    return N_("it exists already")
