"""The front door for the rules: what is in force and where it comes from; a SuperAdmin changes it while all runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from provision.audit.chain import Subject
from provision.audit.events import Operation
from provision.core.access import Actor, Permission
from provision.core.passwords import generate_password
from provision.core.policy import NAMES, Policy, check, check_order
from provision.core.secret import Secret
from provision.services.checks import check_version
from provision.services.writing import done, operation, touch, writing
from provision.settings.config import Settings
from provision.settings.policy import in_force, over
from provision.storage.database import Database
from provision.storage.models import PolicyRow


class Source(StrEnum):
    """Where a rule's value comes from."""

    SET = "set here"
    ENVIRONMENT = "environment"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as it is now. `default`: what it is when nothing is set here."""

    name: str
    value: int | float | bool
    default: int | float | bool
    source: Source


@dataclass(frozen=True, slots=True)
class Shown:
    """The whole policy; `version` is what an edit may insist on."""

    version: int
    rules: tuple[Rule, ...]

    def __getitem__(self, name: str) -> Rule:
        return next(rule for rule in self.rules if rule.name == name)


@dataclass(frozen=True, slots=True)
class Policies:
    """Reading is for everybody who may sign in; the hints below password boxes need `now` without anybody."""

    database: Database
    settings: Settings

    def now(self) -> Policy:
        with self.database.read() as session:
            return in_force(session, self.settings)

    def new_password(self) -> Secret:
        return generate_password(self.now().passwords)

    @operation(Operation.POLICY_SHOW)
    def show(self, actor: Actor) -> Shown:
        actor.require(Permission.POLICY_READ)
        with self.database.read() as session:
            return self._shown(session.scalars(select(PolicyRow)).one())

    @operation(Operation.POLICY_EDIT)
    def edit(self, actor: Actor, changes: Mapping[str, Any], *, expected_version: int | None = None) -> Shown:
        """Set the rules named; None takes one back to its default. Raises: InvalidInput, Conflict EDIT_CONFLICT."""
        actor.require(Permission.POLICY_WRITE)
        checked = {name: None if value is None else check(name, value) for name, value in changes.items()}
        with writing(self.database) as session:
            row = session.scalars(select(PolicyRow).with_for_update()).one()
            before = in_force(session, self.settings)
            check_version(row, expected_version, **{name: getattr(before, name) for name in checked})
            own = {name: getattr(row, name) for name in NAMES}
            after = over(self.settings, {**own, **checked})
            check_order(after, set(checked))
            changed = [name for name in checked if own[name] != checked[name]]
            if changed:
                for name in changed:
                    setattr(row, name, checked[name])
                touch(row)
                self._record(session, actor, changed, before, after, checked)
            return self._shown(row)

    def _record(
        self,
        session: Session,
        actor: Actor,
        changed: list[str],
        before: Policy,
        after: Policy,
        given: Mapping[str, Any],
    ) -> None:
        payload = {
            name: {"old": getattr(before, name), "new": getattr(after, name), "default": given[name] is None}
            for name in changed
        }
        done(session, actor, Operation.POLICY_EDIT, [Subject("policy", name="policy")], payload)

    def _shown(self, row: PolicyRow) -> Shown:
        values = dict(over(self.settings, {name: getattr(row, name) for name in NAMES}))
        rules = [
            Rule(name, values[name], getattr(self.settings, name), self._source(name, getattr(row, name)))
            for name in NAMES
        ]
        return Shown(row.version, tuple(rules))

    def _source(self, name: str, own: object) -> Source:
        if own is not None:
            return Source.SET
        return Source.ENVIRONMENT if name in self.settings.model_fields_set else Source.DEFAULT
