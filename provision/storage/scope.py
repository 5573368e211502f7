"""What an actor may see of the tables. The only way a list is narrowed to that."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, select

from provision.core.access import Actor
from provision.core.address import domain_of
from provision.storage.database import Database
from provision.storage.models import Domain


def scope(actor: Actor, column: Any) -> list[ColumnElement[bool]]:
    """Condition that keeps an actor to their domains; `column`: of a table, the domain's id."""
    return [] if actor.domains is None else [column.in_(sorted(actor.domains))]


def own_addresses(database: Database, actor: Actor) -> Callable[[str], bool]:
    """Whether an address is in a domain of theirs, as it is when this is asked for."""
    if actor.domains is None:
        return lambda address: True
    with database.read() as session:
        names = frozenset(session.scalars(select(Domain.name).where(*scope(actor, Domain.id))))
    return lambda address: domain_of(address) in names
