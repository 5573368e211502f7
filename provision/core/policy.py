"""The rules that a SuperAdmin may set while all runs: one table, from which everything else about them is made.

Settings of the environment, columns, checks, form, command line and API read the fields of `Policy`.
"""

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from annotated_types import Ge, Le
from pydantic import AliasChoices, BaseModel, Field, TypeAdapter, ValidationError

from provision.core.errors import InvalidInput
from provision.core.passwords import PasswordRules
from provision.core.texts import N_


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rule stands in a form, and what it is called there. `at_most`: the rule that it may not be above."""

    group: str
    label: str
    at_most: str | None = None


PASSWORDS, NEW_MAILBOXES = N_("Passwords"), N_("New mailboxes")
FAILED_CHANGES, AUTOMATIC_IMPORT = N_("Failed changes"), N_("Automatic import")


class Policy(BaseModel):
    """Default, bounds, meaning and place of each rule; as a value: the rules in force."""

    password_min_length: Annotated[int, Place(PASSWORDS, N_("Fewest characters"), "password_max_length")] = Field(
        8, ge=8, le=64, description="fewest characters of a password"
    )
    password_max_length: Annotated[int, Place(PASSWORDS, N_("Most characters"))] = Field(
        32, ge=16, le=64, description="most characters of a password"
    )
    password_classes: Annotated[int, Place(PASSWORDS, N_("Kinds of characters"))] = Field(
        3, ge=1, le=4, description="kinds of characters a password needs, of four"
    )
    default_quota_mb: Annotated[int, Place(NEW_MAILBOXES, N_("Quota (MB)"))] = Field(
        1024, ge=0, le=1 << 30, description="quota of a new mailbox where its domain says nothing; 0: none"
    )
    max_attempts: Annotated[int, Place(FAILED_CHANGES, N_("Tries"))] = Field(
        8, ge=1, le=100, description="tries of one change before it is FAILED"
    )
    retry_base_seconds: Annotated[float, Place(FAILED_CHANGES, N_("First pause (seconds)"), "retry_cap_seconds")] = (
        Field(5.0, ge=0.01, le=3600, description="first pause after a failed try; doubles each time")
    )
    retry_cap_seconds: Annotated[float, Place(FAILED_CHANGES, N_("Longest pause (seconds)"))] = Field(
        900.0, ge=0.01, le=86_400, description="longest pause between tries"
    )
    enable_auto_import: Annotated[bool, Place(AUTOMATIC_IMPORT, N_("Import by itself"))] = Field(
        False,
        validation_alias=AliasChoices("POSTROOM_ENABLE_AUTO_IMPORT", "ENABLE_AUTO_IMPORT"),
        description="import what was made on the server behind our back, by itself",
    )
    auto_import_interval: Annotated[int, Place(AUTOMATIC_IMPORT, N_("Interval (seconds)"))] = Field(
        3600,
        ge=10,
        le=2_678_400,
        validation_alias=AliasChoices("POSTROOM_AUTO_IMPORT_INTERVAL", "AUTO_IMPORT_INTERVAL"),
        description="seconds between two such imports",
    )

    @property
    def passwords(self) -> PasswordRules:
        """A least length above the most, as the environment may have it, counts: it is the stricter one."""
        longest = max(self.password_min_length, self.password_max_length)
        return PasswordRules(self.password_min_length, longest, self.password_classes)


FIELDS = Policy.model_fields
NAMES = tuple(FIELDS)


def kind(name: str) -> type[int] | type[float] | type[bool]:
    found: Any = FIELDS[name].annotation
    return found  # type: ignore[no-any-return]


def meaning(name: str) -> str:
    return FIELDS[name].description or name


def place(name: str) -> Place:
    return next(part for part in FIELDS[name].metadata if isinstance(part, Place))


def bounds(name: str) -> tuple[int | float, int | float] | None:
    """The least and the most a rule may be; None for one that is on or off."""
    least = [part.ge for part in FIELDS[name].metadata if isinstance(part, Ge)]
    most = [part.le for part in FIELDS[name].metadata if isinstance(part, Le)]
    return (least[0], most[0]) if least and most else None  # type: ignore[return-value]


def allowed(name: str) -> str:
    """What a rule may be, in words."""
    if (limits := bounds(name)) is None:
        return N_("true or false")
    whole = N_("a whole number") if kind(name) is int else N_("a number")
    return N_(f"{whole} from {limits[0]:,} to {limits[1]:,}")


def check(name: str, value: Any) -> Any:
    """As it is kept. Raises: InvalidInput."""
    if name not in FIELDS:
        raise InvalidInput(f"There is no rule called {name}; there are: {', '.join(NAMES)}.", code="UNKNOWN_RULE")
    try:
        return _adapter(name).validate_python(value)
    except ValidationError:
        raise InvalidInput(f"{name} ({meaning(name)}) is {allowed(name)}.", code="INVALID_POLICY", rule=name) from None


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(Annotated[FIELDS[name].annotation, *FIELDS[name].metadata])  # type: ignore[arg-type]


def check_order(after: Policy, touched: set[str]) -> None:
    """What the environment has in the wrong order is left alone until somebody touches it. Raises: InvalidInput."""
    for low, high in ((name, place(name).at_most) for name in NAMES):
        if high and touched & {low, high} and getattr(after, low) > getattr(after, high):
            raise InvalidInput(
                f"{low} would be {getattr(after, low)}, more than {high}, which is {getattr(after, high)}.",
                code="INVALID_POLICY",
                rule=low,
            )
