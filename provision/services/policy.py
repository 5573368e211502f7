"""The front door for the rules: what is in force and where it comes from; a SuperAdmin changes it while all runs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from typing import Annotated, Any

from annotated_types import Ge, Le
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from provision.audit.chain import Subject
from provision.audit.events import Operation
from provision.core.access import Actor, Permission
from provision.core.errors import InvalidInput
from provision.core.passwords import generate_password
from provision.core.secret import Secret
from provision.core.texts import N_
from provision.services.checks import check_version
from provision.services.writing import done, operation, touch, writing
from provision.settings.config import Settings
from provision.settings.policy import NAMES, Policy, in_force, over
from provision.storage.database import Database
from provision.storage.models import PolicyRow

ORDERED = (("password_min_length", "password_max_length"), ("retry_base_seconds", "retry_cap_seconds"))


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
        checked = {name: None if value is None else _check(name, value) for name, value in changes.items()}
        with writing(self.database) as session:
            row = session.scalars(select(PolicyRow).with_for_update()).one()
            before = in_force(session, self.settings)
            check_version(row, expected_version, **{name: getattr(before, name) for name in checked})
            own = {name: getattr(row, name) for name in NAMES}
            after = over(self.settings, {**own, **checked})
            _check_order(after, checked)
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
        values = asdict(over(self.settings, {name: getattr(row, name) for name in NAMES}))
        rules = [
            Rule(name, values[name], getattr(self.settings, name), self._source(name, getattr(row, name)))
            for name in NAMES
        ]
        return Shown(row.version, tuple(rules))

    def _source(self, name: str, own: object) -> Source:
        if own is not None:
            return Source.SET
        return Source.ENVIRONMENT if name in self.settings.model_fields_set else Source.DEFAULT


def meaning(name: str) -> str:
    return Settings.model_fields[name].description or name


def bounds(name: str) -> tuple[int | float, int | float] | None:
    """The least and the most a rule may be; None for one that is on or off."""
    metadata = Settings.model_fields[name].metadata
    least = [part.ge for part in metadata if isinstance(part, Ge)]
    most = [part.le for part in metadata if isinstance(part, Le)]
    return (least[0], most[0]) if least and most else None  # type: ignore[return-value]


def _check(name: str, value: Any) -> Any:
    if name not in NAMES:
        raise InvalidInput(f"There is no rule called {name}; there are: {', '.join(NAMES)}.", code="UNKNOWN_RULE")
    try:
        return _adapter(name).validate_python(value)
    except ValidationError:
        raise InvalidInput(f"{name} ({meaning(name)}) is {allowed(name)}.", code="INVALID_POLICY", rule=name) from None


def allowed(name: str) -> str:
    """What a rule may be, in words."""
    if (limits := bounds(name)) is None:
        return N_("true or false")
    whole = N_("a whole number") if Settings.model_fields[name].annotation is int else N_("a number")
    return N_(f"{whole} from {limits[0]:,} to {limits[1]:,}")


def _check_order(after: Policy, checked: Mapping[str, Any]) -> None:
    """What the environment has in the wrong order is left alone until somebody touches it."""
    for low, high in ORDERED:
        if checked.keys() & {low, high} and getattr(after, low) > getattr(after, high):
            raise InvalidInput(
                f"{low} would be {getattr(after, low)}, more than {high}, which is {getattr(after, high)}.",
                code="INVALID_POLICY",
                rule=low,
            )


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    field = Settings.model_fields[name]
    return TypeAdapter(Annotated[field.annotation, name, *field.metadata])  # type: ignore[arg-type]
