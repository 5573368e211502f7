"""An alias whose mail would come back to it is refused, with the path."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from provision.core.errors import InvalidInput
from provision.core.forwarding import loop_through
from provision.storage.models import Alias, Mailbox

AT_ONCE = 5_000


def refuse_loop(session: Session, alias: str, targets: Sequence[str]) -> None:
    """Raises: InvalidInput ALIAS_LOOP."""
    if alias in targets:
        raise InvalidInput(f"{alias} would send its mail to itself.", code="ALIAS_LOOP", path=[alias, alias])

    def lookup(wanted: set[str]) -> dict[str, list[str]]:
        names = sorted(wanted)
        found: dict[str, list[str]] = {}
        for start in range(0, len(names), AT_ONCE):
            part = Alias.address.in_(names[start : start + AT_ONCE])
            statement = select(Alias.address, Alias.destinations).where(part, Alias.removing.is_(False))
            found.update((row.address, row.destinations) for row in session.execute(statement))
        return found

    def is_mailbox(address: str) -> bool:
        return session.scalar(select(Mailbox.id).where(Mailbox.address == address)) is not None

    if path := loop_through(alias, targets, lookup, is_mailbox):
        raise InvalidInput(
            f"Mail for {alias} would go round in a circle: {' → '.join(path)}.", code="ALIAS_LOOP", path=path
        )
