"""What else decides over mail on a server is kept with its row, as it was when last read: nobody waits for it later."""

from collections.abc import Collection, Iterator
from itertools import islice

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from provision.core.rules import Decides, Rule, exactly, from_json
from provision.core.state import Key, Resource, ServerState
from provision.core.texts import N_
from provision.storage.database import Database
from provision.storage.models import Server

MOST = 1_000  # addresses that are remembered as taken by something that cannot be managed


def note_rules(database: Database, server_id: int, actual: ServerState, *, whole: bool) -> None:
    """`whole`: also which addresses are taken, for which every entry is looked at."""
    with database.read() as session:
        before = known_rules(session, server_id)
    kept = () if whole else (rule for rule in before if rule.decides is Decides.OCCUPIED)
    rules = [*actual.rules, *kept, *(islice(_occupied(actual), MOST) if whole else ())]
    if rules != before:
        with database.write() as session:
            values = {"rules": [list(rule) for rule in rules]}
            session.execute(update(Server).where(Server.id == server_id).values(values))


def taken_on_servers(session: Session, wanted: Collection[str]) -> dict[str, str]:
    """Those of these addresses that have an entry on a server which cannot be managed, and why."""
    by_pattern = {exactly(address): address for address in wanted}
    found: dict[str, str] = {}
    for rules in session.scalars(select(Server.rules)):
        for rule in from_json(rules or ()):
            address = by_pattern.get(rule.pattern)
            if address and rule.decides is Decides.OCCUPIED:
                found[address] = N_(
                    f"it has an entry on the mail server that cannot be managed ({rule.effect}). "
                    "After that has been corrected there, check the mail server here"
                )
    return found


def known_rules(session: Session, server_id: int) -> list[Rule]:
    return from_json(session.scalar(select(Server.rules).where(Server.id == server_id)) or ())


def _occupied(actual: ServerState) -> Iterator[Rule]:
    for resource in Resource:
        for address in actual.addresses(resource):
            if reason := actual.obstacle(Key(resource, address)):
                yield Rule(Decides.OCCUPIED, "", exactly(address), reason)
